"""BIDS: raw images beside labels in ``derivatives``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from softseg.data.importers.common import (
    DEFAULT_FRACTIONS,
    Fractions,
    require_folder,
    split_people,
    stem,
    write_dataset,
)
from softseg.errors import InputError
from softseg.image import IMAGE_SUFFIXES, read_image
from softseg.tree import LabelTree, Node

CONTAINED = 0.98
"""A structure counts as part of another when at least this much of it lies inside (our default)."""

_SESSION_IN_NAME = re.compile(r"(?i)[-_]?ses-?\d+$")


def import_bids(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    suffixes: Sequence[str] | None = None,
    derivatives: str | PathLike[str] | None = None,
    labels: Mapping[str, str] | None = None,
    tree: str | PathLike[str] | None = None,
    fractions: Fractions = DEFAULT_FRACTIONS,
) -> Path:
    """Describe the labelled images of a BIDS dataset.

    A case is one subject, session, run ... (everything in the file name but the suffix) that has all channels and
    labels. Sessions written into the subject's name (``sub-01Ses2``) belong to the same person.

    Parameters
    ----------
    source: folder of the dataset.
    out: DATA.json.
    suffixes: image suffixes that are the channels, e.g. ``["T1w", "T2w"]``; by default the one most labels belong to.
    derivatives: folder of the labels; by default the first below ``derivatives`` that has some.
    labels: which label files mean which node of the tree, by node id, e.g. ``{"grey-matter": "gmseg-manual",
        "cord": "seg-manual"}``; the value is what follows the image's name, with or without the leading ``_``, or a
        ``desc`` or ``label`` entity. By default: if images have one label file each, it is a label map; else every
        ending becomes a soft map of a node of that name.
    tree: a label tree's file or the name of a shipped one; by default one that is made from the labels: flat, or, for
        several soft maps, with a structure that always lies inside another as its child.
    fractions: shares of train, val, test.

    Raises
    ------
    InputError: it is not such a dataset, or the labels cannot be told apart.
    """
    folder = require_folder(source)
    found = _label_folder(folder, derivatives)
    images = _images(folder)
    by_image = _match(images, found)
    if not by_image:
        raise InputError("no label file belongs to an image", file=found, hint="names must begin like the image's")
    channels = list(suffixes) if suffixes else [_most_common([_suffix(image) for image in by_image])]
    scans: dict[str, dict[str, Path]] = {}
    for image in images:
        if _suffix(image) in channels:
            scans.setdefault(_scan(image), {})[_suffix(image)] = image
    cases: list[dict[str, Any]] = []
    for name, files in sorted(scans.items()):
        endings: dict[str, Path] = {}
        for image in files.values():
            endings.update(by_image.get(image, {}))
        if set(files) == set(channels) and endings:
            cases.append({"id": name, "group": person(name), "images": files, "endings": endings})
    chosen_tree = _label_cases(cases, labels, tree, folder.name, found)
    splits = split_people([case["group"] for case in cases], fractions)
    ready = [{**case, "split": splits[case["group"]]} for case in cases]
    return write_dataset(out, folder.name, channels, chosen_tree, ready)


def person(name: str) -> str:
    """Return the person of a scan's name: the subject, without a session that is written into it."""
    subject = next((part for part in name.split("_") if part.startswith("sub-")), name)
    return _SESSION_IN_NAME.sub("", subject) or subject


def _suffix(path: Path) -> str:
    return stem(path).rsplit("_", 1)[-1]


def _scan(path: Path) -> str:
    return stem(path).rsplit("_", 1)[0]


def _most_common(names: Sequence[str]) -> str:
    return max(sorted(set(names)), key=list(names).count)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("sub-*") if path.is_file() and path.name.endswith(IMAGE_SUFFIXES))


def _images(folder: Path) -> list[Path]:
    subjects = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.startswith("sub-"))
    if not subjects:
        raise InputError("has no folder sub-*: is it a BIDS dataset?", file=folder)
    return [path for subject in subjects for path in _files(subject)]


def _label_folder(folder: Path, derivatives: str | PathLike[str] | None) -> Path:
    if derivatives is not None:
        given = Path(derivatives)
        return require_folder(given if given.is_dir() else folder / "derivatives" / given, "folder of labels")
    above = require_folder(folder / "derivatives", "folder of labels")
    for place in [*sorted(path for path in above.iterdir() if path.is_dir()), above]:
        if _files(place):
            return place
    raise InputError("holds no label files (sub-*)", file=above)


