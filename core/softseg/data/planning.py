"""Making a plan from the data and the memory there is. All rules are our defaults; any value can be overridden."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.cubes import read_channel
from softseg.data.cubes.bands import Bands, band_choices, fit_bands
from softseg.data.dataset import Dataset
from softseg.data.plan import MANY_BANDS, Crop, NetworkSpec, Normalization, Plan
from softseg.data.preprocess import plan_orientation
from softseg.data.survey import Scan, look_at, spread
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Geometry

ANISOTROPY_2D = 3.0
"""Slices more than this many times thicker than their pixels are cut into 2D patches ..."""

SLICES_2D = 40
"""... when there are at most this many of them in the median scan."""

CPU_VOXELS = 1_000_000
"""On a CPU, volumes are made coarser (at most twice) until the median scan has about so many voxels."""

PATCH_2D = 2.0
"""Side of a 2D patch in units of the foreground's size within a slice ..."""

LEAST_PATCH_2D = 64
"""... but at least so many pixels."""

PATCH_CUBE = 64
"""Side of a patch of many bands, in pixels; twice as many on a GPU."""

LOOKED_AT = 30
"""Training cases whose voxels are read to make a plan."""

_ZEROS = 0.25  # part of voxels that are exactly zero in a skull-stripped image


@dataclass(frozen=True)
class Machine:
    """What the plan may use: ``memory_gb`` of the device, and whether that is a GPU."""

    memory_gb: float
    gpu: bool

    @staticmethod
    def here(memory_gb: float | None = None) -> Machine:
        """Look at this machine: the first GPU if there is one, else the memory that is free now."""
        import torch

        if torch.cuda.is_available():
            total = torch.cuda.get_device_properties(0).total_memory / 2**30
            return Machine(total if memory_gb is None else memory_gb, True)
        import psutil

        return Machine(psutil.virtual_memory().available / 2**30 if memory_gb is None else memory_gb, False)


def make_plan(
    dataset: Dataset,
    *,
    memory_gb: float | None = None,
    overrides: dict[str, Any] | None = None,
    gpu: bool | None = None,
    events: Events | None = None,
) -> Plan:
    """Look at the training cases and decide spacing, patch size, normalisation, network and batch size.

    Parameters
    ----------
    dataset: what to train on; only its training cases are looked at.
    memory_gb: memory that training may use; by default that of the GPU, or what is free.
    overrides: values that stand whatever the data says, by dotted key (:meth:`Plan.with_overrides`); the other values
        follow from ``dimensions``, ``orientation`` and ``spacing`` where these are given.
    gpu: plan for a GPU or for a CPU; by default for what is here.
    events: told what was decided.

    Raises
    ------
    InputError: a file is wrong, there is no training case, or an override is unknown.
    """
    events = Events() if events is None else events
    cases = dataset.split("train")
    if not cases:
        raise InputError("no case is in the split 'train'", file=dataset.path, field="cases")
    machine = Machine.here(memory_gb)
    machine = machine if gpu is None else Machine(machine.memory_gb, gpu)
    chosen = spread(cases, LOOKED_AT)
    first = [read_channel(case.images[dataset.channels[0]]).geometry for case in chosen]
    fixed = _fixed(overrides or {})
    dimensions = fixed.dimensions or _dimensions(first)
    orientation = fixed.orientation or _most_common([plan_orientation(geometry, dimensions) for geometry in first])
    scans = look_at(chosen, dataset, orientation, dimensions, events)
    bands = _bands(dataset, scans, overrides)
    others = {key: value for key, value in (overrides or {}).items() if key.partition(".")[0] != "bands"}
    plan = _decide(dataset, scans, dimensions, orientation, fixed.spacing, bands, machine).with_overrides(others)
    plan = fitting_patch(plan, given="patch_size" in others)
    events.log(describe(plan, machine))
    return plan


