"""What this machine is and what it would allow: versions, devices, memory, disk, and the work that fits.

The needs are the estimates that the plan of a training and the start of a prediction use themselves, plus the program;
they say "fits" or "does not fit", not how long it takes.
"""

from __future__ import annotations

import importlib.metadata
import math
import os
import platform
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from softseg import system
from softseg.extras import command_for
from softseg.system import GIB, Device

PACKAGES = (
    "numpy",
    "scipy",
    "SimpleITK",
    "onnxruntime",
    "openvino",
    "torch",
    "monai",
    "onnx",
    "pydantic",
    "typer",
    "rich",
    "matplotlib",
)
CPU_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "neon", "asimd", "bf16")

_PROGRAM = 0.9 * GIB
"""Python, PyTorch and MONAI once loaded (an estimate)."""

_HEAD = (182, 218, 182)
"""A head at 1 mm (the MNI box)."""

_LEAVES = 135
_WINDOW = 64
_FILTERS = (32, 64, 128, 256)


_BACKENDS = ("torch", "onnxruntime", "openvino")
_TRAINING = ("torch", "monai")


@dataclass(frozen=True)
class Allowed:
    """One kind of work, whether it fits, and why."""

    work: str
    fits: bool
    reason: str


@dataclass(frozen=True)
class SystemReport:
    """Everything that ``softseg doctor`` knows.

    Attributes
    ----------
    versions: package to version, None where it is not installed.
    cores: that this process may use.
    cpu_tiles: whether the CPU multiplies bfloat16 in AMX tiles.
    memory, memory_free: bytes, within the limits of a container.
    disk_free: bytes where ``folder`` is.
    """

    system: str
    python: str
    softseg: str
    versions: dict[str, str | None]
    processor: str
    cores: int
    cpu_features: tuple[str, ...]
    cpu_tiles: bool
    memory: int
    memory_free: int
    folder: str
    disk_free: int
    devices: tuple[Device, ...]
    models: tuple[str, ...]

    def allows(self) -> tuple[Allowed, ...]:
        """Return what fits into this machine, from the least to the most demanding."""
        return (
            Allowed("look at, collapse and edit results and trees", True, "needs numpy, scipy and SimpleITK only"),
            self._predict(2),
            self._predict(1),
            self._train(64),
            self._train(128),
            _compared("keep the prepared scans of 100 heads at 1 mm", 3000 * math.prod(_HEAD), self.disk_free, "disk"),
        )

    def precision(self) -> str:
        """Return the arithmetic that ``precision: auto`` takes, in words."""
        if any(device.name.startswith("cuda") for device in self.devices):
            return "mixed precision on the GPU"
        if self.cpu_tiles:
            return "bfloat16 (this CPU has AMX tiles)"
        return "float32 (this CPU has no AMX tiles; bfloat16 would be slower)"

    def to_json(self) -> dict[str, Any]:
        """Return everything, and what it allows, as plain values; sizes in bytes."""
        allows = [asdict(item) for item in self.allows()]
        return {**asdict(self), "precision": self.precision(), "allows": allows}

    def to_text(self) -> str:
        """Return the same for people."""
        versions = ", ".join(f"{name} {version or 'missing'}" for name, version in self.versions.items())
        lines = [
            f"softseg {self.softseg}, Python {self.python}, {self.system}",
            f"packages   {versions}",
            f"processor  {self.processor}, {self.cores} cores, {' '.join(self.cpu_features) or 'no known extensions'}",
            f"memory     {_gib(self.memory_free)} free of {_gib(self.memory)}",
            f"disk       {_gib(self.disk_free)} free in {self.folder}",
            *(f"device     {d.name}: {d.description}, {_gib(d.memory)}" for d in self.devices),
            f"precision  {self.precision()}",
            f"models     {', '.join(self.models) or 'none shipped here'}",
            "",
            *(f"{'yes' if item.fits else 'no ':3}  {item.work}: {item.reason}" for item in self.allows()),
        ]
        return "\n".join(lines)

    def _predict(self, spacing: int) -> Allowed:
        work = f"predict a 1 mm head with {_LEAVES} leaves, model grid {spacing} mm"
        if all(self.versions.get(name) is None for name in _BACKENDS):
            return Allowed(work, False, f"neither ONNX Runtime nor PyTorch is installed ({command_for('onnxruntime')})")
        from softseg.prediction.head_work import head_work

        k, j, i = (math.ceil(size / spacing) for size in _HEAD)
        need = head_work(_LEAVES, (k, j, i), _HEAD, (_WINDOW,) * 3).needed
        return _compared(work, _PROGRAM + need, self.memory_free, "memory")

    def _train(self, side: int) -> Allowed:
        work = f"train on patches of {side} x {side} x {side}, batch 2, {_LEAVES} leaves"
        if any(self.versions.get(name) is None for name in _TRAINING):
            return Allowed(work, False, f"PyTorch and MONAI are not both installed ({command_for('torch')})")
        from softseg.data import training_gb

        gpu = max((d.memory for d in self.devices if d.name.startswith("cuda")), default=0)
        need = _PROGRAM + training_gb((side,) * 3, 2, _LEAVES, _FILTERS) * GIB
        return _compared(work, need, gpu or self.memory_free, "GPU memory" if gpu else "memory")


def examine(folder: str | os.PathLike[str] = ".") -> SystemReport:
    """Look at this machine; ``folder`` is where results would go."""
    from softseg import __version__

    main, features = system.memory(), system.cpu_features()
    place = Path(folder).resolve()
    return SystemReport(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        softseg=__version__,
        versions={name: _version(name) for name in PACKAGES},
        processor=system.processor() or platform.processor() or platform.machine(),
        cores=system.cores(),
        cpu_features=tuple(feature for feature in CPU_FEATURES if feature in features),
        cpu_tiles=system.cpu_has_bfloat16_tiles(),
        memory=main.total,
        memory_free=main.free,
        folder=str(place),
        disk_free=shutil.disk_usage(place).free,
        devices=system.devices(),
        models=_models(),
    )


def _compared(work: str, need: float, there: float, kind: str) -> Allowed:
    return Allowed(work, need <= there, f"needs an estimated {_gib(need)} of {kind}, {_gib(there)} free")


def _version(package: str) -> str | None:
    if not system.installed(package):  # also where only its description is left
        return None
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _models() -> tuple[str, ...]:
    from softseg.errors import InputError
    from softseg.resources import list_models

    try:
        return tuple(list_models())
    except InputError:
        return ()


def _gib(size: float) -> str:
    return f"{size / GIB:.1f} GB"
