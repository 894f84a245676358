"""Naming an array inside a file: ``scene.npz:cube`` is the array ``cube`` of ``scene.npz``.

``FOLDER:3`` is the DICOM series of number 3 in a folder (:func:`softseg.headers.split_series`).
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from softseg.headers import split_series

KEYED_SUFFIXES = (".npz", ".mat")
"""Files that hold several arrays by name."""


def split_address(path: str | PathLike[str]) -> tuple[Path, str | None]:
    r"""Return the file and the name of the array in it, None where none is given.

    Only what follows the ending of a file of named arrays counts as a name, so that a colon elsewhere in a path
    (``C:\data``) stays what it is.
    """
    whole = Path(path)
    for suffix in KEYED_SUFFIXES:
        place = whole.name.lower().rfind(f"{suffix}:")
        if place >= 0 and not whole.exists():
            end = place + len(suffix)
            return whole.with_name(whole.name[:end]), whole.name[end + 1 :]
    return whole, None


def file_of(path: str | PathLike[str]) -> Path:
    """Return the file, or the folder of DICOM slices, that an address names."""
    return split_series(split_address(path)[0])[0]
