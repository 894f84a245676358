"""DICOM Segmentation objects as segments on one grid, read with highdicom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.dicom.codes import own_id, terminology_of_segment
from softseg.errors import InputError
from softseg.files import require_file
from softseg.geometry import Geometry
from softseg.tree import Terminology


@dataclass(frozen=True, eq=False)
class DicomSegment:
    """One segment.

    Attributes
    ----------
    number: of the segment; in label maps its value.
    id: of the node that ``softseg export-seg`` wrote without codes; else empty.
    name: its label.
    terminology: its codes.
    read: gives its voxels ``(k, j, i)`` on the file's grid: bool, or the fraction as float32 0..1 of fractional ones.
    """

    number: int
    id: str
    name: str
    terminology: Terminology | None
    read: Callable[[], npt.NDArray[Any]]


@dataclass(frozen=True, eq=False)
class DicomSegmentation:
    """A segmentation.

    Attributes
    ----------
    file: the file.
    kind: ``"BINARY"``, ``"LABELMAP"`` or ``"FRACTIONAL"``.
    probability: of fractional ones, whether fractions are probabilities; else they are parts of a voxel.
    most: of fractional ones, what stands for 1 in the file.
    geometry: the grid that its frames lie on; it may cover a part of the image alone.
    segments: without the background of label maps.
    """

    file: Path
    kind: str
    probability: bool
    most: int
    geometry: Geometry
    segments: tuple[DicomSegment, ...]


def is_fractional(path: Path) -> bool:
    """Whether a DICOM Segmentation holds fractions.

    Raises
    ------
    InputError: it is damaged.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        data = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SegmentationType"])
    except (InvalidDicomError, EOFError, ValueError) as error:
        raise InputError(f"cannot be read as a DICOM segmentation ({error})", file=path) from error
    return str(data.get("SegmentationType", "")) == "FRACTIONAL"


def read_segmentation(path: Path) -> DicomSegmentation:
    """Read a segmentation; voxels are read when they are asked for.

    Raises
    ------
    InputError: the file is damaged, or its frames make no volume.
    ModuleNotFoundError: ``highdicom`` is not installed.
    """
    data = _read(path)
    kind = str(data.SegmentationType)
    items = [item for item in data.SegmentSequence if int(item.SegmentNumber) > 0]  # 0: background of a label map
    if not items:
        raise InputError("holds no segments", file=path)
    whole = _volume(data, path, segment_numbers=[int(items[0].SegmentNumber)])

    @cache
    def labels() -> npt.NDArray[Any]:
        return np.asarray(_volume(data, path, combine_segments=True).array)

    segments = tuple(
        DicomSegment(
            int(item.SegmentNumber),
            own_id(item),
            str(item.SegmentLabel),
            terminology_of_segment(item),
            partial(_in_labels, labels, int(item.SegmentNumber))
            if kind == "LABELMAP"
            else partial(_voxels, data, path, int(item.SegmentNumber), kind),
        )
        for item in items
    )
    to_lps = np.asarray(whole.affine, float)[:, [2, 1, 0, 3]]
    geometry = Geometry.from_affine(whole.spatial_shape[::-1], np.diag([-1.0, -1.0, 1.0, 1.0]) @ to_lps)
    fractional = kind == "FRACTIONAL"
    probability = fractional and str(data.SegmentationFractionalType) == "PROBABILITY"
    most = int(data.MaximumFractionalValue) if fractional else 1
    return DicomSegmentation(path, kind, probability, most, geometry, segments)


def _read(path: Path) -> Any:
    import highdicom
    from pydicom.errors import InvalidDicomError

    require_file(path)
    try:
        data = highdicom.seg.segread(path)
    except (InvalidDicomError, EOFError, ValueError, TypeError, AttributeError, KeyError, RuntimeError) as error:
        raise InputError(f"cannot be read as a DICOM segmentation ({error})", file=path) from error
    if data.get("ImageOrientationSlide") is not None or data.is_tiled:
        raise InputError("is a segmentation of tiles of a slide, not of a volume", file=path)
    return data


def _volume(data: Any, path: Path, **asked: Any) -> Any:
    try:
        return data.get_volume(**asked)
    except (RuntimeError, ValueError, AttributeError, KeyError, IndexError) as error:
        raise InputError(
            f"its frames make no volume ({error})", file=path, hint="slices must be parallel and equally spaced"
        ) from error


def _voxels(data: Any, path: Path, number: int, kind: str) -> npt.NDArray[Any]:
    found = _volume(data, path, segment_numbers=[number]).array[..., 0]
    return np.asarray(found, np.float32) if kind == "FRACTIONAL" else np.asarray(found > 0)


def _in_labels(labels: Callable[[], npt.NDArray[Any]], number: int) -> npt.NDArray[np.bool_]:
    return np.asarray(labels() == number)
