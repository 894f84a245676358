"""Tasks of the Medical Segmentation Decathlon: ``dataset.json``, ``imagesTr``, ``labelsTr``; channels in 4D files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.importers.description import (
    flat_tree,
    inside,
    label_values,
    listed_cases,
    names_by_number,
    read_description,
)
from softseg.data.importers.files import images_in, listed, stem
from softseg.data.importers.people import DEFAULT_FRACTIONS, Choices, Fractions, with_people
from softseg.data.writing import companion, write_dataset
from softseg.errors import InputError, naming
from softseg.events import Events
from softseg.files import is_file
from softseg.headers import read_header
from softseg.image import Image, placed, say_notes, write_image
from softseg.requests.names import file_names


def import_decathlon(
    source: str | PathLike[str],
    out: str | PathLike[str],
    *,
    fractions: Fractions = DEFAULT_FRACTIONS,
    people: str | PathLike[str] | None = None,
    splits: str | PathLike[str] | None = None,
    fold: int | None = None,
    events: Events | None = None,
) -> Path:
    """Describe a Decathlon task; every training case counts as a person unless ``people`` is given.

    4D images are split into one file per channel, in a folder beside ``out`` that belongs to it
    (``DATA.channels``); others stay where they are. The task's test images have no labels and are left out; training
    images that the description does not list are named in a warning.

    Parameters
    ----------
    source: the folder with ``dataset.json``.
    out: DATA.json; its tree is written beside it.
    fractions: parts of the people for train, val, test.
    people, splits, fold: who is who and which split; see :class:`softseg.data.importers.people.Choices`.
    events: receives what was found.

    Raises
    ------
    InputError: the folder is not such a task; file and field are named.
    """
    events = Events() if events is None else events
    description, content, title = read_description(source)
    folder = description.parent
    channels = names_by_number(content, "modality", description)
    values = label_values(content, description)
    plain = {name: value for name, value in values.items() if isinstance(value, int)}
    if len(plain) < len(values):
        raise InputError("has regions", file=description, field="labels", hint="is it nnU-Net's? import it as nnunet")
    paths = [(inside(folder, image), inside(folder, label)) for image, label in listed_cases(content, description)]
    cases: list[dict[str, Any]] = []
    place = companion(out, "channels")
    names = file_names(stem(image) for image, _ in paths)
    for position, (image, label) in enumerate(paths):
        events.check()
        if not is_file(label):
            raise InputError(f"no such file: {label}", file=description, field=f"training[{position}].label")
        name = stem(image)
        files = _channel_files(image, names[name], channels, place, description, position, events)
        cases.append({"id": name, "images": files, "labels": label})
    _warn_of_unlisted(paths, description, events)
    choices = Choices(people, splits, fold, fractions)
    with naming(description, "labels"):
        tree = flat_tree(plain, title)
    return write_dataset(out, title, channels, tree, with_people(cases, choices, events))


def _warn_of_unlisted(paths: list[tuple[Path, Path]], description: Path, events: Events) -> None:
    """Name the files that lie beside those that the description lists."""
    for place, what in ((0, "images"), (1, "labels")):
        taken = {pair[place] for pair in paths}
        for folder in sorted({path.parent for path in taken}):
            left = [stem(path) for path in images_in(folder) if path not in taken] if folder.is_dir() else []
            if left:
                events.warning(f"{folder}: {description.name} does not list the {what} of {listed(left)}; left out")


def _channel_files(
    image: Path, name: str, channels: list[str], folder: Path, description: Path, position: int, events: Events
) -> dict[str, Path]:
    """Return one file per channel; those of a 4D image are written to ``folder`` as ``name`` and a number."""
    if not is_file(image):
        raise InputError(f"no such file: {image}", file=description, field=f"training[{position}].image")
    header = read_header(image)
    if header.bands == 1 and len(channels) == 1:
        return {channels[0]: image}
    if header.bands != len(channels):
        raise InputError(f"expected {len(channels)} channels, got {header.bands}", file=image, field="modality")
    targets = {channel: folder / f"{name}_{number:04d}.nii.gz" for number, channel in enumerate(channels)}
    array, geometry, notes = placed(header)
    say_notes(notes, image, events.warning)
    for volume, target in zip(array, targets.values(), strict=True):
        write_image(Image(volume, geometry), target)
    return targets