def _match(images: Sequence[Path], folder: Path) -> dict[Path, dict[str, Path]]:
    """Return label files by image and by what follows the image's name (or names it by ``desc`` or ``label``)."""
    by_stem = {stem(image): image for image in images}
    by_scan: dict[str, list[Path]] = {}
    for image in images:
        by_scan.setdefault(_scan(image), []).append(image)
    found: dict[Path, dict[str, Path]] = {}
    for label in _files(folder):
        name = stem(label)
        owners = [own for own in by_stem if name == own or name.startswith(f"{own}_")]
        if owners:
            own = max(owners, key=len)
            found.setdefault(by_stem[own], {})[name[len(own) :].lstrip("_") or "labels"] = label
            continue
        parts = [part for part in name.split("_") if not part.startswith(("desc-", "label-", "space-"))]
        named = [part.split("-", 1)[1] for part in name.split("_") if part.startswith(("desc-", "label-"))]
        candidates = by_scan.get("_".join(parts[:-1]), [])
        if candidates:
            found.setdefault(candidates[0], {})["_".join(named) or parts[-1]] = label
    return found


def _label_cases(
    cases: list[dict[str, Any]],
    labels: Mapping[str, str] | None,
    tree: str | PathLike[str] | None,
    name: str,
    folder: Path,
) -> LabelTree | str | PathLike[str]:
    """Turn the entry ``endings`` of each case into ``labels`` and return the tree."""
    wanted = None if labels is None else {node: ending.lstrip("_") for node, ending in labels.items()}
    endings = sorted({ending for case in cases for ending in case["endings"]})
    if wanted is None and len(endings) > 1:
        wanted = {_node_name(ending): ending for ending in endings}
    for case in list(cases):
        files = case.pop("endings")
        if wanted is None:
            case["labels"] = next(iter(files.values()))
            continue
        case["labels"] = {node: files[ending] for node, ending in wanted.items() if ending in files}
        if len(case["labels"]) < len(wanted):
            missing = next(ending for ending in wanted.values() if ending not in files)
            raise InputError(f"scan {case['id']} has no label file {missing!r}", file=folder, field=case["id"])
    if tree is not None:
        return tree
    if wanted is None:
        from softseg.data.importers.folder import tree_of_values

        return tree_of_values(cases, name)
    return _tree_of_maps(cases, list(wanted), name)


def _tree_of_maps(cases: Sequence[Mapping[str, Any]], nodes: Sequence[str], name: str) -> LabelTree:
    """Return a tree in which a structure that always lies inside another is its child, beside ``rest-of-PARENT``."""
    volume = dict.fromkeys(nodes, 0.0)
    common = {(one, other): 0.0 for one in nodes for other in nodes}
    for case in cases:
        arrays = {node: np.asarray(read_image(path).array, np.float32) for node, path in case["labels"].items()}
        shapes = {array.shape for array in arrays.values()}
        if len(shapes) > 1:
            raise InputError("label files of one scan differ in size", file=case["labels"][nodes[0]], field=case["id"])
        for one in nodes:
            volume[one] += float(arrays[one].sum())
            for other in nodes:
                common[one, other] += float(np.minimum(arrays[one], arrays[other]).sum())
    parents = dict.fromkeys(nodes, "root")
    for one in nodes:
        around = [
            other
            for other in nodes
            if volume[one] > 0 and volume[one] < volume[other] and common[one, other] > CONTAINED * volume[one]
        ]
        parents[one] = min(around, key=lambda other: volume[other], default="root")
    return _nested_tree(parents, name)


def _nested_tree(parents: Mapping[str, str], name: str) -> LabelTree:
    nodes = [Node(id="root", name=name, parent=None), Node(id="background", name="background", parent="root", value=0)]
    value = 0

    def add(parent: str) -> None:
        nonlocal value
        inside = [node for node, above in parents.items() if above == parent]
        for node in inside:
            leaf = node not in parents.values()
            value += 1 if leaf else 0
            nodes.append(Node(id=node, name=node, parent=parent, value=value if leaf else None))
            add(node)
        if inside and parent != "root":
            value += 1
            nodes.append(Node(id=f"rest-of-{parent}", name=f"rest of {parent}", parent=parent, value=value))

    add("root")
    return LabelTree(nodes, name)


def _node_name(ending: str) -> str:
    return ending.replace("_", "-")
