"""The file of a soft parcellation, ``.soft.npz``: described for other readers in ``docs/soft-parcellation.md``."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from softseg.arrays import declared_arrays, read_arrays
from softseg.errors import InputError, SoftSegError
from softseg.files import require_file, write_beside
from softseg.image import Geometry
from softseg.soft.chunks import Chunk, Leaves, chunks
from softseg.soft.correcting.apply import with_corrections
from softseg.soft.corrections.storage import RUN_ARRAYS, header_entries, read_corrections, run_arrays
from softseg.soft.encoding import NODE_ERROR, SCALE
from softseg.soft.outliers import StoredOutliers
from softseg.soft.parcellation import SoftParcellation
from softseg.system import require_memory
from softseg.texts import parse_json
from softseg.tree import LabelTree

SUFFIX = ".soft.npz"
FORMAT = "softseg-soft-parcellation"
VERSION = 3
"""Newest version: a file with corrections. One with an outlier score alone is written as version 2, others as 1."""

_VOXELS_PER_BYTE = 1 << 19  # an empty result of the largest scans has a fourth of it

_ARRAYS = ("header", "counts", "leaves", "shares")


def save(parcellation: SoftParcellation, path: str | os.PathLike[str], *, compressed: bool = True) -> Path:
    """Write the file; see :meth:`SoftParcellation.save`."""
    file = Path(path)
    if not file.name.endswith(SUFFIX):
        raise InputError(f"expected a name that ends in {SUFFIX}", file=file)
    geometry, outliers, corrections = parcellation.geometry, parcellation.outliers, parcellation.corrections
    parcellation = parcellation.predicted
    header = {
        "format": FORMAT,
        "version": VERSION if corrections else 1 if outliers is None else 2,
        "software": parcellation.software,
        "model": parcellation.model,
        "k": parcellation.k,
        "node_error": parcellation.node_error,
        "background": parcellation.background,
        "start": list(parcellation.start),
        "geometry": geometry.to_json(),
        "leaves": [{"id": leaf.id, "name": leaf.name, "value": leaf.value} for leaf in parcellation.tree.leaves],
        "tree": parcellation.tree.to_json(),
    }
    arrays: dict[str, Any] = {
        "counts": parcellation.counts,
        "leaves": parcellation.leaves,
        "shares": parcellation.shares,
    }
    if outliers is not None:
        header["outliers"] = {
            "score": outliers.score_name,
            "threshold": outliers.threshold,
            "low": outliers.low,
            "high": outliers.high,
            "start": list(outliers.start),
        }
        arrays["outliers"] = outliers.steps
    if corrections:
        header["corrections"] = header_entries(corrections)
        arrays |= run_arrays(corrections)
    with write_beside(file) as temporary, temporary.open("wb") as stream:
        (np.savez_compressed if compressed else np.savez)(
            stream,
            header=np.frombuffer(json.dumps(header, ensure_ascii=False).encode(), np.uint8),
            **arrays,
        )
    return file


def load(path: str | os.PathLike[str]) -> SoftParcellation:
    """Read the file; see :meth:`SoftParcellation.load`."""
    file = Path(path)
    require_file(file)
    arrays = _arrays(file)
    header = _header(arrays["header"], file)
    try:
        tree = LabelTree.from_json(header["tree"])
    except InputError as error:
        raise InputError(error.message, file=file, field=f"tree, {error.field}" if error.field else "tree") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError("expected a label tree", file=file, field="tree") from error
    try:
        if [leaf["id"] for leaf in header["leaves"]] != [leaf.id for leaf in tree.leaves]:
            raise ValueError("the list of leaves is not that of the tree")
        _check_arrays(arrays)
        grid = Geometry.from_json(header["geometry"])
        _check_grid(grid, file)
        k, j, i = (int(n) for n in header["start"])
        predicted = SoftParcellation(
            tree,
            grid,
            (k, j, i),
            arrays["counts"],
            arrays["leaves"],
            arrays["shares"],
            model=str(header["model"]),
            software=str(header["software"]),
            k=int(header["k"]),
            node_error=float(header.get("node_error", NODE_ERROR)),
            outliers=_outliers(header, arrays),
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, OverflowError) as error:
        if isinstance(error, SoftSegError) and not isinstance(error, InputError):
            raise
        raise InputError(f"not a sound soft parcellation: {_reason(error)}", file=file) from error
    return with_corrections(predicted, read_corrections(header, arrays, tree, grid.shape, file))


def _arrays(file: Path) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    try:
        arrays = read_arrays(file, (*_ARRAYS, "outliers", *RUN_ARRAYS))
    except InputError as error:
        raise InputError(
            f"cannot be read as a soft parcellation ({SUFFIX}): {error.message}", file=file, field=error.field
        ) from error
    if not arrays and (single := declared_arrays(file).get("array")) is not None:
        if single.dtype.hasobject:
            raise InputError(f"cannot be read as a soft parcellation ({SUFFIX}): holds Python objects", file=file)
        raise InputError(f"expected a soft parcellation ({SUFFIX}), got a single array", file=file)
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise InputError(f"expected a soft parcellation ({SUFFIX}), but it lacks {missing[0]!r}", file=file)
    return arrays


def _header(array: np.ndarray[Any, np.dtype[Any]], file: Path) -> dict[str, Any]:
    try:
        header = parse_json(array.astype(np.uint8).tobytes().decode())
        kind, version = header["format"], header["version"]
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise InputError("expected JSON with format and version", file=file, field="header") from error
    if kind != FORMAT or not isinstance(version, int):
        raise InputError(f"expected format {FORMAT!r}, got {kind!r}", file=file, field="header")
    if version > VERSION:
        raise InputError(
            f"written in version {version} of the format, expected at most {VERSION}",
            file=file,
            field="header",
            hint="update SoftSegSlicer",
        )
    return dict(header)


def _outliers(header: dict[str, Any], arrays: dict[str, np.ndarray[Any, np.dtype[Any]]]) -> StoredOutliers | None:
    entry = header.get("outliers")
    if entry is None:
        if "outliers" in arrays:
            raise ValueError("it holds outlier steps that its header does not describe")
        return None
    size = header["geometry"]["size"]
    k, j, i = (int(n) for n in entry["start"])
    return StoredOutliers(
        str(entry["score"]),
        float(entry["threshold"]),
        float(entry["low"]),
        float(entry["high"]),
        (k, j, i),
        arrays["outliers"],
        (int(size[2]), int(size[1]), int(size[0])),
    )


def _check_grid(grid: Geometry, file: Path) -> None:
    """Hold the grid against the file and the memory there is: label maps and soft maps of it must be possible."""
    voxels = math.prod(grid.size)
    if voxels > _VOXELS_PER_BYTE * file.stat().st_size:
        raise ValueError(f"its grid of {' x '.join(map(str, grid.size))} voxels is too large for so small a file")
    require_memory(2 * voxels, f"a label map of {' x '.join(map(str, grid.size))} voxels", file, "geometry")


def _check_arrays(arrays: dict[str, np.ndarray[Any, np.dtype[Any]]]) -> None:
    counts, leaves, probabilities = arrays["counts"], arrays["leaves"], arrays["shares"]
    if counts.ndim != 3 or counts.dtype != np.uint8 or probabilities.dtype != np.uint8:
        raise ValueError("expected counts (k, j, i) and probabilities of type uint8")
    if leaves.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"expected leaves of type uint8 or uint16, got {leaves.dtype}")
    counted = int(counts.sum(dtype=np.int64))
    if leaves.shape != (counted,) or probabilities.shape != (counted,):
        raise ValueError(f"expected {counted} leaves and probabilities, got {leaves.size} and {probabilities.size}")
    for chunk in chunks(counts):
        _check_chunk(chunk, leaves[chunk.entries], probabilities[chunk.entries])


def _check_chunk(chunk: Chunk, leaves: Leaves, probabilities: np.ndarray[Any, np.dtype[np.uint8]]) -> None:
    first = chunk.first()[chunk.counts > 0]
    if first.size and int(np.add.reduceat(probabilities.astype(np.int32), first).max()) > SCALE:
        raise ValueError("the probabilities of a voxel sum to more than 255")
    falls = leaves[1:] <= leaves[:-1]
    falls[first[1:] - 1] = False
    if falls.any():
        raise ValueError("the leaves of a voxel are not in increasing order")


def _reason(error: Exception) -> str:
    return f"it lacks {error}" if isinstance(error, KeyError) else str(error)
