"""Making a plan from the data and the memory there is. All rules are our defaults; any value can be overridden."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from softseg.data.cubes import read_channel
from softseg.data.cubes.bands import Bands, band_choices, fit_bands
from softseg.data.dataset import Dataset
from softseg.data.plan import LARGEST_SPACING, MANY_BANDS, Crop, NetworkSpec, Normalization, Plan
from softseg.data.preprocess import plan_orientation
from softseg.data.sizes import size_2d, size_3d, size_cube, spacing_2d, spacing_3d
from softseg.data.survey import Scan, look_at, spread
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Geometry
from softseg.overrides import below, but
from softseg.system import GIB, memory, resolve_device

if TYPE_CHECKING:
    import torch

ANISOTROPY_2D = 3.0
"""Slices more than this many times thicker than their pixels are cut into 2D patches ..."""

SLICES_2D = 40
"""... when there are at most this many of them in the median scan."""

PATCH_2D = 2.0
"""Side of a 2D patch in units of the foreground's size within a slice, at least LEAST_PATCH_2D pixels."""

LOOKED_AT = 30
"""Training cases whose voxels are read to make a plan."""

_ZEROS = 0.25  # part of voxels that are exactly zero in a skull-stripped image


@dataclass(frozen=True)
class Hardware:
    """What the plan may use: ``memory_gb`` of the device, and whether that is a GPU."""

    memory_gb: float
    gpu: bool

    @staticmethod
    def here(memory_gb: float | None = None, device: str | torch.device = "auto") -> Hardware:
        """Look at the device that training will use: the memory of a GPU, or what is free for the CPU now.

        Parameters
        ----------
        memory_gb: takes the place of what is found.
        device: as :func:`softseg.system.resolve_device` takes it.
        """
        chosen = resolve_device(device)
        gpu = chosen.type == "cuda"
        if memory_gb is None:
            there = memory(chosen)
            memory_gb = (there.total if gpu else there.free) / GIB
        return Hardware(memory_gb, gpu)


def make_plan(
    dataset: Dataset,
    *,
    memory_gb: float | None = None,
    overrides: dict[str, Any] | None = None,
    device: str | torch.device = "auto",
    gpu: bool | None = None,
    events: Events | None = None,
) -> Plan:
    """Look at the training cases and decide spacing, patch size, normalisation, network and batch size.

    Parameters
    ----------
    dataset: what to train on; only its training cases are looked at.
    memory_gb: memory that training may use; by default that of the GPU, or what is free for the CPU.
    overrides: fixed values by dotted key (:meth:`Plan.with_overrides`); the other values
        follow from ``dimensions``, ``orientation`` and ``spacing`` where these are given.
    device: what will be trained on; its memory counts, never another device's.
    gpu: plan as for a GPU or as for a CPU, whatever ``device`` is; False alone means the device ``"cpu"``.
    events: receives what was decided.

    Raises
    ------
    InputError: a file is wrong, there is no training case, or an override is unknown.
    """
    events = Events() if events is None else events
    cases = dataset.split("train")
    if not cases:
        raise InputError("no case is in the split 'train'", file=dataset.path, field="cases")
    machine = Hardware.here(memory_gb, "cpu" if gpu is False and str(device) == "auto" else device)
    machine = machine if gpu is None else Hardware(machine.memory_gb, gpu)
    chosen = spread(cases, LOOKED_AT)
    first = [_plausible(case.images[dataset.channels[0]]) for case in chosen]
    fixed = _fixed(overrides or {})
    dimensions = fixed.dimensions or _dimensions(first)
    orientation = fixed.orientation or _most_common([plan_orientation(geometry, dimensions) for geometry in first])
    scans = look_at(chosen, dataset, orientation, dimensions, events)
    bands = _bands(dataset, scans, overrides)
    others = but(overrides, "bands")
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
    from softseg.data.network_options import window_multiple

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


def _plausible(file: Path) -> Geometry:
    """Return the grid of an image, whose voxels a plan can have."""
    geometry = read_channel(file).geometry
    if max(geometry.spacing) > LARGEST_SPACING:
        shown = " x ".join(f"{value:g}" for value in geometry.spacing)
        raise InputError(
            f"has voxels of {shown} mm, expected at most {LARGEST_SPACING}",
            file=file,
            field="spacing",
            hint="correct the spacing, or its unit, in the header",
        )
    return geometry


@dataclass(frozen=True)
class _Fixed:
    """Overrides that other values follow from; None where not given (or wrong: the plan reports it)."""

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


def describe(plan: Plan, machine: Hardware | None = None) -> str:
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
    machine: Hardware,
) -> Plan:
    stripped = bool(np.median([np.min(scan.zeros) for scan in scans]) > _ZEROS)
    median = np.median([scan.spacing for scan in scans], axis=0)
    extent = np.median([np.multiply(scan.shape, scan.spacing) for scan in scans], axis=0)
    if spacing is None:
        spacing = spacing_2d(scans) if dimensions == 2 else spacing_3d(median, extent, machine)
    used = [own if value is None else value for own, value in zip(median, spacing, strict=True)]
    shape = np.maximum(1, np.round(extent / used)).astype(int)
    classes = len(dataset.tree.leaves)
    if dimensions == 2:
        sides = [scan.foreground_mm for scan in scans if scan.foreground_mm is not None]
        wanted = PATCH_2D * float(np.median(sides)) / min(used[1:]) if sides else None
        if sum(how.outputs for how in bands.values()) >= MANY_BANDS:
            patch, batch, options = size_cube(shape, classes, machine)
        else:
            patch, batch, options = size_2d(shape, classes, machine, wanted)
    else:
        patch, batch, options = size_3d(shape, classes, machine)
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
    if not found and below(overrides, "bands"):
        raise InputError("no channel is a cube of bands", file=dataset.path, field="plan.bands")
    return found


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
