"""Arrays by name: NumPy's ``.npz`` and ``.npy``, and MATLAB's ``.mat`` up to version 7."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.arrays import declared_arrays, read_arrays
from softseg.errors import InputError
from softseg.system import raise_out_of_memory, require_memory

_HDF5 = b"\x89HDF\r\n\x1a\n"
_DEFLATE = 1032  # never packs tighter
_HDF5_IN_MAT = 512  # version 7.3 puts a MATLAB header of so many bytes before the HDF5 signature

Shape = tuple[int, ...]


def read_array(file: Path, key: str | None, dimensions: tuple[int, ...], what: str) -> npt.NDArray[Any]:
    """Return one array of numbers.

    Parameters
    ----------
    file: ``.npz``, ``.npy`` or ``.mat``.
    key: name of the array; None takes the only one that has the first of the ``dimensions`` of which there is any.
    dimensions: how many axes it may have, best first.
    what: the array in words, for messages: "a cube (rows x columns x bands)".

    Raises
    ------
    InputError: the file is damaged, of MATLAB 7.3, or needs pickle; the key is not there; no array or several fit; the
        array has another number of axes, is empty, or holds no real numbers.
    """
    shapes = array_names(file)
    name = _named(file, key, shapes) if key is not None else _only(file, shapes, dimensions, what)
    array = _load_mat(file, name, shapes[name]) if _is_mat(file) else read_arrays(file, [name])[name]
    if array.dtype.kind not in "biuf":
        raise InputError(f"expected real numbers, got {array.dtype}", file=file, field=name)
    if array.ndim not in dimensions or array.size == 0:
        raise InputError(f"expected {what}, got an array of {_by(array.shape)}", file=file, field=name)
    return array


def array_names(file: Path) -> dict[str, Shape]:
    """Return the shape of each array in the file, by name (``.npy``: one array, named ``array``).

    Raises
    ------
    InputError: the file is damaged, or of MATLAB 7.3.
    """
    if _is_mat(file):
        return _mat_shapes(file)
    return {name: array.shape for name, array in declared_arrays(file).items()}


def _is_mat(file: Path) -> bool:
    return file.name.lower().endswith(".mat")


def _mat_shapes(file: Path) -> dict[str, Shape]:
    from scipy.io import whosmat

    with file.open("rb") as stream:
        start = stream.read(_HDF5_IN_MAT + len(_HDF5))
    if start[:8] == _HDF5 or start[_HDF5_IN_MAT:] == _HDF5:
        raise InputError(
            "is a MATLAB file of version 7.3 (HDF5), which is not read",
            file=file,
            hint="save it in MATLAB with save(..., '-v7'), or as .npz",
        )
    try:
        return {name: tuple(shape) for name, shape, _ in whosmat(str(file))}
    except Exception as error:  # whatever the library makes of damage
        raise InputError("cannot be read as a MATLAB file: damaged or truncated", file=file) from error


def _load_mat(file: Path, name: str, shape: Shape) -> npt.NDArray[Any]:
    from scipy.io import loadmat

    needed = 8 * math.prod(shape)
    if needed > file.stat().st_size * _DEFLATE * 8:
        raise InputError(f"declares {_by(shape)} numbers, which is more than is there", file=file, field=name)
    require_memory(needed, "its array", file, name)
    try:
        return np.asarray(loadmat(str(file), variable_names=[name])[name])
    except Exception as error:
        raise_out_of_memory(error, file)
        raise InputError("is damaged or truncated", file=file, field=name) from error


def _named(file: Path, key: str, shapes: Mapping[str, Shape]) -> str:
    if key in shapes:
        return key
    raise InputError(f"holds no array {key!r}", file=file, hint=f"it holds {_listed(shapes)}")


def _only(file: Path, shapes: Mapping[str, Shape], dimensions: tuple[int, ...], what: str) -> str:
    fitting: list[str] = []
    for axes in dimensions:  # single numbers have two axes in MATLAB's files
        fitting = fitting or [
            n for n, shape in shapes.items() if len(shape) == axes and 0 not in shape and max(shape) > 1
        ]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        raise InputError(f"expected {what}; it holds {_listed(shapes)}", file=file)
    raise InputError(
        f"{len(fitting)} arrays could be {what}: {_listed({name: shapes[name] for name in fitting})}",
        file=file,
        hint=f"name the one that is meant: {file.name}:{fitting[0]}",
    )


def _listed(shapes: Mapping[str, Shape]) -> str:
    return ", ".join(f"{name} ({_by(shape)})" for name, shape in shapes.items()) or "no array"


def _by(shape: Shape) -> str:
    return " x ".join(map(str, shape)) or "one number"
