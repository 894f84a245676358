"""What the engine does on Windows and macOS, with the platform and what only it has put in place of this one's."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from softseg.files import recovery, staging
from softseg.system import cpu

ROOT = Path(__file__).resolve().parents[3]


class OtherOs:
    """``os`` with another name, for one module alone: ``pathlib`` looks at the real one."""

    def __init__(self, name: str, **changed: Any) -> None:
        self.name = name
        self.__dict__.update(changed)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The engine's files on Windows."""
    for module in (recovery, staging):
        monkeypatch.setattr(module, "os", OtherOs("nt"))
        monkeypatch.setattr(module, "sys", SimpleNamespace(platform="win32", version_info=sys.version_info))
    return monkeypatch


class Locks(ModuleType):
    """``msvcrt``: one process may hold a byte of a file."""

    LK_NBLCK = 2

    def __init__(self) -> None:
        super().__init__("msvcrt")
        self.held: dict[tuple[int, int], int] = {}

    def locking(self, handle: int, mode: int, count: int) -> None:
        assert (mode, count) == (self.LK_NBLCK, 1)
        place = (os.fstat(handle).st_dev, os.fstat(handle).st_ino)
        if self.held.setdefault(place, handle) != handle:
            raise OSError(13, "held by another")


@pytest.mark.usefixtures("windows")
def test_on_windows_a_staging_folder_is_locked_by_msvcrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locks = Locks()
    monkeypatch.setitem(sys.modules, "msvcrt", locks)
    with staging.staging_in(tmp_path) as staged:
        assert len(locks.held) == 1
        assert (staged.folder / staging.LOCK).is_file()
        with staging.hold_abandoned(staged.folder) as gone:
            assert not gone, "its process lives"
        locks.held.clear()  # as the system does when a process ends
        with staging.hold_abandoned(staged.folder) as gone:
            assert gone
    assert not staged.folder.exists()


@pytest.mark.usefixtures("windows")
def test_on_windows_no_number_of_a_process_is_asked_for() -> None:
    def kill(pid: int, signal: int) -> None:
        raise AssertionError(f"os.kill({pid}, {signal}) would end the process there")

    staging.os.kill = kill  # type: ignore[attr-defined]
    assert not staging._maker_is_gone(f"{staging.PREFIX}999999-{staging._host()}-0")


def test_elsewhere_a_process_that_is_gone_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    def kill(pid: int, signal: int) -> None:
        assert signal == 0
        raise ProcessLookupError(pid)

    name = f"{staging.PREFIX}999999-{staging._host()}-0"
    monkeypatch.setattr(staging, "os", OtherOs("posix", kill=kill))
    assert staging._maker_is_gone(name)
    assert not staging._maker_is_gone(f"{staging.PREFIX}999999-other1-0"), "a process of another machine"


@pytest.mark.usefixtures("windows")
def test_on_windows_files_are_synced_writable_and_folders_not_at_all(tmp_path: Path) -> None:
    opened = []

    def noted(path: Path, flags: int) -> int:
        opened.append((Path(path).name, flags))
        return os.open(path, flags)

    recovery.os.open = noted  # type: ignore[attr-defined]
    (tmp_path / "file").write_text("text")
    recovery.sync_tree(tmp_path)
    assert opened == [("file", os.O_RDWR)]


@pytest.mark.usefixtures("windows")
def test_on_windows_two_folders_cannot_be_swapped_in_one_step(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    assert recovery._exchange(first, second) is False


@pytest.mark.parametrize(("platform", "name", "count"), [("linux", "renameat2", 5), ("darwin", "renamex_np", 3)])
def test_two_folders_are_swapped_by_the_call_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, platform: str, name: str, count: int
) -> None:
    calls = []

    def swap(*arguments: Any) -> int:
        calls.append(arguments)
        return 0

    library = SimpleNamespace(**{name: swap})
    monkeypatch.setattr(recovery.ctypes, "CDLL", lambda *_arguments, **_options: library)
    monkeypatch.setattr(recovery, "sys", SimpleNamespace(platform=platform))
    first, second = tmp_path / "first", tmp_path / "second"
    assert recovery._exchange(first, second) is True
    assert len(calls) == 1
    assert len(calls[0]) == count
    assert [part for part in calls[0] if isinstance(part, bytes)] == [os.fsencode(first), os.fsencode(second)]
    assert calls[0][-1] == 2


def test_a_system_without_affinity_counts_its_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu.cgroups, "core_limits", list)
    for platform in ("win32", "darwin"):
        monkeypatch.setattr(cpu, "sys", SimpleNamespace(platform=platform))
        monkeypatch.setattr(cpu, "os", SimpleNamespace(cpu_count=lambda: 6))
        assert cpu.cores() == 6
        monkeypatch.setattr(cpu, "os", SimpleNamespace(cpu_count=lambda: None))
        assert cpu.cores() == 1, "not even that is known"


@pytest.mark.parametrize(("name", "python"), [("nt", ".venv/Scripts/python.exe"), ("posix", ".venv/bin/python")])
def test_dev_finds_the_python_of_its_environment(monkeypatch: pytest.MonkeyPatch, name: str, python: str) -> None:
    spec = importlib.util.spec_from_file_location("dev_of_another_system", ROOT / "dev.py")
    assert spec is not None
    assert spec.loader is not None
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    monkeypatch.setattr(dev, "os", OtherOs(name))
    assert dev.venv_python() == ROOT / python
