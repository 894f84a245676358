"""Probabilities of nnU-Net: an ``.npz`` with the array, a ``.pkl`` with its place, ``dataset.json`` with its labels.

Both versions undo their transposition before they write, so that the axes are those of SimpleITK's array, ``(class, k,
j, i)``. Version 2 (array ``probabilities``) undoes its crop as well; version 1 (array ``softmax``) leaves that to its
own exporter, which places the array at ``crop_bbox``. Readers that turn a scan to RAS first keep the turned grid in the
properties, and so does this one. Channels stand in the order of label values; region-based models have one per region.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.arrays import declared_arrays, read_arrays
from softseg.errors import InputError, SoftSegError
from softseg.exchange.plain_pickle import read_plain_pickle
from softseg.exchange.regions import Nesting, TreeRegion
from softseg.exchange.source import ProbabilityMap, Source, image_grid
from softseg.files import read_json_object
from softseg.geometry import Geometry
from softseg.headers.packed import bands_of, require_finite
from softseg.system import raise_out_of_memory
from softseg.tree.node import MAX_VALUE

_NAMES = ("probabilities", "softmax")
_BLOCK = 1 << 20


def read_nnunet(file: Path, like: Path | None) -> Source:
    """Return the probabilities of an ``.npz``; its place is that of the ``.pkl`` beside it, else that of ``like``.

    Raises
    ------
    InputError: it holds no array of classes and three axes, nothing says where it lies, or a file is damaged.
    """
    declared = declared_arrays(file)
    found = [name for name in _NAMES if name in declared] or [
        name for name, one in declared.items() if len(one.shape) == 4 and one.dtype.kind in "fiub"
    ]
    if {"header", "counts", "leaves", "shares"} <= set(declared):
        raise InputError("is a soft parcellation already", file=file, hint="use softseg collapse, or open it in Slicer")
    if not found or len(declared[found[0]].shape) != 4 or declared[found[0]].dtype.kind not in "fiub":
        raise InputError("expected an array of classes and three axes, as nnU-Net writes 'probabilities'", file=file)
    name = found[0]
    shape, number = declared[name].shape, declared[name].dtype
    beside = file.with_suffix(".pkl")
    notes: list[str] = []
    if beside.is_file():
        properties = read_plain_pickle(beside)
        geometry, start = _place(properties, shape, beside)
    elif like is not None:
        geometry, start = image_grid(like), (0, 0, 0)
        if geometry.shape != shape[1:]:
            raise InputError(f"expected an array of {geometry.shape} voxels (k, j, i), got {shape[1:]}", file=file)
        notes.append(f"there is no {beside.name}: the array is taken to lie on the voxels of {like.name}")
    else:
        raise InputError(
            f"nothing says where the array lies: there is no {beside.name}", file=file, hint="use --like IMAGE"
        )
    maps, said = _named(file, shape[0])
    nesting = None if maps is not None else _regions(file, shape[0])

    def volumes() -> Iterator[npt.NDArray[Any]]:
        for part in _parts(file, name, shape, number):
            require_finite(part, file)
            yield part if geometry.shape == part.shape else _embedded(part, start, geometry.shape)

    kind = f"nnU-Net probabilities ('{name}')"
    if nesting is None:
        return Source(file, kind, maps or (), geometry, volumes, (*notes, *said))
    remarks: list[str] = []
    return Source(
        file,
        f"{kind} of {len(nesting.regions)} regions",
        nesting.maps(),
        geometry,
        lambda: nesting.volumes(volumes, remarks),
        tuple(notes),
        nesting,
        remarks,
    )


def _parts(file: Path, name: str, shape: tuple[int, ...], number: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    """Yield the classes, unpacked one at a time."""
    try:
        with zipfile.ZipFile(file) as archive:
            for member in (f"{name}.npy", name):
                if member not in archive.namelist():
                    continue
                with archive.open(member) as stream:
                    version = np.lib.format.read_magic(stream)
                    read = (
                        np.lib.format.read_array_header_1_0
                        if version == (1, 0)
                        else np.lib.format.read_array_header_2_0
                    )
                    if not read(stream)[1]:
                        yield from bands_of(iter(lambda: stream.read(_BLOCK), b""), number, shape, 0, file)
                        return
    except (OSError, EOFError, ValueError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        if isinstance(error, SoftSegError):
            raise
        raise_out_of_memory(error, file)
        raise InputError("is damaged or truncated", file=file) from error
    yield from read_arrays(file, [name])[name]  # Fortran's order: no class lies together


def _embedded(part: npt.NDArray[Any], start: tuple[int, int, int], shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    whole = np.zeros(shape, part.dtype)
    whole[tuple(slice(n, n + size) for n, size in zip(start, part.shape, strict=True))] = part
    return whole


def _place(properties: Any, shape: tuple[int, ...], file: Path) -> tuple[Geometry, tuple[int, int, int]]:
    """Return the grid that properties say, and where in it (k, j, i) the array begins."""
    try:
        if "crop_bbox" in properties or "itk_spacing" in properties:
            size = [int(n) for n in properties.get("original_size_of_raw_data", shape[1:])]
            box = properties.get("crop_bbox")
            start = [0, 0, 0] if box is None else [int(side[0]) for side in box]
            places = zip(start, shape[1:], size, strict=True)
            if any(first < 0 or first + length > whole for first, length, whole in places):
                raise ValueError("its crop does not fit into the scan")
            grid = _itk({key[4:]: value for key, value in properties.items() if str(key).startswith("itk_")}, size)
            return grid, (start[0], start[1], start[2])
        if "sitk_stuff" in properties:
            return _itk(properties["sitk_stuff"], shape[1:]), (0, 0, 0)
        if "nibabel_stuff" in properties:
            stuff = properties["nibabel_stuff"]
            matrix = np.asarray(stuff.get("reoriented_affine", stuff["original_affine"]), float)
            if matrix.shape != (4, 4) or not np.isfinite(matrix).all():
                raise ValueError("its affine is no matrix of 4 x 4 numbers")
            grid = Geometry.from_affine(shape[:0:-1], matrix)
            return Geometry.from_json(json.loads(json.dumps(grid.to_json()))), (0, 0, 0)
        if tuple(properties["spacing"]) == (999, 1, 1):  # a picture, which lies nowhere
            return Geometry((shape[3], shape[2], shape[1])), (0, 0, 0)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError, ZeroDivisionError) as error:
        raise InputError(f"says no place in space ({error})", file=file, hint="use --like IMAGE") from error
    raise InputError("says no place in space", file=file, hint="use --like IMAGE")


def _itk(stuff: Mapping[str, Any], shape: Any) -> Geometry:
    """Return the grid of SimpleITK's three; a picture becomes one slice."""
    spacing, origin = [float(n) for n in stuff["spacing"]], [float(n) for n in stuff["origin"]]
    axes = [float(n) for n in stuff["direction"]]
    if len(spacing) == 2 and len(origin) == 2 and len(axes) == 4:
        spacing, origin = [*spacing, 1.0], [*origin, 0.0]
        axes = [axes[0], axes[1], 0.0, axes[2], axes[3], 0.0, 0.0, 0.0, 1.0]
    size = [int(n) for n in shape][::-1]
    return Geometry.from_json({"size": size, "spacing": spacing, "origin": origin, "direction": axes})


