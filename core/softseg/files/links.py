"""Names from files: whether they are regular files, and whether symbolic links lead out of a folder."""

from __future__ import annotations

import os
from os import PathLike
from pathlib import Path

from softseg.errors import InputError


def is_file(path: str | PathLike[str]) -> bool:
    """Whether there is such a regular file; names that no file can have (too long, with a zero byte) are none."""
    return os.path.isfile(path)  # noqa: PTH113 - Path.is_file raises where a name is too long


def is_folder(path: str | PathLike[str]) -> bool:
    """Whether there is such a folder; names that none can have are none."""
    return os.path.isdir(path)  # noqa: PTH112 - as above


def require_file(path: str | PathLike[str], field: str | None = None) -> None:
    """Refuse what is no regular file before it is opened: a pipe is waited for, and a device may have no end.

    Raises
    ------
    InputError: there is nothing of this name, or a folder, a device, a pipe or a socket.
    """
    if not is_file(path):
        raise InputError(what_stands_there(path), file=path, field=field)


def what_stands_there(path: str | PathLike[str]) -> str:
    """Return what to say of a name that is no regular file."""
    if not exists(path):
        return "no such file"
    if is_folder(path):
        return "expected a file, got a folder"
    return "not a regular file, but a device, a pipe or a socket"


def exists(path: str | PathLike[str]) -> bool:
    """Whether there is such a file or folder; names that none can have (too long, with a zero byte) are none."""
    return os.path.exists(path)  # noqa: PTH110 - Path.exists raises where a name is too long


def leaves_folder(path: str | PathLike[str], folder: str | PathLike[str]) -> bool:
    """Whether a path that names something inside a folder leads out of it through a symbolic link.

    A path whose name already lies outside of the folder (absolute, or with ``..``) says so, and is no matter of links.
    """
    named, inside = os.path.abspath(path), os.path.abspath(folder)  # noqa: PTH100 - links are not followed
    if not _within(named, inside):
        return False
    return not _within(os.path.realpath(named), os.path.realpath(inside))


def require_inside(path: Path, folder: Path) -> None:
    """Refuse a file or folder that leads out of the folder it is in through a symbolic link.

    Raises
    ------
    InputError: it does.
    """
    if leaves_folder(path, folder):
        raise InputError(
            f"is a link out of {folder.name}",
            file=path,
            hint="put the file itself there if you trust it",
        )


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip(os.sep) + os.sep)
