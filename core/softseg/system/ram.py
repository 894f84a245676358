"""Main memory: what there is, what is free within the limits of a container, and work that cannot fit."""

from __future__ import annotations

import contextlib
import importlib
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from softseg import cgroups
from softseg.address_space import address_space_limits
from softseg.errors import InputError, OutOfMemoryError
from softseg.extras import missing
from softseg.system.out_of_memory import MEMORY_HINT
from softseg.system.packages import installed

GIB = 2**30

SMALL = 64 << 20
"""Bytes that are allocated without asking whether they are free."""


@dataclass(frozen=True)
class Memory:
    """Bytes that there are, and those that are free now."""

    total: int
    free: int


def main_memory() -> Memory:
    """Return the machine's memory, within the limits of a container (cgroup v1 and v2).

    Raises
    ------
    InputError: it cannot be known without psutil, which is not installed.
    """
    total, free = _machine_memory()
    limits = [*cgroups.memory_limits(), *address_space_limits()]
    return Memory(min([total, *(limit.total for limit in limits)]), min([free, *(limit.free for limit in limits)]))


def free_memory() -> int:
    """Return the bytes of main memory that are free for this process now."""
    return main_memory().free


def require_memory(count: int, what: str, file: str | PathLike[str] | None = None, field: str | None = None) -> None:
    """Refuse work that cannot fit before anything is allocated: systems promise memory that they do not have.

    Parameters
    ----------
    count: bytes that are needed.
    what: for which, in words: "its arrays".
    file, field: who asks for so much.

    Raises
    ------
    OutOfMemoryError: it is more than is free now.
    """
    if count < SMALL:
        return
    try:
        free = free_memory()
    except InputError:  # it cannot be known here
        return
    if count > free:
        raise OutOfMemoryError(
            f"{what} would take {count / 1e9:.3g} GB of memory, {free / 1e9:.3g} GB are free",
            file=file,
            field=field,
            hint=MEMORY_HINT,
        )


def held_memory() -> int:
    """Return the bytes of main memory that this process holds."""
    return int(importlib.import_module("psutil").Process().memory_info().rss)


def _machine_memory() -> tuple[int, int]:
    """Return what the whole machine has, and has free; psutil need not be there on Linux."""
    if installed("psutil"):
        found = importlib.import_module("psutil").virtual_memory()
        return int(found.total), int(found.available)
    with contextlib.suppress(OSError, KeyError, ValueError):
        lines = (line.split() for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines())
        values = {words[0]: 1024 * int(words[1]) for words in lines if len(words) > 1}
        return values["MemTotal:"], values["MemAvailable:"]
    raise missing("psutil")
