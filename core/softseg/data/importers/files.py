"""Folders and file names of datasets."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike
from pathlib import Path

from softseg.data.segments import SEGMENT_SUFFIXES
from softseg.errors import InputError
from softseg.headers import IMAGE_SUFFIXES, PAIR_SUFFIXES, is_image_file

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
    return path.stem


def images_in(folder: Path) -> list[Path]:
    """Return the image files of a folder, sorted by name; hidden ones (``._x.nii.gz``) are none."""
    return sorted(
        path for path in folder.iterdir() if path.is_file() and not path.name.startswith(".") and is_image_file(path)
    )


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence, the first few of many."""
    ordered = list(names)
    shown = ", ".join(map(repr, ordered[:_SHOWN]))
    return f"{shown} and {len(ordered) - _SHOWN} more" if len(ordered) > _SHOWN else shown
