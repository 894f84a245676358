"""Writing NIfTI so that an output lies where its input lies in every reader: forms, codes and unit as given."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.headers.forms import Forms
from softseg.headers.nifti import NUMBERS

LEVEL = 4
"""Of compression; our default: about the size of zlib's own default in half its time."""

_CODES = {np.dtype(name): code for code, name in NUMBERS.items()}
_SECONDS = 8


def write_nifti(array: npt.NDArray[Any], forms: Forms, path: Path) -> None:
    """Write a volume.

    Parameters
    ----------
    array: ``(k, j, i)``, whole numbers of 8 to 64 bits or floats of 32 or 64.
    forms: where it lies.
    path: the file; packed where its name ends in ``.gz``.

    Raises
    ------
    OSError: the file cannot be written or the disk is full.
    """
    number = array.dtype.newbyteorder("<")
    _write(path, _header(array.shape[::-1], number, forms), array, number)


def write_nifti_stack(
    volumes: Iterable[npt.NDArray[np.float32]], count: int, shape: tuple[int, int, int], forms: Forms, path: Path
) -> None:
    """Write volumes as one image of four axes, one after another, so that only one of them has to be there.

    Parameters
    ----------
    volumes: float32 ``(k, j, i)`` each.
    count: how many.
    shape: of each.
    forms, path: see :func:`write_nifti`.

    Raises
    ------
    OSError: the file cannot be written or the disk is full.
    """
    number = np.dtype("<f4")
    rows = (row for volume in volumes for row in volume)
    _write(path, _header(shape[::-1], number, forms, count), rows, number)


def _write(path: Path, header: bytes, rows: Iterable[npt.NDArray[Any]], number: np.dtype[Any]) -> None:
    with path.open("wb") as stream:
        if not path.name.lower().endswith(".gz"):
            stream.write(header)
            for row in rows:
                stream.write(np.ascontiguousarray(row, number).data)
            return
        pack = zlib.compressobj(LEVEL, zlib.DEFLATED, 31)
        stream.write(pack.compress(header))
        for row in rows:
            stream.write(pack.compress(np.ascontiguousarray(row, number).data))
        stream.write(pack.flush())


def _header(size: tuple[int, ...], number: np.dtype[Any], forms: Forms, volumes: int | None = None) -> bytes:
    """Return the bytes before the numbers: NIfTI-1, or NIfTI-2 where an axis is too long for it."""
    dim = (3, *size, 1, 1, 1, 1) if volumes is None else (4, *size, volumes, 1, 1, 1)
    pixdim = (forms.qfac, *forms.pixdim, 0.0 if volumes is None else 1.0, 0.0, 0.0, 0.0)
    place = (*forms.quaternion, *forms.offset, *forms.sform)
    kind = (_CODES[number.newbyteorder("=")], number.itemsize * 8)
    codes = (forms.qform_code, forms.sform_code)
    units = forms.units | _SECONDS
    if max(size) > 32767:
        two = bytearray(544)
        struct.pack_into("<i8s2h8q", two, 0, 540, b"n+2\0\r\n\x1a\n", *kind, *dim)
        struct.pack_into("<8d", two, 104, *pixdim)
        struct.pack_into("<q2d", two, 168, 544, 1.0, 0.0)
        struct.pack_into("<2i18d", two, 344, *codes, *place)
        struct.pack_into("<i", two, 500, units)
        return bytes(two)
    one = bytearray(352)
    struct.pack_into("<i", one, 0, 348)
    one[38:39] = b"r"
    struct.pack_into("<8h", one, 40, *dim)
    struct.pack_into("<2h", one, 70, *kind)
    struct.pack_into("<8f", one, 76, *pixdim)
    struct.pack_into("<3f", one, 108, 352.0, 1.0, 0.0)
    struct.pack_into("<B", one, 123, units)
    struct.pack_into("<2h18f", one, 252, *codes, *place)
    one[344:348] = b"n+1\0"
    return bytes(one)
