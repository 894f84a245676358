"""Numbers of NIfTI, Analyze and their pairs: as nibabel reads them, or refused by name."""

from __future__ import annotations

import gzip
import shutil
import struct
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from header_kit import patch, save

from softseg.data.cubes import Cube, read_channel, read_label_map
from softseg.errors import InputError
from softseg.headers import is_image_file, read_header
from softseg.image import Image, read_image, write_image

AFFINE = np.diag([2.0, 1.0, 3.0, 1.0])
KINDS = (np.uint8, np.int8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64, np.float32, np.float64)


def _values(kind: Any, shape: tuple[int, ...] = (4, 5, 6)) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(0, 100, shape).astype(kind)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", KINDS)
def test_numbers_of_either_byte_order(kind: Any, order: str, tmp_path: Path) -> None:
    array = _values(kind)
    header = nib.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(kind).newbyteorder(order))
    nib.save(nib.Nifti1Image(array, AFFINE, header), tmp_path / "scan.nii.gz")
    image = read_image(tmp_path / "scan.nii.gz")
    assert image.array.dtype == kind
    assert image.array.flags.writeable
    np.testing.assert_array_equal(image.array.T, array)
    again = nib.load(write_image(image, tmp_path / "out.nii.gz"))
    assert again.get_data_dtype() == kind
    np.testing.assert_array_equal(np.asanyarray(again.dataobj), array)


@pytest.mark.parametrize(("slope", "intercept"), [(0.0, 5.0), (np.nan, 5.0), (np.inf, 5.0), (1.0, 0.0)])
@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_a_slope_that_is_none_scales_nothing(kind: Any, slope: float, intercept: float, tmp_path: Path) -> None:
    file = save(tmp_path / "labels.nii.gz", _values(kind), AFFINE, 1, AFFINE, 1)
    image = read_image(patch(file, 112, "<2f", slope, intercept))
    assert image.array.dtype == kind
    np.testing.assert_array_equal(image.array.T, _values(kind))


@pytest.mark.parametrize(("slope", "intercept"), [(1.0, -1024.0), (0.5, 3.0), (-2.0, 0.0), (1.0, 5.0)])
@pytest.mark.parametrize("kind", [np.int16, np.int32, np.float32])
def test_values_are_scaled(kind: Any, slope: float, intercept: float, tmp_path: Path) -> None:
    file = patch(save(tmp_path / "scan.nii", _values(kind), AFFINE, 1, AFFINE, 1), 112, "<2f", slope, intercept)
    np.testing.assert_allclose(read_image(file).array.T, np.asanyarray(nib.load(file).dataobj), rtol=1e-6)


@pytest.mark.parametrize("kind", [np.complex64, np.complex128])
def test_complex_numbers_are_refused_as_such(kind: Any, tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(_values(kind), AFFINE), tmp_path / "scan.nii.gz")
    for read in (read_image, read_channel, read_label_map):
        with pytest.raises(InputError, match="holds complex numbers"):
            read(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("names", ["RGB", "RGBA"])
def test_colours_are_bands_of_a_channel_and_no_label_map(names: str, tmp_path: Path) -> None:
    kind = np.dtype([(name, "u1") for name in names])
    array = np.zeros((4, 5, 6), kind)
    array["G"] = 7
    nib.save(nib.Nifti1Image(array, AFFINE), tmp_path / "scan.nii.gz")
    with pytest.raises(InputError, match=f"expected a scalar 3D volume, got {names} colours"):
        read_image(tmp_path / "scan.nii.gz")
    cube = read_channel(tmp_path / "scan.nii.gz")
    assert isinstance(cube, Cube)
    assert [int(cube.array[n].max()) for n in range(3)] == [0, 7, 0]


@pytest.mark.parametrize(("code", "words"), [(1, "single bits"), (1536, "128-bit floats"), (99, "unknown type 99")])
def test_other_types_are_refused_by_name(code: int, words: str, tmp_path: Path) -> None:
    file = patch(save(tmp_path / "scan.nii", _values(np.uint8), AFFINE, 1, AFFINE, 1), 70, "<h", code)
    with pytest.raises(InputError, match=f"datatype: .*{words}"):
        read_image(file)


@pytest.mark.parametrize("shape", [(4, 5, 1), (4, 5), (4, 5, 6, 1), (4, 5, 6, 1, 1), (4,)])
def test_trailing_axes_of_one(shape: tuple[int, ...], tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(_values(np.int16, shape), AFFINE), tmp_path / "scan.nii")
    image = read_image(tmp_path / "scan.nii")
    assert image.array.shape == (*shape, 1, 1)[:3][::-1]
    np.testing.assert_array_equal(image.array.T.ravel(), _values(np.int16, shape).ravel())


@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (4, 5, 6, 1, 3)])
def test_a_further_axis_is_bands(shape: tuple[int, ...], tmp_path: Path) -> None:
    nib.save(nib.Nifti1Image(_values(np.float32, shape), AFFINE), tmp_path / "scan.nii")
    cube = read_channel(tmp_path / "scan.nii")
    assert isinstance(cube, Cube)
    np.testing.assert_array_equal(cube.array.T, _values(np.float32, shape).reshape(4, 5, 6, 3))
    with pytest.raises(InputError, match="got 3 values per voxel"):
        read_image(tmp_path / "scan.nii")


