"""Packs that no git would write: circles, bombs, lies and noise end in a sentence, at once."""

from __future__ import annotations

import hashlib
import struct
import zlib

import pytest

from hive_core.errors import Refused
from hive_core.git.packs import Charge, DamagedObject, apply_delta, object_sha, read_pack

BLOB, OFFSET_DELTA, NAMED_DELTA = 3, 6, 7


def head(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    out = bytearray()
    while size:
        out.append(first | 0x80)
        first, size = size & 0x7F, size >> 7
    return bytes([*out, first])


def entry(kind: int, content: bytes, base: bytes = b"", claimed: int | None = None) -> bytes:
    return head(kind, len(content) if claimed is None else claimed) + base + zlib.compress(content)


def pack(*entries: bytes, count: int | None = None) -> bytes:
    body = struct.pack(">4sII", b"PACK", 2, len(entries) if count is None else count) + b"".join(entries)
    return body + hashlib.sha1(body).digest()


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def free(size: int) -> None:
    """Charge nothing."""


def at_most(budget: int) -> Charge:
    left = [budget]

    def charge(size: int) -> None:
        left[0] -= size
        if left[0] < 0:
            raise Refused("too much")

    return charge


def test_objects_are_known_by_what_they_hold() -> None:
    assert read_pack(pack(entry(BLOB, b"hello")), free, 10) == {object_sha("blob", b"hello"): ("blob", b"hello")}


def test_deltas_are_applied_whichever_way_they_name_their_base() -> None:
    base = entry(BLOB, b"hello world")
    delta = varint(11) + varint(8) + b"\x91\x06\x05" + b"\x03!!!"
    named = entry(NAMED_DELTA, delta, bytes.fromhex(object_sha("blob", b"hello world")))
    offset = entry(OFFSET_DELTA, delta, bytes([len(base)]))
    for chosen in (named, offset):
        assert ("blob", b"world!!!") in read_pack(pack(base, chosen), free, 10).values()


def test_deltas_in_a_circle_are_never_reached() -> None:
    delta = varint(5) + varint(5) + b"\x05abcde"
    one, two = bytes.fromhex("11" * 20), bytes.fromhex("22" * 20)
    circle = [entry(NAMED_DELTA, delta, one), entry(NAMED_DELTA, delta, two), entry(OFFSET_DELTA, delta, b"\x00")]
    assert read_pack(pack(*circle), free, 10) == {}


def test_a_delta_that_grows_without_end_is_charged_first() -> None:
    base = entry(BLOB, b"x" * 1000)
    size, previous, entries = 1000, len(base), [base]
    for _ in range(4):
        copy = b"\xb0" + struct.pack("<H", size) if size < 1 << 16 else b"\xf0" + struct.pack("<I", size)[:3]
        entries.append(entry(OFFSET_DELTA, varint(size) + varint(size * 10) + copy * 10, bytes([previous])))
        size, previous = size * 10, len(entries[-1])
        assert previous < 128, "the distance is to fit into one byte"
    with pytest.raises(Refused, match="too much"):
        read_pack(pack(*entries), at_most(1_000_000), 100)


def test_a_delta_of_a_million_instructions_can_be_ended_on_the_way() -> None:
    one_byte = bytes([0x90, 1])
    delta = varint(1) + varint(1_000_000) + one_byte * 1_000_000
    calls = 0

    def out_of_time(_size: int) -> None:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise Refused("The time is up.")

    with pytest.raises(Refused, match="time is up"):
        apply_delta(b"x", delta, out_of_time)


def test_a_size_is_charged_before_anything_is_inflated() -> None:
    with pytest.raises(Refused, match="too much"):
        read_pack(pack(entry(BLOB, b"", claimed=1 << 50)), at_most(1 << 20), 10)


def test_more_objects_than_allowed_are_refused() -> None:
    with pytest.raises(Refused, match="more than 10 objects"):
        read_pack(pack(count=11), free, 10)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"PACK",
        pack(entry(BLOB, b"x"))[:-1],
        pack(entry(BLOB, b"x"))[:-21] + bytes(21),
        pack(entry(BLOB, b"x"), count=2),
        pack(entry(BLOB, b"x", claimed=0)),
        pack(entry(BLOB, b"x", claimed=2)),
        pack(entry(5, b"x")),
        pack(entry(0, b"x")),
        pack(b"\xbf" + b"\xff" * 40),
        pack(head(BLOB, 5) + b"no zlib"),
        pack(head(BLOB, 5) + zlib.compress(b"hello")[:6]),
        pack(head(OFFSET_DELTA, 5) + b"\xff" * 20),
        pack(entry(BLOB, b"x"), entry(OFFSET_DELTA, b"\x01", b"\x0a")),
        pack(entry(BLOB, b"x")).replace(b"PACK", b"KCAP"),
    ],
)
def test_noise_is_said_to_be_damaged(broken: bytes) -> None:
    with pytest.raises(DamagedObject):
        read_pack(broken, free, 10)


@pytest.mark.parametrize(
    "delta",
    [
        varint(9) + varint(1) + b"\x01a",
        varint(3) + varint(1) + b"\x00",
        varint(3) + varint(2) + b"\x01a",
        varint(3) + varint(1) + b"\x02ab",
        varint(3) + varint(5) + b"\x91\x01\x05",
    ],
)
def test_a_delta_that_lies_is_damaged(delta: bytes) -> None:
    with pytest.raises(DamagedObject):
        apply_delta(b"abc", delta, free)
