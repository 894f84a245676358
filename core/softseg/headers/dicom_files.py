"""Which files and folders are DICOM, recognised by their first bytes, and how a series of a folder is named.

A DICOM file is known by its preamble, whatever its name; what it holds by the SOP class in its file meta information,
which every transfer syntax writes alike. A folder of slices is one scan; ``FOLDER:3`` is its series of number 3, and
``FOLDER:UID`` its series of this Series Instance UID.
"""

from __future__ import annotations

import mmap
import os
import struct
from os import PathLike
from pathlib import Path

from softseg.files import is_file, is_folder

SEGMENTATION_CLASSES = ("1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7")
"""SOP classes of Segmentation (binary, fractional) and Label Map Segmentation."""

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
"""Endings that are no part of a DICOM file's name; most have none."""

_FOLDER_INDEX = "1.2.840.10008.1.3.10"  # a DICOMDIR
_META_BYTES = 4096
_PIXELS, _END, _UNSAID = b"\xe0\x7f\x10\x00", b"\xfe\xff\xdd\xe0\0\0\0\0", 0xFFFFFFFF
_LONG = (b"OB", b"OW", b"UN", b"SQ", b"UT")  # value representations whose length has four bytes


def sop_class(path: str | PathLike[str]) -> str | None:
    """Return the SOP class UID of a DICOM file, empty where it has none; None where it is no DICOM file."""
    if not is_file(path):
        return None
    try:
        with Path(path).open("rb") as stream:
            start = stream.read(132 + _META_BYTES)
    except OSError:
        return None
    if start[128:132] != b"DICM":
        return None
    place = 132
    while place + 8 <= len(start):
        group, element = struct.unpack_from("<HH", start, place)
        if group != 2:
            break
        long = start[place + 4 : place + 6] in _LONG
        if long and place + 12 > len(start):
            break
        length = struct.unpack_from("<I" if long else "<H", start, place + (8 if long else 6))[0]
        place += 12 if long else 8
        if element == 2:
            return start[place : place + length].decode("ascii", "replace").rstrip("\0 ")
        place += length
    return ""


def is_dicom_image(path: str | PathLike[str]) -> bool:
    """Whether it is a DICOM file that may hold an image: neither a segmentation nor the index of a folder."""
    found = sop_class(path)
    return found is not None and found not in (*SEGMENTATION_CLASSES, _FOLDER_INDEX)


def is_dicom_segmentation(path: str | PathLike[str]) -> bool:
    """Whether it is a DICOM Segmentation object."""
    return sop_class(path) in SEGMENTATION_CLASSES


def dicom_images(folder: Path) -> list[Path]:
    """Return the DICOM files of a folder, without those of its folders, that may hold images."""
    return [path for path in sorted(folder.iterdir()) if not path.name.startswith(".") and is_dicom_image(path)]


def split_series(path: str | PathLike[str]) -> tuple[Path, str | None]:
    """Return the folder and the series that is named in it: ``FOLDER:3``; None where no series is named."""
    whole = Path(path)
    name, colon, series = whole.name.rpartition(":")
    if colon and name and series and not os.path.lexists(whole):
        folder = whole.with_name(name)
        if is_folder(folder):
            return folder, series
    return whole, None


def with_series(folder: str | PathLike[str], series: str) -> Path:
    """Return the name of a series of a folder; :func:`split_series` takes it apart."""
    whole = Path(os.path.abspath(folder)) if Path(folder).name in ("", "..") else Path(folder)  # noqa: PTH100
    return whole.with_name(f"{whole.name}:{series}")


def dicom_stem(path: Path) -> str:
    """Return what a DICOM file or folder is called: a folder by its whole name, a file without DICOM's endings."""
    folder = split_series(path)[0]
    if is_folder(folder):
        return folder.name or Path(os.path.abspath(folder)).name  # noqa: PTH100 - links are not followed
    lower = path.name.lower()
    return next((path.name[: -len(suffix)] for suffix in DICOM_SUFFIXES if lower.endswith(suffix)), path.name)


def state_of(path: str | PathLike[str]) -> tuple[int, int]:
    """Return size in bytes and time of the last change (ns) of a file, or of all files in a folder together.

    Raises
    ------
    OSError: it is not there.
    """
    whole = split_series(path)[0]
    if not is_folder(whole):
        found = whole.stat()
        return found.st_size, found.st_mtime_ns
    states = [entry.stat() for entry in os.scandir(whole) if entry.is_file()]
    return sum(one.st_size for one in states), max((one.st_mtime_ns for one in states), default=0)


def is_whole(file: Path, pixel_bytes: int) -> bool:
    """Whether a file holds all of its pixels, which GDCM does not report: it reads what is missing as 0.

    Parameters
    ----------
    file: a DICOM file, little-endian, as nearly all are; of others nothing is known, and True is returned.
    pixel_bytes: that the pixels have when they are not compressed.
    """
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        place, broken = content.find(_PIXELS), False
        while place >= 0:
            explicit = content[place + 4 : place + 6] in (b"OW", b"OB")
            start = place + (12 if explicit else 8)
            if start <= len(content):
                length = struct.unpack("<I", content[start - 4 : start])[0]
                if length == _UNSAID and content.rfind(_END) > start:
                    return True
                if length in (pixel_bytes, pixel_bytes + 1) and start + pixel_bytes <= len(content):
                    return True
                broken = broken or length in (pixel_bytes, pixel_bytes + 1, _UNSAID)
            place = content.find(_PIXELS, place + 4)
        return not broken
