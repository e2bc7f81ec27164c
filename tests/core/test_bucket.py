"""The token bucket: much at once, then as fast as it fills; overdrawn by what empties it, and never for ever."""

from __future__ import annotations

from hive_core.bucket import Bucket


def test_a_full_bucket_gives_all_it_holds_at_once() -> None:
    bucket = Bucket(100.0, 1.0)
    bucket.take(100.0)
    assert bucket.seconds() == 0.0


def test_what_overdraws_it_is_paid_back_in_time() -> None:
    bucket = Bucket(100.0, 10.0)
    bucket.take(100.0)
    bucket.take(1000.0)
    assert 99 < bucket.seconds() <= 100


def test_it_holds_no_more_than_its_most_however_long_nothing_is_taken() -> None:
    # It fills in a moment, whatever the machine does meanwhile.
    bucket = Bucket(1.0, 1e12)
    bucket.take(1.0)
    while bucket.seconds():
        continue
    bucket.take(1e15)
    assert bucket.seconds() > 900


def test_a_debt_has_a_bound() -> None:
    bucket = Bucket(1.0, 1.0, debt=10.0)
    for _ in range(1000):
        bucket.take(50.0)
    assert 9 < bucket.seconds() <= 10
