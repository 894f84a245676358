"""BIDS: raw images beside labels in ``derivatives``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.importers.bids_names import LabelFile, files_of_subjects, label_files, scan_of, suffix_of
from softseg.data.importers.files import listed, require_folder
from softseg.data.importers.people import DEFAULT_FRACTIONS, Choices, Fractions, with_people
from softseg.data.importers.tables import names_of_values, require_same_meaning
from softseg.data.importers.trees import tree_of_maps, tree_of_values
from softseg.data.writing import write_dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.tree import LabelTree

_SESSION_IN_NAME = re.compile(r"(?i)[-_]?ses-?\d+$")


def import_bids(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    suffixes: Sequence[str] | None = None,
    derivatives: str | PathLike[str] | None = None,
    labels: Mapping[str, str] | None = None,
    label_map: str | None = None,
    tree: str | PathLike[str] | None = None,
    fractions: Fractions = DEFAULT_FRACTIONS,
    people: str | PathLike[str] | None = None,
    splits: str | PathLike[str] | None = None,
    fold: int | None = None,
    events: Events | None = None,
) -> Path:
    """Describe the labelled images of a BIDS dataset.

    A case is one subject, session, run ... (everything in the file name but the suffix) that has all channels and
    labels. Sessions written into the subject's name (``sub-01Ses2``) belong to the same person. Labels in another space
    than the image's (``space-MNI152...``) are left out.

    By default: a label map (``dseg``), of several the one without ``desc``; else the
    soft maps (``probseg``), one for each ``label``; else all other files but brain masks, where one file for each
    image is a label map and several are maps of a structure each.

    Parameters
    ----------
    source: folder of the dataset.
    out: DATA.json.
    suffixes: image suffixes that are the channels, e.g. ``["T1w", "T2w"]``; by default the one most labels belong to.
    derivatives: folder of the labels; by default the first below ``derivatives`` that has some for the images.
    labels: which label files mean which node of the tree, by node id, e.g. ``{"grey-matter": "gmseg-manual",
        "cord": "seg-manual"}``; the value is what follows the image's name, with or without the leading ``_``, or a
        ``desc`` or ``label`` entity.
    label_map: which files are the label maps, as in ``labels``.
    tree: a label tree's file or the name of a shipped one; by default one that is made from the labels: flat, or, for
        several soft maps, with a structure that always lies inside another as its child.
    fractions: parts of the people for train, val, test.
    people, splits, fold: who is who and which split; see :class:`softseg.data.importers.people.Choices`.
    events: receives what was found and what was left out.

    Raises
    ------
    InputError: it is not such a dataset, the labels are ambiguous, or a table beside them contradicts
        the tree.
    """
    events = Events() if events is None else events
    if labels is not None and label_map is not None:
        raise InputError("soft maps and a label map cannot be named together", field="labels")
    folder = require_folder(source)
    places = _places(folder, derivatives)
    images = _images(folder)
    place, found = _label_folder(places, images, suffixes or (), events)
    channels = list(suffixes) if suffixes else [_usual_suffix(found)]
    other = sorted({suffix_of(f.image) for f in found if f.image is not None} - set(channels))
    if other:
        events.log(f"{place}: labels of {', '.join(other)} are left out; choose images with --suffix")
    cases = _cases(images, found, channels, place, events)
    chosen = _chosen(cases, labels, label_map, place, events)
    cases = _with_labels(cases, chosen, labels is not None, place, events)
    made: LabelTree | str | PathLike[str]
    if tree is not None:
        require_same_meaning(cases, tree)
        made = tree
    elif nodes := [node for node in chosen if node]:
        made = tree_of_maps(cases, nodes, folder.name)
    else:
        made = tree_of_values(cases, folder.name, events, names_of_values(cases, events))
    choices = Choices(people, splits, fold, fractions)
    return write_dataset(out, folder.name, channels, made, with_people(cases, choices, events))


def person(name: str) -> str:
    """Return the person of a scan's name: the subject, without a session that is written into it."""
    subject = next((part for part in name.split("_") if part.startswith("sub-")), name)
    return _SESSION_IN_NAME.sub("", subject) or subject


def _images(folder: Path) -> list[Path]:
    subjects = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.startswith("sub-"))
    if not subjects:
        raise InputError("has no folder sub-*: is it a BIDS dataset?", file=folder)
    return [path for subject in subjects for path in files_of_subjects(subject)]


def _places(folder: Path, derivatives: str | PathLike[str] | None) -> list[Path]:
    """Return the folders that labels may be in."""
    if derivatives is not None:
        given = Path(derivatives)
        return [require_folder(given if given.is_dir() else folder / "derivatives" / given, "folder of labels")]
    above = require_folder(folder / "derivatives", "folder of labels")
    return [*sorted(path for path in above.iterdir() if path.is_dir()), above]


def _label_folder(
    places: Sequence[Path], images: Sequence[Path], channels: Sequence[str], events: Events
) -> tuple[Path, list[LabelFile]]:
    """Return the folder of the labels and its label files in the images' own space; what is left out is reported."""
    files = {place: label_files(images, place, channels) for place in places}
    fitting = {
        place: [file for file in found if file.image is not None and not file.space] for place, found in files.items()
    }
    place = next((place for place in places if fitting[place]), None)
    if place is None:
        _refuse(files)
        raise InputError("holds no label files (sub-*)", file=places[-1])
    others = [other.name for other in places if other not in (place, place.parent) and fitting[other]]
    if others:
        events.warning(f"labels come from {place}, not from {listed(others)}; choose with --derivatives")
    spaces = sorted({file.space for file in files[place] if file.space})
    if spaces:
        count = sum(bool(file.space) for file in files[place])
        events.log(f"{place}: {count} label files in other spaces are left out ({', '.join(spaces)})")
    lonely = [file.path.name for file in files[place] if file.image is None and not file.space]
    if lonely:
        events.warning(f"{place}: no image belongs to {listed(lonely)}; left out")
    return place, fitting[place]


