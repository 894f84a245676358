"""What computes: the CPU and the GPUs, their memory, and the choice among them."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from softseg.errors import InputError
from softseg.events import Events
from softseg.system.cpu import processor
from softseg.system.packages import installed
from softseg.system.ram import Memory, main_memory

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Device:
    """Something that computes: ``name`` as for ``--device``, what it is, its memory (bytes)."""

    name: str
    description: str
    memory: int


def devices() -> tuple[Device, ...]:
    """Return the CPU and the GPUs of this machine; an Apple GPU shares the machine's memory."""
    found = [Device("cpu", processor(), main_memory().total)]
    for index in range(gpus()):
        properties = _torch().cuda.get_device_properties(index)
        found.append(Device(f"cuda:{index}", properties.name, int(properties.total_memory)))
    if has_mps():
        found.append(Device("mps", "Apple GPU (Metal)", main_memory().total))
    return tuple(found)


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
    return main_memory()


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


def _described(device: Any) -> str:
    torch = _torch()
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    if device.type == "mps":
        return "mps (Apple GPU)"
    return f"cpu ({torch.get_num_threads()} threads)"


def _torch() -> Any:
    return importlib.import_module("torch")
