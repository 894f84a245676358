"""Tasks of the Medical Segmentation Decathlon: ``dataset.json``, ``imagesTr``, ``labelsTr``; channels in 4D files."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.importers.common import (
    DEFAULT_FRACTIONS,
    Fractions,
    flat_tree,
    names_by_number,
    read_description,
    split_people,
    stem,
    write_dataset,
)
from softseg.errors import InputError
from softseg.headers import read_header
from softseg.image import Image, placed, write_image


def import_decathlon(
    source: str | PathLike[str], out: str | PathLike[str], *, fractions: Fractions = DEFAULT_FRACTIONS
) -> Path:
    """Describe a Decathlon task; every training case counts as a person.

    4D images are split into one file per channel, in the folder ``channels`` beside ``out``; others stay where they
    are. The task's test images have no labels and are left out.

    Parameters
    ----------
    source: the folder with ``dataset.json``.
    out: DATA.json; ``tree.json`` is written beside it.
    fractions: shares of train, val, test.

    Raises
    ------
    InputError: the folder is not such a task; file and field are named.
    """
    description, content, title = read_description(source)
    folder = description.parent
    channels = names_by_number(content, "modality", description)
    names = names_by_number(content, "labels", description)
    values = dict(zip(names, sorted(int(value) for value in content["labels"]), strict=True))
    entries = content.get("training")
    if not isinstance(entries, list) or not all(isinstance(item, dict) and "image" in item for item in entries):
        raise InputError('expected a list of {"image", "label"}', file=description, field="training")
    paths = [(_inside(folder, item["image"]), _inside(folder, item.get("label", ""))) for item in entries]
    splits = split_people([stem(image) for image, _ in paths], fractions)
    cases: list[dict[str, Any]] = []
    for position, (image, label) in enumerate(paths):
        if not label.is_file():
            raise InputError(f"no such file: {label}", file=description, field=f"training[{position}].label")
        name = stem(image)
        files = _channel_files(image, channels, Path(out).absolute().parent / "channels", description, position)
        cases.append({"id": name, "group": name, "split": splits[name], "images": files, "labels": label})
    return write_dataset(out, title, channels, flat_tree(values, title), cases)


def _inside(folder: Path, name: str) -> Path:
    return folder / name.removeprefix("./")


def _channel_files(image: Path, channels: list[str], folder: Path, description: Path, position: int) -> dict[str, Path]:
    """Return one file per channel; those of a 4D image are written to ``folder``, unless they are there already."""
    if not image.is_file():
        raise InputError(f"no such file: {image}", file=description, field=f"training[{position}].image")
    header = read_header(image)
    if header.bands == 1 and len(channels) == 1:
        return {channels[0]: image}
    if header.bands != len(channels):
        raise InputError(f"expected {len(channels)} channels, got {header.bands}", file=image, field="modality")
    targets = {channel: folder / f"{stem(image)}_{number:04d}.nii.gz" for number, channel in enumerate(channels)}
    if not all(target.is_file() for target in targets.values()):
        array, geometry, _ = placed(header)
        for volume, target in zip(array, targets.values(), strict=True):
            write_image(Image(volume, geometry), target)
    return targets
