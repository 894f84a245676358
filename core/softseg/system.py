"""What this machine offers and allows: memory, devices, threads, precision, and what counts as out of memory.

Everything that plans, predicts, trains or reports asks here, so that all of them see the same machine. Importing it
needs the standard library alone; PyTorch and psutil are loaded where a question needs them.
"""

from __future__ import annotations

import contextlib
import errno
import importlib
import importlib.util
import math
import os
import re
import sys
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softseg import cgroups
from softseg.address_space import address_space_limits
from softseg.errors import InputError, OutOfMemoryError
from softseg.events import Events
from softseg.requests.predict import PRECISIONS

if TYPE_CHECKING:
    import torch

GIB = 2**30

SMALL = 64 << 20
"""Bytes that are allocated without asking whether they are free."""

MEMORY_HINT = "close other programs, choose --device cpu, or a smaller patch or batch (softseg doctor shows what fits)"

THREADS_HINT = "close other programs, raise the limits of memory and processes (ulimit -a), or set OMP_NUM_THREADS=1"


@dataclass(frozen=True)
class Memory:
    """Bytes that there are, and those that are free now."""

    total: int
    free: int


def memory(device: str | torch.device = "cpu") -> Memory:
    """Return the memory of a device: of ``"cpu"`` the machine's, within the limits of a container (cgroup v1 and v2).

    Parameters
    ----------
    device: any name that :func:`resolve_device` takes.

    Raises
    ------
    InputError: the name is unknown, or there is no such device.
    """
    if str(device) != "cpu":
        chosen = resolve_device(device)
        if chosen.type == "cuda":
            free, total = _torch().cuda.mem_get_info(chosen)
            return Memory(int(total), int(free))
    total, free = _machine_memory()
    limits = [*cgroups.memory_limits(), *address_space_limits()]
    return Memory(min([total, *(limit.total for limit in limits)]), min([free, *(limit.free for limit in limits)]))


def free_memory() -> int:
    """Return the bytes of main memory that are free for this process now."""
    return memory().free


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
    raise InputError("the Python package psutil is not installed", hint="pip install psutil")


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
    ask = getattr(_torch().cpu, "_is_amx_tile_supported", None)
    return bool(ask is not None and ask())


def _cpuinfo(key: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.split(":")[0].strip() == key), "")


@dataclass(frozen=True)
class Device:
    """Something that computes: ``name`` as for ``--device``, what it is, its memory (bytes)."""

    name: str
    description: str
    memory: int


def devices() -> tuple[Device, ...]:
    """Return the CPU and the GPUs of this machine; an Apple GPU shares the machine's memory."""
    found = [Device("cpu", processor(), memory().total)]
    for index in range(gpus()):
        properties = _torch().cuda.get_device_properties(index)
        found.append(Device(f"cuda:{index}", properties.name, int(properties.total_memory)))
    if has_mps():
        found.append(Device("mps", "Apple GPU (Metal)", memory().total))
    return tuple(found)


def gpus() -> int:
    """Return how many CUDA devices PyTorch can use; 0 without PyTorch."""
    if not installed("torch"):
        return 0
    cuda = _torch().cuda
    return int(cuda.device_count()) if cuda.is_available() else 0


def has_mps() -> bool:
    """Whether PyTorch can use an Apple GPU."""
    if not installed("torch"):
        return False
    backend = getattr(_torch().backends, "mps", None)
    return bool(backend is not None and backend.is_available())


def resolve_device(device: str | torch.device, events: Events | None = None) -> torch.device:
    """Return the device of that name; ``"auto"`` is the first CUDA device if there is one, else the CPU.

    ``"mps"`` is an Apple GPU, which is for predictions and only taken when named: nobody has measured it yet.

    The choice is announced through ``events``.

    Raises
    ------
    InputError: the name is unknown, or a CUDA device was asked for that this machine does not have.
    """
    torch = _torch()
    name = str(device)
    if name == "auto":
        chosen = torch.device("cuda:0" if gpus() else "cpu")
    else:
        try:
            chosen = torch.device(device)
        except RuntimeError as error:
            raise InputError(f"expected auto, cpu or cuda:N, got {name!r}", field="device") from error
    if chosen.type == "mps" and not has_mps():
        raise InputError(
            "mps was asked for, but this machine offers no Apple GPU", field="device", hint="use --device auto"
        )
    if chosen.type not in ("cpu", "cuda", "mps"):
        raise InputError(f"expected auto, cpu or cuda:N, got {name!r}", field="device")
    if chosen.type == "cuda" and (chosen.index or 0) >= gpus():
        raise InputError(
            f"{name} was asked for, but this machine offers {gpus()} CUDA devices",
            field="device",
            hint="use --device auto or --device cpu",
        )
    if events is not None:
        events.log(
            f"device: {_described(chosen)}" + (", no CUDA device found" if (name, gpus()) == ("auto", 0) else "")
        )
    return chosen  # type: ignore[no-any-return]


