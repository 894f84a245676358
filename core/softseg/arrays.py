"""NumPy's files of arrays (``.npz``, ``.npy``), read only after what they declare was held against what is there."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.files import require_file
from softseg.system import raise_out_of_memory, require_memory

_DEFLATE = 1040  # deflate never packs tighter than 1 : 1032
_SLACK = 1024
_HEADER = 1 << 16
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

_ERRORS = (OSError, EOFError, ValueError, KeyError, TypeError, RuntimeError, NotImplementedError, zipfile.BadZipFile)
_UNREADABLE = (*_ERRORS, zlib.error, SyntaxError, tokenize.TokenError, OverflowError, MemoryError, UnicodeError)


@dataclass(frozen=True)
class Declared:
    """The header of one array: its shape and number type."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def bytes(self) -> int:
        """How many bytes its numbers take."""
        return math.prod(self.shape) * self.dtype.itemsize


def declared_arrays(file: Path) -> dict[str, Declared]:
    """Return what each array of a file declares, by name (``.npy``: one array, named ``array``); no number is read.

    Raises
    ------
    InputError: the file is missing, damaged or no regular file, holds what is no array, or declares more than it holds.
    """
    require_file(file)
    try:
        with file.open("rb") as stream:
            if stream.read(4)[:2] != b"PK":
                stream.seek(0)
                return {"array": _declared(stream, file.stat().st_size, file, "array")}
        with zipfile.ZipFile(file) as archive:
            found = {}
            for info in archive.infolist():
                name = info.filename.removesuffix(".npy")
                _require_sound(info, file, name)
                if name in found:
                    raise InputError("is there twice", file=file, field=name)
                with archive.open(info) as member:
                    found[name] = _declared(member, info.file_size, file, name)
            return found
    except _UNREADABLE as error:
        if isinstance(error, InputError):
            raise
        raise_out_of_memory(error, file)
        raise InputError("is damaged or truncated, or holds no plain arrays", file=file) from error


def read_arrays(file: Path, names: Iterable[str] | None = None) -> dict[str, npt.NDArray[Any]]:
    """Return arrays of a file by name, all of them or those that are named and there.

    Raises
    ------
    InputError: as :func:`declared_arrays`, or an array is damaged or holds Python objects.
    OutOfMemoryError: they need more memory than is free.
    """
    declared = declared_arrays(file)
    wanted = list(declared) if names is None else [name for name in names if name in declared]
    for name in wanted:
        if declared[name].dtype.hasobject:
            raise InputError("holds Python objects, which are not read", file=file, field=name)
    require_memory(sum(declared[name].bytes for name in wanted), "its arrays", file)
    try:
        if not wanted:
            return {}
        loaded = np.load(file, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"array": loaded}
        with loaded:
            return {name: loaded[name] for name in wanted}
    except _UNREADABLE as error:
        raise_out_of_memory(error, file)
        raise InputError("is damaged or truncated", file=file) from error


def _require_sound(info: zipfile.ZipInfo, file: Path, name: str) -> None:
    if info.compress_type not in _METHODS or info.flag_bits & 1:
        raise InputError("is packed in a way that is not read", file=file, field=name)
    if info.file_size > info.compress_size * _DEFLATE + _SLACK:
        raise InputError("declares more than it holds", file=file, field=name)


def _declared(stream: IO[bytes], size: int, file: Path, name: str) -> Declared:
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        shape, _, dtype = np.lib.format.read_array_header_1_0(stream, max_header_size=_HEADER)
    else:
        shape, _, dtype = np.lib.format.read_array_header_2_0(stream, max_header_size=_HEADER)
    declared = Declared(tuple(int(n) for n in shape), dtype)
    if not dtype.hasobject and (declared.bytes + stream.tell() != size or any(n < 0 for n in declared.shape)):
        shown = " x ".join(map(str, declared.shape[:5]))
        raise InputError(
            f"declares {shown} numbers of {dtype.itemsize} bytes, which is not what is there", file=file, field=name
        )
    return declared
