"""A dataset cut to its labels, or on a coarser grid: quicker studies, and soft labels whose truth is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from softseg.data.case import Case
from softseg.data.cubes import Cube, file_of, read_channel
from softseg.data.dataset import Dataset
from softseg.data.labels import class_count, read_labels
from softseg.data.writing import write_dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import write_together
from softseg.image import Geometry, Image, write_image
from softseg.requests.names import file_names
from softseg.soft.labels import SoftLabels
from softseg.soft.resample import resample_image, resample_labels
from softseg.tree import LabelTree


def coarsen(
    dataset: Dataset,
    out: str | PathLike[str],
    spacing: Sequence[float],
    *,
    soft: bool = False,
    margin_mm: float | None = None,
    events: Events | None = None,
) -> Path:
    """Write all images and labels of a dataset with larger voxels, each the average of what lies in it.

    Whole-number images stay whole numbers (rounded); label maps get each voxel's class with the largest probability,
    or, with ``soft``, a map per leaf with the probabilities themselves: the partial volume of the fine labels, known
    exactly.

    Parameters
    ----------
    dataset: with one set of labels per case; cubes of bands are not coarsened.
    out: folder for ``DATA.json``, ``images/`` and ``labels/``.
    spacing: mm along ``(i, j, k)``; 0 keeps the image's own.
    soft: write soft maps.
    margin_mm: cut images and labels to the box of all that is labelled and not background, with so much around it, as
        if another method had found the place; None: nothing is cut.
    events: progress, warnings; cancelling between cases.

    Returns
    -------
    ``out/DATA.json``.

    Raises
    ------
    InputError: a spacing or the margin is negative, nothing would change, a case has a mask, several raters, a cube or
        nothing to cut to, soft maps of inner nodes would be needed, or a file cannot be read or written.
    """
    events = Events() if events is None else events
    if len(spacing) != 3 or min(spacing) < 0 or (max(spacing) == 0 and margin_mm is None):
        raise InputError(f"expected spacings in mm, got {', '.join(map(str, spacing))}", field="spacing")
    if margin_mm is not None and margin_mm < 0:
        raise InputError(f"expected a margin of 0 mm or more, got {margin_mm:g}", field="margin")
    folder = Path(out).absolute()
    events.stage("coarsen", len(dataset.cases))
    names = _image_names(dataset)
    entries = []
    title = f"{dataset.name} at {' x '.join('own' if mm == 0 else f'{mm:g}' for mm in spacing)} mm"
    with write_together(folder / "DATA.json") as place:
        for number, case in enumerate(dataset.cases):
            entries.append(_coarse_case(case, dataset, place, names, spacing, soft, margin_mm, events))
            events.progress(number + 1, len(dataset.cases))
        write_dataset(place / "DATA.json", title, dataset.channels, dataset.tree, entries, lies_in=folder)
    return folder / "DATA.json"


def _image_names(dataset: Dataset) -> dict[str, str]:
    """Return the file name of every image of a dataset; ``a_b`` with ``c`` and ``a`` with ``b_c`` do not collide."""
    texts = {_key(case.id, channel): f"{case.id}_{channel}" for case in dataset.cases for channel in dataset.channels}
    return file_names(texts)


def _key(case: str, channel: str) -> str:
    return f"{case}\n{channel}"


def _coarse_case(
    case: Case,
    dataset: Dataset,
    folder: Path,
    names: Mapping[str, str],
    spacing: Sequence[float],
    soft: bool,
    margin_mm: float | None,
    events: Events,
) -> dict[str, Any]:
    if case.mask is not None or isinstance(case.labels, list):
        raise InputError(
            f"case {case.id} has a mask or several raters, which are not coarsened", file=dataset.path, field="cases"
        )
    entry: dict[str, Any] = {"id": case.id, "group": case.group, "split": case.split, "images": {}}
    images = {channel: _read(case.images[channel]) for channel in dataset.channels}
    fine = images[dataset.channels[0]].geometry
    labels = read_labels(case, dataset, fine, lambda image: image.array, events.warning)[0]
    if margin_mm is not None:
        box = _labelled_box(labels, case, dataset, fine, margin_mm)
        k, j, i = box
        fine = fine.cropped((k.start, j.start, i.start), (k.stop - k.start, j.stop - j.start, i.stop - i.start))
        labels = labels.cropped(box)
        images = {channel: Image(image.array[box], fine) for channel, image in images.items()}
    grid = _coarse(fine, spacing)
    for channel, image in images.items():
        array = resample_image(image, grid).array
        if image.array.dtype.kind in "iu":
            array = np.rint(array).astype(image.array.dtype)
        target = folder / "images" / f"{names[_key(case.id, channel)]}.nii.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        entry["images"][channel] = write_image(Image(array, grid), target)
    events.check()
    averaged = resample_labels(labels, fine, grid)
    write = _write_soft if soft else _write_crisp
    entry["labels"] = write(averaged, dataset.tree, grid, folder / "labels" / dataset.file_names[case.id])
    return entry


def _labelled_box(
    labels: SoftLabels, case: Case, dataset: Dataset, grid: Geometry, margin_mm: float
) -> tuple[slice, slice, slice]:
    """Return the box ``(k, j, i)`` of what is labelled and not background, with the margin, within the image."""
    largest = labels.largest()
    background = dataset.tree.background
    known = largest >= 0
    if background is not None:
        known &= largest != dataset.tree.leaf_index(background.id)
    if not known.any():
        raise InputError(f"case {case.id} has no label to cut to", file=dataset.path, field="margin")
    sides = []
    for axis, (size, mm) in enumerate(zip(known.shape, grid.spacing_kji, strict=True)):
        where = np.flatnonzero(known.any(axis=tuple(other for other in range(3) if other != axis)))
        around = int(np.ceil(margin_mm / mm))
        sides.append(slice(max(0, int(where[0]) - around), min(size, int(where[-1]) + 1 + around)))
    return sides[0], sides[1], sides[2]


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
    names = file_names(leaf.id for leaf in tree.leaves)
    return {
        leaf.id: write_image(Image(dense[number], grid), stem / f"{names[leaf.id]}.nii.gz")
        for number, leaf in enumerate(tree.leaves)
        if leaf is not tree.background
    }
