"""The text of the meta flake: flake.nix, flake.lock and the urls in them, byte for byte as nix writes them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hive_core.containers.base import Threaded
from hive_core.errors import Refused
from hive_core.nix_text import arguments, string

LOCK, FLAKE = "flake.lock", "flake.nix"

_FLAKE = """\
# Written by hive from its agents; changes made here are lost at the next deploy.
{{
  inputs = {{
{inputs}
  }};

  outputs = {{ self, ... }}@inputs:
    let
      mkAgent = import "${{inputs.hive}}/nix/mk-agent.nix" {{ harness = inputs.hive; }};
    in
    {{
      # Every agent's configuration at exactly the revision that flake.lock names.
      agents = {{
{agents}
      }};

      # The NixOS system that it makes, with the hive and the nixpkgs that the revision of hive names.
      nixosConfigurations = {{
{systems}
      }};
    }};
}}
"""
# What may stand unquoted in a path (RFC 3986, pchar), as in nix. In a query `&`, `=` and `+` mean something.
_IN_PATH = "/!$&'()*+,;=:@"
_SCHEME = "git+file://"


def render(inputs: Mapping[str, str], agents: Mapping[str, Threaded]) -> str:
    """The text of flake.nix. None of the inputs is taken as a flake: an agent cannot bring inputs of its own.

    agents: by name, each of which has an input.
    """
    lines = [f"    {string(name)} = {{ url = {string(url)}; flake = false; }};" for name, url in inputs.items()]
    sources = [f"        {string(name)} = inputs.{string(f'agent-{name}')};" for name in agents]
    systems = [
        f"        {string(name)} = mkAgent {arguments(name, f'inputs.{source}', threaded)};"
        for name, threaded in agents.items()
        for source in [string(f"agent-{name}")]
    ]
    return _FLAKE.format(inputs="\n".join(lines), agents="\n".join(sources), systems="\n".join(systems))


def local_url(path: Path, kind: str, value: str) -> str:
    """The url of a local git repository, at a branch (kind "ref") or at a commit ("rev")."""
    return f"{_SCHEME}{_quote(str(path), _IN_PATH)}?{kind}={_quote(value)}"


def local_path(url: str) -> Path | None:
    """The folder that such a url names; None for any other url."""
    base = url.partition("?")[0]
    if not base.startswith(f"{_SCHEME}/"):
        return None
    return Path(_unquote(base.removeprefix(_SCHEME)))


def original(url: str) -> dict[str, str]:
    """Such a url as the lock spells it: in its parts, of which the query's are unquoted."""
    base, _, query = url.removeprefix("git+").partition("?")
    pairs = (pair.partition("=") for pair in query.split("&"))
    return {"type": "git", "url": base, **{key: _unquote(value) for key, sign, value in pairs if sign}}


def url_of(original: Mapping[str, Any]) -> str:
    """The url that `original` took apart; whatever else may have been written there is shown as its parts."""
    if original.get("type") == "git" and str(original.get("url", "")).startswith("file:"):
        query = "&".join(f"{key}={_quote(original[key])}" for key in ("ref", "rev") if key in original)
        return f"git+{original['url']}" + (f"?{query}" if query else "")
    return str(original.get("url") or ":".join(str(value) for value in original.values()))


def node(url: str, rev: str, committed_at: int) -> dict[str, Any]:
    """The lock's entry for a commit of a local git repository.

    Nix adds what it works out itself (`narHash`, `revCount`) to its own entries, and takes one without as it is.
    """
    parts = original(url)
    return {"flake": False, "locked": {**parts, "rev": rev, "lastModified": committed_at}, "original": parts}


def lock_text(nodes: Mapping[str, Any]) -> str:
    """A lock of version 7, byte for byte as nix writes one: sorted, two spaces, a line break at the end."""
    whole: dict[str, Any] = dict(nodes)
    whole["root"] = {"inputs": {name: name for name in nodes}} if nodes else {}
    return (
        json.dumps({"nodes": whole, "root": "root", "version": 7}, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    )


def read_lock(meta: Path) -> dict[str, Any]:
    """The nodes of the lock as it lies there, by name and without the root, {} where there is none.

    Raises Refused when it is damaged.
    """
    try:
        return nodes_in((meta / LOCK).read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Refused(
            f"{meta / LOCK} cannot be read: {error}.", "The next change of an agent puts the committed one back."
        ) from error


def nodes_in(lock: bytes) -> dict[str, Any]:
    """The nodes of a lock, by name and without the root."""
    whole = json.loads(lock.decode("utf-8", "surrogateescape"))
    return {name: found for name, found in whole.get("nodes", {}).items() if name != "root"}


def rev_of(nodes: Mapping[str, Any], name: str) -> str | None:
    """The full sha that a lock names for an input, or None."""
    rev: str | None = nodes.get(name, {}).get("locked", {}).get("rev")
    return rev


def _quote(text: str, safe: str = "/") -> str:
    # Imported here: most commands only read a lock, for which nothing is quoted.
    from urllib.parse import quote

    return quote(os.fsencode(text), safe=safe)


def _unquote(text: str) -> str:
    from urllib.parse import unquote

    return unquote(text, errors="surrogateescape")
