"""Results are complete or absent under their name, wherever the process that writes them is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from softseg.errors import InputError
from softseg.files import (
    recovery,
    require_writable_folder,
    scratch_beside,
    settle,
    write_beside,
    write_folder_beside,
    write_together,
)

Write = Callable[[Path], None]
OPERATIONS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.link")


def run_killed(write: Write, folder: Path, at: int) -> bool:
    """Run ``write`` in a process that is killed before its operation number ``at``; whether it was."""
    child = os.fork()
    if child == 0:
        left = [at]

        def hook(event: str, arguments: tuple[object, ...]) -> None:
            if event in OPERATIONS and str(arguments[0]).startswith(str(folder)):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        write(folder)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def write_and_fail(write: contextlib.AbstractContextManager[Path]) -> None:
    with write as staged:
        (staged / "labels").write_text("new", encoding="utf-8")
        raise RuntimeError("no more")


def texts(folder: Path) -> dict[str, str]:
    """Return every file but hidden ones with its text."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def labels_and_table(text: str) -> Write:
    def write(folder: Path) -> None:
        with write_together(folder / "labels") as staged:
            for name in ("labels", "table", "more/notes"):
                (staged / name).parent.mkdir(exist_ok=True)
                (staged / name).write_text(text, encoding="utf-8")

    return write


def case(text: str) -> Write:
    def write(folder: Path) -> None:
        with write_folder_beside(folder / "case") as made:
            for name in ("soft", "volumes"):
                (made / name).write_text(text, encoding="utf-8")

    return write


def every_kill(write_old: Write, write_new: Write, tmp_path: Path) -> list[tuple[dict[str, str], dict[str, str]]]:
    """Kill ``write_new`` at each of its operations; return what stands there after the kill and after settling."""
    found = []
    for at in range(1, 200):
        folder = tmp_path / str(at)
        folder.mkdir()
        write_old(folder)
        killed = run_killed(write_new, folder, at)
        after = texts(folder)
        settle(folder)
        assert not list(folder.glob(".unfinished-*"))
        found.append((after, texts(folder)))
        if not killed:
            return found
    raise AssertionError("never came to its end")


def test_files_that_belong_together_are_never_mixed(tmp_path: Path) -> None:
    names = ("labels", "more/notes", "table")
    old, new = dict.fromkeys(names, "old"), dict.fromkeys(names, "new")
    found = every_kill(labels_and_table("old"), labels_and_table("new"), tmp_path)
    assert len(found) > 8
    for after, settled in found:
        assert after.get("labels") in ("old", "new", None)
        if "labels" in after:  # what stands beside the head belongs to it
            assert after == dict.fromkeys(names, after["labels"])
        assert settled in (old, new)
    assert found[0][1] == old
    assert found[-1][0] == new
    assert any("labels" not in after and settled == new for after, settled in found)


@pytest.mark.parametrize("exchange", [True, False], ids=["exchange", "two renames"])
def test_a_folder_is_the_old_or_the_new_one(tmp_path: Path, exchange: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not exchange:
        monkeypatch.setattr(recovery, "_exchange", lambda *_: False)
    whole = [{"case/soft": text, "case/volumes": text} for text in ("old", "new")]
    found = every_kill(case("old"), case("new"), tmp_path)
    for after, settled in found:
        assert settled in whole
        assert after in ([*whole] if exchange and sys.platform.startswith("linux") else [*whole, {}])
    assert found[-1][0] == whole[1]


def test_what_a_living_process_writes_is_left_alone(tmp_path: Path) -> None:
    with write_beside(tmp_path / "result.txt") as temporary:
        temporary.write_text("half", encoding="utf-8")
        child = os.fork()
        if child == 0:
            settle(tmp_path)
            os._exit(0 if temporary.exists() else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert texts(tmp_path) == {"result.txt": "half"}


def test_a_failed_block_leaves_what_was_there(tmp_path: Path) -> None:
    for write in (labels_and_table("old"), case("old")):
        write(tmp_path)
    before = texts(tmp_path)
    for write in (write_together(tmp_path / "labels"), write_folder_beside(tmp_path / "case")):
        with pytest.raises(RuntimeError, match="no more"):
            write_and_fail(write)
    assert texts(tmp_path) == before
    assert not list(tmp_path.glob(".unfinished-*"))


def test_files_of_others_stay_in_a_replaced_folder(tmp_path: Path) -> None:
    case("old")(tmp_path)
    (tmp_path / "case" / "corrected-by-hand.nii.gz").write_text("mine", encoding="utf-8")
    (tmp_path / "case" / "volumes").write_text("old, with a note", encoding="utf-8")
    told: list[str] = []
    with write_folder_beside(tmp_path / "case", kept=told.extend) as made:
        for name in ("soft", "volumes"):
            (made / name).write_text("new", encoding="utf-8")
    assert texts(tmp_path / "case") == {
        "corrected-by-hand.nii.gz": "mine",
        "soft": "new",
        "volumes": "new",
        "volumes.kept": "old, with a note",
    }
    assert told == ["corrected-by-hand.nii.gz", "volumes.kept"]
    with write_folder_beside(tmp_path / "case") as made:  # nor does a second replacement lose them
        (made / "soft").write_text("newer", encoding="utf-8")
    assert texts(tmp_path / "case") == {
        "corrected-by-hand.nii.gz": "mine",
        "soft": "newer",
        "volumes.kept": "old, with a note",
    }


def test_an_older_folder_without_record_keeps_what_is_not_ours(tmp_path: Path) -> None:
    older = tmp_path / "case"
    older.mkdir()
    for name in ("labels_level1.nii.gz", "notes.txt"):
        (older / name).write_text("old", encoding="utf-8")
    with write_folder_beside(older, ours=lambda name: name.startswith("labels_")) as made:
        (made / "soft").write_text("new", encoding="utf-8")
    assert texts(older) == {"notes.txt": "old", "soft": "new"}


def test_a_journal_moves_nothing_out_of_its_folder(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    staging = inner / ".unfinished-hostile"
    (staging / "content").mkdir(parents=True)
    (staging / "content" / "x").write_text("x", encoding="utf-8")
    (staging / "lock").touch()
    for names in ('["../x"]', '["/x"]', "[3]", '"x"'):
        (staging / "commit.json").write_text(f'{{"names": {names}}}', encoding="utf-8")
        settle(inner)
        assert not (tmp_path / "x").exists()
        staging.mkdir(exist_ok=True)
        (staging / "lock").touch()


def test_scratch_is_private_and_goes(tmp_path: Path) -> None:
    with scratch_beside(tmp_path / "out") as scratch:
        (scratch / "scan").write_text("voxels", encoding="utf-8")
        assert scratch.parent.stat().st_mode & 0o077 == 0
    assert list(tmp_path.iterdir()) == []


def test_what_was_killed_goes_at_the_next_start(tmp_path: Path) -> None:
    def work(folder: Path) -> None:
        with scratch_beside(folder / "out") as scratch:
            (scratch / "scan").write_text("voxels", encoding="utf-8")
            os.kill(os.getpid(), signal.SIGKILL)

    run_killed(work, tmp_path, 10_000)
    assert list(tmp_path.rglob("scan"))
    require_writable_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_name_that_is_too_long_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="too long"), write_beside(tmp_path / ("x" * 300)) as temporary:
        temporary.write_text("x", encoding="utf-8")
