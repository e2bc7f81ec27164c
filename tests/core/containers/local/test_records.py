"""What supervisors leave: read at any time, by anybody, whole, and never taken for another start's."""

from __future__ import annotations

from pathlib import Path

import pytest

from hive_core.containers.base import Container, Ended
from hive_core.containers.local import record_writer, records
from hive_core.process import Owner, boot_id

OLD, NEW = "a" * 40, "b" * 40
GONE = Owner(1, 1, boot_id())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A container that has a revision."""
    made = tmp_path / "coder"
    made.mkdir()
    (made / "current").symlink_to(f"generations/{NEW}")
    return made


def ran(folder: Path, owner: Owner = GONE, instance: str = "one", revision: str = NEW) -> None:
    run = {"supervisor": owner._asdict(), "instance": instance, "revision": revision, "started_at": 90.5}
    records.replace(folder / "run.json", {**run, "sandbox": "bwrap"})


def test_one_that_never_had_a_revision_is_none(tmp_path: Path) -> None:
    assert records.read_container(tmp_path / "nobody") is None
    (tmp_path / "coder").mkdir()
    assert records.read_container(tmp_path / "coder") is None


def test_one_that_never_ran_would_start_with_what_it_has(folder: Path) -> None:
    assert records.read_container(folder) == Container("coder", False, None, NEW, NEW, None, None)


def test_one_whose_supervisor_lives_runs_what_it_was_started_with(folder: Path) -> None:
    ran(folder, Owner.current(), revision=OLD)
    assert records.read_container(folder) == Container("coder", True, "one", OLD, NEW, 90.5, None)


def test_one_that_has_ended_tells_how(folder: Path) -> None:
    ran(folder)
    record_writer.write_exit(str(folder), "one", 137, True)
    found = records.read_container(folder)
    assert found is not None
    assert (found.running, found.instance, found.revision) == (False, None, NEW)
    assert found.ended is not None
    assert (found.ended.code, found.ended.out_of_memory, found.ended.cause) == (137, True, "out of memory")


def test_the_end_of_another_start_is_not_taken_for_this_ones(folder: Path) -> None:
    record_writer.write_exit(str(folder), "one", 3, False)
    ran(folder, instance="two")
    found = records.read_container(folder)
    assert found is not None
    # The last sign of life is that it began.
    assert found.ended == Ended(None, False, 90.5, machine_down=False)


def test_what_ended_with_its_machine_is_told_apart_from_what_was_killed(folder: Path) -> None:
    ran(folder, Owner(1, 1, "another boot"))
    found = records.read_container(folder)
    assert found is not None
    assert found.ended is not None
    assert found.ended.reason == "machine_down"


def test_a_record_that_is_torn_is_none(folder: Path) -> None:
    (folder / "run.json").write_text('{"supervisor": {"pid"')
    assert records.read_run(folder) is None
    ran(folder)
    (folder / "exit.json").write_text("")
    found = records.read_container(folder)
    assert found is not None
    assert found.ended is not None
    assert found.ended.code is None


def test_what_a_supervisor_writes_of_itself_is_read_as_it_is(folder: Path) -> None:
    record_writer.write_run(str(folder), "one", NEW, "bwrap")
    found = records.read_run(folder)
    assert found is not None
    assert found.supervisor == Owner.current()
    assert (found.instance, found.revision, found.sandbox) == ("one", NEW, "bwrap")
    assert (folder / "run.json").stat().st_mode & 0o777 == 0o600


def test_all_that_there_are_are_found_by_their_names(folder: Path, tmp_path: Path) -> None:
    (tmp_path / ".coder").mkdir()
    (tmp_path / "a-file").write_text("")
    (tmp_path / "half-made").mkdir()
    assert list(records.read_all(tmp_path)) == ["coder"]
    assert records.read_all(tmp_path / "nowhere") == {}
    assert records.read_all(tmp_path / "a-file") == {}


def test_the_harness_that_it_was_started_with_is_known(folder: Path) -> None:
    assert records.harness(folder) is None
    (folder / records.HARNESS).symlink_to(f"/some/where/{OLD}")
    assert records.harness(folder) == OLD
    found = records.read_container(folder)
    assert found is not None
    assert found.hive == OLD


def test_a_key_is_read_by_hive_s_own_user_alone_and_an_empty_one_is_none(tmp_path: Path) -> None:
    assert records.read_key(tmp_path / "key") is None
    records.write_key(tmp_path / "key", "secret")
    assert records.read_key(tmp_path / "key") == "secret"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    records.write_key(tmp_path / "key", "")
    assert records.read_key(tmp_path / "key") is None


def test_a_list_that_is_not_there_or_torn_is_empty(tmp_path: Path) -> None:
    assert records.read_list(tmp_path / "list") == []
    (tmp_path / "list").write_text('["a", "b')
    assert records.read_list(tmp_path / "list") == []
    records.replace(tmp_path / "list", ["a", 1])
    assert records.read_list(tmp_path / "list") == ["a", "1"]
