"""What is said about a header's place: the one function that decides which warnings a file deserves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from softseg.headers.forms import Affine, Forms, distance_mm, shear_of
from softseg.headers.header import Header
from softseg.headers.itk_names import itk_name

APART_MM = 0.1
"""Forms that place a voxel further apart than this are warned about."""

SHEARED = 1e-3
"""Axes count as straight up to this cosine between two of them."""


def place_notes(header: Header) -> tuple[str, ...]:
    """Return the warnings that a file's header deserves, one sentence each without a full stop."""
    notes = list(header.notes)
    cosine, degrees = shear_of(header.affine)
    sheared = cosine > SHEARED
    if header.forms is not None:
        notes += form_notes(header.forms, header.size, "" if sheared else ", and results carry both")
    elif not header.known:
        notes.append("its header does not say how it lies in space: left and right are unknown")
    if header.format.startswith("NIfTI") and notes and header.known:
        itk = itk_affine(header.file)
        if itk is not None and (apart := distance_mm(itk, header.affine, header.size)) > APART_MM:
            notes.append(f"programs built on ITK, such as 3D Slicer, show it up to {apart:.3g} mm from there")
    if sheared:
        notes.append(
            f"its axes are sheared by {degrees:.3g} degrees (a gantry tilt?): it is resampled to a straight grid that "
            "covers it, and results lie on that grid"
        )
    return tuple(notes)


def form_notes(forms: Forms, size: Sequence[int], results: str = ", and results carry both") -> tuple[str, ...]:
    """Return what is to be said about two forms on a grid of ``size`` (i, j, k): sides unknown, or forms apart.

    ``results`` ends the sentence about forms apart: what becomes of them.
    """
    if forms.chosen == "none":
        return (
            "its header does not say how it lies in space (sform and qform without a code): left and right are "
            "unknown, and results say no more",
        )
    apart = forms.apart_mm(size)
    if apart <= APART_MM:
        return ()
    return (
        f"its sform (code {forms.sform_code}) and qform (code {forms.qform_code}) lie up to {apart:.3g} mm apart; the "
        f"sform is taken, as nibabel and FSL do{results}",
    )


def itk_affine(file: Path) -> Affine | None:
    """Return the matrix to RAS mm that ITK makes of a file's header; None where it refuses the file."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(itk_name(file))
    try:
        reader.ReadImageInformation()
    except RuntimeError:
        return None
    count = reader.GetDimension()
    matrix = np.eye(4)
    used = min(3, count)
    axes = np.reshape(reader.GetDirection(), (count, count))[:used, :used]
    matrix[:used, :used] = axes * np.asarray(reader.GetSpacing())[:used]
    matrix[:used, 3] = reader.GetOrigin()[:used]
    return np.asarray(np.diag([-1.0, -1.0, 1.0, 1.0]) @ matrix)
