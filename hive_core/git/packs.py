"""Reads git pack files that a hostile writer may have made, without an index and within bounds."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from hive_core.errors import Refused

# A C library that reads packs trusts their index, and follows deltas whose bases lead in a circle for ever. Here
# nothing is trusted: deltas are applied from their bases outwards, so that a circle is simply never reached, sizes
# are charged before anything is inflated, and an object is only ever known by the hash of what it really holds.
# The format is gitformat-pack(5).

KINDS = {1: "commit", 2: "tree", 3: "blob", 4: "tag"}
_OFFSET_DELTA, _NAMED_DELTA = 6, 7
_CHUNK = 16384
_HEADER, _TRAILER = 12, 20
# Bytes of a delta after which it is asked again whether there is time left: two of them can be an instruction.
_DELTA_BYTES = 64 * 1024

Object = tuple[str, bytes]  # its kind, its content
Charge = Callable[[int], None]  # takes a number of bytes about to be inflated; raises Refused when it is too much


class DamagedObject(Refused):
    """What should be a git object, or a pack of them, is none."""


@dataclass(frozen=True, slots=True)
class _Delta:
    base: int | str  # where its base begins in the pack, or the base's sha
    data: bytes


def object_sha(kind: str, data: bytes) -> str:
    """The name git gives to this content."""
    return hashlib.sha1(f"{kind} {len(data)}\0".encode() + data, usedforsecurity=False).hexdigest()


def inflate(data: bytes | memoryview, position: int, size: int) -> tuple[bytes, int]:
    """Inflate the zlib stream at `position`, which must give exactly `size` bytes; return them and where it ends.

    Raises DamagedObject.
    """
    stream, parts, missing = zlib.decompressobj(), [], size
    while not stream.eof:
        chunk = data[position : position + _CHUNK]
        if not chunk:
            raise DamagedObject("A git object ends too early.")
        # One byte more than is due, so that a stream that holds too much is noticed and never grows.
        part = stream.decompress(chunk, missing + 1)
        position += len(chunk) - len(stream.unconsumed_tail) - len(stream.unused_data)
        missing -= len(part)
        if missing < 0:
            break
        parts.append(part)
    if missing:
        raise DamagedObject("A git object is not as long as it says.")
    return b"".join(parts), position


def apply_delta(base: bytes, delta: bytes, charge: Charge) -> bytes:
    """Make the object that `delta` describes.

    Raises DamagedObject, and what `charge` raises, which is also called on the way.
    """
    source_size, position = _varint(delta, 0)
    target_size, position = _varint(delta, position)
    if source_size != len(base):
        raise DamagedObject("A delta belongs to another object than it says.")
    charge(target_size)
    target = bytearray()
    asked = position
    while position < len(delta) and len(target) <= target_size:
        if position - asked > _DELTA_BYTES:
            charge(0)
            asked = position
        code = delta[position]
        position += 1
        if code & 0x80:
            (offset, size), position = _copy_range(delta, position, code)
            target += base[offset : offset + size]
        elif code:
            target += delta[position : position + code]
            position += code
        else:
            raise DamagedObject("A delta holds an unknown instruction.")
    if len(target) != target_size:
        raise DamagedObject("A delta is not as long as it says.")
    return bytes(target)


def _copy_range(delta: bytes, position: int, code: int) -> tuple[tuple[int, int], int]:
    values = [0] * 7
    for bit in range(7):
        if code & (1 << bit):
            values[bit] = delta[position]
            position += 1
    offset = int.from_bytes(bytes(values[:4]), "little")
    return (offset, int.from_bytes(bytes(values[4:]), "little") or 0x10000), position


def _varint(data: bytes | memoryview, position: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value, position
        if shift > 63:
            raise DamagedObject("A number in a pack is too long.")


def read_pack(pack: bytes, charge: Charge, most_objects: int) -> dict[str, Object]:
    """Read every object of a pack, by its sha. Deltas whose base is not in it are left out.

    charge: takes the size in bytes of whatever is about to be inflated.
    Raises DamagedObject, Refused when the pack holds more than `most_objects`, and what `charge` raises.
    """
    try:
        signature, version, count = struct.unpack_from(">4sII", pack)
        if signature != b"PACK" or version not in (2, 3):
            raise DamagedObject("A pack file is not a pack that git writes.")
        if count > most_objects:
            raise Refused(f"The repository has more than {most_objects} objects.", "Propose from a smaller one.")
        if hashlib.sha1(pack[:-_TRAILER], usedforsecurity=False).digest() != pack[-_TRAILER:]:
            raise DamagedObject("A pack file is damaged, or still being written.", "Try again.")
        whole, deltas = _scan(memoryview(pack)[:-_TRAILER], count, charge)
        return _resolve(whole, deltas, charge)
    except (IndexError, struct.error, zlib.error) as error:
        raise DamagedObject("A pack file is damaged.") from error


def _scan(data: memoryview, count: int, charge: Charge) -> tuple[dict[int, Object], list[tuple[int, _Delta]]]:
    whole: dict[int, Object] = {}
    deltas: list[tuple[int, _Delta]] = []
    position = _HEADER
    for _ in range(count):
        start = position
        first = data[position]
        kind, size = first >> 4 & 7, first & 15
        position += 1
        if first & 0x80:
            more, position = _varint(data, position)
            size |= more << 4
        base: int | str = ""
        if kind == _OFFSET_DELTA:
            distance, position = _distance(data, position)
            base = start - distance
        elif kind == _NAMED_DELTA:
            base = bytes(data[position : position + 20]).hex()
            position += 20
        elif kind not in KINDS:
            raise DamagedObject("A pack holds an object of no known kind.")
        charge(size)
        content, position = inflate(data, position, size)
        if kind in KINDS:
            whole[start] = (KINDS[kind], content)
        else:
            deltas.append((start, _Delta(base, content)))
    return whole, deltas


def _distance(data: memoryview, position: int) -> tuple[int, int]:
    byte = data[position]
    value = byte & 0x7F
    while byte & 0x80 and value < 1 << 40:
        position += 1
        byte = data[position]
        value = (value + 1 << 7) | (byte & 0x7F)
    return value, position + 1


def _resolve(whole: dict[int, Object], deltas: list[tuple[int, _Delta]], charge: Charge) -> dict[str, Object]:
    waiting: defaultdict[int | str, list[tuple[int, _Delta]]] = defaultdict(list)
    for place, delta in deltas:
        waiting[delta.base].append((place, delta))
    found: dict[str, Object] = {}
    ready = list(whole.items())
    while ready:
        start, (kind, content) = ready.pop()
        sha = object_sha(kind, content)
        found[sha] = (kind, content)
        for place, delta in waiting.pop(start, []) + waiting.pop(sha, []):
            ready.append((place, (kind, apply_delta(content, delta.data, charge))))
    return found