def _refuse(files: Mapping[Path, Sequence[LabelFile]]) -> None:
    """Raise the reason why no label file can be used, where there are some."""
    for place, found in files.items():
        spaces = sorted({file.space for file in found if file.image is not None and file.space})
        if spaces:
            raise InputError(
                f"holds labels only in other spaces than the images' own: {', '.join(spaces)}",
                file=place,
                hint="labels must lie on the grid of the images",
            )
        if found:
            raise InputError("no label file belongs to an image", file=place, hint="names must begin like the image's")


def _cases(
    images: Sequence[Path], found: Sequence[LabelFile], channels: Sequence[str], place: Path, events: Events
) -> list[dict[str, Any]]:
    """Return the scans that have all channels and labels, the latter as ``files``; others are named in a warning."""
    scans: dict[str, dict[str, Path]] = {}
    for image in images:
        if suffix_of(image) in channels:
            scans.setdefault(scan_of(image), {})[suffix_of(image)] = image
    of_image: dict[Path, list[LabelFile]] = {}
    for file in found:
        if file.image is not None:
            of_image.setdefault(file.image, []).append(file)
    cases, without, incomplete = [], [], []
    for name, files in sorted(scans.items()):
        labelled = [file for image in files.values() for file in of_image.get(image, [])]
        if set(files) != set(channels):
            incomplete.append(name)
        elif not labelled:
            without.append(name)
        else:
            ordered = {channel: files[channel] for channel in channels}
            cases.append({"id": name, "group": person(name), "images": ordered, "files": labelled})
    if incomplete:
        events.warning(f"not all of {', '.join(channels)} are there for {listed(incomplete)}; left out")
    if without:
        events.warning(f"{place}: there are no labels for {listed(without)}; left out")
    return cases


def _chosen(
    cases: Sequence[Mapping[str, Any]],
    labels: Mapping[str, str] | None,
    label_map: str | None,
    place: Path,
    events: Events,
) -> dict[str, str]:
    """Return which ending means which node; the node of label maps is empty."""
    if labels is not None:
        return dict(labels)
    if label_map is not None:
        return {"": label_map}
    files = [file for case in cases for file in case["files"]]
    kinds = {_kind(file) for file in files}
    kind = next((one for one in ("dseg", "probseg", "other") if one in kinds), "mask")
    taken = sorted({file.full for file in files if _kind(file) == kind})
    if kind == "dseg" and len(taken) > 1:
        plain = [ending for ending in taken if ending == "dseg"]
        if not plain:
            names = " and ".join(taken) if len(taken) == 2 else ", ".join(taken)
            raise InputError(
                f"several label maps belong to an image: {names}", file=place, hint="choose one with --label-map"
            )
        taken = plain
    left = sorted({file.full for file in files} - set(taken))
    if left:
        choice = "--label-map ENDING or --label NODE=ENDING"
        events.warning(f"{place}: labels are {listed(taken)}; {listed(left)} left out; choose with {choice}")
    if kind == "dseg" or (len(taken) == 1 and kind != "probseg"):
        return {"": taken[0]}
    short = {file.full: file.ending for file in files}
    nodes = {full: _node_name(short[full]) for full in taken}
    if len(set(nodes.values())) < len(nodes):
        nodes = {full: _node_name(full) for full in taken}
    return {node: full for full, node in nodes.items()}


def _kind(file: LabelFile) -> str:
    if file.suffix in ("dseg", "probseg"):
        return file.suffix
    return "mask" if file.is_brain_mask else "other"


def _with_labels(
    cases: Sequence[Mapping[str, Any]], chosen: Mapping[str, str], required: bool, place: Path, events: Events
) -> list[dict[str, Any]]:
    """Return the cases with ``labels``; a scan that lacks one is named: an error where the user asked for it."""
    ready, without = [], []
    for case in cases:
        maps: dict[str, Path] = {}
        lacking = ""
        for node, ending in chosen.items():
            exact = [file for file in case["files"] if ending.lstrip("_") in (file.ending, file.full)]
            fitting = exact or [file for file in case["files"] if file.is_called(ending)]
            if len(fitting) > 1:
                raise InputError(
                    f"{ending!r} could be {' or '.join(file.path.name for file in fitting)}",
                    file=place,
                    field=case["id"],
                )
            if fitting:
                maps[node] = fitting[0].path
            else:
                lacking = ending
        if lacking and required:
            raise InputError(f"scan {case['id']} has no label file {lacking!r}", file=place, field=case["id"])
        if lacking:
            without.append(case["id"])
            continue
        rest = {key: value for key, value in case.items() if key != "files"}
        ready.append({**rest, "labels": maps.get("", maps)})
    if without:
        events.warning(f"{place}: {listed(without)} lack {listed(chosen.values())}; left out")
    if cases and not ready:
        raise InputError(f"no scan has {listed(chosen.values())}", file=place, hint="is the ending right?")
    return ready


def _usual_suffix(found: Sequence[LabelFile]) -> str:
    """Return the suffix of the images that most labels belong to; anatomical images before all others."""
    images = [file.image for file in found if file.image is not None]
    names = [suffix_of(image) for image in images if image.parent.name == "anat"] or [
        suffix_of(image) for image in images
    ]
    return max(sorted(set(names)), key=names.count)


def _node_name(ending: str) -> str:
    name = ending.replace("_", "-")
    return "background" if name.casefold() in ("bg", "background") else name