def device_of_process(device: str, local: int, processes: int) -> str:
    """Return the device of process ``local`` of the ``processes`` on this machine that train together.

    Raises
    ------
    InputError: fewer GPUs than processes, or one GPU was named for all.
    """
    there = gpus()
    if device == "cpu" or (device == "auto" and there == 0):
        return "cpu"
    if device not in ("auto", "cuda"):
        raise InputError(
            f"{device} was asked for, but {processes} processes need a device each",
            field="device",
            hint="use --device auto or --device cpu; CUDA_VISIBLE_DEVICES chooses among the GPUs",
        )
    if there < processes:
        raise InputError(
            f"{processes} processes were started on a machine with {there} GPUs",
            field="device",
            hint=f"use --nproc-per-node {there}, or --device cpu" if there else "use --device cpu",
        )
    return f"cuda:{local}"


def resolve_precision(precision: str, device: torch.device | Processor) -> torch.dtype:
    """Return the number type of the convolutions; probabilities are always formed and summed in float32.

    ``"auto"``: bfloat16 on CPUs with AMX tiles and on GPUs that have it, float16 on older GPUs, float32 on other CPUs.

    Raises
    ------
    InputError: the name is unknown, or float16 was asked for on a CPU.
    """
    torch = _torch()
    if precision not in PRECISIONS:
        raise InputError(f"expected {', '.join(PRECISIONS)}, got {precision!r}", field="precision")
    if precision == "float16" and device.type == "cpu":
        raise InputError("float16 is for GPUs", field="precision", hint="use auto, float32 or bfloat16")
    if precision == "auto" and device.type == "cuda":
        precision = "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float16"
    elif precision == "auto":
        precision = "bfloat16" if cpu_has_bfloat16_tiles() else "float32"
    return getattr(torch, precision)  # type: ignore[no-any-return]


def autocast(dtype: torch.dtype, device: torch.device) -> contextlib.AbstractContextManager[object]:
    """Return the context in which convolutions compute in ``dtype``; nothing for float32."""
    torch = _torch()
    if dtype == torch.float32:
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=dtype)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Processor:
    """The CPU, as :func:`resolve_device` returns it, where there is no PyTorch to say so."""

    type: str = "cpu"

    def __str__(self) -> str:
        """Return its name."""
        return self.type


def installed(package: str) -> bool:
    """Whether a Python package can be imported here."""
    try:
        return importlib.util.find_spec(package) is not None
    except (ImportError, ValueError):  # it is there but shut out
        return False


def chosen_backend(backend: str) -> str:
    """Return the library that runs networks, ``"torch"`` or ``"onnx"``; ``"auto"`` is PyTorch where it is installed.

    Raises
    ------
    InputError: it is not installed.
    """
    package = {"torch": "torch", "onnx": "onnxruntime"}
    chosen = backend if backend != "auto" else "torch" if installed("torch") or not installed("onnxruntime") else "onnx"
    if not installed(package[chosen]):
        raise InputError(
            f"the Python package {package[chosen]} is not installed",
            field="backend",
            hint="pip install 'softseg[engine]'" if backend != "onnx" else "pip install onnxruntime",
        )
    return chosen


def onnx_device(device: str, events: Events | None = None) -> Processor:
    """Return the device on which ONNX Runtime runs networks: the CPU.

    Raises
    ------
    InputError: another one was asked for.
    """
    if device not in ("auto", "cpu"):
        raise InputError(
            f"ONNX Runtime computes on the CPU here, got {device!r}", field="device", hint="use --backend torch"
        )
    if events is not None:
        events.log(f"device: cpu, ONNX Runtime ({threads_each(1)} threads)")
    return Processor()


def onnx_precision(precision: str | None) -> str:
    """Return the number type in which ONNX Runtime computes: float32.

    Raises
    ------
    InputError: another one was asked for.
    """
    if precision not in (None, "auto", "float32"):
        raise InputError(
            f"ONNX Runtime computes in float32 here, got {precision!r}", field="precision", hint="use --backend torch"
        )
    return "float32"


def _described(device: Any) -> str:
    torch = _torch()
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "mps":
        return "mps (Apple GPU)"
    return f"cpu ({torch.get_num_threads()} threads)"


def _torch() -> Any:
    return importlib.import_module("torch")


# ----------------------------------------------------------------------------------------------------- out of memory

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
