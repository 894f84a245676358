"""Looking at training scans: what a plan needs to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.data.case import Case
from softseg.data.cubes import Cube, read_channel
from softseg.data.cubes.cube import filled, turn
from softseg.data.dataset import Dataset
from softseg.data.labels import read_labels, read_mask
from softseg.data.plan import Crop
from softseg.data.preprocess import check_image, crop_box
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Geometry, reorient
from softseg.types import IGNORE_INDEX

SAMPLES = 20000
"""About so many intensities of a scan, or spectra of a cube, are looked at."""


@dataclass(frozen=True, eq=False)
class Scan:
    """What a plan needs to know of one training scan, turned to the plan's orientation and cropped.

    Attributes
    ----------
    spacing: mm, ``(k, j, i)``.
    shape: voxels of the box that is not exactly zero, ``(k, j, i)``.
    zeros: fraction of voxels that are exactly zero (in all bands), by channel.
    samples: some intensities of that box, by channel; of a channel that is a cube, spectra ``[pixels, bands]`` of
        pixels that are not zero in all bands and lie inside the case's mask, if it has one.
    foreground_mm: size of the labelled foreground within a slice, mm; None in 3D and where nothing is labelled.
    wavelengths: of the bands in nm, by channel; None where it is no cube or the file has none.
    """

    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]
    zeros: tuple[float, ...]
    samples: tuple[npt.NDArray[np.float32], ...]
    foreground_mm: float | None = None
    wavelengths: tuple[tuple[float, ...] | None, ...] = ()


def spread(cases: Sequence[Case], count: int) -> list[Case]:
    """Return at most ``count`` cases, evenly over the list."""
    places = np.unique(np.linspace(0, len(cases) - 1, min(count, len(cases))).round().astype(int))
    return [cases[place] for place in places]


def look_at(cases: Sequence[Case], dataset: Dataset, orientation: str, dimensions: int, events: Events) -> list[Scan]:
    """Read ``cases`` and return what a plan needs to know of each.

    Raises
    ------
    InputError: a file is missing or damaged, or labels do not fit the tree.
    """
    events.stage("plan", total=len(cases))
    scans = []
    for done, case in enumerate(cases):
        read = [read_channel(case.images[channel]) for channel in dataset.channels]
        turned = [turn(image, orientation) for image in read]
        arrays = [filled(image) for image in turned]
        spacing = turned[0].geometry.spacing_kji
        zeros = tuple(float((array == 0).mean()) for array in arrays)
        box = crop_box(arrays, spacing, Crop(kind="nonzero"))
        shape = arrays[0][box].shape
        valid = None
        if case.mask is not None and any(isinstance(image, Cube) for image in turned):
            valid = read_mask(case.mask, read[0].geometry, lambda image: reorient(image, orientation).array)
        samples = []
        for channel, image, array in zip(dataset.channels, turned, arrays, strict=True):
            check_image(image, channel, case.images[channel])
            if isinstance(image, Cube):
                spectra = _spectra(image, array if valid is None else array & valid)
                if not len(spectra):
                    raise InputError("the mask leaves no pixel", file=case.mask, field=f"{case.id}: mask")
                samples.append(spectra)
            else:
                samples.append(np.asarray(array[box].ravel()[:: max(1, array[box].size // SAMPLES)], np.float32))
        foreground = None
        if dimensions == 2:
            foreground = _foreground_mm(case, dataset, read[0].geometry, orientation, spacing)
        known = tuple(image.wavelengths if isinstance(image, Cube) else None for image in turned)
        scans.append(Scan(spacing, (shape[0], shape[1], shape[2]), zeros, tuple(samples), foreground, known))
        events.progress(done + 1, len(cases))
    return scans


def _spectra(image: Cube, wanted: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Return spectra ``[pixels, bands]`` of some of the pixels that are wanted."""
    pixels = np.flatnonzero(wanted)
    pixels = pixels[:: max(1, pixels.size // SAMPLES)]
    return np.asarray(image.array.reshape(image.bands, -1)[:, pixels].T, np.float32)


def _foreground_mm(
    case: Case, dataset: Dataset, geometry: Geometry, orientation: str, spacing: tuple[float, float, float]
) -> float | None:
    """Return how large (mm) the labelled foreground is within a slice: the longer side of its box, 90th percentile."""
    background = dataset.tree.background
    empty = {IGNORE_INDEX} | (set() if background is None else {dataset.tree.class_index(background.id)})
    raters = read_labels(
        case, dataset, geometry, take=lambda image: reorient(image, orientation).array, warn=lambda _: None
    )
    inside = np.any([~np.isin(rater.largest(), list(empty)) for rater in raters], axis=0)
    sides = []
    for plane in inside[inside.any(axis=(1, 2))]:
        rows, columns = np.nonzero(plane)
        sides.append(max(float(np.ptp(rows) + 1) * spacing[1], float(np.ptp(columns) + 1) * spacing[2]))
    return float(np.percentile(sides, 90)) if sides else None
