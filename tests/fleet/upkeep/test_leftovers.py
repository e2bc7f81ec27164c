"""What is left over on the disk goes, and nothing that anybody runs, has, or may go back to."""

from __future__ import annotations

from typing import Any

import pytest

from hive_core.git.repository import Repository
from tests.hives import PLAIN, TestHive, eventually

OTHER = PLAIN.replace("ready", "ready again")


def swept(hive: TestHive, *arguments: str) -> dict[str, Any]:
    return {row["what"]: row for row in hive.json("vacuum", *arguments)}


@pytest.fixture
def deployed(hive: TestHive) -> TestHive:
    """An agent with two deploys, the second of which runs."""
    hive.spawn("coder")
    hive.run("approve", str(hive.request("coder", OTHER)))
    return hive


def test_the_build_before_goes_and_a_rollback_makes_it_anew(deployed: TestHive) -> None:
    builds = deployed.home / "containers" / "coder" / "generations"
    assert len(list(builds.iterdir())) == 2
    assert swept(deployed, "--dry-run")["builds of coder"]["size"] > 0
    assert len(list(builds.iterdir())) == 2
    assert swept(deployed)["builds of coder"]["size"] > 0
    assert len(list(builds.iterdir())) == 1
    assert swept(deployed) == {}
    deployed.run("rollback", "coder")
    eventually(lambda: deployed.run("journal", "coder").stdout.splitlines()[-1].endswith(" ready"))


def test_what_somebody_is_at_is_left_alone(deployed: TestHive) -> None:
    builds = deployed.home / "containers" / "coder" / "generations"
    inside = deployed.inside()
    with inside.lock("coder", "a test"):
        assert swept(deployed) == {}
    with inside.store.write() as db:
        db.execute("insert into operations (agent, kind, since, owner, change, detail) values"
                   " ('coder', 'rebuilding', 0, '{\"pid\":1,\"started\":0,\"boot\":\"x\"}', null, '{}')")  # fmt: skip
    inside.store.close()
    assert len(list(builds.iterdir())) == 2


def test_harnesses_that_nothing_names_go(deployed: TestHive) -> None:
    revisions = deployed.home / "revisions"
    used = {path.name for path in revisions.iterdir()}
    left = revisions / ("0" * 40)
    left.mkdir()
    (left / "file").write_text("x" * 5000)
    left.chmod(0o555)
    assert swept(deployed)["harnesses"]["size"] >= 5000
    assert {path.name for path in revisions.iterdir()} == used


@pytest.mark.remembered
def test_a_repository_that_was_cut_off_in_its_making_goes(hive: TestHive) -> None:
    hive.spawn("coder")
    left = hive.home / "applied" / ".other.new"
    left.mkdir()
    (left / "file").write_text("x" * 5000)
    told = swept(hive, "--dry-run")["half-made"]
    # Nothing is counted there: no number is told, not that there is none.
    assert (told["size"], "count" in told) == (5000, False)
    assert left.is_dir()
    swept(hive)
    assert not left.exists()


@pytest.mark.remembered
def test_repositories_that_hive_writes_are_packed_and_those_that_agents_write_are_not(hive: TestHive) -> None:
    hive.spawn("coder")
    applied = Repository(hive.home / "applied" / "coder")
    main = applied.main()
    applied.tag([f"deployed/{1000 + number}" for number in range(500)], main)
    clone = hive.home / "proposed" / "coder" / "config"
    # What git would run there.
    hook = hive.home / "proposed" / "coder" / "config" / ".git" / "hooks" / "pre-auto-gc"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\ntouch /tmp/never\n")
    before = sorted(path.name for path in clone.rglob("*"))
    assert swept(hive)["repository applied/coder"]["count"] > 500
    assert swept(hive) == {}
    assert len(applied.tags()) >= 500
    assert sorted(path.name for path in clone.rglob("*")) == before
    hive.run("approve", str(hive.request("coder", OTHER)))
