"""Bytes of files that may be packed (gzip, zlib, bzip2): unpacked once, straight into the array."""

from __future__ import annotations

import bz2
import math
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError, SoftSegError
from softseg.headers.header import DAMAGED
from softseg.system import raise_out_of_memory, require_memory

_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 14
_PIECE = 1 << 22  # unpacked at a time, however tightly it is packed
_BEHIND = 64 << 20  # unpacked bytes behind the numbers that are still looked at
_RATIO = 1100  # deflate never packs tighter than 1 : 1032


def is_gzip(file: Path) -> bool:
    """Whether a file is packed by gzip, whatever its name says."""
    with file.open("rb") as stream:
        return stream.read(2) == _GZIP


def first_bytes(file: Path, count: int) -> bytes:
    """Return the first ``count`` unpacked bytes of a file, fewer if it has no more.

    Raises
    ------
    InputError: it cannot be read or unpacked.
    """
    try:
        with file.open("rb") as stream:
            if stream.read(2) != _GZIP:
                stream.seek(0)
                return stream.read(count)
            stream.seek(0)
            unpack, found = _unpacker("gzip"), b""
            while len(found) < count and (packed := unpack.unconsumed_tail or stream.read(1 << 10)):
                found += unpack.decompress(packed, count - len(found))
                if unpack.eof:
                    packed, unpack = unpack.unused_data, _unpacker("gzip")
                    found += unpack.decompress(packed, max(1, count - len(found))) if packed[:2] == _GZIP else b""
            return found[:count]
    except (OSError, EOFError, zlib.error) as error:
        raise_out_of_memory(error, file)
        raise InputError(DAMAGED, file=file) from error


def read_numbers(
    file: Path, number: np.dtype[Any], shape: tuple[int, ...], offset: int, packing: str | None = None, start: int = 0
) -> npt.NDArray[Any]:
    """Return numbers of a file in this machine's byte order.

    Parameters
    ----------
    file: where they are.
    number, shape: what is read.
    offset: unpacked bytes before the first number.
    packing: ``"gzip"``, ``"zlib"``, ``"bzip2"`` or ``"raw"``; by default what the file looks like.
    start: bytes of the file before the packed part.

    Raises
    ------
    InputError: the file is damaged or shorter than its header says.
    """
    try:
        kind = packing or ("gzip" if is_gzip(file) else "raw")
        expected = math.prod(shape) * number.itemsize
        there = file.stat().st_size - start
        if expected + offset > there * (1 if kind == "raw" else _RATIO if kind != "bzip2" else 1 << 30):
            raise InputError(DAMAGED, file=file)
        require_memory(expected, "its voxels", file)
        array = np.empty(shape, number)
        with file.open("rb") as stream:
            stream.seek(start + (offset if kind == "raw" else 0))
            if kind == "raw":
                filled = stream.readinto(_bytes_of(array))
            else:
                filled = _fill(_bytes_of(array), offset, _unpacked(stream, kind, _BLOCK))
    except (OSError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, SoftSegError):
            raise
        raise_out_of_memory(error, file)
        raise InputError(DAMAGED, file=file) from error
    if filled != expected:
        raise InputError(DAMAGED, file=file)
    return array if number.isnative else array.byteswap(inplace=True).view(number.newbyteorder("="))


def read_bands(file: Path, number: np.dtype[Any], shape: tuple[int, ...], offset: int) -> Iterator[npt.NDArray[Any]]:
    """Yield ``shape[0]`` arrays of shape ``shape[1:]``, one at a time, of a file that is plain or gzip'ed.

    Parameters
    ----------
    file, number, shape, offset: as for :func:`read_numbers`; the first axis varies slowest.

    Raises
    ------
    InputError: the file is damaged or shorter than its header says; bands before the damage have been given by then.
    """
    try:
        kind = "gzip" if is_gzip(file) else "raw"
        expected = math.prod(shape) * number.itemsize
        if expected + offset > file.stat().st_size * (1 if kind == "raw" else _RATIO):
            raise InputError(DAMAGED, file=file)
        with file.open("rb") as stream:
            yield from bands_of(_unpacked(stream, kind, _BLOCK), number, shape, offset, file)
    except (OSError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, SoftSegError):
            raise
        raise_out_of_memory(error, file)
        raise InputError(DAMAGED, file=file) from error


