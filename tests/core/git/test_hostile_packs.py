"""A pack that anybody has changed anywhere is read as what it holds, or refused in a sentence; never anything else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hive_core.errors import Refused
from hive_core.git.packs import apply_delta, inflate, object_sha, read_pack
from tests.core.git.test_packs import BLOB, NAMED_DELTA, OFFSET_DELTA, at_most, entry, pack, varint
from tests.properties import thorough

BASE = b"hello world, hello everybody"
DELTA = varint(len(BASE)) + varint(8) + b"\x91\x06\x05" + b"\x03!!!"
FIRST = entry(BLOB, BASE)
GOOD = pack(
    FIRST,
    entry(OFFSET_DELTA, DELTA, bytes([len(FIRST)])),
    entry(NAMED_DELTA, DELTA, bytes.fromhex(object_sha("blob", BASE))),
)

changes = st.lists(st.tuples(st.integers(0, len(GOOD) - 21), st.integers(0, 255)), min_size=1, max_size=4)


@thorough
@given(changes, st.booleans(), st.integers(0, 40))
def test_a_pack_with_other_bytes_holds_what_it_is_named_by_or_is_refused(
    changed: list[tuple[int, int]], signed: bool, cut: int
) -> None:
    data = bytearray(GOOD[:-20])
    for place, value in changed:
        data[place] = value
    del data[len(data) - cut :]
    whole = bytes(data) + (hashlib.sha1(data).digest() if signed else GOOD[-20:])
    try:
        found = read_pack(whole, at_most(100_000), 10)
    except Refused as refused:
        said = refused.message
    else:
        assert all(object_sha(kind, content) == name for name, (kind, content) in found.items())
        return
    assert said


@thorough
@given(st.binary(max_size=40), st.binary(max_size=60))
def test_a_delta_of_any_bytes_makes_what_it_says_or_nothing(base: bytes, delta: bytes) -> None:
    try:
        made = apply_delta(base, delta, at_most(10_000))
    except (Refused, IndexError):
        # What reads past the end is refused by whoever reads the pack.
        return
    assert len(made) <= 10_000


@thorough
@given(st.binary(max_size=200), st.integers(0, 40), st.integers(0, 300))
def test_a_stream_gives_exactly_as_much_as_was_said_or_is_refused(content: bytes, before: int, size: int) -> None:
    import zlib

    data = b"x" * before + zlib.compress(content) + b"what comes next"
    if size == len(content):
        assert inflate(data, before, size) == (content, before + len(zlib.compress(content)))
    else:
        with pytest.raises(Refused, match="not as long as it says"):
            inflate(data, before, size)
