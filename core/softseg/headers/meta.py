"""MetaImage (``.mha``, ``.mhd``): the text header, its axes and units, and the numbers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.files import is_file
from softseg.headers.forms import Affine, Forms
from softseg.headers.header import DAMAGED, Header, three
from softseg.headers.packed import require_finite
from softseg.headers.parts import beside, is_pattern, numbered, read_parts

NUMBERS = {
    "CHAR": "i1",
    "UCHAR": "u1",
    "SHORT": "i2",
    "USHORT": "u2",
    "INT": "i4",
    "UINT": "u4",
    "LONG": "i4",
    "ULONG": "u4",
    "LONG_LONG": "i8",
    "ULONG_LONG": "u8",
    "FLOAT": "f4",
    "DOUBLE": "f8",
}
"""MetaImage's name of each type of number (without ``MET_``)."""

_UNITS = {"mm": 1.0, "um": 1e-3, "cm": 10.0, "m": 1000.0, "?": 1.0, "": 1.0}
_ORIENTATIONS = ("TransformMatrix", "Orientation", "Rotation")
_SIZE_OF_HEADER = 1 << 20


@dataclass(frozen=True)
class _MetaText:
    file: Path
    fields: dict[str, str]
    end: int
    listed: tuple[str, ...]

    def numbers(self, names: tuple[str, ...], count: int) -> list[float] | None:
        """Return the numbers of the first of these fields that is there."""
        for name in names:
            if name in self.fields:
                try:
                    found = [float(word) for word in self.fields[name].split()]
                except ValueError:
                    found = []
                if len(found) != count:
                    raise InputError(f"expected {count} numbers, got {self.fields[name]!r}", file=self.file, field=name)
                return found
        return None

    def truth(self, *names: str) -> bool:
        return any(self.fields.get(name, "").lower() in ("true", "1", "yes") for name in names)


def read_meta(file: Path) -> Header:
    """Read a header.

    Raises
    ------
    InputError: it is damaged, lacks a field, or names a file that is not beside it.
    """
    text = _read_text(file)
    try:
        count = int(text.fields["NDims"])
        sizes = [int(word) for word in text.fields["DimSize"].split()]
        kind = text.fields["ElementType"].removeprefix("MET_").removesuffix("_ARRAY")
        bands = int(text.fields.get("ElementNumberOfChannels", 1))
        number = NUMBERS[kind]
    except (KeyError, ValueError) as error:
        raise InputError(f"cannot be read as an image: its header lacks a sound {error}", file=file) from error
    if len(sizes) != count or count < 1 or min(*sizes, bands) < 1:
        raise InputError(f"expected {count} axes with voxels, got {sizes}", file=file, field="DimSize")
    size, bands = three((*sizes, *[1] * (3 - count), bands), file)
    affine, forms, known, notes = _place(text, count)
    big = text.truth("BinaryDataByteOrderMSB", "ElementByteOrderMSB")
    together = int(text.fields.get("ElementNumberOfChannels", 1)) > 1
    kind_of_number = np.dtype((">" if big else "<") + number)
    load = partial(_load, text, kind_of_number, size, bands, together)
    return Header(file, "MetaImage", size, bands, kind_of_number, affine, load, "", None, known, forms, notes)


def _read_text(file: Path) -> _MetaText:
    fields: dict[str, str] = {}
    listed: list[str] = []
    try:
        with file.open("rb") as stream:
            while stream.tell() < _SIZE_OF_HEADER and (line := stream.readline(1 << 16)):
                if "ElementDataFile" in fields:
                    listed.append(line.decode("utf-8", "replace").strip())
                    continue
                key, equals, value = line.decode("utf-8", "replace").partition("=")
                if not equals:
                    break
                fields[key.strip()] = value.strip()
                if key.strip() == "ElementDataFile" and value.split()[:1] != ["LIST"]:
                    break
            end = stream.tell()
    except OSError as error:
        raise InputError(DAMAGED, file=file) from error
    if "ElementDataFile" not in fields or "DimSize" not in fields:
        raise InputError("cannot be read as an image: damaged or another format than MetaImage", file=file)
    return _MetaText(file, fields, end, tuple(name for name in listed if name))


def _place(text: _MetaText, count: int) -> tuple[Affine, Forms | None, bool, tuple[str, ...]]:
    """Return the matrix to RAS mm, forms that claim nothing, whether sides are known, and oddities."""
    used = min(3, count)
    lengths, origin, axes = np.ones(3), np.zeros(3), np.eye(3)
    spacing = text.numbers(("ElementSpacing", "ElementSize"), count)
    offset = text.numbers(("Offset", "Position", "Origin"), count)
    turn = text.numbers(_ORIENTATIONS, count * count)
    if spacing is not None:
        lengths[:used] = spacing[:used]
    if offset is not None:
        origin[:used] = offset[:used]
    if turn is not None:
        axes[:used, :used] = np.reshape(turn, (count, count))[:used, :used].T  # a row is the direction of an axis
    unit = text.fields.get("DistanceUnits", "").lower()
    notes = () if unit in _UNITS else (f"its unit {unit!r} is unknown and taken as mm",)
    scale = _UNITS.get(unit, 1.0)
    to_ras = np.diag([-1.0, -1.0, 1.0])
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = scale * (to_ras @ (axes * lengths)), scale * (to_ras @ origin)
    if turn is not None or "?" not in text.fields.get("AnatomicalOrientation", "???"):
        return matrix, None, True, notes
    if not origin.any() and (lengths > 0).all():
        return matrix, Forms(pixdim=(float(lengths[0]), float(lengths[1]), float(lengths[2]))), False, notes
    return matrix, None, False, notes


def _load(
    text: _MetaText, number: np.dtype[Any], size: tuple[int, int, int], bands: int, together: bool
) -> npt.NDArray[Any]:
    """Return ``[bands, k, j, i]``; channels lie voxel by voxel."""
    grid = size[::-1]
    name = text.fields["ElementDataFile"]
    if name.upper() in ("LOCAL", "LOCAL "):
        files, start = [text.file], text.end
    elif name.split()[:1] == ["LIST"]:
        files, start = [beside(text.file, each) for each in text.listed], 0
    elif is_pattern(name) and not is_file(text.file.parent / name):
        files, start = numbered(text.file, name), 0
    else:
        files, start = [beside(text.file, name)], 0
    skip = int(text.fields.get("HeaderSize", 0) or 0)
    packing = "zlib" if text.truth("CompressedData") else "raw"
    if not text.truth("BinaryData") and "BinaryData" in text.fields:
        packing = "text"
    whole = read_parts(
        text.file,
        files,
        number,
        (*grid, bands) if together else (bands, *grid),
        packing=packing,
        start=None if skip == -1 else start + max(0, skip),
    )
    array = np.ascontiguousarray(np.moveaxis(whole, -1, 0)) if together else whole
    require_finite(array, text.file)
    return array