def fitting_patch(plan: Plan, given: bool) -> Plan:
    """Return the plan with a patch that its network can halve as often as it does, rounded up where it was not given.

    Raises
    ------
    InputError: the patch that was given does not fit.
    """
    from softseg.network.architectures import window_multiple

    multiple = window_multiple(plan.network, plan.dimensions)[3 - plan.dimensions :]
    size = [math.ceil(side / step) * step for side, step in zip(plan.patch_size, multiple, strict=True)]
    if given and size != list(plan.patch_size):
        raise InputError(
            f"{plan.network.name} needs multiples of {' x '.join(map(str, multiple))}, got "
            f"{' x '.join(map(str, plan.patch_size))}",
            field="plan.patch_size",
            hint=f"the next larger patch is {size}",
        )
    return plan if given else plan.with_overrides({"patch_size": size})


@dataclass(frozen=True)
class _Fixed:
    """Overrides that other values follow from; None where not given (or wrong, which the plan itself will say)."""

    dimensions: int | None
    orientation: str | None
    spacing: tuple[float | None, float | None, float | None] | None


def _fixed(overrides: dict[str, Any]) -> _Fixed:
    dimensions, orientation, spacing = (overrides.get(name) for name in ("dimensions", "orientation", "spacing"))
    letters = {frozenset(pair) for pair in ("LR", "AP", "SI")}
    if not isinstance(orientation, str) or {p for p in letters for c in orientation if c in p} != letters:
        orientation = None
    good = isinstance(spacing, (list, tuple)) and len(spacing) == 3
    if not good or not all(value is None or (isinstance(value, (int, float)) and value > 0) for value in spacing or ()):
        spacing = None
    return _Fixed(
        dimensions if dimensions in (2, 3) else None,
        orientation if orientation is not None and len(orientation) == 3 else None,
        None if spacing is None else (spacing[0], spacing[1], spacing[2]),
    )


def describe(plan: Plan, machine: Machine | None = None) -> str:
    """Return the plan in one line for people."""
    spacing = " x ".join("own" if value is None else f"{value:g}" for value in plan.spacing)
    kinds = ", ".join(f"{name} {how.kind}" for name, how in plan.normalization.items())
    where = "" if machine is None else f" for {machine.memory_gb:.0f} GB of {'GPU' if machine.gpu else 'CPU'} memory"
    return (
        f"plan{where}: {plan.dimensions}D, spacing {spacing} mm (k, j, i), patch "
        f"{' x '.join(map(str, plan.patch_size))}, batch {plan.batch_size}, normalisation {kinds}, crop "
        f"{plan.crop.kind}, network {plan.network.name} {plan.network.options}, precision {plan.precision}"
    )


def _dimensions(geometries: Sequence[Geometry]) -> int:
    ratio = float(np.median([max(g.spacing) / min(g.spacing) for g in geometries]))
    slices = float(np.median([g.size[int(np.argmax(g.spacing))] for g in geometries]))
    thin = float(np.median([min(g.size) for g in geometries]))
    return 2 if (ratio > ANISOTROPY_2D and slices <= SLICES_2D) or thin < 8 else 3


def _most_common(names: Sequence[str]) -> str:
    return max(sorted(set(names)), key=list(names).count)


def _decide(
    dataset: Dataset,
    scans: list[Scan],
    dimensions: int,
    orientation: str,
    spacing: tuple[float | None, float | None, float | None] | None,
    bands: dict[str, Bands],
    machine: Machine,
) -> Plan:
    stripped = bool(np.median([np.min(scan.zeros) for scan in scans]) > _ZEROS)
    median = np.median([scan.spacing for scan in scans], axis=0)
    extent = np.median([np.multiply(scan.shape, scan.spacing) for scan in scans], axis=0)
    if spacing is None:
        spacing = _spacing_2d(scans) if dimensions == 2 else _spacing_3d(median, extent, machine)
    used = [own if value is None else value for own, value in zip(median, spacing, strict=True)]
    shape = np.maximum(1, np.round(extent / used)).astype(int)
    classes = len(dataset.tree.leaves)
    if dimensions == 2:
        sides = [scan.foreground_mm for scan in scans if scan.foreground_mm is not None]
        wanted = PATCH_2D * float(np.median(sides)) / min(used[1:]) if sides else None
        if sum(how.outputs for how in bands.values()) >= MANY_BANDS:
            patch, batch, options = _size_cube(shape, classes, machine)
        else:
            patch, batch, options = _size_2d(shape, classes, machine, wanted)
    else:
        patch, batch, options = _size_3d(shape, classes, machine)
    normal = {
        channel: Normalization(kind="bands")
        if channel in bands
        else _normalization([scan.samples[n] for scan in scans], [scan.zeros[n] for scan in scans])
        for n, channel in enumerate(dataset.channels)
    }
    return Plan(
        dimensions=2 if dimensions == 2 else 3,
        channels=dataset.channels,
        orientation=orientation,
        spacing=spacing,
        patch_size=patch,
        batch_size=batch,
        normalization=normal,
        bands=bands,
        crop=Crop(kind="nonzero" if stripped else "none"),
        network=NetworkSpec(name="DynUNet", options=options),
        statistics={
            "cases": len(scans),
            "median_spacing": [round(float(value), 4) for value in median],
            "median_extent_mm": [round(float(value), 1) for value in extent],
            "median_shape_at_spacing": [int(value) for value in shape],
            "zero_voxels": round(float(np.median([np.mean(scan.zeros) for scan in scans])), 3),
            "classes": classes,
        },
    )


