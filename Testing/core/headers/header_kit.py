"""NIfTI files of any geometry, written by nibabel, and byte surgery on their headers."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

Array = np.ndarray[Any, Any]


def matrix(
    angles: tuple[float, float, float],
    flips: tuple[int, int, int],
    order: tuple[int, ...],
    lengths: tuple[float, float, float],
    shear: float,
    shape: tuple[int, int, int],
    centre: tuple[float, float, float],
) -> Array:
    """Return a 4 x 4 matrix to RAS whose middle voxel lies at ``centre``; the third axis leans by ``shear``."""
    axes = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()[:, list(order)] * flips
    axes = axes * lengths
    axes[:, 2] += shear * lengths[2] * axes[:, 1] / lengths[1]
    found = np.eye(4)
    found[:3, :3] = axes
    found[:3, 3] = np.asarray(centre) - axes @ ((np.asarray(shape) - 1) / 2)
    return found


def affines(shape: tuple[int, int, int], shears: tuple[float, ...] = (0.0,)) -> st.SearchStrategy[Array]:
    """Random placements of a grid: rotated, flipped, permuted, scaled, perhaps sheared."""
    angle = st.floats(-40, 40)
    return st.builds(
        matrix,
        st.tuples(angle, angle, angle),
        st.tuples(*[st.sampled_from((-1, 1))] * 3),
        st.permutations(range(3)).map(tuple),
        st.tuples(*[st.floats(0.9, 1.6)] * 3),
        st.sampled_from(shears),
        st.just(shape),
        st.tuples(*[st.floats(-60, 60)] * 3),
    )


def save(
    file: Path,
    array: Array,
    sform: Array,
    sform_code: int,
    qform: Array,
    qform_code: int,
    two: bool = False,
    pair: bool = False,
    units: str = "mm",
) -> Path:
    """Write an array ``(i, j, k)`` with these forms and codes by nibabel."""
    kind: Any = (nib.Nifti2Pair if pair else nib.Nifti2Image) if two else (nib.Nifti1Pair if pair else nib.Nifti1Image)
    image = kind(array, None)
    image.header.set_qform(qform, 1, strip_shears=True)
    image.header["qform_code"] = qform_code
    image.header.set_sform(sform, 1)
    image.header["sform_code"] = sform_code
    image.header.set_xyzt_units(units, "sec")
    nib.save(image, file)
    return file


def patch(file: Path, place: int, kind: str, *values: Any) -> Path:
    """Replace bytes of the header of a ``.nii`` or ``.nii.gz`` file."""
    packed = file.name.endswith(".gz")
    content = bytearray(gzip.decompress(file.read_bytes()) if packed else file.read_bytes())
    struct.pack_into(kind, content, place, *values)
    file.write_bytes(gzip.compress(content) if packed else bytes(content))
    return file
