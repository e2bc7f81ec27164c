"""Writes many checked objects at once: one pack and its index, as gitformat-pack(5) describes them."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import accumulate
from pathlib import Path

from hive_agent import atomic
from hive_core.git.packs import KINDS, Object

_NUMBERS = {kind: number for number, kind in KINDS.items()}


def write_pack(folder: Path, objects: Mapping[str, Object]) -> None:
    """Write objects, by their shas, into a pack in `folder`, an `objects/pack`: all of them are there, or none.

    No object is stored as the difference to another. Killed anywhere, it leaves at most a file that git ignores.
    """
    folder.mkdir(mode=0o755, exist_ok=True)
    places: dict[str, tuple[int, int]] = {}
    pack = bytearray(struct.pack(">4sII", b"PACK", 2, len(objects)))
    for sha, (kind, content) in objects.items():
        entry = _header(_NUMBERS[kind], len(content)) + zlib.compress(content, 1)
        places[sha] = len(pack), zlib.crc32(entry)
        pack += entry
    digest = _digest(pack)
    pack += digest
    name = f"pack-{digest.hex()}"
    _put(folder, f"{name}.pack", bytes(pack))
    # Last: a pack without an index is none.
    _put(folder, f"{name}.idx", _index(places, digest))


def _header(number: int, size: int) -> bytes:
    first, size = number << 4 | size & 15, size >> 4
    parts = [first]
    while size:
        parts[-1] |= 0x80
        parts.append(size & 0x7F)
        size >>= 7
    return bytes(parts)


def _index(places: Mapping[str, tuple[int, int]], pack: bytes) -> bytes:
    """An index of version 2. The offsets fit into 31 bits: a proposal is far smaller than 2 GiB."""
    shas = sorted(places)
    firsts = Counter(int(sha[:2], 16) for sha in shas)
    fanout = accumulate(firsts[byte] for byte in range(256))
    parts = [
        b"\xfftOc" + struct.pack(">I", 2),
        struct.pack(">256I", *fanout),
        *(bytes.fromhex(sha) for sha in shas),
        *_numbers(places[sha][1] for sha in shas),
        *_numbers(places[sha][0] for sha in shas),
        pack,
    ]
    body = b"".join(parts)
    return body + _digest(body)


def _numbers(values: Iterator[int]) -> Iterator[bytes]:
    return (struct.pack(">I", value) for value in values)


def _digest(data: bytes | bytearray) -> bytes:
    return hashlib.sha1(data, usedforsecurity=False).digest()


def _put(folder: Path, name: str, data: bytes) -> None:
    """Make a file that is whole under its name, and survives a power cut."""
    atomic.write(folder / name, data, mode=0o444, temporary=folder / "tmp_hive_pack")