def _bands(dataset: Dataset, scans: Sequence[Scan], overrides: dict[str, Any] | None) -> dict[str, Bands]:
    """Return how the channels that are cubes become network input, fitted on all their spectra together."""
    choices = band_choices(overrides, dataset.channels)
    found = {}
    for n, channel in enumerate(dataset.channels):
        samples = [scan.samples[n] for scan in scans]
        counts = sorted({sample.shape[1] if sample.ndim == 2 else 1 for sample in samples})
        if len({(sample.ndim, sample.shape[1:]) for sample in samples}) > 1:
            raise InputError(
                f"the training cases differ in their number of bands: {', '.join(map(str, counts))}",
                file=dataset.path,
                field=f"channel {channel}",
            )
        if samples[0].ndim == 2:
            known = next((scan.wavelengths[n] for scan in scans if scan.wavelengths[n] is not None), None)
            found[channel] = fit_bands(np.concatenate(samples), choices[channel], known, "plan.bands")
    if not found and any(key.partition(".")[0] == "bands" for key in overrides or {}):
        raise InputError("no channel is a cube of bands", file=dataset.path, field="plan.bands")
    return found


def _spacing_3d(
    median: npt.NDArray[np.float64], extent: npt.NDArray[np.float64], machine: Machine
) -> tuple[float, float, float]:
    """Return the median spacing, not more than three times coarser along one axis; on a CPU at most twice coarser."""
    spacing = np.minimum(median, 3 * median.min())
    if not machine.gpu:
        factor = min(2.0, (float(np.prod(extent / spacing)) / CPU_VOXELS) ** (1 / 3))
        if factor > 1:
            finest = float(spacing.min())
            coarse = min(2 * finest, math.ceil(finest * factor * 2) / 2)
            spacing = np.maximum(spacing, coarse)
    return _three([round(float(value), 3) for value in spacing])


def _spacing_2d(scans: Sequence[Scan]) -> tuple[None, float, float]:
    """Return the finer quartile of the pixel sizes, so that small structures survive; slices stay where they are."""
    pixel = float(np.percentile([min(scan.spacing[1:]) for scan in scans], 25))
    return None, round(pixel, 3), round(pixel, 3)


def _size_3d(
    shape: npt.NDArray[np.int64], classes: int, machine: Machine
) -> tuple[tuple[int, ...], int, dict[str, Any]]:
    """Return patch, batch and network options: 4 levels on a CPU; 5 or 6 on a GPU with patches of up to 128."""
    if not machine.gpu:
        side, filters, batch = 64, [32, 64, 128, 256], 2
    elif machine.memory_gb < 10:
        side, filters, batch = 96, [32, 64, 128, 256, 320], 1
    else:
        side, filters, batch = (
            (96, [32, 64, 128, 256, 320], 2)
            if machine.memory_gb < 30
            else (
                128,
                [32, 64, 128, 256, 320],
                2,
            )
        )
    granule = 2 ** (len(filters) - 1)
    patch = _patch(shape, side, granule)
    while training_gb(patch, batch, classes, filters) > 0.7 * machine.memory_gb and (batch > 1 or max(patch) > granule):
        if batch > 1:
            batch -= 1
        else:
            patch = _patch(np.minimum(shape, max(patch) - granule), max(patch) - granule, granule)
    return patch, batch, {"filters": filters, "norm": "batch"}