def bands_of(
    blocks: Iterator[bytes], number: np.dtype[Any], shape: tuple[int, ...], skip: int, file: Path
) -> Iterator[npt.NDArray[Any]]:
    """Yield the arrays that blocks of bytes hold one after the other, behind the first ``skip`` bytes.

    Raises
    ------
    InputError: the bytes end too early.
    """
    require_memory(math.prod(shape[1:]) * number.itemsize, "one of its volumes", file)
    rest = memoryview(b"")
    for _ in range(shape[0]):
        array = np.empty(shape[1:], number)
        target, filled = _bytes_of(array), 0
        while filled < len(target):
            if not rest:
                block = next(blocks, None)
                if block is None:
                    raise InputError(DAMAGED, file=file)
                rest, skip = memoryview(block)[skip:], max(0, skip - len(block))
            part = rest[: len(target) - filled]
            target[filled : filled + len(part)] = part
            filled, rest = filled + len(part), rest[len(part) :]
        yield array if number.isnative else array.byteswap(inplace=True).view(number.newbyteorder("="))


def require_finite(array: npt.NDArray[Any], file: Path) -> None:
    """Raise :class:`InputError` if an array of floats holds NaN or infinity."""
    if array.dtype.kind != "f" or not array.size:
        return
    with np.errstate(all="ignore"):
        if np.isfinite(array.sum(dtype=np.float64)):
            return
        strange = sum(int((~np.isfinite(part)).sum()) for part in array.reshape(len(array), -1))
    if strange:
        raise InputError(
            f"holds {strange} values that are NaN or infinite",
            file=file,
            hint="replace these values or write the file again",
        )


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    return array.reshape(-1).view(np.uint8).data if array.size else memoryview(bytearray())


def _fill(target: memoryview, skip: int, blocks: Iterator[bytes]) -> int:
    """Copy unpacked bytes after the first ``skip`` into ``target``; the checksum at the end is looked at, too.

    Where far more follows than was asked for, nobody waits for that end.
    """
    filled, left = 0, skip + len(target) + _BEHIND
    for block in blocks:
        left -= len(block)
        if left < 0 and filled == len(target):
            break
        if skip:
            skip, block = max(0, skip - len(block)), block[skip:]
        part = block[: len(target) - filled]
        target[filled : filled + len(part)] = part
        filled += len(part)
    return filled


def _unpacked(stream: BinaryIO, kind: str, block: int) -> Iterator[bytes]:
    """Yield the unpacked bytes; gzip files and bzip2 files may have several members, and what follows them is passed.

    Raises
    ------
    EOFError, OSError, zlib.error: a member is damaged or not complete.
    """
    if kind == "raw":
        while data := stream.read(block):
            yield data
        return
    unpack: Any = _unpacker(kind)
    begun = members = 0
    while data := stream.read(block):
        while data:
            if unpack.eof:
                if kind == "zlib" or not data.startswith(b"BZh" if kind == "bzip2" else b"\x1f"):
                    return
                unpack, begun = _unpacker(kind), 0
            yield (piece := unpack.decompress(data, _PIECE))
            while not unpack.eof and (len(piece) == _PIECE or _left(unpack)):
                yield (piece := unpack.decompress(_left(unpack), _PIECE))
            begun += 1
            data = unpack.unused_data if unpack.eof else b""
            members += bool(unpack.eof)
    if not unpack.eof or not members:
        raise EOFError


def _left(unpack: Any) -> bytes:
    """Return the packed bytes that zlib has not looked at yet; bz2 keeps them itself."""
    return b"" if isinstance(unpack, bz2.BZ2Decompressor) else bytes(unpack.unconsumed_tail)


def _unpacker(kind: str) -> Any:
    return bz2.BZ2Decompressor() if kind == "bzip2" else zlib.decompressobj(31 if kind == "gzip" else 15)
