"""NRRD, MetaImage and FreeSurfer's MGH, against SimpleITK and nibabel."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.spatial.transform import Rotation

from softseg.data.cubes import read_channel
from softseg.errors import InputError
from softseg.headers import read_header
from softseg.image import Geometry, Image, read_image, write_image

KINDS = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64)
TURN = Rotation.from_euler("xyz", [20, -30, 40], degrees=True).as_matrix()
VALUES = np.random.default_rng(1).integers(0, 100, (4, 5, 6)).astype(np.uint8)


@pytest.mark.parametrize("ending", [".nrrd", ".nhdr", ".mha", ".mhd"])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("dimension", "components"), [(3, 1), (2, 1), (3, 3), (4, 1)])
@pytest.mark.parametrize("kind", KINDS)
def test_what_simpleitk_writes_is_read_alike(
    kind: Any, dimension: int, components: int, packed: bool, ending: str, tmp_path: Path
) -> None:
    shape = {2: (5, 6), 3: (4, 5, 6), 4: (2, 4, 5, 6)}[dimension] + ((components,) if components > 1 else ())
    array = np.random.default_rng(0).integers(0, 100, shape).astype(kind)
    image = sitk.GetImageFromArray(array, isVector=components > 1)
    axes = np.eye(dimension)
    axes[:3, :3] = TURN if dimension > 2 else Rotation.from_euler("z", 20, degrees=True).as_matrix()[:2, :2]
    image.SetDirection(axes.ravel())
    image.SetSpacing([0.7, 1.1, 2.3, 1.0][:dimension])
    image.SetOrigin([3.0, -20.0, 11.0, 0.0][:dimension])
    file = tmp_path / f"scan{ending}"
    sitk.WriteImage(image, str(file), useCompression=packed)
    found, theirs = read_channel(file), sitk.ReadImage(str(file))
    expected = sitk.GetArrayFromImage(theirs)
    if components > 1:
        expected = np.moveaxis(expected, -1, 0)
    assert found.array.dtype == kind
    np.testing.assert_array_equal(found.array, expected[None] if dimension == 2 else expected)
    assert found.geometry.same_grid(Geometry.of(theirs), 1e-4)


def _nrrd(folder: Path, fields: str, data: bytes = VALUES.tobytes(), encoding: str = "raw") -> Path:
    head = "NRRD0004\n# written by hand\ntype: unsigned char\ndimension: 3\nsizes: 6 5 4\nendian: little\n"
    file = folder / "scan.nrrd"
    file.write_bytes(f"{head}encoding: {encoding}\n{fields}\n".encode() + data)
    return file


AXES = "space directions: (2,0,0) (0,1,0) (0,0,3)\nspace origin: (1,2,3)\n"


@pytest.mark.parametrize(
    ("fields", "known"),
    [
        (f"space: right-anterior-superior\n{AXES}", True),
        (f"space: LAS\n{AXES}", True),
        (f"space: LPS\n{AXES}", True),
        (f"space: scanner-xyz\n{AXES}", False),
        (f"space: 3D-right-handed\n{AXES}", False),
        (f"space dimension: 3\n{AXES}", False),
        ("spacings: 2 1 3\n", False),
        ("spacings: -2 1 3\n", False),
        ("spacings: 2 1 3\naxis mins: 1 2 3\ncenterings: cell cell cell\n", False),
        ("spacings: 2 1 3\naxis mins: 1 2 3\ncenterings: node node node\n", False),
        ("spacings: 2 1 3\naxis mins: 1 2 3\n", False),
        ("", False),
    ],
)
def test_spaces_and_centerings_of_nrrd(fields: str, known: bool, tmp_path: Path) -> None:
    file = _nrrd(tmp_path, fields)
    image = read_image(file)
    np.testing.assert_array_equal(image.array, VALUES)
    assert image.geometry.same_grid(Geometry.of(sitk.ReadImage(str(file))), 1e-6)
    assert any("left and right are unknown" in note for note in image.notes) == (not known)
    out = write_image(image, tmp_path / "out.nii.gz")
    assert Geometry.of(sitk.ReadImage(str(out))).same_grid(image.geometry, 1e-4), "ITK sees the result on the scan"
    if fields in ("", "spacings: 2 1 3\n"):
        header = nib.load(out).header
        assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)


@pytest.mark.parametrize(
    ("unit", "mm"), [("mm", 1.0), ("um", 1e-3), ("µm", 1e-3), ("microns", 1e-3), ("cm", 10.0), ("m", 1000.0)]
)
def test_units_of_nrrd(unit: str, mm: float, tmp_path: Path) -> None:
    fields = f'space: LPS\n{AXES}space units: "{unit}" "{unit}" "{unit}"\n'
    geometry = read_image(_nrrd(tmp_path, fields)).geometry
    assert geometry.spacing == pytest.approx((2 * mm, mm, 3 * mm))
    assert geometry.origin == pytest.approx((mm, 2 * mm, 3 * mm))


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        ("gzip", gzip.compress),
        ("bzip2", bz2.compress),
        ("ascii", lambda data: " ".join(map(str, data)).encode()),
        ("hex", lambda data: data.hex().encode()),
    ],
)
def test_encodings_of_nrrd(encoding: str, pack: Callable[[bytes], bytes], tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_image(_nrrd(tmp_path, "", pack(VALUES.tobytes()), encoding)).array, VALUES)
    with pytest.raises(InputError, match="damaged or truncated"):
        read_image(_nrrd(tmp_path, "", pack(VALUES.tobytes())[:-20], encoding))


def test_header_lines_of_any_length_and_escaped_values(tmp_path: Path) -> None:
    file = _nrrd(tmp_path, "tags:=" + "x" * 50_000 + "\\n\\\\end\n")
    np.testing.assert_array_equal(read_image(file).array, VALUES)
    assert read_header(file).fields["tags"] == "x" * 50_000 + "\n\\end"


def test_complex_nrrd_is_refused_as_such(tmp_path: Path) -> None:
    file = tmp_path / "scan.nrrd"
    file.write_bytes(
        b"NRRD0004\ntype: float\ndimension: 4\nsizes: 2 2 2 2\nkinds: complex domain domain domain\n"
        b"endian: little\nencoding: raw\n\n" + bytes(64)
    )
    with pytest.raises(InputError, match="holds complex numbers"):
        read_channel(file)


NAMES = {".nhdr": b"NRRD0004\ntype: uchar\ndimension: 3\nsizes: 6 5 4\nencoding: raw\ndata file: %s\n"}
NAMES[".mhd"] = b"ObjectType = Image\nNDims = 3\nDimSize = 6 5 4\nElementType = MET_UCHAR\nElementDataFile = %s\n"


@pytest.mark.parametrize("ending", NAMES)
def test_a_header_names_only_files_beside_it(ending: str, tmp_path: Path) -> None:
    folder = tmp_path / "scans"
    (folder / "below").mkdir(parents=True)
    for place in (folder, tmp_path, folder / "below"):
        (place / "scan.raw").write_bytes(VALUES.tobytes())
    header = folder / f"scan{ending}"
    header.write_bytes(NAMES[ending] % b"scan.raw")
    np.testing.assert_array_equal(read_image(header).array, VALUES)
    for name in ("../scan.raw", f"{tmp_path}/scan.raw", "below/scan.raw", "/dev/zero", "..\\scan.raw", "C:scan.raw"):
        header.write_bytes(NAMES[ending] % name.encode())
        with pytest.raises(InputError, match="does not lie beside it"):
            read_image(header)
    header.write_bytes(NAMES[ending] % b"other.raw")
    with pytest.raises(InputError, match=r"names, other.raw: no such file"):
        read_image(header)
    (folder / "other.raw").symlink_to(os.devnull)
    with pytest.raises(InputError, match=r"names, other.raw: not a regular file, but a device"):
        read_image(header)


@pytest.mark.parametrize("ending", NAMES)
def test_a_header_may_name_a_file_per_slice(ending: str, tmp_path: Path) -> None:
    for number, plane in enumerate(VALUES):
        (tmp_path / f"plane{number:02d}.raw").write_bytes(plane.tobytes())
    header = tmp_path / f"scan{ending}"
    header.write_bytes(NAMES[ending] % b"plane%02d.raw 0 3 1")
    np.testing.assert_array_equal(read_image(header).array, VALUES)
    header.write_bytes(NAMES[ending] % b"LIST" + b"\n".join(b"plane%02d.raw" % n for n in range(4)) + b"\n")
    np.testing.assert_array_equal(read_image(header).array, VALUES)


def _mha(folder: Path, fields: str) -> Path:
    file = folder / "scan.mha"
    head = "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\nDimSize = 6 5 4\n"
    file.write_bytes(f"{head}{fields}ElementType = MET_UCHAR\nElementDataFile = LOCAL\n".encode() + VALUES.tobytes())
    return file


def test_metaimage_without_axes_says_nothing_about_sides(tmp_path: Path) -> None:
    image = read_image(_mha(tmp_path, "ElementSpacing = 2 1 3\n"))
    assert image.geometry.spacing == (2.0, 1.0, 3.0)
    assert any("left and right are unknown" in note for note in image.notes)
    header = nib.load(write_image(image, tmp_path / "out.nii")).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)


def test_metaimage_units_sheared_axes_and_negative_lengths(tmp_path: Path) -> None:
    axes = "TransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = 1 2 3\n"
    micro = read_image(_mha(tmp_path, axes + "ElementSpacing = 2000 1000 3000\nDistanceUnits = um\n"))
    assert micro.geometry.spacing == pytest.approx((2.0, 1.0, 3.0))
    flipped = read_image(_mha(tmp_path, axes + "ElementSpacing = -2 1 3\n"))
    assert (flipped.geometry.spacing, flipped.geometry.direction[0]) == ((2.0, 1.0, 3.0), -1.0)
    sheared = read_image(_mha(tmp_path, "TransformMatrix = 1 0 0 0 1 0 0 0.3 1\nElementSpacing = 2 1 3\n"))
    assert any("sheared by 16.7 degrees" in note for note in sheared.notes)


@pytest.mark.parametrize("fields", ["TransformMatrix = 1 0 0 0 1 0 0 1 0\n", "ElementSpacing = 0 1 1\n"])
def test_a_header_that_places_its_voxels_nowhere_is_refused(fields: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="places the voxels nowhere"):
        read_image(_mha(tmp_path, fields))


@pytest.mark.parametrize("ending", [".mgz", ".mgh"])
@pytest.mark.parametrize("frames", [1, 3])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.int32, np.float32])
def test_freesurfer_volumes_are_read_as_nibabel_reads_them(kind: Any, frames: int, ending: str, tmp_path: Path) -> None:
    shape = (4, 5, 6) if frames == 1 else (4, 5, 6, frames)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = TURN * [0.8, 1.0, 1.7], (10, -20, 30)
    file = tmp_path / f"orig{ending}"
    nib.save(nib.MGHImage(np.random.default_rng(0).integers(0, 100, shape).astype(kind), affine), file)
    found, theirs = read_channel(file), nib.load(file)
    np.testing.assert_array_equal(found.array.T, np.asanyarray(theirs.dataobj))
    assert found.array.dtype == kind
    np.testing.assert_allclose(found.geometry.affine, theirs.affine, atol=1e-4)
    assert found.notes == ()
    if isinstance(found, Image):
        again = nib.load(write_image(found, tmp_path / "out.nii.gz"))
        np.testing.assert_allclose(again.affine, theirs.affine, atol=1e-4)


def test_a_freesurfer_volume_without_place_is_coronal_and_said(tmp_path: Path) -> None:
    file = tmp_path / "orig.mgh"
    nib.save(nib.MGHImage(VALUES, np.eye(4)), file)
    content = bytearray(file.read_bytes())
    content[28:30] = b"\0\0"
    file.write_bytes(bytes(content))
    found = read_image(file)
    assert any("taken as coronal" in note for note in found.notes)
    axes = [[-1, 0, 0], [0, 0, 1], [0, -1, 0]]  # x to the left, y downwards, z to the front: FreeSurfer's default
    np.testing.assert_array_equal(found.geometry.affine[:3, :3], axes)
    np.testing.assert_allclose(found.geometry.affine @ [2, 2.5, 3, 1] - [0, 0, 0, 1], 0, atol=1e-6)
    file.write_bytes(bytes(content[:-50]) if len(content) < 400 else bytes(content[:300]))
    with pytest.raises(InputError, match="damaged or truncated"):
        read_image(file)
