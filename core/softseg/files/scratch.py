"""Temporary data, with one owner: private to the user, beside the output, and gone when its work or its process is."""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from softseg.files.os_errors import plain_os_errors
from softseg.files.recovery import settle
from softseg.files.staging import staging_in


@contextlib.contextmanager
def scratch_beside(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give an empty folder beside ``path``, private to the user, that is removed when the block ends.

    For data of scans while a command runs: it stays on the disk that the user chose. After a kill it is swept at the
    next start.

    Raises
    ------
    InputError: the folder cannot be written.
    """
    target = Path(path)
    with contextlib.ExitStack() as stack:
        with plain_os_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            settle(target.parent)
            staging = stack.enter_context(staging_in(target.parent))
        yield staging.content


class ScratchFolder:
    """A folder as :func:`scratch_beside` gives, for as long as somebody needs it.

    Parameters
    ----------
    beside: a path; by default one in the system's folder for temporary files.

    Attributes
    ----------
    path: the folder; removed by :meth:`close`, after a with block, or when this object or the process ends.
    """

    def __init__(self, beside: str | os.PathLike[str] | None = None) -> None:
        stack = contextlib.ExitStack()
        self.path = stack.enter_context(scratch_beside(Path(tempfile.gettempdir(), "x") if beside is None else beside))
        self._end = weakref.finalize(self, stack.close)

    def __enter__(self) -> Path:
        return self.path

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        self._end()


def temporary_folder() -> str:
    """Return the system's folder for temporary files.

    Raises
    ------
    FileNotFoundError: none can be written.
    """
    return tempfile.gettempdir()


def nameless_file(folder: str | os.PathLike[str] | None = None) -> IO[bytes]:
    """Return an unbuffered file that nobody else can open and that is gone when it is closed.

    Parameters
    ----------
    folder: whose disk it takes; the system's for temporary files by default.

    Raises
    ------
    OSError: there is no such file to be had.
    """
    return tempfile.TemporaryFile(buffering=0, dir=folder)