def _description(file: Path) -> Path | None:
    """Return the ``dataset.json`` of an array."""
    places = (file.with_name("dataset.json"), file.parent.parent / "dataset.json")
    return next((place for place in places if place.is_file()), None)


def _labels(description: Path) -> dict[str, Any]:
    """Return name and value, or values, of all labels but ``ignore``."""
    labels = read_json_object(description).get("labels")
    if not isinstance(labels, dict):
        raise InputError("expected an object", file=description, field="labels")
    if labels and all(str(key).isdecimal() for key in labels):  # version 1 has it the other way round
        labels = {str(name): value for value, name in labels.items()}
    return {str(name): value for name, value in labels.items() if name != "ignore"}


def _regions(file: Path, count: int) -> Nesting:
    """Return the regions of ``dataset.json``, each of which has a volume, in their order there.

    Raises
    ------
    InputError: the file is wrong, or regions overlap without lying in each other.
    """
    description = _description(file) or file
    regions = []
    for name, value in _labels(description).items():
        values = value if isinstance(value, list) else [value]
        if not values or not all(isinstance(one, int) and 0 <= one <= MAX_VALUE for one in values):
            raise InputError("expected whole numbers for every label", file=description, field="labels")
        if set(values) != {0}:
            regions.append(TreeRegion(name, frozenset(values)))
    if len(regions) != count:
        raise InputError(f"names {len(regions)} regions, but {file.name} holds {count}", file=description)
    return Nesting.of(regions, description)


def _named(file: Path, count: int) -> tuple[tuple[ProbabilityMap, ...] | None, list[str]]:
    """Return the classes in their order, with the names of ``dataset.json`` where it is there and fits.

    Where they are regions of several labels, ``None``.
    """
    description = _description(file)
    if description is None:
        nameless = tuple(ProbabilityMap(value=None) for _ in range(count))
        return nameless, [f"there is no dataset.json beside {file.name}: nothing names its classes"]
    labels = _labels(description)
    if any(isinstance(value, list) and len(value) > 1 for value in labels.values()):
        return None, []
    try:
        valued = sorted((int(value[0] if isinstance(value, list) else value), name) for name, value in labels.items())
    except (TypeError, ValueError, IndexError) as error:
        raise InputError("expected a whole number for every label", file=description, field="labels") from error
    strange = next((value for value, _name in valued if not 0 <= value <= MAX_VALUE), None)
    if strange is not None:
        raise InputError(
            f"expected label values from 0 to {MAX_VALUE}, got {strange}", file=description, field="labels"
        )
    if len(valued) != count:
        raise InputError(f"names {len(valued)} labels, but {file.name} holds {count} classes", file=description)
    return tuple(ProbabilityMap(str(name), value) for value, name in valued), []
