"""Folders and file names of datasets."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from softseg.data.segments import SEGMENT_SUFFIXES
from softseg.errors import InputError
from softseg.headers import (
    IMAGE_SUFFIXES,
    PAIR_SUFFIXES,
    dicom_stem,
    is_dicom_folder,
    is_dicom_image,
    is_dicom_segmentation,
    is_image_file,
)

_SHOWN = 6


def require_folder(path: str | PathLike[str], what: str = "folder") -> Path:
    """Return ``path`` if it is a folder.

    Raises
    ------
    InputError: it is not.
    """
    folder = Path(path).absolute()
    if not folder.is_dir():
        raise InputError(f"no such {what}", file=folder)
    return folder


def stem(path: Path) -> str:
    """Return the file name without its image ending (``.nii.gz`` and others)."""
    lower = path.name.lower()
    for suffix in (*SEGMENT_SUFFIXES, *IMAGE_SUFFIXES, *PAIR_SUFFIXES):
        if lower.endswith(suffix):
            return path.name[: -len(suffix)]
    return dicom_stem(path) if is_image(path) else path.stem


def images_in(folder: Path) -> list[Path]:
    """Return the images of a folder, sorted by name: files, and folders of DICOM slices; hidden ones are none."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith(".") and is_image(path))


def is_image(path: Path) -> bool:
    """Whether a folder's listing counts this as an image or as labels: a file, or a folder of DICOM slices."""
    if path.is_dir():
        return is_dicom_folder(path)
    return path.is_file() and (is_image_file(path) or is_dicom_image(path) or is_dicom_segmentation(path))


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence, the first few of many."""
    ordered = list(names)
    shown = ", ".join(map(repr, ordered[:_SHOWN]))
    return f"{shown} and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else shown
