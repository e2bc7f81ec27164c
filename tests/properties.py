"""What holds of everything of a kind, tried on many: the same ones in every run, and nothing is kept of them."""

from __future__ import annotations

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

# Few of each, as each run tries the same: what is tried in vain a hundred times would be so the next time, too.
thorough = settings(max_examples=80, derandomize=True, database=None, deadline=None)

# What texts of others hold that bites: quotes, escapes, ends of lines, what is not seen, more than one byte, controls.
AWKWARD = "ab Z09._-/:#=+'\"\\${}[]<>&|`\t\n\r\x1b\x7f\x00é\u202e\u200b\u2028\ufeff😀"
# All of it from a text, and not by what Unicode says of characters: to make that table takes a second.
texts = st.text(alphabet=AWKWARD, max_size=24)
lines = st.text(alphabet=AWKWARD.replace("\n", "").replace("\r", "").replace("\u2028", ""), max_size=24)
words = st.text(alphabet="abcxyz019-_", min_size=1, max_size=8)


def documents(keys: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Any]:
    """Whatever a JSON document may be."""
    plain = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
    return st.recursive(
        plain | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4),
        max_leaves=8,
    )
