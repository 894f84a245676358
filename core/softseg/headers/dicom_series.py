"""DICOM series as images: a folder of slices, or one file of many frames.

GDCM (in SimpleITK) reads tags and pixels of every transfer syntax it knows, rescaled; the grid is made of the slices'
positions (:mod:`softseg.headers.dicom_stack`). Of enhanced files of many frames, GDCM hands out no positions: these
are read with the package ``pydicom``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.errors import InputError
from softseg.headers.dicom_files import dicom_images, is_dicom_segmentation, is_whole, sop_class, split_series
from softseg.headers.dicom_stack import Plane, Stack, stacked
from softseg.headers.header import DAMAGED, Header
from softseg.headers.itk_names import itk_name
from softseg.headers.packed import require_finite
from softseg.system import raise_out_of_memory, require_memory

_SHOWN = 12
_SERIES, _NUMBER, _DESCRIPTION, _FRAMES = "0020|000e", "0020|0011", "0008|103e", "0028|0008"
_POSITION, _ORIENTATION, _SPACING = "0020|0032", "0020|0037", "0028|0030"
_STORED = ("0028|0010", "0028|0011", "0028|0002", "0028|0100")  # rows, columns, samples, bits
_THICK = ("0018|0088", "0018|0050")  # spacing between slices, thickness: of a single slice only


@dataclass(frozen=True)
class DicomSlice:
    """What a DICOM file of one or several frames says.

    Attributes
    ----------
    file: the file.
    series: Series Instance UID.
    number: Series Number, as text; empty without.
    description: of the series, for people.
    frames: how many it holds.
    plane: where it lies; None where the file does not say (also of several frames).
    size: pixels along ``i`` and ``j``.
    spacing: mm along them.
    pixels: type of the rescaled numbers.
    bands: values per pixel.
    pixel_bytes: that its pixels have when they are not compressed.
    thick_mm: how thick a single slice is, None where nothing says it.
    """

    file: Path
    series: str
    number: str
    description: str
    frames: int
    plane: Plane | None
    size: tuple[int, int]
    spacing: tuple[float, float]
    pixels: np.dtype[Any]
    bands: int
    pixel_bytes: int
    thick_mm: float | None


@dataclass(frozen=True)
class DicomSeries:
    """The files of one series.

    Attributes
    ----------
    folder: where they lie.
    slices: its files, by name.
    """

    folder: Path
    slices: tuple[DicomSlice, ...]

    @property
    def uid(self) -> str:
        """Series Instance UID."""
        return self.slices[0].series

    @property
    def number(self) -> str:
        """Series Number as text; empty without."""
        return self.slices[0].number

    @property
    def count(self) -> int:
        """Slices, counting the frames of files of several."""
        return sum(one.frames for one in self.slices)

    @property
    def shown(self) -> str:
        """Number, description and slices, for people."""
        named = " ".join(part for part in (self.number or self.uid, self.slices[0].description) if part)
        return f"{named} ({self.count} slice{'s' * (self.count > 1)})"


def list_series(folder: Path) -> tuple[list[DicomSeries], list[Path]]:
    """Return the series of a folder by number, and its DICOM files that hold no image that can be read.

    Raises
    ------
    InputError: the folder holds no DICOM image.
    """
    found: dict[str, list[DicomSlice]] = {}
    unread = []
    for file in dicom_images(folder):
        try:
            one = read_slice(file)
        except InputError:
            unread.append(file)
            continue
        found.setdefault(one.series, []).append(one)
    if not found:
        raise InputError("holds no DICOM image that can be read", file=folder)
    series = [DicomSeries(folder, tuple(slices)) for slices in found.values()]
    return sorted(series, key=lambda one: (not one.number.isdigit(), one.number.zfill(12), one.uid)), unread


def choose_series(series: Sequence[DicomSeries], wanted: str | None, folder: Path) -> DicomSeries:
    """Return the series of a number or UID; the only one where none is named.

    Raises
    ------
    InputError: there is none, or several, which are listed with number, description and slices.
    """
    fitting = [one for one in series if wanted is None or wanted in (one.uid, one.number)]
    if len(fitting) == 1:
        return fitting[0]
    listed = "; ".join(one.shown for one in series[:_SHOWN]) + ("; ..." if len(series) > _SHOWN else "")
    if wanted is None:
        message = f"holds {len(series)} series: {listed}"
        hint = "choose one by number or UID: --series, or FOLDER:NUMBER"
    elif fitting:
        message = f"holds {len(fitting)} series of number {wanted}: {', '.join(one.uid for one in fitting)}"
        hint = "name the UID"
    else:
        message, hint = f"holds no series {wanted}: {listed}", "choose one by number or UID"
    raise InputError(message, file=folder, field="series", hint=hint)


def read_series(path: Path) -> Header:
    """Read the header of a folder's series, ``FOLDER`` or ``FOLDER:SERIES``.

    Raises
    ------
    InputError: there is none or several, or its slices make no volume: one is missing, turned, or off an even grid.
    """
    folder, wanted = split_series(path)
    every, unread = list_series(folder)
    series = choose_series(every, wanted, folder)
    kinds = {sop_class(one.file) for one in series.slices}
    damaged = [file for file in unread if sop_class(file) in kinds]  # others are reports, plans or measurements
    if damaged:
        raise InputError(DAMAGED, file=damaged[0], hint="export the series again; a slice may be missing without it")
    if any(one.frames > 1 for one in series.slices):
        if len(series.slices) > 1:
            raise InputError(
                f"its series holds {len(series.slices)} files of several frames",
                file=folder,
                hint="name one of the files",
            )
        return read_dicom_file(series.slices[0].file)
    return _header(folder, series.slices)


def read_dicom_file(file: Path) -> Header:
    """Read the header of one DICOM file: of many frames, or a single slice.

    Raises
    ------
    InputError: it is damaged, holds a segmentation or no image, or its frames make no volume.
    """
    if is_dicom_segmentation(file):
        raise InputError("is a DICOM segmentation, not an image", file=file, hint="give it as labels or reference")
    one = read_slice(file)
    if one.frames == 1:
        return _header(file, [one])
    from softseg.headers.dicom_frames import frame_planes

    stack = stacked(frame_planes(file), file)
    load = partial(_load_frames, file, stack, one)
    return Header(
        file, "DICOM", stack.size, one.bands, one.pixels, stack.affine, load, _colours(one), None, True, None,
        stack.notes, files=(file,), order=stack.order,
    )  # fmt: skip


def read_slice(file: Path) -> DicomSlice:
    """Read the tags of one file.

    Raises
    ------
    InputError: GDCM finds no image in it.
    """
    reader = sitk.ImageFileReader()
    reader.SetImageIO("GDCMImageIO")
    reader.SetFileName(itk_name(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError as error:
        raise_out_of_memory(error, file)
        raise InputError("cannot be read as a DICOM image: damaged, or it holds none", file=file) from error
    said = {key: _plain(reader.GetMetaData(key)) for key in reader.GetMetaDataKeys() if key in _KEYS}
    frames = int(_numbers(said.get(_FRAMES, "1"), 1, file)[0])
    size, lengths = reader.GetSize(), reader.GetSpacing()
    pixel = _numbers(said[_SPACING], 2, file)[::-1] if _SPACING in said else lengths[:2]
    spacing = (float(pixel[0]), float(pixel[1]))
    plane = None
    if frames == 1 and _POSITION in said and _ORIENTATION in said:
        place, turn = _numbers(said[_POSITION], 3, file), _numbers(said[_ORIENTATION], 6, file)
        plane = Plane(
            (place[0], place[1], place[2]), (turn[0], turn[1], turn[2]), (turn[3], turn[4], turn[5]), spacing,
            (size[0], size[1]),
        )  # fmt: skip
    thick = next((_numbers(said[key], 1, file)[0] for key in _THICK if said.get(key)), None)
    return DicomSlice(
        file,
        said.get(_SERIES, ""),
        said.get(_NUMBER, ""),
        said.get(_DESCRIPTION, ""),
        max(1, frames),
        plane,
        (size[0], size[1]),
        spacing,
        np.dtype(_number_type(reader.GetPixelID(), file)),
        reader.GetNumberOfComponents(),
        math.prod([max(1, frames), *(int(_numbers(said.get(key, "1"), 1, file)[0]) for key in _STORED)]) // 8,
        thick if thick is not None and thick > 0 else None,
    )


_KEYS = {_SERIES, _NUMBER, _DESCRIPTION, _FRAMES, _POSITION, _ORIENTATION, _SPACING, *_STORED, *_THICK}


def _plain(text: str) -> str:
    """Return a tag's text; bytes that are no UTF-8 are replaced, and what is no sign is left out."""
    sound = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace").strip("\0 ")
    return "".join(sign for sign in sound if sign.isprintable())


