"""A dataset on a coarser grid, averaged from a finer one: quicker studies, and soft labels whose truth is known."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from softseg.data.cubes import Cube, file_of, read_channel
from softseg.data.dataset import Case, Dataset
from softseg.data.importers.common import write_dataset
from softseg.data.labels import class_count, read_labels
from softseg.errors import InputError
from softseg.events import Events
from softseg.image import Geometry, Image, write_image
from softseg.soft.labels import SoftLabels
from softseg.soft.resample import resample_image, resample_labels
from softseg.tree import LabelTree


def coarsen(
    dataset: Dataset,
    out: str | PathLike[str],
    spacing: Sequence[float],
    *,
    soft: bool = False,
    events: Events | None = None,
) -> Path:
    """Write all images and labels of a dataset with larger voxels, each the average of what lies in it.

    Whole-number images stay whole numbers (rounded); label maps get each voxel's class with the largest share, or,
    with ``soft``, a map per leaf with the shares themselves: the partial volume of the fine labels, known exactly.

    Parameters
    ----------
    dataset: with one set of labels per case; cubes of bands are not coarsened.
    out: folder for ``DATA.json``, ``images/`` and ``labels/``.
    spacing: mm along ``(i, j, k)``; 0 keeps the image's own.
    soft: write soft maps.
    events: progress, warnings; cancelling between cases.

    Returns
    -------
    ``out/DATA.json``.

    Raises
    ------
    InputError: a spacing is negative, a case has a mask, several raters or a cube, soft maps of inner nodes would be
        needed, or a file cannot be read or written.
    """
    events = Events() if events is None else events
    if len(spacing) != 3 or min(spacing) < 0 or max(spacing) == 0:
        raise InputError(f"expected spacings in mm, got {', '.join(map(str, spacing))}", field="spacing")
    folder = Path(out).absolute()
    events.stage("coarsen", len(dataset.cases))
    entries = []
    for number, case in enumerate(dataset.cases):
        entries.append(_coarse_case(case, dataset, folder, spacing, soft, events))
        events.progress(number + 1, len(dataset.cases))
    size = " x ".join("own" if mm == 0 else f"{mm:g}" for mm in spacing)
    return write_dataset(folder / "DATA.json", f"{dataset.name} at {size} mm", dataset.channels, dataset.tree, entries)


def _coarse_case(
    case: Case, dataset: Dataset, folder: Path, spacing: Sequence[float], soft: bool, events: Events
) -> dict[str, Any]:
    if case.mask is not None or isinstance(case.labels, list):
        raise InputError(
            f"case {case.id} has a mask or several raters, which are not coarsened", file=dataset.path, field="cases"
        )
    entry: dict[str, Any] = {"id": case.id, "group": case.group, "split": case.split, "images": {}}
    images = {channel: _read(case.images[channel]) for channel in dataset.channels}
    fine = images[dataset.channels[0]].geometry
    grid = _coarse(fine, spacing)
    for channel, image in images.items():
        array = resample_image(image, grid).array
        if image.array.dtype.kind in "iu":
            array = np.rint(array).astype(image.array.dtype)
        target = folder / "images" / f"{case.id}_{channel}.nii.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        entry["images"][channel] = write_image(Image(array, grid), target)
    events.check()
    labels = read_labels(case, dataset, fine, lambda image: image.array, events.warning)[0]
    averaged = resample_labels(labels, fine, grid)
    write = _write_soft if soft else _write_crisp
    entry["labels"] = write(averaged, dataset.tree, grid, folder / "labels" / case.id)
    return entry


def _read(path: Path) -> Image:
    image = read_channel(path)
    if isinstance(image, Cube):
        raise InputError("is a cube of bands, which is not coarsened", file=file_of(path))
    return image


def _coarse(fine: Geometry, spacing: Sequence[float]) -> Geometry:
    i, j, k = (own if wanted == 0 else float(wanted) for own, wanted in zip(fine.spacing, spacing, strict=True))
    return fine.resampled((i, j, k))


def _write_crisp(labels: SoftLabels, tree: LabelTree, grid: Geometry, stem: Path) -> Path:
    nodes = [*tree.leaves, *tree.inner_nodes]
    values = np.array([0 if node.value is None else node.value for node in nodes], np.uint16)
    largest = labels.largest()
    array = np.where(largest >= 0, values[np.maximum(largest, 0)], 0).astype(np.uint16)
    stem.parent.mkdir(parents=True, exist_ok=True)
    return write_image(Image(array, grid), stem.with_name(stem.name + ".nii.gz"))


def _write_soft(labels: SoftLabels, tree: LabelTree, grid: Geometry, stem: Path) -> dict[str, Path]:
    volumes = labels.volumes()
    if volumes[len(tree.leaves) :].any():
        raise InputError(
            f"case {stem.name} has labels of inner nodes; soft maps are written for leaves", field="--soft"
        )
    stem.mkdir(parents=True, exist_ok=True)
    dense = labels.dense(class_count(tree))
    return {
        leaf.id: write_image(Image(dense[number], grid), stem / f"{leaf.id}.nii.gz")
        for number, leaf in enumerate(tree.leaves)
        if leaf is not tree.background
    }
