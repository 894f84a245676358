"""nnU-Net's raw datasets, version 1 and 2: ``dataset.json``, ``imagesTr/NAME_0000.*``, ``labelsTr/NAME.*``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.importers.description import (
    described_tree,
    flat_tree,
    inside,
    label_values,
    listed_cases,
    names_by_number,
    read_description,
)
from softseg.data.importers.files import images_in, listed, require_folder, stem
from softseg.data.importers.people import DEFAULT_FRACTIONS, Choices, Fractions, with_people
from softseg.data.writing import write_dataset
from softseg.errors import InputError, naming
from softseg.events import Events
from softseg.files import is_file
from softseg.tree import LabelTree, Node

SPLITS_FILE = "splits_final.json"


def import_nnunet(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    fractions: Fractions | None = None,
    people: str | PathLike[str] | None = None,
    splits: str | PathLike[str] | None = None,
    fold: int | None = None,
    events: Events | None = None,
) -> Path:
    """Describe a raw dataset of nnU-Net; every training case counts as a person unless ``people`` is given.

    ``labelsTs`` with ``imagesTs``, where present, becomes the test split, and the training cases are split into train
    and val alone: from ``splits_final.json`` where it is found in the folder, or in ``nnUNet_preprocessed`` beside
    ``nnUNet_raw``. Regions (``"whole tumour": [1, 2, 3]``) become inner nodes of the tree where they nest; the label
    ``ignore`` becomes the value of the root, which counts as unlabelled. A tree under ``softseg_tree`` is taken
    instead. A description of version 1 lists its cases. Images without labels are named in a warning.

    Parameters
    ----------
    source: the folder with ``dataset.json``.
    out: DATA.json; its tree is written beside it.
    fractions: parts of the people for train, val, test (0.7, 0.15, 0.15); given ones count instead of splits that are
        found.
    people: a table of the person of each case; see :class:`softseg.data.importers.people.Choices`.
    splits: a file like ``splits_final.json``, instead of the one that is found.
    fold: which fold of it, from 0; the first by default.
    events: receives what was found.

    Raises
    ------
    InputError: the folder is not such a dataset; file and field are named.
    """
    events = Events() if events is None else events
    description, content, title = read_description(source)
    folder = description.parent
    older = "modality" in content and "channel_names" not in content
    channels = names_by_number(content, "modality" if older else "channel_names", description)
    tree = _tree(label_values(content, description), description, title, described_tree(content, description))
    if isinstance(content.get("dataset"), dict):
        training = _described(content["dataset"], folder, channels, description)
    elif older and content.get("training"):
        training = _listed(listed_cases(content, description), folder, channels, description, events)
    else:
        training = _in_folders(folder, "Tr", channels, events)
    test = _in_folders(folder, "Ts", channels, events) if (folder / "labelsTs").is_dir() else []
    if not test and (folder / "imagesTs").is_dir() and images_in(folder / "imagesTs"):
        events.log(f"{folder / 'imagesTs'}: there is no folder labelsTs; these images are left out")
    cases = [*training, *[{**case, "split": "test"} for case in test]]
    found = _splits_of(folder) if fractions is None or fold is not None else None
    choices = Choices(people, splits or found, fold, fractions or DEFAULT_FRACTIONS)
    return write_dataset(out, title, channels, tree, with_people(cases, choices, events))


def _splits_of(folder: Path) -> Path | None:
    places = [folder, folder.parent.parent / "nnUNet_preprocessed" / folder.name]
    return next((place / SPLITS_FILE for place in places if (place / SPLITS_FILE).is_file()), None)


def _in_folders(folder: Path, suffix: str, channels: list[str], events: Events) -> list[dict[str, Any]]:
    """Return the cases of ``imagesTr`` and ``labelsTr``."""
    images = require_folder(folder / f"images{suffix}")
    labels = require_folder(folder / f"labels{suffix}")
    files = {stem(path): path for path in images_in(images)}
    cases = []
    for label in images_in(labels):
        name = stem(label)
        cases.append({"id": name, "images": _channels(name, files, images, channels), "labels": label})
    _warn_of_unlabelled(images, files, cases, events)
    return cases


def _listed(
    entries: list[tuple[str, str]], folder: Path, channels: list[str], description: Path, events: Events
) -> list[dict[str, Any]]:
    """Return the cases that a description of version 1 lists; ``./imagesTr/a.nii.gz`` stands for ``a_0000.nii.gz``."""
    cases: list[dict[str, Any]] = []
    for position, (image, label) in enumerate(entries):
        labels = inside(folder, label)
        if not label or not is_file(labels):
            raise InputError(f"no such file: {labels}", file=description, field=f"training[{position}].label")
        images = require_folder(inside(folder, image).parent)
        files = {stem(path): path for path in images_in(images)}
        name = stem(Path(image))
        cases.append({"id": name, "images": _channels(name, files, images, channels), "labels": labels})
    for images in {path.parent for case in cases for path in case["images"].values()}:
        _warn_of_unlabelled(images, {stem(path): path for path in images_in(images)}, cases, events)
    for folder_of_labels in {case["labels"].parent for case in cases}:
        taken = {case["labels"] for case in cases}
        left = [stem(path) for path in images_in(folder_of_labels) if path not in taken]
        if left:
            events.warning(f"{folder_of_labels}: {description.name} does not list {listed(left)}; left out")
    return cases


def _described(entries: Mapping[str, Any], folder: Path, channels: list[str], file: Path) -> list[dict[str, Any]]:
    """Return the cases of ``"dataset": {id: {"images": [...], "label": ...}}``, which nnU-Net 2 takes as well."""
    cases = []
    for name, entry in entries.items():
        images = entry.get("images") if isinstance(entry, dict) else None
        if not isinstance(images, list) or len(images) != len(channels) or "label" not in entry:
            raise InputError(
                f'expected {{"images": [{len(channels)} files], "label": file}}', file=file, field=f"dataset.{name}"
            )
        paths = [inside(folder, str(path)) for path in (*images, entry["label"])]
        for path in paths:
            if not is_file(path):
                raise InputError(f"no such file: {path}", file=file, field=f"dataset.{name}")
        cases.append({"id": name, "images": dict(zip(channels, paths, strict=False)), "labels": paths[-1]})
    return cases


def _channels(name: str, files: Mapping[str, Path], images: Path, channels: list[str]) -> dict[str, Path]:
    found = {}
    for number, channel in enumerate(channels):
        key = f"{name}_{number:04d}"
        if key not in files:
            hint = "is it a Decathlon task? import it as decathlon" if name in files else None
            raise InputError(f"there is no image {key}", file=images, field=f"channel {channel}", hint=hint)
        found[channel] = files[key]
    return found


def _warn_of_unlabelled(images: Path, files: Mapping[str, Path], cases: list[dict[str, Any]], events: Events) -> None:
    taken = {path for case in cases for path in case["images"].values()}
    left = sorted({re.sub(r"_\d{4}$", "", name) for name, path in files.items() if path not in taken})
    without = [name for name in left if name not in {case["id"] for case in cases}]
    if without:
        events.warning(f"{images}: there are no labels for {listed(without)}; left out")
    surplus = [name for name in left if name not in without]
    if surplus:
        events.warning(f"{images}: more channels than dataset.json names for {listed(surplus)}; left out")


def _tree(
    labels: Mapping[str, int | frozenset[int]], file: Path, name: str, described: LabelTree | None = None
) -> LabelTree:
    values = {label: value for label, value in labels.items() if isinstance(value, int)}
    regions = {label: value for label, value in labels.items() if not isinstance(value, int)}
    ignore = values.pop("ignore", None)
    if described is not None:
        return described if ignore is None else described.with_value(described.root.id, ignore)
    by_value: dict[int, str] = {}
    for label, value in values.items():
        if by_value.setdefault(value, label) != label:
            raise InputError(f"{by_value[value]!r} and {label!r} have the value {value}", file=file, field="labels")
    known = set(values.values())
    for value in sorted(set().union(*regions.values()) - known if regions else set()):
        values[f"label-{value}"] = value
    with naming(file, "labels"):
        tree = _nested(values, regions, name, file) if regions else flat_tree(values, name)
        return tree if ignore is None else LabelTree([replace(tree.root, value=ignore), *tree.nodes[1:]], name)


def _nested(values: dict[str, int], regions: dict[str, frozenset[int]], name: str, file: Path) -> LabelTree:
    """Return a tree whose inner nodes are the regions; regions that overlap without nesting cannot be one."""
    ordered = sorted(regions, key=lambda region: -len(regions[region]))
    for place, one in enumerate(ordered):
        for other in ordered[place + 1 :]:
            common = regions[one] & regions[other]
            if common and common != regions[other]:
                raise InputError(
                    f"the regions {one!r} and {other!r} overlap without nesting", file=file, field="labels"
                )

    def parent(members: frozenset[int], own: str) -> str:
        above = [region for region in ordered if region != own and members <= regions[region]]
        above = [region for region in above if members != regions[region] or ordered.index(region) < ordered.index(own)]
        return above[-1] if above else "root"

    nodes = [Node(id="root", name=name or "root", parent=None)]
    nodes.append(Node(id="background", name="background", parent="root", value=0))
    nodes += [Node(id=region, name=region, parent=parent(regions[region], region)) for region in ordered]
    for label, value in values.items():
        if value != 0:
            above = [region for region in ordered if value in regions[region]]
            nodes.append(Node(id=label, name=label, parent=above[-1] if above else "root", value=value))
    return LabelTree(nodes, name)
