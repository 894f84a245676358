"""The ways to write: a file, files that belong together, a folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from softseg.errors import InputError
from softseg.files.os_errors import plain_os_errors
from softseg.files.owned import keep_foreign_files, record_files
from softseg.files.recovery import commit_files, commit_folder, settle
from softseg.files.scratch import nameless_file
from softseg.files.staging import Staging, is_unfinished, staging_in


@contextlib.contextmanager
def write_beside(path: str | os.PathLike[str], *, durable: bool = True) -> Iterator[Path]:
    """Give a temporary path of the same file name and rename it to ``path`` when the block ends well.

    What a writer puts beside it (the voxels of a detached header) appears with it. Missing parent folders are made.
    When the block fails, nothing is left and what stood at ``path`` still does.

    Parameters
    ----------
    path: the file.
    durable: synced to the disk; what can be made again at any time does without.

    Raises
    ------
    InputError: the folder cannot be written or the disk is full.
    """
    target = Path(path)
    with _staged(target, durable and not is_unfinished(target)) as staging:
        yield staging.content / target.name


@contextlib.contextmanager
def write_together(head: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder that stands for the folder of ``head``; all files written there appear as one.

    ``head`` is the file that readers look for. After any kill it either belongs to the files beside it or is missing
    until the next start, which completes it.

    Raises
    ------
    InputError: the folder cannot be written or the disk is full.
    """
    with _staged(Path(head), durable=not is_unfinished(Path(head))) as staging:
        yield staging.content


@contextlib.contextmanager
def write_folder_beside(
    path: str | os.PathLike[str],
    *,
    durable: bool = True,
    ours: Callable[[str], bool] | None = None,
    stale: Collection[str] = (),
    kept: Callable[[list[str]], None] | None = None,
) -> Iterator[Path]:
    """Give a temporary folder and rename it to ``path`` when the block ends well.

    A folder that stands at ``path`` already is replaced, and only then. Files in it that we did not write, or that
    were changed since, are brought into the new one.

    Parameters
    ----------
    path: the folder.
    durable: synced to the disk; what can be made again at any time does without, and keeps nobody's files.
    ours: whether a file of this name is ours, for older folders without a record; all are by default.
    stale: names of files that other commands added and that hold for the older folder alone: they go with it.
    kept: gets the names of the files that were brought along.

    Raises
    ------
    InputError: the parent folder cannot be written or the disk is full.
    """
    target = Path(path)
    with plain_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        settle(target.parent)
        with staging_in(target.parent) as staging:
            made = staging.content / target.name
            made.mkdir()
            yield made
            if durable:
                record_files(made)
                foreign = keep_foreign_files(target, made, ours or _all_ours, stale) if target.is_dir() else []
                if foreign and kept is not None:
                    kept(foreign)
            commit_folder(staging, target.name, durable)


def require_writable_folder(path: str | os.PathLike[str]) -> Path:
    """Make ``path`` if it is missing and prove, before long work begins, that files can be written there.

    What a killed process left in it is completed or swept.

    Raises
    ------
    InputError: it is a file, or nothing can be written there.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError("expected a folder, got a file", file=folder, hint="choose another output folder")
    with plain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        settle(folder)
        with nameless_file(folder):
            pass
    return folder


@contextlib.contextmanager
def _staged(head: Path, durable: bool) -> Iterator[Staging]:
    with plain_os_errors(head):
        head.parent.mkdir(parents=True, exist_ok=True)
        settle(head.parent)
        with staging_in(head.parent) as staging:
            yield staging
            commit_files(staging, [*_others(staging.content, head.name), head.name], durable)


def _others(content: Path, head: str) -> list[str]:
    names = (path.relative_to(content).as_posix() for path in sorted(content.rglob("*")) if path.is_file())
    return [name for name in names if name != head]


def _all_ours(_name: str) -> bool:
    return True
