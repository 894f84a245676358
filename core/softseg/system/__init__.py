"""What this machine offers and allows: memory, devices, threads, precision, and what counts as out of memory.

Everything that plans, predicts, trains or reports asks here, so that all of them see the same machine. Importing it
needs the standard library alone; PyTorch and psutil are loaded where a question needs them.
"""

from softseg.system.backend import (
    PROVIDERS,
    Processor,
    backend_of,
    graph_device,
    graph_precision,
    needs_torch,
    require_without_torch,
)
from softseg.system.compute import Device, device_of_process, devices, gpus, has_mps, memory, resolve_device
from softseg.system.cpu import cores, cpu_features, cpu_has_bfloat16_tiles, processor, threads_each
from softseg.system.out_of_memory import MEMORY_ERRORS, MEMORY_HINT, THREADS_HINT, is_out_of_memory, raise_out_of_memory
from softseg.system.packages import installed
from softseg.system.precision import autocast, resolve_precision
from softseg.system.ram import GIB, SMALL, Memory, free_memory, held_memory, main_memory, require_memory

__all__ = [
    "GIB",
    "MEMORY_ERRORS",
    "MEMORY_HINT",
    "PROVIDERS",
    "SMALL",
    "THREADS_HINT",
    "Device",
    "Memory",
    "Processor",
    "autocast",
    "backend_of",
    "cores",
    "cpu_features",
    "cpu_has_bfloat16_tiles",
    "device_of_process",
    "devices",
    "free_memory",
    "gpus",
    "graph_device",
    "graph_precision",
    "has_mps",
    "held_memory",
    "installed",
    "is_out_of_memory",
    "main_memory",
    "memory",
    "needs_torch",
    "processor",
    "raise_out_of_memory",
    "require_memory",
    "require_without_torch",
    "resolve_device",
    "resolve_precision",
    "threads_each",
]