def _numbers(text: str, count: int, file: Path) -> list[float]:
    try:
        found = [float(part) for part in text.split("\\")]
    except ValueError:
        found = []
    if len(found) < count or not np.isfinite(found).all():
        raise InputError(f"expected {count} numbers, got {text!r}", file=file)
    return found[:count]


def _number_type(pixel: int, file: Path) -> str:
    found = {
        sitk.sitkUInt8: "u1", sitk.sitkInt8: "i1", sitk.sitkUInt16: "u2", sitk.sitkInt16: "i2", sitk.sitkUInt32: "u4",
        sitk.sitkInt32: "i4", sitk.sitkFloat32: "f4", sitk.sitkFloat64: "f8", sitk.sitkVectorUInt8: "u1",
        sitk.sitkVectorUInt16: "u2", sitk.sitkVectorInt16: "i2",
    }.get(pixel)  # fmt: skip
    if found is None:
        raise InputError("holds numbers of a type that is not read", file=file)
    return found


def _header(named: Path, slices: Sequence[DicomSlice]) -> Header:
    planes = [one.plane for one in slices if one.plane is not None]
    first = slices[0]
    known = len(planes) == len(slices)
    if not known:
        if len(slices) > 1:
            raise InputError(
                f"{len(slices) - len(planes)} of its {len(slices)} slices do not say where they lie",
                file=named,
                field="ImagePositionPatient",
            )
        planes = [Plane((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), first.spacing, first.size)]
    stack = stacked(planes, named, first.thick_mm if len(slices) == 1 else None)
    if any(one.bands != first.bands for one in slices):
        raise InputError("holds slices of colours and of grey values", file=named)
    ordered = [slices[number] for number in stack.order]
    number = np.result_type(*(one.pixels for one in ordered))
    load = partial(_load_slices, named, ordered, number)
    return Header(
        named, "DICOM", stack.size, first.bands, number, stack.affine, load, _colours(first), None, known, None,
        stack.notes, files=tuple(one.file for one in ordered), order=tuple(range(len(ordered))),
    )  # fmt: skip


