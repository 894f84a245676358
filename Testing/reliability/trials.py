"""One command in a process of its own, with limits: how it ended, how long it took, what it needed.

The parent imports the engine once and forks for each trial, so a trial costs its own work and not the imports.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

GIB = 1 << 30


@dataclass(frozen=True)
class Limits:
    """What a trial may take.

    Attributes
    ----------
    seconds: before it is killed.
    memory: bytes of address space beyond what the parent holds; ``None``: no limit.
    files: open files at once; ``None``: as the parent.
    """

    seconds: float = 240.0
    memory: int | None = 6 * GIB
    files: int | None = None


@dataclass(frozen=True)
class Ending:
    """How a command ended.

    Attributes
    ----------
    code: exit code; negative: the signal that ended it.
    text: what it wrote to standard error and output.
    seconds: of processor time that it used, its children's included.
    peak: bytes of resident memory beyond those that it began with.
    timed_out: whether the time limit ended it.
    """

    code: int
    text: str
    seconds: float
    peak: int
    timed_out: bool


def preload() -> None:
    """Import what commands import, with one thread each, before anything is forked."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"):
        os.environ[name] = "1"
    import torch

    torch.set_num_threads(1)
    import softseg.commands.application
    import softseg.data
    import softseg.evaluation
    import softseg.prediction.batch
    import softseg.studies
    import softseg.training

    for package in (softseg.data, softseg.evaluation, softseg.prediction, softseg.studies, softseg.training):
        for name in package.__all__:  # packages load what they name when it is asked for
            getattr(package, name)


def run_forked(
    arguments: Sequence[str],
    folder: Path,
    limits: Limits = Limits(),
    prepare: Callable[[], None] | None = None,
    log: Path | None = None,
) -> Ending:
    """Run ``softseg`` with ``arguments`` in a forked child whose working folder is ``folder``.

    ``prepare`` runs in the child before the command; what it leaves behind ends with the child. The output goes to
    ``log``, by default a file in the folder.
    """
    log = folder / ".trial-log" if log is None else log
    reader, writer = os.pipe()
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.write(writer, str(_resident()).encode())  # a child has not mapped all that its parent has
        _become(arguments, folder, log, limits, prepare)
    os.close(writer)
    before = int(os.read(reader, 32))
    os.close(reader)
    timed_out = False
    while True:
        ended, status, usage = os.wait4(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() - began > limits.seconds:
            end_group(child)
            timed_out = True
            _ended, status, usage = os.wait4(child, 0)
            break
        time.sleep(0.005)
    seconds = usage.ru_utime + usage.ru_stime  # a busy machine makes nothing slow
    end_group(child)  # what the command started goes with it
    text = log.read_text(encoding="utf-8", errors="replace") if log.exists() else ""
    log.unlink(missing_ok=True)
    code = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
    return Ending(code, text, seconds, max(0, usage.ru_maxrss * 1024 - before), timed_out)


def end_group(leader: int) -> None:
    """Kill a process group, if it still has members."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def _resident() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


def _become(
    arguments: Sequence[str], folder: Path, log: Path, limits: Limits, prepare: Callable[[], None] | None
) -> None:
    """Turn the forked child into the command; never returns."""
    code = 1
    try:
        os.setpgid(0, 0)
        os.chdir(folder)
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.dup2(out, 1)
        os.dup2(out, 2)
        sys.stdout = open(1, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
        faulthandler.enable(sys.stderr)
        if limits.memory is not None:
            held = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
            resource.setrlimit(resource.RLIMIT_AS, (held + limits.memory,) * 2)
        if limits.files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limits.files,) * 2)
        from softseg.cli import run

        if prepare is not None:
            prepare()
        code = run(list(arguments))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:  # noqa: BLE001 - what escapes the command is what a trial looks for
        import traceback

        traceback.print_exception(error)
        sys.stderr.flush()
    finally:
        os._exit(code)
