"""What in a results folder is ours: a record of the files that were written, so that nobody else's is ever replaced."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

RECORD = ".softseg-files.json"
"""In every folder that is written as a whole: its files with their SHA-256."""


def record_files(folder: Path) -> None:
    """Note which files a finished folder holds."""
    files = {name: _digest(folder / name) for name in _names(folder)}
    text = json.dumps({"format_version": 1, "files": files}, indent=1, ensure_ascii=False)
    (folder / RECORD).write_text(text + "\n", encoding="utf-8")


def keep_foreign_files(older: Path, newer: Path, ours: Callable[[str], bool], stale: Collection[str] = ()) -> list[str]:
    """Bring what others put into an older folder, or changed there, into the one that replaces it.

    A file whose name is needed by a new one is kept as ``NAME.kept`` before its ending.

    Parameters
    ----------
    older, newer: folders.
    ours: whether a file of this name is ours, for folders without a record.
    stale: names of files that other commands added and that hold for the older folder alone.

    Returns
    -------
    The names that were kept, as they are called now.
    """
    recorded = _recorded(older)
    kept = []
    for name in _names(older):
        if name in stale:
            continue
        mine = ours(name) if recorded is None else recorded.get(name) == _digest(older / name)
        if mine:
            continue
        target = _free(newer, name)
        (newer / target).parent.mkdir(parents=True, exist_ok=True)
        _link(older / name, newer / target)
        kept.append(target)
    return kept


def _recorded(folder: Path) -> dict[str, str] | None:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        files = json.loads((folder / RECORD).read_text(encoding="utf-8"))["files"]
        return dict(files)
    return None


def _names(folder: Path) -> list[str]:
    """Return the files below a folder, but for the record and what is being written."""
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".unfinished-")]
        found += [Path(place, name).relative_to(folder).as_posix() for name in files if name != RECORD]
    return sorted(found)


def _free(folder: Path, name: str) -> str:
    path, number = Path(name), 1
    wanted = path
    while (folder / wanted).exists():
        stem, dot, endings = path.name.partition(".")
        wanted = path.with_name(f"{stem}.kept{'' if number == 1 else number}{dot}{endings}")
        number += 1
    return wanted.as_posix()


def _link(source: Path, target: Path) -> None:
    """Let ``target`` be the same file; a copy where the file system has no links."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(source, target, follow_symlinks=False)


def _digest(path: Path) -> str:
    if path.is_symlink():
        return "link:" + os.fspath(path.readlink())
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
