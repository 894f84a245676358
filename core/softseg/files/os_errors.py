"""What the system says about a place that cannot be written, in plain words."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from softseg.errors import InputError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_IN_THE_WAY = (errno.ENOTDIR, errno.EEXIST, errno.EISDIR)


@contextlib.contextmanager
def plain_os_errors(target: Path) -> Iterator[None]:
    """Turn errors of the system about writing ``target`` into an :class:`InputError` that names it.

    Raises
    ------
    InputError: the disk is full, the place is forbidden, something is in the way, or the name is too long.
    """
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise InputError("the disk is full", file=target, hint="free space or choose another output") from error
        if error.errno in _FORBIDDEN:
            raise InputError("cannot write here", file=target, hint="choose a folder you may write to") from error
        if error.errno in _IN_THE_WAY:
            raise InputError("a file or folder of that name is in the way", file=target) from error
        if error.errno == errno.ENAMETOOLONG:
            raise InputError("the name is too long for this file system", file=target, hint="shorten it") from error
        if error.errno == errno.ELOOP:
            raise InputError("is a link that leads back to itself", file=target) from error
        raise
