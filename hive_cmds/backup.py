"""Backups: the database and every repository in one folder, made of a hive that runs; and the way back from one."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from hive_agent import atomic
from hive_core import __version__, choices, last_backup, migrations, progress, shared_folder
from hive_core.arguments import FREE, Kind, whole
from hive_core.context import Hive
from hive_core.errors import Damaged, HiveError, Invalid, Refused
from hive_core.events import emit
from hive_core.operation import OPERATOR, operation
from hive_core.store import Store
from hive_fleet.agents import last_seen, table
from hive_fleet.changes import adoptions
from hive_fleet.changes.adoptions import Adopted
from hive_fleet.home import ports
from hive_fleet.requests import queue, tags

DATABASE, META, APPLIED, MANIFEST = "hive.db", "meta.bundle", "applied", "backup.json"
RESTORED = "taken back: hive was restored from a backup, and messages, questions and requests since that are gone"


def _folder_name(value: object) -> str:
    """Check the name of a folder."""
    if not isinstance(value, str) or not value or "\0" in value:
        raise Invalid("The folder is a path.")
    return value


# So that backups by their date are in order by their name.
_BY_DATE = "%Y-%m-%dT%H-%M-%S"
_DATED = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d")
HowMany = Annotated[int, whole(1, 10_000, "how many are kept", "N")]
Folder = Annotated[str, Kind(_folder_name, {"type": "string"}, "DIR", FREE)]


@operation(callers=OPERATOR, group="Running", shell_only=True)
def backup(hive: Hive, folder: Folder, keep: HowMany | None = None) -> None:
    """Write a backup into a new folder: the database and all repositories, whole or not at all; hive runs on.

    What the agents themselves keep, their state and their logins, is not in it.

    folder: where to; it must not be there yet
    keep: put it into that folder instead, under its date, beside so many of before; older ones are removed. For a timer
    """
    from hive_core.git.made import made_beside

    target = Path(folder).absolute()
    if keep is not None:
        target = target / time.strftime(_BY_DATE)
    if not target.parent.is_dir():
        raise Refused(f"There is no folder {target.parent}.", "Make it, or name another.")
    if os.path.lexists(target):
        hint = f"Name a folder that is not there yet; `--keep N` makes one below {folder}, by its date."
        raise Refused(f"There is something at {target} already.", hint)
    failed: list[str] = []
    with made_beside(target, target.parent) as made:
        # It holds every message.
        made.chmod(0o700)
        # In this order: what is written later has more, and by that alone the earlier is brought in line with it.
        hive.store.copy_to(made / DATABASE)
        _write_bundles(hive, made, failed)
        _copy_settings(hive, made)
        manifest = {"hive": __version__, "made_at": int(time.time()), "ports": _ports(hive), "without": failed}
        (made / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
        _sync(made)
    last_backup.remember(hive.settings, target, time.time())
    hive.say(f"{target} is a backup; `hive restore {target}` takes it back, here or on another machine")
    if failed:
        raise Refused(f"{target} lacks what could not be read: {', '.join(failed)}.", "See what is wrong with it.")
    if keep is not None:
        _remove_older(target.parent, keep)


def _remove_older(folder: Path, keep: int) -> None:
    """Remove the oldest of the backups that were put here by their date, but for the newest so many."""
    dated = sorted(path for path in folder.iterdir() if _DATED.fullmatch(path.name) and (path / MANIFEST).is_file())
    for old in dated[:-keep]:
        shutil.rmtree(old)


def _write_bundles(hive: Hive, made: Path, failed: list[str]) -> None:
    from hive_core.git import bundles

    (made / APPLIED).mkdir(mode=0o700)
    applied = hive.settings.applied
    names = sorted(path.name for path in applied.iterdir() if path.name[0] != ".") if applied.is_dir() else []
    wanted = {hive.settings.meta: META, **{applied / name: f"{APPLIED}/{name}.bundle" for name in names}}
    for path, bundle in wanted.items():
        if not path.is_dir():
            continue
        try:
            bundles.write(path, made / bundle)
        except HiveError as error:
            (made / bundle).unlink(missing_ok=True)
            failed.append(str(path))
            hive.say(f"warning: {path} is not in the backup: {error}")


def _copy_settings(hive: Hive, made: Path) -> None:
    """Copy the operator's settings, where there are any. There may be secrets in them, as in messages."""
    settings = hive.settings.home / choices.FILE
    if settings.is_file():
        (made / choices.FILE).write_bytes(settings.read_bytes())
        (made / choices.FILE).chmod(0o600)


def _restore_settings(hive: Hive, source: Path) -> None:
    """Take the operator's settings from the backup where there are none; those that are there are newer."""
    kept, settings = source / choices.FILE, hive.settings.home / choices.FILE
    if kept.is_file() and not settings.exists():
        atomic.write(settings, kept.read_text(), mode=0o600)


def _ports(hive: Hive) -> dict[str, int]:
    with hive.store.read() as db:
        names = table.names(db)
    return {name: ports.of(hive, name) for name in names}


def _sync(folder: Path) -> None:
    """Have all of it on the disk before it is called a backup."""
    for path in (*folder.rglob("*"), folder):
        atomic.sync(path)


def _what_restore_takes(hive: Hive, arguments: Mapping[str, Any]) -> str:
    made_at = _manifest(Path(arguments["folder"]))["made_at"]
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(made_at))
    return (
        f"The database of {hive.settings.home} becomes what it was at {when}: messages, questions and requests for"
        " agents made since are lost. A copy of what it is now is kept. Repositories and agents that are there stay."
    )


