"""Arrays by name: NumPy's ``.npz`` and ``.npy``, and MATLAB's ``.mat`` up to version 7."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError

_HDF5 = b"\x89HDF\r\n\x1a\n"
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
    with _opened(file) as shapes_and_content:
        shapes, content = shapes_and_content
        name = _named(file, key, shapes) if key is not None else _only(file, shapes, dimensions, what)
        array = _load(file, name, content)
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
    with _opened(file) as (shapes, _):
        return shapes


@contextmanager
def _opened(file: Path) -> Iterator[tuple[dict[str, Shape], Mapping[str, Any] | Path]]:
    """Give the arrays' shapes, and where they are read from."""
    if file.name.lower().endswith(".mat"):
        yield _mat_shapes(file), file
        return
    try:
        found = np.load(file, allow_pickle=False)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            "cannot be read: damaged, truncated, or not plain arrays of NumPy",
            file=file,
            hint="save the arrays with numpy.savez, without objects",
        ) from error
    if isinstance(found, np.ndarray):
        yield {"array": found.shape}, {"array": found}
        return
    with found:
        yield {name: _shape_in(found, name, file) for name in found.files}, found


def _shape_in(archive: Any, name: str, file: Path) -> Shape:
    """Return an array's shape from its header, without reading its numbers."""
    members = set(archive.zip.namelist())
    try:
        with archive.zip.open(f"{name}.npy" if f"{name}.npy" in members else name) as stream:
            version = np.lib.format.read_magic(stream)
            reader = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            return tuple(int(size) for size in reader(stream)[0])
    except (ValueError, OSError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InputError("is damaged or truncated", file=file, field=name) from error


def _mat_shapes(file: Path) -> dict[str, Shape]:
    from scipy.io import matlab, whosmat

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
    except (ValueError, TypeError, OSError, matlab.MatReadError, zlib.error, NotImplementedError) as error:
        raise InputError("cannot be read as a MATLAB file: damaged or truncated", file=file) from error


def _load(file: Path, name: str, content: Mapping[str, Any] | Path) -> npt.NDArray[Any]:
    try:
        if isinstance(content, Path):
            from scipy.io import loadmat

            return np.asarray(loadmat(str(file), variable_names=[name])[name])
        return np.asarray(content[name])
    except ValueError as error:
        pickled = "pickle" in str(error)
        message = "holds Python objects, which are not read" if pickled else "is damaged or truncated"
        raise InputError(message, file=file, field=name) from error
    except (KeyError, TypeError, OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
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