def _colours(one: DicomSlice) -> str:
    return {3: "RGB", 4: "RGBA"}.get(one.bands, "")


def _load_slices(named: Path, slices: Sequence[DicomSlice], number: np.dtype[Any]) -> npt.NDArray[Any]:
    """Return ``[bands, k, j, i]``."""
    width, height = slices[0].size
    require_memory(slices[0].bands * len(slices) * width * height * number.itemsize, "its slices", named)
    out = np.empty((slices[0].bands, len(slices), height, width), number)
    for k, one in enumerate(slices):
        pixels = _pixels(one).reshape(height, width, one.bands)
        out[:, k] = np.moveaxis(pixels, -1, 0)
    require_finite(out, named)
    return out


def _load_frames(file: Path, stack: Stack, one: DicomSlice) -> npt.NDArray[Any]:
    """Return ``[bands, k, j, i]`` of one file of many frames, in the order of their places."""
    width, height, depth = stack.size
    require_memory(2 * one.bands * depth * width * height * one.pixels.itemsize, "its frames", file)
    pixels = _pixels(one)
    if pixels.size != one.bands * depth * height * width:
        raise InputError(DAMAGED, file=file)
    frames = pixels.reshape(depth, height, width, one.bands)[list(stack.order)]
    out = np.ascontiguousarray(np.moveaxis(frames, -1, 0))
    require_finite(out, file)
    return out


def _pixels(one: DicomSlice) -> npt.NDArray[Any]:
    file = one.file
    if not is_whole(file, one.pixel_bytes):
        raise InputError(DAMAGED, file=file)
    try:
        image = sitk.ReadImage(itk_name(file), imageIO="GDCMImageIO")
        array: npt.NDArray[Any] = sitk.GetArrayFromImage(image)
    except RuntimeError as error:
        raise_out_of_memory(error, file)
        raise InputError(DAMAGED, file=file) from error
    return array
