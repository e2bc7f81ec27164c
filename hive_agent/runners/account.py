"""Whether a service's error is about the account: told by its sentence, where its kind or status does not say it."""

from __future__ import annotations

# In lower case, as the services word it.
_SENTENCES = (
    "credit balance",
    "organization has been disabled",
    "disabled organization",
    "not allowed for this organization",
    "api usage limits",
    "plan and billing",
)


def is_about_it(sentence: str) -> bool:
    """Whether another message would fare the same, since the account has no credit, or may not be used."""
    said = sentence.lower()
    return any(words in said for words in _SENTENCES)
