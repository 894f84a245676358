"""The CPU: cores and threads of this process, and what its instructions offer."""

from __future__ import annotations

import importlib
import math
import os
import sys
from pathlib import Path

from softseg import cgroups
from softseg.system.packages import installed


def cores() -> int:
    """Return how many cores this process may keep busy, within affinity and the limits of a container."""
    there = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, min([there, *(math.ceil(limit) for limit in cgroups.core_limits())]))


def threads_each(processes: int) -> int:
    """Return how many threads each of several processes gets that compute at once; OMP_NUM_THREADS is not exceeded."""
    wanted = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    most = int(wanted) if wanted.isdigit() and int(wanted) > 0 else cores()
    return max(1, min(most, cores() // processes))


def processor() -> str:
    """Return what the processor calls itself; empty where the system does not say."""
    return " ".join(_cpuinfo("model name").split())


def cpu_features() -> frozenset[str]:
    """Return the extensions of this CPU in Linux's words, such as ``avx2`` or ``amx_bf16``; elsewhere none."""
    return frozenset((_cpuinfo("flags") or _cpuinfo("Features")).split())


def cpu_has_bfloat16_tiles() -> bool:
    """Whether this CPU multiplies bfloat16 in AMX tiles, and may; without them bfloat16 gains nothing.

    ``ONEDNN_MAX_CPU_ISA``, by which people keep oneDNN from newer instructions, is heeded.
    """
    allowed = (os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "default").upper()
    if "AMX" not in allowed and allowed not in ("DEFAULT", "ALL"):
        return False
    if not installed("torch"):
        return "amx_bf16" in cpu_features()
    ask = getattr(importlib.import_module("torch").cpu, "_is_amx_tile_supported", None)
    return bool(ask is not None and ask())


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == key), "")
