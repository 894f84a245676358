"""What Python, the system, PyTorch, ITK and the libraries below them say when memory, or processes, ran out."""

from __future__ import annotations

import errno
import re
import sys
from os import PathLike

from softseg.address_space import address_space_limits
from softseg.errors import OutOfMemoryError

MEMORY_HINT = "close other programs, choose --device cpu, or a smaller patch or batch (softseg doctor shows what fits)"

THREADS_HINT = "close other programs, raise the limits of memory and processes (ulimit -a), or set OMP_NUM_THREADS=1"

MEMORY_ERRORS = (MemoryError, RuntimeError, OSError)
"""The types under which libraries say that memory ran out; :func:`is_out_of_memory` tells these from others."""

_SIGNS = re.compile(
    r"out of memory|(not enough|insufficient) memory|bad_alloc|bad allocation"
    r"|(can't|cannot|can not|could not|unable to|failed to) (be )?allocate"
    r"|(memory|storage) (could not|cannot) be allocated"
    r"|allocation[ _](of memory |still )?failed|memory ?allocation ?error"
    r"|could not create a (memory|primitive)(?! desc)|alloc_failed|out_of_memory"
    r"|can't start new thread|resource temporarily unavailable",
    re.IGNORECASE,
)  # PyTorch, oneDNN, CUDA and its libraries, ITK, C++ and the C library, Python

_WINDOWS = (8, 14, 1455)  # not enough memory, out of memory, paging file too small

_NOT_MAPPED = "failed to map segment"

_ZLIB = "Error -4 "  # Z_MEM_ERROR


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, the system, PyTorch, ITK or a library below them says that memory, or processes, ran out."""
    if isinstance(error, MemoryError):
        return True
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno in (errno.ENOMEM, errno.EAGAIN) or getattr(error, "winerror", None) in _WINDOWS
    if isinstance(error, ImportError):  # without a limit, a disk that runs no programs says the same
        return _NOT_MAPPED in str(error) and bool(address_space_limits())
    if type(error).__module__ == "zlib":
        return str(error).startswith(_ZLIB)
    return isinstance(error, RuntimeError) and _SIGNS.search(str(error)) is not None


def raise_out_of_memory(error: BaseException, file: str | PathLike[str] | None = None) -> None:
    """Raise :class:`OutOfMemoryError` if that is what ``error`` says; do nothing otherwise.

    For places that would call whatever a library says of ``file`` damage.
    """
    if isinstance(error, OutOfMemoryError):
        raise error
    if is_out_of_memory(error):
        first_line = (str(error).splitlines() or [""])[0].strip()
        raise OutOfMemoryError(f"out of memory: {first_line}".rstrip(": "), file=file, hint=MEMORY_HINT) from error