@pytest.mark.parametrize("kind", [nib.Nifti1Pair, nib.Nifti2Pair])
@pytest.mark.parametrize("packed", [False, True])
def test_a_pair_is_read_by_either_name(kind: Any, packed: bool, tmp_path: Path) -> None:
    nib.save(kind(_values(np.int16), AFFINE), tmp_path / ("pair.img.gz" if packed else "pair.img"))
    ending = ".gz" if packed else ""
    for name in ("pair.img", "pair.hdr"):
        for read in (read_image, read_channel, read_label_map):
            image = read(tmp_path / (name + ending))
            assert isinstance(image, Image)
            np.testing.assert_array_equal(image.array.T, _values(np.int16))
            np.testing.assert_allclose(image.geometry.affine, AFFINE)
    assert [is_image_file(tmp_path / (name + ending)) for name in ("pair.img", "pair.hdr")] == [False, True]


def test_analyze_is_read_and_its_sides_are_unknown(tmp_path: Path) -> None:
    image = nib.AnalyzeImage(_values(np.int16), None)
    image.header.set_zooms((2, 1, 3))
    nib.save(image, tmp_path / "old.img")
    found = read_image(tmp_path / "old.img")
    np.testing.assert_array_equal(found.array.T, _values(np.int16))
    assert found.geometry.spacing == (2.0, 1.0, 3.0)
    assert read_header(tmp_path / "old.hdr").format == "Analyze"
    assert any("left and right are unknown" in note for note in found.notes)


def test_a_pair_without_its_other_half(tmp_path: Path) -> None:
    nib.save(nib.Nifti1Pair(_values(np.int16), AFFINE), tmp_path / "pair.img")
    (tmp_path / "pair.img").rename(tmp_path / "lost.img")
    with pytest.raises(InputError, match=r"there is no image beside this header; expected pair\.img"):
        read_image(tmp_path / "pair.hdr")
    with pytest.raises(InputError, match=r"there is no header beside this file; expected lost\.hdr"):
        read_channel(tmp_path / "lost.img")


def test_files_that_say_the_wrong_thing(tmp_path: Path) -> None:
    whole = save(tmp_path / "scan.nii", _values(np.int16), AFFINE, 1, AFFINE, 1)
    for name, place, kind, value, words in [
        ("magic", 344, "<4s", b"ni1\0", "belongs to a pair"),
        ("none", 344, "<4s", b"\0\0\0\0", "lacks NIfTI's sign"),
        ("size", 42, "<h", 0, "expected 1 to 7 axes with voxels"),
        ("axes", 40, "<h", 9, "expected 1 to 7 axes with voxels"),
        ("huge", 42, "<3h", (32000, 32000, 32000), "damaged or truncated"),
        ("offset", 108, "<f", np.nan, "expected a number of bytes"),
    ]:
        copy = Path(shutil.copy(whole, tmp_path / f"{name}.nii"))
        patch(copy, place, kind, *(value if isinstance(value, tuple) else (value,)))
        with pytest.raises(InputError, match=words):
            read_image(copy)
    (tmp_path / "text.nii.gz").write_bytes(gzip.compress(b"hello world" * 50))
    with pytest.raises(InputError, match="cannot be read as an image"):
        read_image(tmp_path / "text.nii.gz")


def test_a_long_axis_is_written_as_nifti_2(tmp_path: Path) -> None:
    image = Image(np.arange(40000, dtype=np.uint16)[None, None], read_image(_line(tmp_path)).geometry)
    file = write_image(image, tmp_path / "out.nii.gz")
    again = nib.load(file)
    assert isinstance(again, nib.Nifti2Image)
    np.testing.assert_array_equal(np.asanyarray(again.dataobj).ravel(), np.arange(40000))
    assert read_image(file).geometry == image.geometry


def _line(folder: Path) -> Path:
    content = bytearray(540)
    struct.pack_into("<i8s2h8q", content, 0, 540, b"n+2\0\r\n\x1a\n", 2, 8, 3, 40000, 1, 1, 1, 1, 1, 1)
    struct.pack_into("<8d", content, 104, *[1.0] * 8)
    struct.pack_into("<q", content, 168, 544)
    struct.pack_into("<12d", content, 400, 1, 0, 0, 5, 0, 1, 0, 0, 0, 0, 1, 0)
    struct.pack_into("<i", content, 348, 1)
    (folder / "line.nii").write_bytes(bytes(content) + bytes(4 + 40000))
    return folder / "line.nii"
