"""Where the frames of an enhanced DICOM file lie (package ``pydicom``)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.headers.dicom_stack import Plane


def frame_planes(file: Path) -> list[Plane]:
    """Return the place of each frame, in the order of the file.

    Raises
    ------
    InputError: the file is damaged, a frame has no position, or frames are scaled differently.
    ModuleNotFoundError: ``pydicom`` is not installed.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        data = pydicom.dcmread(file, stop_before_pixels=True)
        shared = next(iter(data.get("SharedFunctionalGroupsSequence") or [None]))
        frames = list(data.get("PerFrameFunctionalGroupsSequence") or [])
        if len(frames) != int(data.get("NumberOfFrames", 1)):
            raise InputError(
                f"holds {data.get('NumberOfFrames')} frames without a position",
                file=file,
                field="PerFrameFunctionalGroupsSequence",
                hint="films and older files of several frames are no volume",
            )
        scales = {_scale(shared, frame) for frame in frames}
        planes = [_plane(shared, frame, (int(data.Columns), int(data.Rows))) for frame in frames]
    except (InvalidDicomError, EOFError, AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"its frames have no position ({error})", file=file) from error
    if len(scales) > 1:
        raise InputError("its frames are scaled differently", file=file, field="PixelValueTransformationSequence")
    return planes


def _plane(shared: Any, frame: Any, size: tuple[int, int]) -> Plane:
    position = _group(shared, frame, "PlanePositionSequence").ImagePositionPatient
    turn = _group(shared, frame, "PlaneOrientationSequence").ImageOrientationPatient
    spacing = _group(shared, frame, "PixelMeasuresSequence").PixelSpacing
    x, y, z = (float(mm) for mm in position)
    a, b, c, d, e, f = (float(cosine) for cosine in turn)
    return Plane((x, y, z), (a, b, c), (d, e, f), (float(spacing[1]), float(spacing[0])), size)


def _scale(shared: Any, frame: Any) -> tuple[float, float]:
    try:
        found = _group(shared, frame, "PixelValueTransformationSequence")
    except AttributeError:
        return 1.0, 0.0
    return float(found.RescaleSlope), float(found.RescaleIntercept)


def _group(shared: Any, frame: Any, name: str) -> Any:
    """Return a functional group of a frame, its own or the one that all share."""
    for holder in (frame, shared):
        if holder is not None and name in holder:
            return getattr(holder, name)[0]
    raise AttributeError(f"no {name}")
