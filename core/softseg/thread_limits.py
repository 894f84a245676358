"""How many threads libraries start, and how these wait: said in the environment, which most read when they are loaded.

OpenMP's threads spin while they wait for work, by default. On a machine that others use too, each then takes a core
from a thread that has work; waiting asleep costs a little on a quiet machine and much less on a busy one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence

FLAG = "--threads"

COUNTS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS",
)
"""Where PyTorch, numpy, scipy and SimpleITK, and this package for ONNX Runtime, look for a number of threads."""

_WAITING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0"}  # GNU's and LLVM's or Intel's OpenMP


def prepare(arguments: Sequence[str]) -> None:
    """Say both in the environment of this process, before anything is loaded; what the user has set there stays.

    Parameters
    ----------
    arguments: of the command line; one that is no number is left to the command, which refuses it.
    """
    for name, value in _WAITING.items():
        os.environ.setdefault(name, value)
    count = _asked(arguments)
    if count is not None:
        os.environ |= dict.fromkeys(COUNTS, str(count))


@contextlib.contextmanager
def limited(count: int | None) -> Iterator[None]:
    """Let libraries, also those that are loaded, start at most ``count`` threads in the block; None changes nothing."""
    if count is None:
        yield
        return
    before = {name: os.environ.get(name) for name in COUNTS}
    os.environ |= dict.fromkeys(COUNTS, str(count))
    torch, itk = sys.modules.get("torch"), sys.modules.get("SimpleITK")
    threads = None if torch is None else torch.get_num_threads()
    slots = None if itk is None else itk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    try:
        if torch is not None:
            torch.set_num_threads(count)
        if itk is not None:
            itk.ProcessObject.SetGlobalDefaultNumberOfThreads(count)
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        if torch is not None:
            torch.set_num_threads(threads)
        if itk is not None:
            itk.ProcessObject.SetGlobalDefaultNumberOfThreads(slots)


def _asked(arguments: Sequence[str]) -> int | None:
    """Return the number after the last ``--threads``, None where there is none."""
    found = None
    for word, after in zip(arguments, [*arguments[1:], ""], strict=True):
        if word == "--":
            break
        text = after if word == FLAG else word.removeprefix(f"{FLAG}=") if word.startswith(f"{FLAG}=") else ""
        if text.isascii() and text.isdigit() and int(text) > 0:
            found = int(text)
    return found
