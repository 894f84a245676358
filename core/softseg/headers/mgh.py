"""FreeSurfer's volumes, ``.mgh`` and packed ``.mgz``: big-endian, a header of 284 bytes, a centre and three axes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.headers.header import DAMAGED, Header, three
from softseg.headers.packed import first_bytes, read_bands, read_numbers, require_finite

NUMBERS = {0: "u1", 1: "i4", 3: "f4", 4: "i2", 10: "u2"}
"""FreeSurfer's code of each type of number that is read."""

_START = 284
_CORONAL = np.array([[-1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])


def read_mgh(file: Path) -> Header:
    """Read a header.

    Raises
    ------
    InputError: it is damaged or of another format, or its numbers are of a type that is not read.
    """
    content = first_bytes(file, _START)
    if len(content) < _START:
        raise InputError(DAMAGED, file=file)
    version, *sizes = struct.unpack(">5i", content[:20])
    if version & 0xFF != 1 or min(sizes) < 1:
        raise InputError("cannot be read as an image: damaged or another format than FreeSurfer's MGH", file=file)
    code = struct.unpack(">i", content[20:24])[0]
    if code not in NUMBERS:
        raise InputError(f"holds numbers of FreeSurfer's type {code}, which is not read", file=file, field="type")
    size, bands = three(tuple(sizes), file)
    number = np.dtype(">" + NUMBERS[code])
    affine, notes = _affine(content, size)
    load = partial(_load, file, number, (bands, *size[::-1]))
    apart = partial(read_bands, file, number, (bands, *size[::-1]), _START)
    return Header(file, "MGH", size, bands, number, affine, load, notes=notes, bands_apart=partial(_each, apart, file))


def _affine(content: bytes, size: tuple[int, int, int]) -> tuple[npt.NDArray[np.float64], tuple[str, ...]]:
    """Return the matrix to RAS: the centre of the volume (voxel ``size / 2``) lies at ``c_ras``."""
    notes: tuple[str, ...] = ()
    lengths, axes, centre = np.ones(3), _CORONAL, np.zeros(3)
    if struct.unpack(">h", content[28:30])[0] == 1:
        lengths = np.array(struct.unpack(">3f", content[30:42]))
        axes = np.reshape(struct.unpack(">9f", content[42:78]), (3, 3)).T
        centre = np.array(struct.unpack(">3f", content[78:90]))
    else:
        notes = ("its header does not say how it lies in space; it is taken as coronal, as FreeSurfer does",)
    matrix = np.eye(4)
    matrix[:3, :3] = axes * lengths
    matrix[:3, 3] = centre - matrix[:3, :3] @ (np.array(size) / 2)
    return matrix, notes


def _each(apart: Callable[[], Iterator[npt.NDArray[Any]]], file: Path) -> Iterator[npt.NDArray[Any]]:
    for band in apart():
        require_finite(band, file)
        yield band


def _load(file: Path, number: np.dtype[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    array = read_numbers(file, number, shape, _START)
    require_finite(array, file)
    return array
