"""Looking at training scans: what a plan needs to know of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from softseg.data.dataset import Case, Dataset
from softseg.data.labels import read_labels
from softseg.data.plan import Crop
from softseg.data.preprocess import crop_box
from softseg.events import Events
from softseg.image import Geometry, read_image, reorient
from softseg.types import IGNORE_INDEX


@dataclass(frozen=True, eq=False)
class Scan:
    """What a plan needs to know of one training scan, turned to the plan's orientation and cropped.

    Attributes
    ----------
    spacing: mm, ``(k, j, i)``.
    shape: voxels of the box that is not exactly zero, ``(k, j, i)``.
    zeros: share of voxels that are exactly zero, by channel.
    samples: some intensities of that box, by channel.
    foreground_mm: size of the labelled foreground within a slice, mm; None in 3D and where nothing is labelled.
    """

    spacing: tuple[float, float, float]
    shape: tuple[int, int, int]
    zeros: tuple[float, ...]
    samples: tuple[npt.NDArray[np.float32], ...]
    foreground_mm: float | None = None


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
        read = [read_image(case.images[channel]) for channel in dataset.channels]
        turned = [reorient(image, orientation) for image in read]
        arrays = [image.array for image in turned]
        spacing = turned[0].geometry.spacing_kji
        zeros = tuple(float((array == 0).mean()) for array in arrays)
        box = crop_box(arrays, spacing, Crop(kind="nonzero"))
        cropped = [array[box] for array in arrays]
        shape = cropped[0].shape
        step = max(1, cropped[0].size // 20000)
        samples = tuple(np.asarray(array.ravel()[::step], np.float32) for array in cropped)
        foreground = None
        if dimensions == 2:
            foreground = _foreground_mm(case, dataset, read[0].geometry, orientation, spacing)
        scans.append(Scan(spacing, (shape[0], shape[1], shape[2]), zeros, samples, foreground))
        events.progress(done + 1, len(cases))
    return scans


def _foreground_mm(
    case: Case, dataset: Dataset, geometry: Geometry, orientation: str, spacing: tuple[float, float, float]
) -> float | None:
    """Return how large (mm) the labelled foreground is within a slice: the longer side of its box, 90th percentile."""
    background = dataset.tree.background
    empty = {IGNORE_INDEX} | (set() if background is None else {dataset.tree.class_index(background.id)})
    raters = read_labels(
        case, dataset, geometry, take=lambda image: reorient(image, orientation).array, warn=lambda _: None
    )
    inside = ~np.isin(raters[0].largest(), list(empty))
    sides = []
    for plane in inside[inside.any(axis=(1, 2))]:
        rows, columns = np.nonzero(plane)
        sides.append(max(float(np.ptp(rows) + 1) * spacing[1], float(np.ptp(columns) + 1) * spacing[2]))
    return float(np.percentile(sides, 90)) if sides else None
