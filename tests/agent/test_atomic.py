"""Files and links replaced as a whole: whoever reads, whatever is killed, and when the power fails."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hive_agent import atomic
from hive_core.containers.base import View
from hive_core.containers.local import record_writer, records
from hive_core.containers.local.host import LocalHost
from hive_core.git.pack_writer import write_pack
from hive_core.git.worktree import write_file
from hive_core.settings import from_environment
from tests.killing import Killer

Step = tuple[str, Path]


@dataclass
class Disk:
    """Every step that reaches the disk, in order, as the system was asked for it; all of them are really done."""

    steps: list[Step] = field(default_factory=list)

    def of(self, path: Path) -> list[str]:
        """What was done until this name led to what it leads to, and after that: in the words of the test."""
        at = max(index for index, step in enumerate(self.steps) if step == ("rename", path))
        begin = max((index for index, (what, _) in enumerate(self.steps[:at]) if what == "make"), default=0)
        temporary = self.steps[begin][1]
        names = {temporary: "content", path: "name", path.parent: "folder"}
        return [f"{what} {names[where]}" for what, where in self.steps[begin : at + 2] if where in names]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    recorded = Disk()

    def tell(name: str, what: str, where: Callable[..., Path]) -> None:
        real = getattr(os, name)

        def told(*arguments: object, **named: object) -> object:
            recorded.steps.append((what, where(*arguments)))
            return real(*arguments, **named)

        monkeypatch.setattr(os, name, told)

    def by_descriptor(descriptor: int, *_: object) -> Path:
        return Path(os.readlink(f"/proc/self/fd/{descriptor}"))

    real_open = os.open

    def opened(path: str, flags: int, *rest: int, **named: int) -> int:
        if flags & os.O_CREAT:
            recorded.steps.append(("make", Path(path)))
        return real_open(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", opened)
    tell("write", "write", by_descriptor)
    tell("fsync", "sync", by_descriptor)
    tell("rename", "rename", lambda _source, target: Path(target))
    tell("symlink", "make", lambda _target, link: Path(link))
    return recorded


FILE = ["make content", "write content", "sync content", "rename name", "sync folder"]
LINK = ["make content", "sync folder", "rename name", "sync folder"]


def test_content_is_on_the_disk_before_it_gets_its_name_and_the_name_before_it_returns(
    tmp_path: Path, disk: Disk
) -> None:
    atomic.write(tmp_path / "file", "new")
    assert disk.of(tmp_path / "file") == FILE
    atomic.link(tmp_path / "current", "generations/new")
    assert disk.of(tmp_path / "current") == LINK


@pytest.mark.parametrize("writer", ["record", "run", "exit", "key", "work tree", "pack"])
def test_what_hive_keeps_is_written_so_that_no_power_cut_can_tear_it(tmp_path: Path, disk: Disk, writer: str) -> None:
    (tmp_path / ".git").mkdir()
    writers: dict[str, tuple[str, Callable[[], None]]] = {
        "record": ("groups.json", lambda: records.replace(tmp_path / "groups.json", ["one"])),
        "run": ("run.json", lambda: record_writer.write_run(str(tmp_path), "1f", "2e", "bwrap")),
        "exit": ("exit.json", lambda: record_writer.write_exit(str(tmp_path), "1f", 0, False)),
        "key": ("page-key", lambda: records.write_key(tmp_path / "page-key", "not-a-key")),
        "work tree": ("agent.toml", lambda: write_file(tmp_path, "agent.toml", (0o644, b"new"))),
        "pack": ("", lambda: write_pack(tmp_path, {"1" * 40: ("blob", b"new")})),
    }
    name, write = writers[writer]
    write()
    path = tmp_path / name if name else next(tmp_path.glob("*.idx"))
    assert disk.of(path) == FILE


def test_the_revision_that_a_container_has_is_never_torn_by_a_power_cut(tmp_path: Path, disk: Disk) -> None:
    settings = from_environment({"HIVE_HOME": str(tmp_path), "HIVE_RUN": str(tmp_path)})
    folder = settings.containers / "coder"
    for revision in ("1" * 40, "2" * 40):
        (folder / "generations" / revision).mkdir(parents=True)
        LocalHost(settings).switch("coder", revision, View(None, {}, {}, {}), run=False)
        assert records.current(folder) == revision
        assert disk.of(folder / "current") == LINK


def test_a_write_replaces_what_was_there_with_the_mode_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old and longer")
    atomic.write(path, "new", mode=0o600)
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o600)
    atomic.write(path, b"\xff", mode=0o755)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"\xff", 0o755)
    assert os.listdir(tmp_path) == ["key"]


def test_a_link_in_the_place_of_the_file_is_replaced_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("theirs")
    (tmp_path / "file").symlink_to("other")
    atomic.write(tmp_path / "file", "ours")
    assert (tmp_path / "other").read_text() == "theirs"
    assert not (tmp_path / "file").is_symlink()


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    atomic.write(tmp_path / ("n" * 255), "new")
    assert (tmp_path / ("n" * 255)).read_text() == "new"


def test_a_folder_in_the_way_is_left_and_so_is_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        atomic.write(path, "new")
    assert os.listdir(tmp_path) == ["folder"]


def test_on_a_full_disk_the_old_stays_and_the_error_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2, before[1]))
    try:
        with pytest.raises(OSError, match=f"File too large: '{path}'"):
            atomic.write(path, "more than two bytes")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["kept"]


def killed_at(line: int, write: Callable[[], None]) -> bool:
    """Whether a process that writes was killed before this line of atomic.py, and had not done so before."""
    child = os.fork()
    if child == 0:
        Killer(line, ["atomic.py"]).arm()
        write()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_kill_at_any_line_leaves_the_old_or_the_new(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "current"
    replace = atomic.write if kind == "file" else atomic.link
    found = []
    for line in range(1, 200):
        path.unlink(missing_ok=True)
        path.write_text("old") if kind == "file" else path.symlink_to("old")
        killed = killed_at(line, lambda: replace(path, "new"))
        found.append(path.read_text() if kind == "file" else os.readlink(path))
        if not killed:
            break
    assert set(found) == {"old", "new"}
    assert found[-1] == "new"


def test_threads_that_write_the_same_at_once_never_mix(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    path, texts = tmp_path / "file", [letter * 5000 for letter in "abcdefgh"]
    with ThreadPoolExecutor(len(texts)) as pool:
        for text in texts * 10:
            pool.submit(atomic.write, path, text)
    assert path.read_text() in texts
    assert os.listdir(tmp_path) == ["file"]
