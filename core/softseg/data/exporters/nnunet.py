"""A dataset as nnU-Net 2's raw folder: ``dataset.json``, ``imagesTr``, ``labelsTr``, ``imagesTs``, ``labelsTs``.

nnU-Net needs one class in each voxel and whole label values from 0 without gaps. The background becomes 0, the other
leaves follow in the order of the tree; inner nodes that label a voxel come next (the trainers of
:mod:`softseg.nnunet.trainers` read them as coarse labels), and ``ignore`` is last where voxels are unlabelled. The tree
stands in ``dataset.json`` under ``softseg_tree``, with these values.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.case import Case
from softseg.data.cubes import read_channel
from softseg.data.dataset import Dataset
from softseg.data.importers.description import TREE_KEY
from softseg.data.importers.nnunet import SPLITS_FILE
from softseg.data.labels import read_labels, read_mask
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import write_beside, write_folder_beside
from softseg.image import Geometry, Image, write_image
from softseg.tree import LabelTree, Node
from softseg.types import IGNORE_INDEX

_FOLDER = re.compile(r"Dataset\d{3}_[A-Za-z0-9_-]+")
_CRISP = 1 - 1e-3  # probabilities from here on are no soft labels but rounding
_PREPROCESSED = "nnUNet_preprocessed"
_CASE = re.compile(r"[^A-Za-z0-9.-]+")


def export_nnunet(dataset: Dataset, out: str | PathLike[str], events: Events | None = None) -> Path:
    """Write a dataset as nnU-Net's raw folder; it appears only when complete.

    Cases of the splits train and val become the training cases, with ``splits_final.json`` whose one fold is that
    split; cases of the split test become ``imagesTs`` and ``labelsTs``. nnU-Net reads the splits from its folder of
    preprocessed data: they are written there too, where the variable ``nnUNet_preprocessed`` names it or it lies beside
    ``nnUNet_raw``.

    Parameters
    ----------
    dataset: whose cases; soft labels count as the class with the largest probability, with a warning, since nnU-Net
        knows one class in a voxel.
    out: the folder, ``DatasetNNN_NAME``.
    events: progress, warnings; cancelling between cases.

    Returns
    -------
    The folder.

    Raises
    ------
    InputError: the folder's name is not of that form, images of a case lie on different grids or are cubes of bands, or
        a file cannot be read or written.
    """
    events = Events() if events is None else events
    target = Path(out).absolute()
    if not _FOLDER.fullmatch(target.name):
        raise InputError(
            "nnU-Net needs a folder called DatasetNNN_NAME", file=target, hint="for example Dataset101_Cord"
        )
    dataset = _with_background(dataset)
    names = _case_names(dataset)
    events.stage("labels", len(dataset.cases))
    values = Values.of(dataset.tree, _classes_of(dataset, events))
    events.stage("export", len(dataset.cases))
    with write_folder_beside(target) as folder:
        for number, case in enumerate(dataset.cases):
            part = "Ts" if case.split == "test" else "Tr"
            _write_case(case, dataset, folder, part, names[case.id], values, events)
            events.progress(number + 1, len(dataset.cases))
        count = sum(case.split != "test" for case in dataset.cases)
        (folder / "dataset.json").write_text(_json(_description(dataset, values, count)), encoding="utf-8")
        (folder / SPLITS_FILE).write_text(_json(_splits(dataset, names)), encoding="utf-8")
    _write_splits(target, _splits(dataset, names), events)
    return target


@dataclass(frozen=True)
class Values:
    """Which label value stands for what in nnU-Net's files.

    Attributes
    ----------
    of_class: by class index of the tree; -1 where the class labels no voxel and has none.
    ignore: of unlabelled voxels; None where there are none.
    tree: the tree with these values.
    """

    of_class: npt.NDArray[np.int64]
    ignore: int | None
    tree: LabelTree

    @staticmethod
    def of(tree: LabelTree, classes: set[int]) -> Values:
        """Return the values of a tree with a background, of whose inner nodes those in ``classes`` are used."""
        found = np.full(len(tree.class_nodes), -1, np.int64)
        background = None if tree.background is None else tree.leaf_index(tree.background.id)
        leaves = [index for index in range(len(tree.leaves)) if index != background]
        inner = sorted(index for index in classes if index >= len(tree.leaves) and index != _root(tree))
        ordered = [*([] if background is None else [background]), *leaves, *inner]
        found[ordered] = np.arange(len(ordered))
        open_ = bool(classes & {IGNORE_INDEX, _root(tree)})
        nodes = {node.id: None for node in tree.nodes} | {
            node.id: int(value) for node, value in zip(tree.class_nodes, found, strict=True) if value >= 0
        }
        renamed = tree.with_nodes(_valued(node, nodes[node.id]) for node in tree.nodes)
        return Values(found, len(ordered) if open_ else None, renamed)

    def labels(self) -> dict[str, int]:
        """Return the field ``labels`` of ``dataset.json``: names by value, ids where names repeat or are reserved."""
        nodes = [node for node in self.tree.class_nodes if node.value is not None]
        titles = [node.name for node in nodes]
        taken = {"background", "ignore"}
        found: dict[str, int] = {}
        for node in sorted(nodes, key=lambda node: node.value or 0):
            if node.value == 0:
                found["background"] = 0
                continue
            title = node.name if titles.count(node.name) == 1 and node.name.casefold() not in taken else node.id
            title = f"{title} ({node.value})" if title.casefold() in taken or title in found else title
            found[title] = int(node.value or 0)
        return found if self.ignore is None else {**found, "ignore": self.ignore}

    def map(self, classes: npt.NDArray[np.int16], tree: LabelTree) -> npt.NDArray[Any]:
        """Return label values for class indices."""
        table = np.append(self.of_class, self.ignore or 0)  # the last one is for unlabelled voxels, index -1
        table[_root(tree)] = self.ignore or 0
        return table.astype(np.uint8 if table.max() < 255 else np.uint16)[classes]


def _root(tree: LabelTree) -> int:
    return tree.class_index(tree.root.id)


def _valued(node: Node, value: int | None) -> Node:
    return replace(node, value=value)


def _with_background(dataset: Dataset) -> Dataset:
    tree = dataset.tree
    return dataset if tree.background is not None else replace(dataset, tree=tree.with_background())


def _case_names(dataset: Dataset) -> dict[str, str]:
    """Return names that nnU-Net can take apart again: letters, digits, dots and hyphens."""
    found: dict[str, str] = {}
    for case in dataset.cases:
        base = _CASE.sub("-", dataset.file_names[case.id]).strip("-.") or "case"
        name, number = base, 2
        while name in found.values():
            name, number = f"{base}-{number}", number + 1
        found[case.id] = name
    return found


def _classes_of(dataset: Dataset, events: Events) -> set[int]:
    """Return the class indices that label a voxel of any case, and ``IGNORE_INDEX`` where voxels are unlabelled."""
    found: set[int] = set()
    for number, case in enumerate(dataset.cases):
        grid = _channels(case, dataset)[0].geometry
        found |= {int(index) for index in np.unique(_class_map(case, dataset, grid, lambda _text: None))}
        events.progress(number + 1, len(dataset.cases))
    return found


def _class_map(case: Case, dataset: Dataset, grid: Geometry, warn: Callable[[str], None]) -> npt.NDArray[np.int16]:
    """Return the class index of each voxel, ``IGNORE_INDEX`` where there is no label."""
    raters = read_labels(case, dataset, grid, lambda image: image.array, warn)
    if len(raters) > 1:
        raise InputError(
            f"case {case.id} has {len(raters)} raters; nnU-Net takes one label map",
            file=dataset.path,
            field="labels",
            hint="fuse them first with softseg data fuse",
        )
    largest = raters[0].largest()
    mixed = int(((raters[0].probabilities.max(axis=0) < _CRISP) & (raters[0].total() > 0)).sum())
    if mixed:
        warn(
            f"case {case.id}: {mixed} voxels have soft labels, which nnU-Net cannot take: they get the class with the "
            "largest probability"
        )
    if case.mask is not None:
        largest = np.where(read_mask(case.mask, grid, lambda image: image.array), largest, np.int16(IGNORE_INDEX))
    return largest


def _channels(case: Case, dataset: Dataset) -> list[Image]:
    found: list[Image] = []
    for channel in dataset.channels:
        image = read_channel(case.images[channel])
        if not isinstance(image, Image):
            raise InputError("is a cube of bands, which nnU-Net does not read", file=case.images[channel])
        if found and not image.geometry.same_grid(found[0].geometry):
            raise InputError(
                f"lies on another grid than {case.images[dataset.channels[0]].name}; nnU-Net needs one grid",
                file=case.images[channel],
                field=f"images.{channel}",
                hint="resample it first",
            )
        found.append(image)
    return found


def _write_case(
    case: Case, dataset: Dataset, folder: Path, part: str, name: str, values: Values, events: Events
) -> None:
    images, labels = folder / f"images{part}", folder / f"labels{part}"
    images.mkdir(exist_ok=True)
    labels.mkdir(exist_ok=True)
    scans = _channels(case, dataset)
    grid = scans[0].geometry
    for number, scan in enumerate(scans):
        write_image(Image(scan.array, grid), images / f"{name}_{number:04d}.nii.gz")
        events.check()
    classes = _class_map(case, dataset, grid, events.warning)
    write_image(Image(values.map(classes, dataset.tree), grid), labels / f"{name}.nii.gz")


def _description(dataset: Dataset, values: Values, count: int) -> dict[str, Any]:
    return {
        "name": dataset.name,
        "channel_names": {str(number): channel for number, channel in enumerate(dataset.channels)},
        "labels": values.labels(),
        "numTraining": count,
        "file_ending": ".nii.gz",
        TREE_KEY: values.tree.to_json(),
    }


def _splits(dataset: Dataset, names: dict[str, str]) -> list[dict[str, list[str]]]:
    return [{split: [names[case.id] for case in dataset.split(split)] for split in ("train", "val")}]


def _write_splits(target: Path, splits: Sequence[dict[str, list[str]]], events: Events) -> None:
    """Write the splits where nnU-Net reads them, if that place is known."""
    for base in _preprocessed(target):
        place = base / target.name / SPLITS_FILE
        place.parent.mkdir(parents=True, exist_ok=True)
        with write_beside(place) as temporary:
            temporary.write_text(_json(splits), encoding="utf-8")
        events.result("splits", place)
        return
    events.log(
        f"nnU-Net reads {SPLITS_FILE} from {_PREPROCESSED}/{target.name}: copy it there after "
        "nnUNetv2_plan_and_preprocess"
    )


def _preprocessed(target: Path) -> Iterator[Path]:
    named = os.environ.get(_PREPROCESSED)
    if named:
        yield Path(named)
    if target.parent.name == "nnUNet_raw":
        yield target.parent.with_name(_PREPROCESSED)


def _json(content: Any) -> str:
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
