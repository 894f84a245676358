"""Which errors of libraries and of the system are the user's to fix, and in which words."""

from __future__ import annotations

import errno
import os
import re
import shutil

from softseg.errors import InputError, OutOfMemoryError, SoftSegError
from softseg.extras import missing
from softseg.system import MEMORY_HINT, THREADS_HINT, is_out_of_memory, raise_out_of_memory

_REPORT_HINT = "please report it with this line and the command you gave (SOFTSEG_DEBUG=1 shows where it happened)"
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_IN_THE_WAY = (errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOENT)
_LOOP = "Symlink loop from "
_WORDS = {
    errno.ENAMETOOLONG: "the name is too long for a file",
    errno.ELOOP: "is a link that leads back to itself",
    errno.EMFILE: "too many files are open",
    errno.ENFILE: "too many files are open",
    errno.EIO: "the disk or the network drive cannot be read",
    errno.ENXIO: "is no ordinary file",
    errno.ENODEV: "is no ordinary file",
    errno.EINVAL: "the system refuses this name or place",
    errno.ESTALE: "the network drive is gone",
    errno.ENOTCONN: "the network drive is gone",
    errno.EBUSY: "another program uses it",
    errno.ETXTBSY: "another program uses it",
}


def as_plain_error(error: BaseException) -> SoftSegError | None:
    """Return the one-line form of ``error``, or None when it is a defect of the program."""
    if isinstance(error, SoftSegError):
        return error
    try:
        raise_out_of_memory(error)
    except OutOfMemoryError as plain:
        return plain
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("softseg"):
        return missing(error.name)
    if isinstance(error, UnicodeEncodeError):
        return InputError("the name is not UTF-8", file=_odd_name(error), hint="rename the file or folder")
    if isinstance(error, shutil.Error):
        return _from_copying(error)
    if isinstance(error, OSError):
        return _from_os_error(error)
    if isinstance(error, RuntimeError) and str(error).startswith(_LOOP):  # raised by Path.resolve before Python 3.13
        return InputError(_WORDS[errno.ELOOP], file=str(error).removeprefix(_LOOP).strip("'"))
    return _from_shortage(error)


def _from_shortage(error: BaseException) -> SoftSegError | None:
    """Return the error for an odd one raised while another was handled, when memory had run out."""
    before = error.__context__
    while before is not None:
        if is_out_of_memory(before):
            return OutOfMemoryError("out of memory", hint=MEMORY_HINT)
        before = before.__context__
    return None


def as_defect(error: BaseException, native: str = "") -> SoftSegError:
    """Return the one line about an error that is a defect of the program (exit code 1).

    ``native`` is what libraries wrote to standard error last.
    """
    output = f" (output of a library: {native})" if native else ""
    return SoftSegError(f"unexpected {type(error).__name__}: {error}{output}", hint=_REPORT_HINT)


def as_native_end(native: str, code: int) -> SoftSegError | None:
    """Return the error where a library ended the process; None where it crashed and memory was not the reason.

    OpenMP's and OpenBLAS's libraries do so where a thread or its memory cannot be had, and C++ where nothing catches
    that memory runs out.

    Parameters
    ----------
    native: what it wrote to standard error last.
    code: exit code, or, negative, the signal that ended the process.
    """
    if is_out_of_memory(RuntimeError(native)):
        return OutOfMemoryError(f"out of memory (output of a library: {native})", hint=THREADS_HINT)
    if code < 0:
        return None
    output = f"; its output: {native}" if native else ""
    return SoftSegError(f"a library ended the program with code {code}{output}", hint=_REPORT_HINT)


def _here() -> str | None:
    """Return the folder that this process was started in, where the shell reports it."""
    return os.environ.get("PWD")


def _odd_name(error: UnicodeEncodeError) -> str:
    """Return the name or path that could not be written; it may stand in the middle of a table or of JSON."""
    before = re.split(r"[\"\n\t,]", error.object[: error.start])[-1]
    after = re.split(r"[\"\n\t,]", error.object[error.start :])[0]
    return ascii(before[-200:] + after[:200]).strip("'")


def _from_copying(error: shutil.Error) -> SoftSegError | None:
    """Return the error of the first file of a folder that could not be copied: the list has source, target, reason."""
    first = error.args[0][0] if error.args and isinstance(error.args[0], list) and error.args[0] else None
    found = None if first is None else re.search(r"\[Errno (\d+)\]", str(first[-1]))
    if first is None or found is None:
        return None
    return _from_os_error(OSError(int(found.group(1)), os.strerror(int(found.group(1))), str(first[1])))


def _from_os_error(error: OSError) -> SoftSegError | None:
    file = error.filename if isinstance(error.filename, str) else None
    if error.errno in _FULL:
        return InputError("the disk is full", file=file, hint="free space or choose another output")
    if error.errno in _FORBIDDEN:
        return InputError("permission denied", file=file, hint="choose a file or folder you may use")
    if error.errno == errno.ENOENT and file is None:  # raised by the system for a current folder that was removed
        return InputError("the folder that this works in is gone", field=_here(), hint="start it in another folder")
    if error.errno in _IN_THE_WAY and file is not None:
        return InputError((error.strerror or "cannot be used").lower(), file=file)
    if error.errno in _WORDS:
        return InputError(_WORDS[error.errno], file=file)
    return None
