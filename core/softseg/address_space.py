"""The limit of this process's address space (``ulimit -v``), which many batch systems set."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from pathlib import Path

from softseg.cgroups import MemoryLimit


def address_space_limits() -> list[MemoryLimit]:
    """Return the limit and what of it is left; none where there is no limit, or the system does not report it.

    Address space is taken before memory is: what is left is the most that can still be allocated.
    """
    if importlib.util.find_spec("resource") is None:
        return []
    resource = importlib.import_module("resource")
    limit, _hard = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY:
        return []
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        return [MemoryLimit(limit, max(0, limit - pages * resource.getpagesize()))]
    return [MemoryLimit(limit, limit)]
