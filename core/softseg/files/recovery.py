"""The commit of staged results, and carrying it out after a kill."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from softseg.files.staging import PREFIX, Staging, hold_abandoned, remove_tree


def commit_files(staging: Staging, names: Sequence[str], durable: bool = True) -> None:
    """Let staged files appear under their final names, the last of ``names`` last.

    Readers look for the last file, the head: where several files belong together, an older head is taken away before
    the others are replaced, so what stands under the head's name never belongs to other files than those beside it.
    """
    if durable and len(names) == 1:
        sync(staging.content / names[0])
    elif durable:
        sync_tree(staging.content)
    if len(names) == 1:
        os.replace(staging.content / names[0], _made(staging.base / names[0]))
    else:
        _write_journal(staging, names)
        _carry_out(staging, names)
    if durable:
        for folder in {(staging.base / name).parent for name in names}:
            sync(folder)


def commit_folder(staging: Staging, name: str, durable: bool = True) -> None:
    """Let a staged folder appear under its final name, in place of an older one: there is no moment without either."""
    source, target = staging.content / name, staging.base / name
    if durable:
        sync_tree(source)
    if not target.exists():
        os.replace(source, target)
    elif not _exchange(source, target):
        _write_journal(staging, [name])
        _carry_out(staging, [name])
    if durable:
        sync(staging.base)


def settle(folder: str | os.PathLike[str]) -> None:
    """Carry out or sweep what a killed process left in ``folder``; nothing happens where nothing was left.

    Called at the start of whatever reads or writes results there. A folder that cannot be read or changed stays as it
    is.
    """
    with contextlib.suppress(OSError):
        names = [entry.name for entry in os.scandir(folder) if entry.name.startswith(PREFIX)]
        for name in names:
            left = Path(folder) / name
            if left.is_symlink() or not left.is_dir():
                continue
            with contextlib.suppress(OSError), hold_abandoned(left) as abandoned:
                if abandoned:
                    finish_abandoned(left)


def finish_abandoned(folder: str | os.PathLike[str]) -> None:
    """Carry out or sweep one staging folder whose process is known to be gone; what cannot be removed stays."""
    staging = Staging(Path(folder))
    with contextlib.suppress(OSError):
        if staging.folder.is_dir():
            _carry_out(staging, _read_journal(staging))
            remove_tree(staging.folder)


def sync(path: Path) -> None:
    """Write a file or folder through to the disk; folders only where the system can."""
    if path.is_dir() and os.name == "nt":
        return
    try:
        handle = os.open(path, os.O_RDONLY if os.name != "nt" else os.O_RDWR)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():  # some file systems cannot sync folders
            raise
    finally:
        os.close(handle)


def sync_tree(folder: Path) -> None:
    """Write a folder and all that is in it through to the disk."""
    for place, _folders, files in os.walk(folder):
        for name in files:
            path = Path(place, name)
            if not path.is_symlink():
                sync(path)
        sync(Path(place))


def _write_journal(staging: Staging, names: Sequence[str]) -> None:
    draft = staging.journal.with_suffix(".draft")
    draft.write_text(json.dumps({"format_version": 1, "names": list(names)}), encoding="utf-8")
    sync(draft)
    os.replace(draft, staging.journal)
    sync(staging.folder)


def _read_journal(staging: Staging) -> list[str]:
    """Return the names that a journal lists; none where it is missing or names a place outside of the folder."""
    try:
        names = json.loads(staging.journal.read_text(encoding="utf-8"))["names"]
        paths = [PurePosixPath(name) for name in names]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return names if all(path.parts and not path.is_absolute() and ".." not in path.parts for path in paths) else []


def _carry_out(staging: Staging, names: Sequence[str]) -> None:
    """Rename what is still staged; whatever was renamed before a kill is passed over."""
    if len(names) > 1 and (staging.content / names[-1]).exists():
        (staging.base / names[-1]).unlink(missing_ok=True)
    for name in names:
        source, target = staging.content / name, staging.base / name
        if not source.exists():
            continue
        if source.is_dir() and target.exists():
            remove_tree(staging.old) if staging.old.exists() else None
            os.replace(target, staging.old)
        os.replace(source, _made(target))


def _made(target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    return target


def _exchange(first: Path, second: Path) -> bool:
    """Swap two folders in one step of the file system; False where it cannot."""
    library = ctypes.CDLL(None, use_errno=True) if os.name != "nt" else None
    here, swap = -100, 2
    if sys.platform.startswith("linux") and hasattr(library, "renameat2"):
        call = getattr(library, "renameat2")  # noqa: B009 - found at run time
        return bool(call(here, os.fsencode(first), here, os.fsencode(second), swap) == 0)
    if sys.platform == "darwin" and hasattr(library, "renamex_np"):
        call = getattr(library, "renamex_np")  # noqa: B009 - found at run time
        return bool(call(os.fsencode(first), os.fsencode(second), swap) == 0)
    return False
