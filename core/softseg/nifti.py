"""Whether a NIfTI file holds as many bytes as its header promises: the reader fills what is missing with zeros."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

_BLOCK = 1 << 20


def is_complete_nifti(path: str | os.PathLike[str]) -> bool:
    """Whether the voxel data of a ``.nii`` or ``.nii.gz`` file are all there.

    Compressed files are unpacked once only when the size noted at their end does not already prove it.
    """
    file = Path(path)
    try:
        with _open(file) as stream:
            header = stream.read(540)
        expected = _expected_bytes(header)
        if not _is_gzip(file):
            return file.stat().st_size >= expected
        with file.open("rb") as raw:
            raw.seek(-4, os.SEEK_END)
            noted = struct.unpack("<I", raw.read(4))[0]
        return bool(noted == expected % 2**32) or _unpacked_bytes(file) >= expected
    except (OSError, EOFError, zlib.error, struct.error):
        return False


def _open(file: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(file, "rb") if _is_gzip(file) else file.open("rb")


def _is_gzip(file: Path) -> bool:
    with file.open("rb") as stream:
        return stream.read(2) == b"\x1f\x8b"


def _expected_bytes(header: bytes) -> int:
    """Return offset plus size of the voxel data by the NIfTI-1 or NIfTI-2 header (either byte order)."""
    order = "<" if struct.unpack("<i", header[:4])[0] in (348, 540) else ">"
    if struct.unpack(f"{order}i", header[:4])[0] == 540:
        dimensions = struct.unpack(f"{order}8q", header[16:80])
        bits = struct.unpack(f"{order}h", header[14:16])[0]
        offset = struct.unpack(f"{order}q", header[168:176])[0]
    else:
        dimensions = struct.unpack(f"{order}8h", header[40:56])
        bits = struct.unpack(f"{order}h", header[72:74])[0]
        offset = int(struct.unpack(f"{order}f", header[108:112])[0])
    voxels = math.prod(dimensions[1 : 1 + dimensions[0]])
    return int(offset + voxels * bits // 8)


def _unpacked_bytes(file: Path) -> int:
    total = 0
    with gzip.open(file, "rb") as stream:
        while block := stream.read(_BLOCK):
            total += len(block)
    return total
