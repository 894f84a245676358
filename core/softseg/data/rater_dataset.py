"""A dataset with several simulated raters per case, made from one with one set of labels per case."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from softseg.data.case import Case, Split
from softseg.data.cubes import read_channel
from softseg.data.dataset import Dataset
from softseg.data.disagreement import Disagreement, LabelMap, agreement, simulate_raters
from softseg.data.labels import read_labels
from softseg.data.writing import write_dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import write_beside, write_together
from softseg.image import Geometry, Image, write_image
from softseg.spreadsheets import write_rows
from softseg.types import IGNORE_INDEX

ALL_SPLITS: tuple[Split, ...] = ("train", "val", "test")
AGREEMENT_FILE = "raters.csv"

_CRISP = 1 - 1e-3  # probabilities from here on are no soft labels but rounding


def write_raters(
    dataset: Dataset,
    out: str | PathLike[str],
    how: Disagreement,
    *,
    seed: int = 0,
    splits: Sequence[Split] = ALL_SPLITS,
    events: Events | None = None,
) -> Path:
    """Write a dataset whose cases have the label maps of several simulated raters; images stay where they are.

    ``raters.csv`` beside it holds their agreement: by case and structure the mean Dice of all pairs of raters.

    Parameters
    ----------
    dataset: with one label map, or soft maps by node, per case. Where these are soft a voxel counts as its class with
        the largest probability, with a warning: a rater draws one class in each voxel.
    out: folder for ``DATA.json`` and ``labels/<case>/rater-N.nii.gz``.
    how: number of raters, bounds (:class:`softseg.data.disagreement.Disagreement`).
    seed: the same seed gives the same raters.
    splits: whose labels change; the others keep theirs.
    events: progress, warnings; cancelling between cases.

    Returns
    -------
    ``out/DATA.json``.

    Raises
    ------
    InputError: a case has several raters already, a label has no value to write, or a file cannot be read or written.
    """
    events = Events() if events is None else events
    folder = Path(out).absolute()
    events.stage("raters", len(dataset.cases))
    entries, table, title = [], [], f"{dataset.name}, raters"
    with write_together(folder / "DATA.json") as place:
        for number, case in enumerate(dataset.cases):
            entry: dict[str, Any] = {key: value for key, value in vars(case).items() if value is not None}
            if case.split in splits:
                labels, geometry = read_class_map(case, dataset, events.warning)
                drawn = simulate_raters(
                    labels, how, geometry.spacing_kji, seed=seed, scan=number, unlabelled=_unlabelled(case, dataset)
                )
                entry["labels"] = _write(drawn, geometry, place / "labels" / dataset.file_names[case.id])
                table += [{"case": case.id, **row} for row in _agreement_rows(drawn, dataset)]
            entries.append(entry)
            events.progress(number + 1, len(dataset.cases))
        _write_agreement(place / AGREEMENT_FILE, table, events)
        write_dataset(place / "DATA.json", title, dataset.channels, dataset.tree, entries, lies_in=folder)
    return folder / "DATA.json"


def read_class_map(case: Case, dataset: Dataset, warn: Callable[[str], None]) -> tuple[LabelMap, Geometry]:
    """Return the labels of a case as values of the tree ``(k, j, i)``, and their grid.

    Soft labels count as the class with the largest probability, with a warning.

    Raises
    ------
    InputError: the case has several raters, or a voxel's label has no value.
    """
    if isinstance(case.labels, list):
        raise InputError(
            f"case {case.id} has several raters already", file=dataset.path, field="labels", hint="give one of them"
        )
    geometry = read_channel(case.images[dataset.channels[0]]).geometry
    labels = read_labels(case, dataset, geometry, lambda image: image.array, warn)[0]
    mixed = int(((labels.probabilities.max(axis=0) < _CRISP) & (labels.total() > 0)).sum())
    if mixed:
        warn(f"case {case.id}: {mixed} voxels have soft labels; raters draw what has the largest probability there")
    return _as_values(labels.largest(), case, dataset), geometry


def _as_values(classes: LabelMap, case: Case, dataset: Dataset) -> LabelMap:
    """Return label values for class indices."""
    tree = dataset.tree
    values = [node.value for node in (*tree.leaves, *tree.inner_nodes)]
    present = np.unique(classes)
    table = np.zeros(len(values) + 1, np.int64)  # the last one is for unlabelled voxels
    for index in present:
        value = _unlabelled(case, dataset) if index == IGNORE_INDEX else values[index]
        if value is None:
            what = "unlabelled voxels" if index == IGNORE_INDEX else repr(tree.class_nodes[index].id)
            raise InputError(
                f"case {case.id}: label maps have no value for {what}",
                file=dataset.path,
                field="labels",
                hint="give the node a value in the tree, or name the value of unlabelled voxels in DATA.json",
            )
        table[index] = value
    return table.astype(np.uint8 if table.max() < 256 else np.uint16)[classes]


def _unlabelled(case: Case, dataset: Dataset) -> int | None:
    """Return the value of unlabelled voxels, if there is one."""
    if case.unlabelled is not None:
        return case.unlabelled
    return 0 if dataset.tree.background is None else None


def _write(drawn: Sequence[LabelMap], geometry: Geometry, folder: Path) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    return [
        write_image(Image(labels, geometry), folder / f"rater-{number}.nii.gz")
        for number, labels in enumerate(drawn, 1)
    ]


def _agreement_rows(drawn: Sequence[LabelMap], dataset: Dataset) -> list[dict[str, Any]]:
    """Return a row for every structure that a rater drew: id of the node, Dice."""
    names = {node.value: node.id for node in dataset.tree.nodes if node is not dataset.tree.background}
    found = agreement(drawn)
    return [{"node": names[value], "dice": score} for value, score in found.items() if value in names]


def _write_agreement(file: Path, table: Sequence[dict[str, Any]], events: Events) -> None:
    with write_beside(file) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        write_rows(stream, ("case", "node", "dice"), ({**row, "dice": f"{row['dice']:.4f}"} for row in table))
    if table:
        scores = np.array([row["dice"] for row in table])
        events.log(
            f"raters agree with each other: mean Dice {scores.mean():.3f} ({scores.min():.3f} to {scores.max():.3f})"
        )
