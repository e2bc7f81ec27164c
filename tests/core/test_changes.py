"""Changes: each is found by its address alone, by whichever process has to mend what another began."""

from __future__ import annotations

import importlib
import pkgutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator

import pytest

import hive_fleet
from hive_core import changes, migrations, progress, repairs
from hive_core.changes import Change
from hive_core.errors import Refused
from hive_core.process import Owner
from hive_fleet.changes.running import RESTING
from tests.hives import CHECKOUT, TestHive

# What operations in progress were recorded with before they named a change: (kind, recovery).
BEFORE = [
    ("starting", "agree"), ("stopping", "agree"), ("restarting", "agree"), ("rebuilding", "rebuild"),
    ("rebuilding", "deploy"), ("rebuilding", "migrate"), ("spawning", "spawn"), ("spawning", "adopt"),
    ("destroying", "destroy"), ("destroying", "purge"), ("stopping", None),
]  # fmt: skip


def all_changes() -> Iterator[Change]:
    """Every change that is declared anywhere."""
    for module in pkgutil.walk_packages(hive_fleet.__path__, "hive_fleet."):
        for value in vars(importlib.import_module(module.name)).values():
            if isinstance(value, Change):
                yield value


def test_every_change_is_found_at_its_address() -> None:
    found = list(all_changes())
    assert len({change.address for change in found}) > 8
    for change in found:
        assert changes.find(change.address) is change


def test_a_change_with_steps_begins_with_one_and_names_none_twice() -> None:
    for change in all_changes():
        assert change.tasks, change.address
        assert len(set(change.steps)) == len(change.steps), change.address
        assert not change.steps or change.tasks[0].step is not None, change.address


@pytest.mark.parametrize("address", ["os:environ", "tests.hives:PLAIN", "hive_fleet.changes.deploys:apply",
                                     "hive_fleet.changes.deploys:NONE", "hive_fleet.nothing:DEPLOY", "deploy", ""])  # fmt: skip
def test_an_address_of_anything_else_is_refused(address: str) -> None:
    with pytest.raises(Refused, match="no change"):
        changes.find(address)


def test_what_is_no_part_of_the_fleet_is_not_even_imported() -> None:
    script = "import sys; from hive_core import changes\ntry: changes.find('antigravity:X')\nexcept Exception: pass\n"
    done = subprocess.run([sys.executable, "-c", script + "print('antigravity' in sys.modules)"], cwd=CHECKOUT,
                          capture_output=True, text=True, check=True)  # fmt: skip
    assert done.stdout == "False\n"


def test_a_change_that_nobody_would_find_again_is_not_begun(hive: TestHive) -> None:
    hive.run("list")
    with pytest.raises(AssertionError, match="by its address"):
        progress.begin(hive.inside(), "coder", RESTING._replace(kind="starting"), {})


@pytest.mark.parametrize(("kind", "recovery"), BEFORE)
def test_an_operation_begun_before_changes_had_addresses_is_mended_as_what_it_was(
    kind: str, recovery: str | None
) -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    steps = dict(migrations.STEPS)
    migrations.apply(db, {name: steps[name] for name in steps if name < "m010"})
    db.execute("insert into operations values ('coder', ?, 0, '{}', ?, '{}')", (kind, recovery))
    migrations.apply(db)
    change = changes.find(db.execute("select change from operations").fetchone()[0])
    assert change.kind == kind
    assert (change.recover is None) == (recovery is None)
    db.close()


def test_an_operation_of_another_hive_stops_nobody_and_is_told(hive: TestHive) -> None:
    hive.spawn("coder")
    inside = hive.inside()
    columns = ("coder", "starting", 0, Owner(1, 0, "before").to_json(), "hive_fleet.changes.later:LATER", "{}")
    with inside.store.write() as db:
        db.execute("insert into operations values (?, ?, ?, ?, ?, ?, '[]')", columns)
    hive.run("list")
    with inside.store.read() as db:
        (failed,) = repairs.all_failed(inside, db).values()
    assert failed.error == "This hive knows no change 'hive_fleet.changes.later:LATER'."
    hive.run("destroy", "coder", "--yes")
    with inside.store.read() as db:
        assert progress.all_in_progress(db) == {}
