"""The demo's data: the MNI152 template and its tissue maps, read out of the nilearn wheel."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from softseg.errors import InputError
from softseg.extras import installing
from softseg.files import scratch_beside, write_beside
from softseg.image import Image, read_image, write_image
from softseg.tree import LabelTree, Node

BACK_FRACTION = 0.35
"""Fraction of the head, from the back, that is kept out of training and used to judge it."""

TISSUES = (
    Node("head", "head", None),
    Node("background", "background", "head", value=0, color=(0, 0, 0)),
    Node("brain", "brain", "head"),
    Node("other", "other, mostly CSF", "brain", value=1, color=(70, 130, 180)),
    Node("grey-matter", "grey matter", "brain", value=2, color=(205, 92, 92)),
    Node("white-matter", "white matter", "brain", value=3, color=(240, 240, 240)),
)


@dataclass(frozen=True)
class Maps:
    """The scan and its soft labels, all on one grid: ``t1`` 0..255, ``probabilities`` by leaf id, 0..1."""

    t1: Image
    probabilities: dict[str, Image]


def read_maps(folder: Path) -> Maps:
    """Read template and tissue maps out of nilearn, take the brain by nilearn's mask, and write them to ``folder``."""
    try:
        from nilearn import datasets
    except ModuleNotFoundError as error:
        raise InputError("the demo's scan comes with nilearn", hint=installing("softseg[train,demo]")) from error
    folder.mkdir(parents=True, exist_ok=True)
    brain = _read(datasets.load_mni152_brain_mask(resolution=1), folder).array > 0
    t1 = _read(datasets.load_mni152_template(resolution=1), folder)
    grey = _read(datasets.load_mni152_gm_template(resolution=1), folder).array.astype(np.float32)
    white = _read(datasets.load_mni152_wm_template(resolution=1), folder).array.astype(np.float32)
    other = np.where(brain, np.maximum(0, 1 - grey - white), 0).astype(np.float32)
    probabilities = {"other": other, "grey-matter": grey, "white-matter": white}
    probabilities = {"background": np.maximum(0, 1 - sum(probabilities.values())).astype(np.float32), **probabilities}
    intensities = np.where(brain, np.rint(t1.array * 255), 0).astype(np.uint8)
    maps = Maps(
        Image(intensities, t1.geometry),
        {leaf: Image(probability, t1.geometry) for leaf, probability in probabilities.items()},
    )
    write_image(maps.t1, folder / "T1.nii.gz")
    return maps


def write_dataset(maps: Maps, folder: Path) -> Path:
    """Write the front and the back of the head as two cases with soft labels, and return DATA.json."""
    LabelTree(TISSUES, name="tissues").save(folder / "tree.json")
    slices = maps.t1.array.shape[1]
    back = round(slices * BACK_FRACTION)
    cases = [
        _write_part(maps, folder, "front", "train", back, slices),
        _write_part(maps, folder, "back", "val", 0, back),
    ]
    description = {"name": "MNI152 tissues", "channels": ["T1"], "tree": "tree.json", "cases": cases}
    with write_beside(folder / "DATA.json") as temporary:
        temporary.write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
    return folder / "DATA.json"


def _write_part(maps: Maps, folder: Path, name: str, split: str, first: int, last: int) -> dict[str, Any]:
    """Write the coronal slices ``first`` to ``last - 1`` (posterior to anterior) as one case."""
    labels = {}
    for leaf, probability in maps.probabilities.items():
        labels[leaf] = write_image(_coronal(probability, first, last), folder / f"{name}_{leaf}.nii.gz").name
    image = write_image(_coronal(maps.t1, first, last), folder / f"{name}_T1.nii.gz").name
    return {"id": name, "group": f"MNI152 {name}", "split": split, "images": {"T1": image}, "labels": labels}


def _coronal(image: Image, first: int, last: int) -> Image:
    shape = image.array.shape
    geometry = image.geometry.cropped((0, first, 0), (shape[0], last - first, shape[2]))
    return Image(np.ascontiguousarray(image.array[:, first:last, :]), geometry)


def _read(volume: Any, folder: Path) -> Image:
    """Turn a nibabel image into an :class:`Image` by way of a file, so that the grid is read as always."""
    with scratch_beside(folder / "volume.nii") as scratch:
        file = scratch / "volume.nii"
        volume.to_filename(file)
        return read_image(file)
