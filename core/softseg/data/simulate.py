"""Scribbles and missing structures made from full labels, to measure what sparse annotation costs.

How people paint is imitated simply, with rules that are ours: a scribble is a curve of one voxel's width that wanders
through one slice and never leaves its structure. What is not painted gets 0, which means unlabelled in positive-only
training (Wang et al., OOD-SEG, Medical Image Analysis 2026, work with labels of that kind).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.case import Case, Split
from softseg.data.cubes import read_label_map
from softseg.data.dataset import Dataset
from softseg.data.labels import settled_labels
from softseg.data.writing import write_dataset
from softseg.errors import InputError, naming
from softseg.events import Events
from softseg.files import write_together
from softseg.image import Image, write_image
from softseg.tree import LabelTree
from softseg.types import BoolArray

STROKE_LENGTH = 10
"""Voxels of a scribble (our default), fewer where the structure ends before."""

_TURN = 0.4  # radians, standard deviation of the change of direction at each voxel
_TRIES = 6  # new directions that are tried where the structure ends

LabelMap = npt.NDArray[np.integer[Any]]


def paint_scribbles(
    labels: LabelMap,
    *,
    per_structure: int | None = None,
    fraction: float | None = None,
    seed: int = 0,
    length: int = STROKE_LENGTH,
    background: int = 0,
) -> LabelMap:
    """Return the label map of an annotator who draws scribbles only.

    Parameters
    ----------
    labels: complete label map ``(k, j, i)``.
    per_structure: scribbles of each value. They may cross, so a small structure may get fewer voxels than asked for.
    fraction: instead, the part of each value's voxels that is painted, above 0 to 1; at least one voxel.
    seed: the same seed draws the same scribbles.
    length: voxels of a scribble, at most.
    background: this value is never painted.

    Returns
    -------
    Array of the same type: the value on scribbles, 0 elsewhere.

    Raises
    ------
    InputError: neither or both of ``per_structure`` and ``fraction``, or one of them out of range.
    """
    _check_amount(per_structure, fraction, length)
    painted = np.zeros_like(labels)
    flat = labels.reshape(-1)
    order = np.argsort(flat, kind="stable")
    values, starts, counts = np.unique(flat[order], return_index=True, return_counts=True)
    for value, start, count in zip(values, starts, counts, strict=True):
        if value in (0, background):
            continue
        generator = np.random.default_rng(np.random.SeedSequence([seed, int(value)]))
        voxels = np.stack(np.unravel_index(order[start : start + count], labels.shape), axis=1)
        budget = int(count) if fraction is None else max(1, math.ceil(fraction * int(count)))
        scribbles = per_structure if per_structure is not None else int(count)
        _paint_one(painted, labels == value, voxels, int(value), scribbles, budget, length, generator)
    return painted


def write_scribbles(
    dataset: Dataset,
    out: str | PathLike[str],
    *,
    per_structure: int | None = None,
    fraction: float | None = None,
    seed: int = 0,
    length: int = STROKE_LENGTH,
    splits: Sequence[Split] = ("train", "val"),
    events: Events | None = None,
) -> Path:
    """Write a dataset whose cases of ``splits`` have scribbles instead of complete label maps; images stay in place.

    Parameters
    ----------
    dataset: with one label map per case.
    out: folder for ``DATA.json`` and the new label maps.
    per_structure, fraction, seed, length: as for :func:`paint_scribbles`; each case gets its own scribbles.
    splits: whose labels change; the others keep complete labels, to be evaluated on.
    events: progress; cancelling between cases.

    Returns
    -------
    ``out/DATA.json``.

    Raises
    ------
    InputError: a case has several raters or soft maps, or a file cannot be read or written.
    """
    background = dataset.tree.background
    hidden = 0 if background is None or background.value is None else background.value

    def change(labels: LabelMap, number: int) -> LabelMap:
        own = int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
        return paint_scribbles(
            labels, per_structure=per_structure, fraction=fraction, seed=own, length=length, background=hidden
        )

    _check_amount(per_structure, fraction, length)
    return _derived(dataset, Path(out), "scribbles", splits, change, events)


def hold_out(
    dataset: Dataset,
    nodes: Sequence[str],
    out: str | PathLike[str],
    *,
    splits: Sequence[Split] = ("train", "val"),
    events: Events | None = None,
) -> Path:
    """Write a dataset in which some structures are unlabelled: what positive-only training then has never seen.

    Parameters
    ----------
    dataset: with one label map per case.
    nodes: ids of the nodes whose leaves (and own values) become 0.
    out: folder for ``DATA.json`` and the new label maps.
    splits: whose labels change.
    events: progress; cancelling between cases.

    Returns
    -------
    ``out/DATA.json``, with the same tree.

    Raises
    ------
    InputError: no such node, a case has several raters or soft maps, or a file cannot be read or written.
    """
    values = values_under(dataset.tree, nodes)
    return _derived(
        dataset,
        Path(out),
        "without " + ", ".join(nodes),
        splits,
        lambda labels, _: np.where(np.isin(labels, values), 0, labels).astype(labels.dtype),
        events,
    )


def values_under(tree: LabelTree, nodes: Sequence[str]) -> list[int]:
    """Return the label values of the leaves and groups that the named nodes are or contain.

    Raises
    ------
    InputError: no such node.
    """
    return [node.value for wanted in nodes for node in tree.branch(tree.find(wanted).id) if node.value is not None]


def _check_amount(per_structure: int | None, fraction: float | None, length: int) -> None:
    if (per_structure is None) == (fraction is None):
        raise InputError(
            "expected either a number of scribbles per structure or a fraction of its voxels", field="scribbles"
        )
    if per_structure is not None and per_structure < 1:
        raise InputError(f"expected at least 1 scribble, got {per_structure}", field="scribbles per structure")
    if fraction is not None and not 0 < fraction <= 1:
        raise InputError(f"expected a fraction above 0 and up to 1, got {fraction}", field="fraction")
    if length < 1:
        raise InputError(f"expected scribbles of at least 1 voxel, got {length}", field="length")


def _paint_one(
    painted: LabelMap,
    inside: BoolArray,
    voxels: npt.NDArray[np.intp],
    value: int,
    scribbles: int,
    budget: int,
    length: int,
    generator: np.random.Generator,
) -> None:
    """Draw scribbles of one value until there are enough of them or no voxel of the budget is left."""
    for start in generator.permutation(len(voxels))[:scribbles]:
        for voxel in _scribble(voxels[start], inside, length, generator):
            if painted[voxel] == 0:
                painted[voxel] = value
                budget -= 1
            if budget == 0:
                return


def _scribble(
    start: npt.NDArray[np.intp], inside: BoolArray, length: int, generator: np.random.Generator
) -> list[tuple[int, ...]]:
    """Return the voxels of one scribble within a slice: a walk that turns a little, and more where it would leave."""
    wide = [axis for axis in range(inside.ndim) if inside.shape[axis] > 1] or [inside.ndim - 1]
    plane = sorted(generator.choice(wide, min(2, len(wide)), replace=False))
    point = start.astype(np.float64)
    angle = generator.uniform(0, 2 * math.pi)
    path = [tuple(int(n) for n in start)]
    while len(path) < length:
        for attempt in range(_TRIES):
            angle += generator.normal(0, _TURN * (1 + attempt))
            ahead = point.copy()
            ahead[plane[0]] += math.cos(angle)
            ahead[plane[-1]] += math.sin(angle)
            voxel = tuple(int(n) for n in np.rint(ahead))
            if all(0 <= n < size for n, size in zip(voxel, inside.shape, strict=True)) and inside[voxel]:
                break
        else:
            return path
        point = ahead
        if voxel != path[-1]:
            path.append(voxel)
        elif generator.random() < 1 / length:  # a structure of a few voxels must not trap the walk
            return path
    return path


def _derived(
    dataset: Dataset,
    out: Path,
    what: str,
    splits: Sequence[Split],
    change: Callable[[LabelMap, int], LabelMap],
    events: Events | None,
) -> Path:
    events = Events() if events is None else events
    events.stage("paint", len(dataset.cases))
    folder, title, entries = out.absolute(), f"{dataset.name}, {what}", []
    with write_together(folder / "DATA.json") as place:
        for number, case in enumerate(dataset.cases):
            entry = {key: value for key, value in vars(case).items() if value is not None}
            if case.split in splits:
                image = read_only_map(case, dataset, events)
                target = place / "labels" / f"{dataset.file_names[case.id]}.nii.gz"
                entry["labels"] = write_image(Image(change(image.array, number), image.geometry), target)
                entry.pop("unlabelled", None)
            entries.append(entry)
            events.progress(number + 1, len(dataset.cases))
        write_dataset(place / "DATA.json", title, dataset.channels, dataset.tree, entries, lies_in=folder)
    return folder / "DATA.json"


def read_only_map(case: Case, dataset: Dataset, events: Events) -> Image:
    """Return the label map of a case: whole numbers, the value for unlabelled voxels (or background) made 0.

    Raises
    ------
    InputError: the case has several raters or soft maps, or values that are no whole numbers or not in the tree.
    """
    if not isinstance(case.labels, Path):
        raise InputError(
            f"case {case.id} has several raters or soft maps; here one label map is needed",
            file=dataset.path,
            field="labels",
            hint="fuse them first: softseg data fuse",
        )
    image = read_label_map(case.labels)
    array = settled_labels(image.array, case.labels, events.warning)
    if array.dtype.kind not in "iu":
        raise InputError("expected a label map of whole numbers, got soft labels", file=case.labels, field="labels")
    if case.unlabelled:
        array = np.where(array == case.unlabelled, 0, array).astype(array.dtype)
    values = np.unique(array)
    with naming(case.labels, "labels"):
        dataset.tree.to_class_indices(values[values != 0])
    return Image(array, image.geometry)
