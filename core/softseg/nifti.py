"""What the NIfTI reader passes over in silence: missing voxels become zeros, and so do NaN and infinity."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

_BLOCK = 1 << 20
_FLOATS = {16: 4, 64: 8}  # NIfTI's datatype code of real floats: bytes


@dataclass(frozen=True)
class _Header:
    offset: int
    voxels: int
    bits: int
    datatype: int
    order: str

    @property
    def end(self) -> int:
        """Bytes that the unpacked file must have."""
        return self.offset + self.voxels * self.bits // 8


def problem_of_nifti(path: str | os.PathLike[str]) -> str | None:
    """Return what is wrong with the voxels of a ``.nii`` or ``.nii.gz`` file, None if nothing is.

    Files of integers are unpacked only when the size noted at their end does not prove already that they are whole.
    """
    file = Path(path)
    damaged = "is damaged or truncated"
    try:
        with _open(file) as stream:
            header = _read_header(stream.read(540))
        if header.datatype in _FLOATS:
            complete, strange = _look_at_floats(file, header)
            found = f"holds {strange} values that are NaN or infinite" if strange else None
            return found if complete else damaged
        return None if _is_complete(file, header) else damaged
    except (OSError, EOFError, zlib.error, struct.error):
        return damaged


def _is_complete(file: Path, header: _Header) -> bool:
    if not _is_gzip(file):
        return file.stat().st_size >= header.end
    with file.open("rb") as raw:
        raw.seek(-4, os.SEEK_END)
        noted = struct.unpack("<I", raw.read(4))[0]
    if noted == header.end % 2**32:
        return True
    total = 0
    with gzip.open(file, "rb") as stream:
        while block := stream.read(_BLOCK):
            total += len(block)
    return total >= header.end


def _look_at_floats(file: Path, header: _Header) -> tuple[bool, int]:
    """Return whether all voxels are there, and how many of them are NaN or infinite."""
    kind = np.dtype(f"{header.order}f{_FLOATS[header.datatype]}")
    left, strange = header.voxels * kind.itemsize, 0
    with _open(file) as stream:
        stream.seek(header.offset)
        while left:
            block = stream.read(min(left, _BLOCK))
            if len(block) % kind.itemsize or not block:
                return False, strange
            strange += int((~np.isfinite(np.frombuffer(block, kind))).sum())
            left -= len(block)
    return True, strange


def _open(file: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(file, "rb") if _is_gzip(file) else file.open("rb")


def _is_gzip(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _read_header(header: bytes) -> _Header:
    """Read NIfTI-1 or NIfTI-2, either byte order."""
    order = "<" if struct.unpack("<i", header[:4])[0] in (348, 540) else ">"
    if struct.unpack(f"{order}i", header[:4])[0] == 540:
        dimensions = struct.unpack(f"{order}8q", header[16:80])
        datatype, bits = struct.unpack(f"{order}2h", header[12:16])
        offset = struct.unpack(f"{order}q", header[168:176])[0]
    else:
        dimensions = struct.unpack(f"{order}8h", header[40:56])
        datatype, bits = struct.unpack(f"{order}2h", header[70:74])
        offset = int(struct.unpack(f"{order}f", header[108:112])[0])
    voxels = math.prod(dimensions[1 : 1 + dimensions[0]])
    return _Header(int(offset), int(voxels), int(bits), int(datatype), order)