@operation(
    callers=OPERATOR,
    group="Running",
    columns=("name", "ok", "error"),
    shell_only=True,
    confirm="Restore {folder}?",
    stakes=_what_restore_takes,
    empty="The backup is restored. There was no agent in it.",
)
def restore(hive: Hive, folder: Folder) -> list[Adopted]:
    """Take the database, and every repository that is missing, from a backup; again is as good as once.

    Agents that run go on running. Those that do not are made, and started by the next `hive up`.

    folder: a backup that `hive backup` made
    """
    source = Path(folder).absolute()
    manifest = _manifest(source)
    hive.settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = hive.store.set_aside()
    if aside is not None:
        hive.say(f"the damaged database is {aside} now")
    _restore_repositories(hive, source)
    with hive.meta_lock("restoring a backup"):
        _refuse_amid_operations(hive)
        _restore_database(hive, source / DATABASE)
    _restore_ports(hive, manifest["ports"])
    _restore_settings(hive, source)
    with hive.store.read() as db:
        known = table.names(db)
    return [*adoptions.take_back(hive, known, RESTORED), *adoptions.adopt_all(hive)]


def _manifest(source: Path) -> dict[str, Any]:
    """What the backup says of itself. Raises Refused for a folder that is none."""
    try:
        manifest = json.loads((source / MANIFEST).read_text())
    except FileNotFoundError as error:
        raise Refused(f"There is no backup of a hive at {source}.", "`hive backup DIR` makes one.") from error
    except (OSError, ValueError, RecursionError) as error:
        raise Refused(f"{source} is no backup of a hive: {error}.", "`hive backup DIR` makes one.") from error
    said: dict[str, Any] = manifest if isinstance(manifest, dict) else {}
    told = isinstance(said.get("ports"), dict) and isinstance(said.get("made_at"), int)
    if not (told and (source / DATABASE).is_file()):
        raise Refused(f"{source} is no whole backup of a hive.", "`hive backup DIR` makes one.")
    return said


def _refuse_amid_operations(hive: Hive) -> None:
    """What is carried out just now would end in a database that knows nothing of it."""
    with hive.store.read() as db:
        rows = [row for row in progress.all_in_progress(db).values() if row.owner.alive()]
    if rows:
        raise Refused(f"{rows[0].agent} is {rows[0].kind} just now.", "Try again when that is done.")


def _restore_repositories(hive: Hive, source: Path) -> None:
    """Make those that are missing or cannot be read; one that is there stays, and gets what it lacks of the tags."""
    from hive_core.git import bundles
    from hive_core.git.repository import Repository

    found = {hive.settings.meta: source / META}
    found |= {hive.settings.applied / path.stem: path for path in sorted((source / APPLIED).glob("*.bundle"))}
    for path, bundle in found.items():
        if not bundle.exists():
            continue
        shared_folder.make(path.parent)
        try:
            if path.is_dir():
                Repository(path).main()
        except HiveError as error:
            _set_aside(hive, path, error)
        if path.is_dir():
            bundles.add_tags(bundle, path)
        else:
            bundles.make(bundle, path)


def _set_aside(hive: Hive, path: Path, error: HiveError) -> None:
    kept = hive.settings.home / "damaged" / f"{path.name}-{int(time.time())}"
    kept.parent.mkdir(mode=0o700, exist_ok=True)
    path.rename(kept)
    hive.say(f"warning: {path} could not be read and is {kept} now: {error}")


def _restore_database(hive: Hive, source: Path) -> None:
    """Prepared beside it, then taken in one transaction: whoever uses the database meanwhile sees one or the other."""
    home = hive.settings.home
    made = home / ".restoring"
    if made.exists():
        shutil.rmtree(made)
    made.mkdir(mode=0o700)
    try:
        shutil.copyfile(source, made / DATABASE)
        prepared = Store(made / DATABASE)
        _bring_up_to_date(hive, prepared)
        prepared.close()
        _keep_present(hive)
        hive.store.take_from(made / DATABASE)
    finally:
        shutil.rmtree(made)


def _bring_up_to_date(hive: Hive, prepared: Store) -> None:
    """Have no number given again that was given since the backup; where nobody knows which those are, jump ahead."""
    with hive.store.read() as db:
        given = migrations.last_numbers(db)
    highest = tags.highest(hive)
    with prepared.write() as db:
        # Nobody carries those out any more, and what was seen then is compared with no more.
        progress.forget_all(db)
        last_seen.forget_all(db)
        for name, number in given.items():
            migrations.number_after(db, number, name)
        queue.number_after(db, highest)
        if not given.get("events"):
            migrations.number_after(db, int(time.time()), but=queue.TABLE)
        emit(db, "restored")


def _keep_present(hive: Hive) -> None:
    """Keep a copy of what is replaced, unless that knows nobody."""
    with hive.store.read() as db:
        if not table.names(db):
            return
    kept = hive.settings.home / f"hive.db.before-restore-{int(time.time())}"
    try:
        hive.store.copy_to(kept)
    except Damaged:
        kept.unlink()
        raise
    hive.say(f"the database as it was is {kept}")


def _restore_ports(hive: Hive, known: Mapping[str, int]) -> None:
    for name, port in known.items():
        file = hive.agent_path(name) / "port"
        if not file.exists() and hive.applied_path(name).is_dir():
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.write_text(f"{port}\n")