def _size_2d(
    shape: npt.NDArray[np.int64], classes: int, machine: Machine, wanted: float | None
) -> tuple[tuple[int, ...], int, dict[str, Any]]:
    """Return patch, batch and network options; ``wanted`` pixels are enough to see the foreground in its surroundings.

    Patches much larger than a small structure hold so little of it that a regression loss stays at its mean for long.
    """
    filters = [32, 64, 128, 256, 512] if machine.gpu else [16, 32, 64, 128, 256]
    granule = 2 ** (len(filters) - 1)
    side = 256 if machine.gpu else 128
    if wanted is not None:
        side = int(min(side, max(LEAST_PATCH_2D, math.ceil(wanted / granule) * granule)))
    patch = _patch(shape[1:], side, granule)
    batch = 16
    while batch > 2 and training_gb(patch, batch, classes, filters) > 0.7 * machine.memory_gb:
        batch //= 2
    return patch, batch, {"filters": filters, "norm": "batch"}


def _size_cube(
    shape: npt.NDArray[np.int64], classes: int, machine: Machine
) -> tuple[tuple[int, ...], int, dict[str, Any]]:
    """Return patch, batch and network options for many bands: a small network, since bands say most and labels are few.

    It begins with convolutions of 1 x 1 pixel, which mix bands alone: 3 x 3 of hundreds of bands would take most of the
    time and nine times the weights.

    On a CPU a picture of 145 x 145 pixels and 200 bands is learned in about half a minute; an EfficientNet encoder
    takes several times as long and is therefore left to those who ask for it (``network: FlexibleUNet``).
    """
    filters = [64, 64, 128, 256] if machine.gpu else [32, 32, 64, 64]
    patch = _patch(shape[1:], PATCH_CUBE * (1 + machine.gpu), 2 ** (len(filters) - 1))
    batch = 16 if machine.gpu else 4
    while batch > 2 and training_gb(patch, batch, classes, filters) > 0.7 * machine.memory_gb:
        batch //= 2
    return patch, batch, {"filters": filters, "kernel_size": [1, *[3] * (len(filters) - 1)], "norm": "batch"}


def _patch(shape: npt.NDArray[np.int64], side: int, granule: int) -> tuple[int, ...]:
    """Return ``side`` along each axis, less where the median image is smaller, in multiples of ``granule``."""
    return tuple(int(min(side, max(granule, math.ceil(int(size) / granule) * granule))) for size in shape)


def training_gb(patch: Sequence[int], batch: int, classes: int, filters: Sequence[int]) -> float:
    """Return an estimate of the memory that a training step takes beside the program itself, in GB (2**30 bytes).

    It counts 20 feature maps of the first width and 6 of the class width, of 4 bytes a number: our rule of thumb.

    Parameters
    ----------
    patch: size of a patch in voxels.
    batch: patches in a step.
    classes: leaves of the tree.
    filters: width of the network's levels, the finest first.
    """
    return math.prod(patch) * batch * (20 * filters[0] + 6 * classes) * 4 / 2**30


def _normalization(samples: Sequence[npt.NDArray[np.float32]], zeros: Sequence[float]) -> Normalization:
    if float(np.median(zeros)) > _ZEROS and all(sample.min() >= 0 for sample in samples):
        return Normalization(kind="z-score-nonzero")
    together = np.concatenate(list(samples))
    if float(np.median([sample.min() for sample in samples])) <= -900:
        inside = together[together > -900]
        low, high = np.percentile(inside, (0.5, 99.5))
        clipped = np.clip(inside, low, high)
        return Normalization(
            kind="ct", lower=float(low), upper=float(high), mean=float(clipped.mean()), sd=float(clipped.std())
        )
    return Normalization(kind="z-score")


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    return values[0], values[1], values[2]
