"""nnU-Net v2 raw datasets: ``dataset.json``, ``imagesTr/NAME_0000.*``, ``labelsTr/NAME.*``."""

from __future__ import annotations

from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.importers.common import (
    DEFAULT_FRACTIONS,
    Fractions,
    flat_tree,
    images_in,
    names_by_number,
    read_description,
    require_folder,
    split_people,
    stem,
    write_dataset,
)
from softseg.errors import InputError
from softseg.tree import LabelTree, Node


def import_nnunet(
    source: str | PathLike[str], out: str | PathLike[str], *, fractions: Fractions = DEFAULT_FRACTIONS
) -> Path:
    """Describe a raw dataset of nnU-Net v2; every training case counts as a person.

    ``labelsTs`` with ``imagesTs``, where present, becomes the test split, and the training cases are split into train
    and val alone. Regions (``"whole tumour": [1, 2, 3]``) become inner nodes of the tree where they nest; the label
    ``ignore`` becomes the value of the root, which says nothing about a voxel.

    Parameters
    ----------
    source: the folder with ``dataset.json``.
    out: DATA.json; ``tree.json`` is written beside it.
    fractions: shares of train, val, test.

    Raises
    ------
    InputError: the folder is not such a dataset; file and field are named.
    """
    description, content, title = read_description(source)
    folder = description.parent
    older = "modality" in content and "channel_names" not in content
    channels = names_by_number(content, "modality" if older else "channel_names", description)
    tree = _tree(content, description, title)
    training = _cases(folder, "Tr", channels)
    test = _cases(folder, "Ts", channels) if (folder / "labelsTs").is_dir() else []
    if test:
        total = fractions[0] + fractions[1]
        fractions = (fractions[0] / total, fractions[1] / total, 0.0)
    splits = split_people([case["group"] for case in training], fractions)
    cases = [{**case, "split": splits[case["group"]]} for case in training]
    cases += [{**case, "split": "test"} for case in test]
    return write_dataset(out, title, channels, tree, cases)


def _cases(folder: Path, suffix: str, channels: list[str]) -> list[dict[str, Any]]:
    images = require_folder(folder / f"images{suffix}")
    labels = require_folder(folder / f"labels{suffix}")
    files = {stem(path): path for path in images_in(images)}
    cases = []
    for label in images_in(labels):
        name = stem(label)
        found = {}
        for number, channel in enumerate(channels):
            key = f"{name}_{number:04d}"
            if key not in files:
                raise InputError(f"there is no image {key}", file=images, field=f"channel {channel}")
            found[channel] = files[key]
        cases.append({"id": name, "group": name, "images": found, "labels": label})
    return cases


def _tree(content: Any, file: Path, name: str) -> LabelTree:
    labels = content.get("labels")
    if not isinstance(labels, dict) or not labels:
        raise InputError("expected label values by name", file=file, field="labels")
    values: dict[str, int] = {}
    regions: dict[str, frozenset[int]] = {}
    for label, value in labels.items():
        if isinstance(value, (list, tuple)):
            members = frozenset(int(item) for item in value)
            if len(members) > 1:
                regions[label] = members
            else:
                values[label] = next(iter(members))
        else:
            values[label] = int(value)
    ignore = values.pop("ignore", None)
    known = set(values.values())
    for value in sorted(set().union(*regions.values()) - known if regions else set()):
        values[f"label-{value}"] = value
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

    nodes = [Node(id="root", name=name, parent=None), Node(id="background", name="background", parent="root", value=0)]
    nodes += [Node(id=region, name=region, parent=parent(regions[region], region)) for region in ordered]
    for label, value in values.items():
        if value != 0:
            above = [region for region in ordered if value in regions[region]]
            nodes.append(Node(id=label, name=label, parent=above[-1] if above else "root", value=value))
    return LabelTree(nodes, name)
