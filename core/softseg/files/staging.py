"""The folder in which results lie until they are complete, and how to tell that its process still lives."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import secrets
import shutil
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from softseg import supervision

PREFIX = ".unfinished-"
"""How the names of staging folders begin."""

CONTENT, LOCK, JOURNAL, OLD = "content", "lock", "commit.json", "old"

_YOUNG_SECONDS = 60.0  # a staging folder this young may belong to a process that is about to lock it
_UNKNOWN_SECONDS = 86400.0  # where locks do not work, one this old belongs to nobody

_unfinished: set[Path] = set()


@dataclass(frozen=True)
class Staging:
    """A staging folder.

    Attributes
    ----------
    folder: ``.unfinished-...``, in the folder where the results will stand.
    """

    folder: Path

    @property
    def base(self) -> Path:
        """The folder where the results will stand."""
        return self.folder.parent

    @property
    def content(self) -> Path:
        """Where results are written, under their final names."""
        return self.folder / CONTENT

    @property
    def journal(self) -> Path:
        """The list of renames; from the moment it exists the results count as written."""
        return self.folder / JOURNAL

    @property
    def old(self) -> Path:
        """Where a replaced folder goes."""
        return self.folder / OLD


@contextlib.contextmanager
def staging_in(base: Path) -> Iterator[Staging]:
    """Give a locked staging folder in ``base``, private to the user, and remove it with whatever is left in it."""
    staging = Staging(Path(base).absolute() / f"{PREFIX}{os.getpid()}-{_host()}-{secrets.token_hex(6)}")
    _unfinished.add(staging.folder)
    supervision.unfinished(staging.folder)
    handle = None
    try:
        staging.folder.mkdir(mode=0o700)
        unnamed = staging.folder / (LOCK if os.name == "nt" else f"{LOCK}.new")
        handle = os.open(unnamed, os.O_RDWR | os.O_CREAT, 0o600)
        _lock(handle)
        os.replace(unnamed, staging.folder / LOCK)  # locked before it has its name: nobody finds it unlocked
        staging.content.mkdir()
        yield staging
    finally:
        if handle is not None:
            os.close(handle)
        remove_tree(staging.folder)
        _unfinished.discard(staging.folder)
        supervision.unfinished(staging.folder, over=True)


def is_unfinished(path: Path) -> bool:
    """Whether a path lies in a staging folder of this process: it is synced with the whole, not by itself."""
    return not _unfinished.isdisjoint(path.parents)


def remove_unfinished() -> None:
    """Remove what this process is still writing (called when it must end at once); what is committed stays."""
    for folder in list(_unfinished):
        if not (folder / JOURNAL).exists():
            _unfinished.discard(folder)
            remove_tree(folder)


@contextlib.contextmanager
def hold_abandoned(folder: Path) -> Iterator[bool]:
    """Say whether the process that made a staging folder is gone, and keep others away from it in the block."""
    try:
        age = time.time() - folder.lstat().st_mtime
        handle = os.open(folder / LOCK, os.O_RDWR)
    except FileNotFoundError:
        yield folder.exists() and (age > _YOUNG_SECONDS or _maker_is_gone(folder.name))
        return
    except OSError:
        yield False
        return
    try:
        yield _lock(handle) or age > _UNKNOWN_SECONDS
    finally:
        os.close(handle)


def _maker_is_gone(name: str) -> bool:
    """Whether the name of a staging folder tells of a process of this machine that lives no more."""
    pid, host, *_rest = [*name.removeprefix(PREFIX).split("-"), ""]
    if os.name == "nt" or host != _host() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:
        return False
    return False


def _host() -> str:
    return hashlib.sha256(platform.node().encode()).hexdigest()[:6]


def remove_tree(folder: Path) -> None:
    """Remove a folder with all that is in it, also what is write-protected; what cannot be removed stays."""

    def retry(remove: object, path: str, _error: object) -> None:
        with contextlib.suppress(OSError):
            os.chmod(path, stat.S_IRWXU)
            if callable(remove):
                remove(path)

    if sys.version_info >= (3, 12):
        shutil.rmtree(folder, onexc=retry)
    else:
        shutil.rmtree(folder, onerror=retry)


def _lock(handle: int) -> bool:
    """Lock an open file for this process without waiting; whether it was free."""
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held by another process, or a file system without locks
        return False
    return True
