"""Plain folders: ``images/`` and ``labels/`` whose files have the same stems."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.importers.files import images_in, is_image, listed, require_folder, stem
from softseg.data.importers.people import DEFAULT_FRACTIONS, Choices, Fractions, with_people
from softseg.data.importers.trees import tree_of_values
from softseg.data.writing import write_dataset
from softseg.errors import InputError
from softseg.events import Events


def import_folder(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    tree: str | PathLike[str] | None = None,
    channel: str = "image",
    fractions: Fractions = DEFAULT_FRACTIONS,
    people: str | PathLike[str] | None = None,
    splits: str | PathLike[str] | None = None,
    fold: int | None = None,
    events: Events | None = None,
) -> Path:
    """Describe ``images/NAME.*`` and ``labels/NAME.*`` as a dataset; without ``people`` every name is a person.

    With several channels, ``images/`` has one folder per channel instead of files. A folder ``labels/NAME/`` holds one
    label map per rater. A folder of DICOM slices (``images/NAME/``) is an image, a DICOM segmentation is labels. Masks
    may lie in ``masks/``. Images without labels, and labels and masks without images, are named in a warning.

    Parameters
    ----------
    source: the folder.
    out: DATA.json.
    tree: a label tree's file or the name of a shipped one; by default a flat one of all values that occur, beside
        ``out``.
    channel: name of the only channel.
    fractions: parts of the people for train, val, test.
    people, splits, fold: who is who and which split; see :class:`softseg.data.importers.people.Choices`.
    events: receives what was found and what was left out.

    Raises
    ------
    InputError: folders are missing, two files have one name, an image lacks a channel, or no image has labels.
    """
    events = Events() if events is None else events
    folder = require_folder(source)
    images = require_folder(folder / "images", "folder of images")
    labels = require_folder(folder / "labels", "folder of labels")
    channels = sorted(path.name for path in _folders(images))
    files = {name: _by_stem(images / name) for name in channels} if channels else {channel: _by_stem(images)}
    names = sorted({name for found in files.values() for name in found})
    label_files = _by_stem(labels)
    raters = {path.name: images_in(path) for path in _folders(labels)}
    masks = _by_stem(folder / "masks") if (folder / "masks").is_dir() else {}
    if channels and (loose := images_in(images)):
        events.warning(f"{images}: {listed(path.name for path in loose)} beside the folders of channels; left out")
    twice = next((name for name, found in raters.items() if found and name in label_files), None)
    if twice is not None:
        raise InputError(f"{twice!r} has a file and a folder of labels", file=labels, hint="keep one of them")
    cases: list[dict[str, Any]] = []
    without: list[str] = []
    for name in names:
        found = label_files.get(name) or raters.get(name)
        if not found:
            without.append(name)
            continue
        for other, of_channel in files.items():
            if name not in of_channel:
                raise InputError(f"there is no image {name!r} of channel {other!r}", file=images / other)
        case: dict[str, Any] = {"id": name, "images": {other: of_channel[name] for other, of_channel in files.items()}}
        cases.append({**case, "labels": found, **({"mask": masks[name]} if name in masks else {})})
    if names and not cases:
        raise InputError(f"there are no labels for the image {names[0]!r}", file=labels, hint="give both the same stem")
    if without:
        events.warning(f"{labels}: there are no labels for {listed(without)}; left out")
    lonely = sorted({*label_files, *(name for name, found in raters.items() if found)} - set(names))
    for place, left in ((labels, lonely), (folder / "masks", sorted(set(masks) - set(names)))):
        if left:
            events.warning(f"{place}: no image belongs to {listed(left)}; left out")
    chosen = tree_of_values(cases, folder.name, events) if tree is None and cases else tree
    choices = Choices(people, splits, fold, fractions)
    return write_dataset(
        out, folder.name, list(files), "" if chosen is None else chosen, with_people(cases, choices, events)
    )


def _folders(folder: Path) -> list[Path]:
    """Return the folders in a folder that are no scan of their own."""
    there = (path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    return sorted(path for path in there if not is_image(path))


def _by_stem(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by their stems.

    Raises
    ------
    InputError: two files have the same stem, so that it is not clear which is meant.
    """
    found: dict[str, Path] = {}
    for path in images_in(folder):
        other = found.setdefault(stem(path), path)
        if other != path:
            raise InputError(f"{other.name} and {path.name} have the same stem", file=folder, hint="keep one of them")
    return found
