"""The position and number type in an image file's header: one owner for every format.

:func:`read_header` reads NIfTI-1 and -2 (one file or a pair), Analyze, FreeSurfer's MGH, NRRD, MetaImage and
DICOM series;
:func:`place_notes` describes oddities of a file's position, compared with ITK's reading; :func:`write_nifti`
writes an output that lies where its input lies, whichever of the two forms a reader goes by.
"""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from softseg.errors import InputError
from softseg.files import is_file, is_folder, require_file
from softseg.headers.dicom_files import (
    DICOM_SUFFIXES,
    dicom_stem,
    is_dicom_image,
    is_dicom_segmentation,
    split_series,
    state_of,
    with_series,
)
from softseg.headers.forms import Affine, Forms, distance_mm, forms_of, shear_of
from softseg.headers.header import Header
from softseg.headers.judge import APART_MM, SHEARED, form_notes, itk_affine, place_notes
from softseg.headers.meta import read_meta
from softseg.headers.mgh import read_mgh
from softseg.headers.nifti import is_nifti_pair, read_nifti
from softseg.headers.nifti_writer import write_nifti
from softseg.headers.nrrd import read_nrrd

__all__ = [
    "APART_MM",
    "DICOM_SUFFIXES",
    "IMAGE_SUFFIXES",
    "PAIR_SUFFIXES",
    "SHEARED",
    "Affine",
    "Forms",
    "Header",
    "dicom_stem",
    "distance_mm",
    "form_notes",
    "forms_of",
    "is_dicom_folder",
    "is_dicom_image",
    "is_dicom_scan",
    "is_dicom_segmentation",
    "is_image_file",
    "is_nifti_pair",
    "is_scan",
    "itk_affine",
    "place_notes",
    "read_header",
    "shear_of",
    "split_series",
    "state_of",
    "with_series",
    "write_nifti",
]

IMAGE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd", ".mgz", ".mgh", ".mgh.gz")
"""File endings of volumes; a NIfTI pair is known by its content, see :func:`is_image_file`."""

PAIR_SUFFIXES = (".hdr.gz", ".hdr", ".img.gz", ".img")
"""File endings of NIfTI and Analyze pairs; ENVI uses them, too."""


def is_image_file(path: str | PathLike[str]) -> bool:
    """Whether a folder's listing counts this file as a volume: by its ending, or as the header of a NIfTI pair."""
    file = Path(path)
    name = file.name.lower()
    return name.endswith(IMAGE_SUFFIXES) or (name.endswith(PAIR_SUFFIXES[:2]) and is_nifti_pair(file))


def is_dicom_folder(path: str | PathLike[str]) -> bool:
    """Whether a folder is one scan: it holds slices of DICOM, and no volume of another format."""
    folder = Path(path)
    if not is_folder(folder) or any(file.name.lower().endswith(IMAGE_SUFFIXES) for file in folder.iterdir()):
        return False
    return any(is_dicom_image(file) for file in sorted(folder.iterdir()) if not file.name.startswith("."))


def is_scan(path: str | PathLike[str]) -> bool:
    """Whether a path names one thing to read: a file, a folder of DICOM slices, or a series of it (``FOLDER:3``)."""
    return is_file(path) or is_dicom_folder(split_series(path)[0])


def is_dicom_scan(path: str | PathLike[str]) -> bool:
    """Whether :func:`read_header` takes a path for DICOM: by its content, whatever its name."""
    folder, series = split_series(path)
    named_otherwise = folder.name.lower().endswith((*IMAGE_SUFFIXES, *PAIR_SUFFIXES))
    return series is not None or is_dicom_folder(folder) or (is_dicom_image(folder) and not named_otherwise)


def read_header(path: str | PathLike[str]) -> Header:
    """Read the header of a volume: a file, a folder of DICOM slices, or a series of it (``FOLDER:3``).

    Raises
    ------
    InputError: the file is missing, damaged, of an unknown kind, or holds numbers that are no image (complex ones);
        or a folder's slices make no volume.
    """
    file = Path(path)
    name = file.name.lower()
    folder, series = split_series(file)
    if series is not None or is_dicom_folder(folder):
        from softseg.headers.dicom_series import read_series

        return read_series(file)
    require_file(file)
    if name.endswith((".nii", ".nii.gz", *PAIR_SUFFIXES)):
        return read_nifti(file)
    if name.endswith((".mgh", ".mgz", ".mgh.gz")):
        return read_mgh(file)
    if name.endswith((".nrrd", ".nhdr")):
        return read_nrrd(file)
    if name.endswith((".mha", ".mhd")):
        return read_meta(file)
    if is_dicom_image(file) or is_dicom_segmentation(file):
        from softseg.headers.dicom_series import read_dicom_file

        return read_dicom_file(file)
    raise InputError(f"expected an image that ends in {', '.join(IMAGE_SUFFIXES)}", file=file)
