"""DICOM Segmentation objects made with highdicom, on the slices of a series.

Patient, study and frame of reference are the source's; its images are referenced slice by slice. Frames without any
voxel of their segment are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from softseg import __version__
from softseg.dicom.codes import MANUFACTURER, text_of
from softseg.errors import InputError
from softseg.headers import Header

Segments: TypeAlias = Any
"""A ``highdicom.seg.Segmentation``."""

MOST_STEPS = 255
"""What stands for probability 1."""

_BLANK = (  # of type 2: present, perhaps empty; taking names out of files often removes them
    "PatientID",
    "PatientName",
    "PatientBirthDate",
    "PatientSex",
    "AccessionNumber",
    "StudyID",
    "StudyDate",
    "StudyTime",
    "ReferringPhysicianName",
    "PositionReferenceIndicator",
)


def labelled(
    source: Header, labels: npt.NDArray[np.uint16], kind: str, described: Sequence[Any], model: str
) -> Segments:
    """Return a BINARY or LABELMAP segmentation.

    Parameters
    ----------
    source: the series.
    labels: ``(k, j, i)`` on its grid: numbers of segments, 0 for none.
    kind: ``"binary"`` or ``"labelmap"``.
    described: the segments.
    model: its name.
    """
    frames = np.empty_like(labels)
    frames[list(source.order)] = labels
    return _made(source, _images(source), frames, kind.upper(), described, model)


def fractional(
    source: Header,
    slices: npt.NDArray[np.bool_],
    steps: Callable[[int], npt.NDArray[np.uint8]],
    described: Sequence[Any],
    model: str,
) -> Segments:
    """Return a FRACTIONAL segmentation of probabilities.

    highdicom takes all segments at once as float32, which for many segments is more than machines have. It makes the
    object for frames of a single pixel, which place each segment, and the true frames are put in their place.

    Parameters
    ----------
    source: the series.
    slices: bool ``(k, segments)``: where each segment is.
    steps: gives the probability of a segment, by its number from 1, uint8 ``(k, j, i)`` in steps of 1/255.
    described: the segments.
    model: its name.
    """
    images = _images(source)
    rows, columns = images[0].Rows, images[0].Columns
    for image in images:
        image.Rows = image.Columns = 1
    there = np.empty_like(slices)
    there[list(source.order)] = slices
    made = _made(source, images, there[:, None, None, :].astype(np.uint8), "FRACTIONAL", described, model)
    made.Rows, made.Columns = rows, columns
    made.SegmentsOverlap = "UNDEFINED"
    places = _frame_places(made, source)
    pixels = np.empty((len(places), rows, columns), np.uint8)
    for number in range(1, len(described) + 1):
        own = [(frame, k) for frame, (segment, k) in enumerate(places) if segment == number]
        if own:
            found = steps(number)
            for frame, k in own:
                pixels[frame] = found[k]
    content = pixels.tobytes()
    made.PixelData = content + b"\0" * (len(content) % 2)
    return made


def _frame_places(made: Segments, source: Header) -> list[tuple[int, int]]:
    """Return segment and slice (k) of each frame."""
    shared = made.SharedFunctionalGroupsSequence[0]
    first = (np.diag([-1.0, -1.0, 1.0, 1.0]) @ source.affine)[:3]
    starts = (first @ np.array([[0, 0, k, 1] for k in range(source.size[2])]).T).T
    found = []
    for frame in made.PerFrameFunctionalGroupsSequence:
        holder = frame if "SegmentIdentificationSequence" in frame else shared
        segment = int(holder.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        place = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        found.append((segment, int(np.linalg.norm(starts - place, axis=1).argmin())))
    return found


def _images(source: Header) -> list[Any]:
    """Return the tags of the source's files, in the order of ``k``.

    Raises
    ------
    InputError: a file cannot be read, or has no frame of reference.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    images: list[Any] = []
    for file in source.files:
        try:
            image = pydicom.dcmread(file, stop_before_pixels=True)
        except (InvalidDicomError, EOFError, ValueError) as error:
            raise InputError(f"cannot be read ({error})", file=file) from error
        for name in ("FrameOfReferenceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            if not image.get(name):
                raise InputError(
                    "a segmentation must reference its images, and this one does not",
                    file=file,
                    field=name,
                )
        for name in _BLANK:
            if name not in image:
                setattr(image, name, "")
        if "ImageOrientationPatient" in image:  # the same but for rounding, or the header was refused
            image.ImageOrientationPatient = list((images or [image])[0].ImageOrientationPatient)
        images.append(image)
    return images


def _made(
    source: Header, images: list[Any], frames: npt.NDArray[Any], kind: str, described: Sequence[Any], model: str
) -> Segments:
    import highdicom

    first = images[0]
    made = highdicom.seg.Segmentation(
        source_images=images,
        pixel_array=frames,
        segmentation_type=kind,
        segment_descriptions=described,
        series_instance_uid=highdicom.UID(),
        series_number=(1000 + int(first.get("SeriesNumber") or 0)) % 10000,
        sop_instance_uid=highdicom.UID(),
        instance_number=1,
        manufacturer=MANUFACTURER,
        manufacturer_model_name=MANUFACTURER,
        software_versions=__version__,
        device_serial_number=__version__,
        fractional_type="PROBABILITY",
        max_fractional_value=MOST_STEPS,
        content_label="SOFTSEG",
        content_description=text_of(f"Segmentation by {model}" if model else "Segmentation"),
        series_description=text_of(f"{MANUFACTURER} {model}".strip()),
    )
    measures = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.SpacingBetweenSlices = (
        f"{np.linalg.norm(source.affine[:3, 2]):.10g}"  # the tag may hold another, wrong one
    )
    return made
