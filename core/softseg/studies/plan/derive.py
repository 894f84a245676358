"""The datasets of a study on disk: who trains, what is painted, what is held out; images stay where they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data import Case, Dataset
from softseg.data.case import Split
from softseg.data.disagreement import Disagreement
from softseg.data.rater_dataset import write_raters
from softseg.data.simulate import paint_scribbles, read_only_map, values_under
from softseg.data.writing import write_dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import settle, write_folder_beside
from softseg.image import Image, write_image
from softseg.studies.plan.blocks import deal_blocks, part_masks
from softseg.studies.plan.data_specs import RatersSpec, StrokesSpec
from softseg.studies.plan.folds import Fold, chosen
from softseg.studies.plan.study_file import FoldSpec
from softseg.studies.plan.trees import without
from softseg.tree import LabelTree

LabelMap = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Annotation:
    """What of the complete labels a training sees.

    Attributes
    ----------
    strokes: scribbles instead of complete label maps, or None.
    held_out: ids of nodes that stay unlabelled.
    seed: of the scribbles.
    """

    strokes: StrokesSpec | None = None
    held_out: tuple[str, ...] = ()
    seed: int = 0

    @property
    def changes_labels(self) -> bool:
        """Whether label maps have to be written."""
        return self.strokes is not None or bool(self.held_out)


def write_blocks(dataset: Dataset, spec: FoldSpec, out: str | PathLike[str], events: Events) -> list[tuple[Fold, Path]]:
    """Write, for each fold by blocks, a dataset in which every image comes three times, labelled in one part each.

    Returns
    -------
    The folds, and the DATA.json of each. Cases are called ``<case>.train``, ``.val`` and ``.test``; so are people,
    because the parts of one image are kept apart by blocks instead of by person.

    Raises
    ------
    InputError: labels are not one map per case, or a part has no labelled voxel.
    """
    count = int(spec.count)
    cases = [case for case in dataset.cases if case.split in spec.splits]
    maps = {case.id: read_only_map(case, dataset, events) for case in cases}
    dealt = {name: deal_blocks(image.array, spec.block, count, spec.seed) for name, image in maps.items()}
    names = [Fold(str(number), {}) for number in range(count)]
    found = []
    for fold in chosen(names, spec, dataset):
        folder = Path(out) / f"fold-{fold.name}" / "whole"
        parts: dict[str, Split] = {}
        entries = []
        for case in cases:
            masks = part_masks(dealt[case.id], int(fold.name), count, spec.validation, spec.margin)
            for part, mask in masks.items():
                if part == "val" and spec.validation == 0:
                    continue
                labels = np.where(mask, maps[case.id].array, 0).astype(maps[case.id].array.dtype)
                if not labels.any():
                    raise InputError(
                        f"fold {fold.name} has no labelled voxel of case {case.id} to {part}",
                        file=dataset.path,
                        field="folds",
                        hint="use smaller blocks, fewer folds or a smaller margin",
                    )
                name = f"{case.id}.{part}"
                parts[name] = part
                target = folder.absolute() / "labels" / f"{dataset.file_names[case.id]}.{part}.nii.gz"
                entry = _entry(case) | {"id": name, "group": name, "split": part, "labels": target}
                entry.pop("unlabelled", None)
                entries.append(entry)
                if not target.is_file():
                    write_image(Image(labels, maps[case.id].geometry), target)
        _write(folder, f"{dataset.name}, fold {fold.name}", dataset, dataset.tree, entries)
        found.append((Fold(fold.name, parts), folder / "DATA.json"))
        events.check()
    return found


def write_fold(
    dataset: Dataset, fold: Fold, out: str | PathLike[str], others: Mapping[Split, Dataset] | None = None
) -> Path:
    """Write a dataset with the splits of a fold; labels stay where they are. Returns its DATA.json.

    ``others`` names, by split, another dataset of the same cases whose labels are taken there.
    """
    folder = Path(out) / f"fold-{fold.name}" / "whole"
    entries = []
    for case in dataset.cases:
        if case.id in fold.parts:
            split = fold.parts[case.id]
            source = (others or {}).get(split, dataset).case(case.id)
            entries.append(_entry(source) | {"split": split})
    _write(folder, f"{dataset.name}, fold {fold.name}", dataset, dataset.tree, entries)
    return folder / "DATA.json"


def rated(dataset: Dataset, spec: RatersSpec, folder: Path, events: Events) -> Dataset:
    """Return the dataset with several simulated raters in every case, written to ``folder`` unless it is there.

    Raises
    ------
    InputError: a case has several raters already, or nothing can be written.
    """
    settle(folder)
    if not (folder / "DATA.json").is_file():  # written last
        how = Disagreement(spec.count, spec.shift_mm, spec.border_mm, spec.scale_mm, spec.habit)
        write_raters(dataset, folder, how, seed=spec.seed, events=events)
    return Dataset.load(folder / "DATA.json", dataset.tree)


def write_annotation(dataset: Dataset, annotation: Annotation, folder: Path, events: Events) -> Path:
    """Write a dataset with what ``annotation`` leaves of the labels of training and validation cases.

    The tree loses what is held out. A folder that is there already is left as it is.

    Returns
    -------
    ``folder/DATA.json``.

    Raises
    ------
    InputError: a case has several raters or soft maps, no training label would be left, or nothing can be written.
    """
    if (folder / "DATA.json").is_file():
        return folder / "DATA.json"
    tree = without(dataset.tree, annotation.held_out) if annotation.held_out else dataset.tree
    painted = 0
    with write_folder_beside(folder) as temporary:
        entries = []
        for number, case in enumerate(dataset.cases):
            events.check()
            entry = _entry(case)
            if case.split != "test":
                image = read_only_map(case, dataset, events)
                labels = _annotated(image.array, dataset, annotation, case, number)
                painted += int(np.count_nonzero(labels)) if case.split == "train" else 0
                name = f"{dataset.file_names[case.id]}.nii.gz"
                write_image(Image(labels, image.geometry), temporary / "labels" / name)
                entry["labels"] = folder.absolute() / "labels" / name
                entry.pop("unlabelled", None)
            entries.append(entry)
        if painted == 0:
            raise InputError("no training label is left", file=dataset.path, field="strokes")
        name = f"{dataset.name}, {folder.name}"
        write_dataset(temporary / "DATA.json", name, dataset.channels, tree, entries, lies_in=folder)
    return folder / "DATA.json"


def _annotated(labels: LabelMap, dataset: Dataset, annotation: Annotation, case: Case, number: int) -> LabelMap:
    tree, strokes = dataset.tree, annotation.strokes
    labels = np.where(np.isin(labels, values_under(tree, annotation.held_out)), 0, labels).astype(labels.dtype)
    if strokes is None or case.split not in strokes.splits:
        return labels
    background = tree.background
    own = int(np.random.SeedSequence([annotation.seed, number]).generate_state(1)[0])
    return paint_scribbles(
        labels,
        per_structure=strokes.per_structure,
        fraction=strokes.share,
        seed=own,
        length=strokes.length,
        background=0 if background is None or background.value is None else background.value,
    )


def _entry(case: Case) -> dict[str, Any]:
    return {key: value for key, value in vars(case).items() if value is not None}


def _write(folder: Path, name: str, dataset: Dataset, tree: LabelTree, entries: Sequence[dict[str, Any]]) -> None:
    """Write DATA.json unless it is there."""
    settle(folder)
    if not (folder / "DATA.json").is_file():
        folder.mkdir(parents=True, exist_ok=True)
        write_dataset(folder / "DATA.json", name, dataset.channels, tree, list(entries))
