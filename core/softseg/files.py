"""Writing results so that they appear under their final name only when complete."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.texts import read_json

_unfinished: set[Path] = set()


def remove_unfinished() -> None:
    """Delete every file or folder that is still being written (called when the process must end at once)."""
    for path in list(_unfinished):
        _remove(path)


@contextlib.contextmanager
def write_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path`` and rename it to ``path`` when the block ends well.

    The temporary name keeps all suffixes (``.nii.gz``), because writers choose the format by them. Missing parent
    folders are made. When the block fails, nothing is left.

    Raises
    ------
    InputError: the folder cannot be written or the disk is full.
    """
    target = Path(path)
    with _plain_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        suffixes = "".join(target.suffixes[-2:])
        handle, name = tempfile.mkstemp(prefix=".unfinished-", suffix=suffixes, dir=target.parent)
        os.close(handle)
        temporary = Path(name)
        _unfinished.add(temporary)
        try:
            yield temporary
            os.chmod(temporary, 0o666 & ~_umask())
            os.replace(temporary, target)
        finally:
            _remove(temporary)


@contextlib.contextmanager
def write_folder_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary folder beside ``path`` and rename it to ``path`` when the block ends well.

    A folder that stands at ``path`` already is replaced, and only then.

    Raises
    ------
    InputError: the parent folder cannot be written or the disk is full.
    """
    target = Path(path)
    with _plain_os_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=target.parent))
        os.chmod(temporary, 0o777 & ~_umask())
        _unfinished.add(temporary)
        try:
            yield temporary
            if target.exists():
                old = temporary.with_name(temporary.name + "-old")
                os.replace(target, old)
                os.replace(temporary, target)
                _remove(old)
            else:
                os.replace(temporary, target)
        finally:
            _remove(temporary)


def require_writable_folder(path: str | os.PathLike[str]) -> Path:
    """Make ``path`` if it is missing and prove, before long work begins, that files can be written there.

    Raises
    ------
    InputError: it is a file, or nothing can be written there.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise InputError("expected a folder, got a file", file=folder, hint="choose another output folder")
    with _plain_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    return folder


def read_json_object(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises
    ------
    InputError: it cannot be read, is not JSON, or holds something else.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise InputError("expected a JSON object", file=path)
    return content


@contextlib.contextmanager
def _plain_os_errors(target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise InputError("the disk is full", file=target, hint="free space or choose another output") from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise InputError("cannot write here", file=target, hint="choose a folder you may write to") from error
        if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.EISDIR):
            raise InputError("a file or folder of that name is in the way", file=target) from error
        raise


def _remove(path: Path) -> None:
    _unfinished.discard(path)
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
