"""Cubes in files: every format gives the same bands, and a damaged file gives one line that says what is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow
from scipy.io import savemat

from softseg.data.cubes import Cube, file_of, read_channel, read_label_map, split_address
from softseg.data.cubes.cube import crop, filled, turn
from softseg.data.cubes.envi import EnviHeader
from softseg.errors import InputError
from softseg.image import Geometry, Image

ROWS, COLUMNS, BANDS = 5, 7, 4
SCENE = np.arange(ROWS * COLUMNS * BANDS, dtype=np.uint16).reshape(ROWS, COLUMNS, BANDS) * 3 + 1

ENVI_AXES = {"bsq": (2, 0, 1), "bil": (0, 2, 1), "bip": (0, 1, 2)}


def write_envi(
    folder: Path, interleave: str = "bsq", data: str = "scene.dat", dtype: str = "<u2", code: int = 12, **fields: object
) -> Path:
    numbers = np.ascontiguousarray(SCENE.transpose(ENVI_AXES.get(interleave, (0, 1, 2)))).astype(dtype)
    (folder / data).write_bytes(b"\0" * int(str(fields.get("header offset", 0))) + numbers.tobytes())
    lines = {
        "samples": COLUMNS, "lines": ROWS, "bands": BANDS, "header offset": 0, "file type": "ENVI Standard",
        "data type": code, "interleave": interleave, "byte order": int(dtype[0] == ">"), **fields,
    }  # fmt: skip
    header = folder / "scene.hdr"
    header.write_text("ENVI\n" + "".join(f"{key} = {value}\n" for key, value in lines.items() if value is not None))
    return header


def write_npz(folder: Path) -> Path:
    np.savez(folder / "scene.npz", cube=SCENE, labels=SCENE[..., 0], wavelengths=np.arange(4.0))
    return folder / "scene.npz"


def write_npy(folder: Path) -> Path:
    np.save(folder / "scene.npy", np.asfortranarray(SCENE))
    return folder / "scene.npy"


def write_mat(folder: Path) -> Path:
    savemat(folder / "scene.mat", {"cube": SCENE, "gt": SCENE[..., 0], "number": 3})
    return folder / "scene.mat"


def write_tiff(folder: Path) -> Path:
    pages = [Pillow.fromarray(SCENE[..., band]) for band in range(BANDS)]
    pages[0].save(folder / "scene.tif", save_all=True, append_images=pages[1:])
    return folder / "scene.tif"


def write_nifti_4d(folder: Path) -> Path:
    parts = [sitk.GetImageFromArray(SCENE[None, ..., band]) for band in range(BANDS)]
    sitk.WriteImage(sitk.JoinSeries(parts), str(folder / "scene.nii.gz"))
    return folder / "scene.nii.gz"


def write_vector(folder: Path) -> Path:
    sitk.WriteImage(sitk.GetImageFromArray(SCENE[None], isVector=True), str(folder / "scene.nrrd"))
    return folder / "scene.nrrd"


WRITERS = [write_envi, write_npz, write_npy, write_mat, write_tiff, write_nifti_4d, write_vector]


@pytest.mark.parametrize("write", WRITERS)
def test_every_format_gives_the_same_cube(write: Callable[[Path], Path], tmp_path: Path) -> None:
    cube = read_channel(write(tmp_path))
    assert isinstance(cube, Cube)
    np.testing.assert_array_equal(cube.array[:, 0], np.moveaxis(SCENE, -1, 0))
    assert cube.geometry == Geometry((COLUMNS, ROWS, 1))
    assert cube.array.dtype == np.uint16


@pytest.mark.parametrize("interleave", ENVI_AXES)
@pytest.mark.parametrize(("dtype", "code"), [("<u2", 12), (">i2", 2), ("<f4", 4), (">f8", 5), ("<i4", 3), (">u8", 15)])
def test_envi_of_every_order_and_type(interleave: str, dtype: str, code: int, tmp_path: Path) -> None:
    cube = read_channel(write_envi(tmp_path, interleave, dtype=dtype, code=code, **{"header offset": 11}))
    assert isinstance(cube, Cube)
    np.testing.assert_array_equal(cube.array[:, 0], np.moveaxis(SCENE, -1, 0))
    assert cube.array.dtype.isnative


@pytest.mark.parametrize("data", ["scene", "scene.img", "scene.RAW", "scene.bsq"])
def test_envi_by_either_of_its_files(data: str, tmp_path: Path) -> None:
    header = write_envi(tmp_path, data=data)
    for file in [header] if data == "scene" else [header, tmp_path / data]:
        assert isinstance(cube := read_channel(file), Cube)
        assert cube.bands == BANDS


def test_envi_wavelengths_become_nanometres(tmp_path: Path) -> None:
    header = write_envi(tmp_path, **{"wavelength": "{ 0.4,\n 0.5,\n 0.6, 0.7 }", "wavelength units": "Micrometers"})
    assert EnviHeader.read(header).wavelengths == pytest.approx((400, 500, 600, 700))
    header = write_envi(tmp_path, **{"wavelength": "{ 1, 2, 3, 4 }", "wavelength units": "Index"})
    assert EnviHeader.read(header).wavelengths is None


BAD_ENVI = {
    "lines too many": ({"lines": 6}, "scene.dat: is shorter than declared: 280 bytes, expected 336"),
    "lines too few": ({"lines": 4}, "scene.dat: is longer than declared: 280 bytes, expected 224"),
    "a huge size": ({"samples": 10**12}, "is shorter than declared"),
    "no size": ({"bands": None}, "scene.hdr: bands: is missing"),
    "size of nothing": ({"bands": 0}, "bands: expected a positive number, got 0"),
    "size in words": ({"samples": "many"}, "samples: expected a whole number, got 'many'"),
    "interleave": ({"interleave": "bsx"}, "interleave: expected bsq, bil or bip, got 'bsx'"),
    "complex numbers": ({"data type": 6}, "data type: 6 is not read; known are 1 (uint8)"),
    "byte order": ({"byte order": 2}, "byte order: expected 0 (little-endian) or 1 (big-endian), got 2"),
    "wavelengths": ({"wavelength": "{1, 2}"}, "wavelength: lists 2 wavelengths for 4 bands"),
}


@pytest.mark.parametrize("name", BAD_ENVI)
def test_an_envi_header_that_is_wrong(name: str, tmp_path: Path) -> None:
    fields, message = BAD_ENVI[name]
    if "interleave" in fields:
        header = write_envi(tmp_path)
        header.write_text(header.read_text().replace("bsq", "bsx"))
    else:
        header = write_envi(tmp_path, **fields)
    with pytest.raises(InputError) as caught:
        read_channel(header)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_envi_with_one_of_its_files_missing(tmp_path: Path) -> None:
    header = write_envi(tmp_path)
    (tmp_path / "scene.dat").rename(tmp_path / "other.dat")
    with pytest.raises(InputError, match="there is no file of numbers beside this header; expected scene or"):
        read_channel(header)
    with pytest.raises(InputError, match=r"there is no header beside this file; expected other.hdr"):
        read_channel(tmp_path / "other.dat")
    header.write_text("NOT ENVI")
    with pytest.raises(InputError, match="is not an ENVI header"):
        EnviHeader.read(header)


@pytest.mark.parametrize("write", WRITERS)
def test_half_a_file_is_an_error_of_one_line(write: Callable[[Path], Path], tmp_path: Path) -> None:
    file = write(tmp_path)
    half = tmp_path / "scene.dat" if write is write_envi else file
    half.write_bytes(half.read_bytes()[: half.stat().st_size // 2])
    with pytest.raises(InputError) as caught:
        read_channel(file)
    assert str(half) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_array_is_chosen_by_name_or_by_its_axes(tmp_path: Path) -> None:
    file = write_npz(tmp_path)
    for address in (file, f"{file}:cube"):
        assert isinstance(read_channel(address), Cube)
    for address in (file, f"{file}:labels"):
        np.testing.assert_array_equal(read_label_map(address).array[0], SCENE[..., 0])
    grey = read_channel(f"{file}:labels")
    assert isinstance(grey, Image)
    mat = write_mat(tmp_path)
    np.testing.assert_array_equal(read_label_map(mat).array, read_label_map(f"{mat}:gt").array)


def test_arrays_that_do_not_fit(tmp_path: Path) -> None:
    file = write_npz(tmp_path)
    with pytest.raises(InputError, match=r"holds no array 'cub'; it holds cube .5 x 7 x 4., labels .5 x 7., wave"):
        read_channel(f"{file}:cub")
    with pytest.raises(InputError, match=r"wavelengths: expected a picture .rows x columns. or a cube"):
        read_channel(f"{file}:wavelengths")
    np.savez(tmp_path / "two.npz", one=SCENE, other=SCENE)
    with pytest.raises(InputError, match=r"2 arrays could be a picture .*; name the one that is meant: two.npz:one"):
        read_channel(tmp_path / "two.npz")
    np.savez(tmp_path / "objects.npz", cube=np.array([[None, {}]], dtype=object))
    with pytest.raises(InputError, match="holds Python objects, which are not read"):
        read_channel(tmp_path / "objects.npz")
    np.savez(tmp_path / "complex.npz", cube=SCENE * 1j)
    with pytest.raises(InputError, match="expected real numbers, got complex128"):
        read_channel(tmp_path / "complex.npz")
    with pytest.raises(InputError, match="no such file"):
        read_channel(tmp_path / "none.npz:cube")


def test_matlab_7_3_is_named(tmp_path: Path) -> None:
    file = tmp_path / "new.mat"
    file.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(512) + b"\x89HDF\r\n\x1a\n" + b"\0" * 2000)
    with pytest.raises(InputError, match=r"version 7.3 .HDF5., which is not read; save it in MATLAB with save"):
        read_channel(file)


def test_pictures_in_grey_in_colour_and_with_a_palette(tmp_path: Path) -> None:
    labels = (SCENE[..., 0] % 3).astype(np.uint8)
    paletted = Pillow.fromarray(labels)
    paletted.putpalette([10, 20, 30, 200, 100, 0, 7, 8, 9])
    paletted.save(tmp_path / "labels.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "labels.png").array[0], labels)
    colours = np.stack([labels, labels * 2, labels * 3, np.full_like(labels, 255)], axis=-1)
    Pillow.fromarray(colours).save(tmp_path / "photo.png")
    photo = read_channel(tmp_path / "photo.png")
    assert isinstance(photo, Cube)
    np.testing.assert_array_equal(photo.array[:, 0], np.moveaxis(colours[..., :3], -1, 0))
    with pytest.raises(InputError, match="expected a label map of one value per pixel, got 3"):
        read_label_map(tmp_path / "photo.png")
    Pillow.fromarray(labels).save(tmp_path / "page.tif")
    np.testing.assert_array_equal(read_label_map(tmp_path / "page.tif").array[0], labels)


@given(st.sampled_from(["a.npz", "b.MAT", "c.nii.gz", "d.npz.hdr"]), st.sampled_from([None, "x", "with:colon", "β"]))
@settings(max_examples=30, deadline=None)
def test_addresses_come_apart_as_they_were_joined(name: str, key: str | None) -> None:
    file = Path("C:") / "some:folder" / name
    keyed = name in ("a.npz", "b.MAT")
    whole = file if key is None else file.with_name(f"{name}:{key}")
    assert split_address(whole) == ((file, key) if keyed else (whole, None))
    assert file_of(file) == file


def test_a_cube_is_turned_and_cropped_like_each_of_its_bands() -> None:
    grid = Geometry((7, 5, 3), (1.0, 2.0, 3.0), (4.0, 5.0, 6.0), (0, 0, 1, -1, 0, 0, 0, 1, 0))
    array = np.random.default_rng(0).integers(0, 2, (4, 3, 5, 7))
    cube = Cube(array, grid)
    turned = turn(cube, "RAS")
    box = (slice(1, 3), slice(0, 2), slice(1, 3))
    for band in range(4):
        expected = turn(cube.band(band), "RAS")
        assert expected.geometry == turned.geometry
        np.testing.assert_array_equal(turned.array[band], expected.array)
        np.testing.assert_array_equal(crop(turned, box).array[band], crop(expected, box).array)
    np.testing.assert_array_equal(filled(cube), array.any(axis=0))


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_deflate"}, {"big_tiff": True}])
def test_a_tiff_cut_off_anywhere_is_never_read_as_less(options: dict[str, object], tmp_path: Path) -> None:
    file = tmp_path / "scene.tif"
    pages = [Pillow.fromarray(SCENE[..., band]) for band in range(BANDS)]
    pages[0].save(file, save_all=True, append_images=pages[1:], **options)
    whole = file.read_bytes()
    cube = read_channel(file)
    np.testing.assert_array_equal(cube.array[:, 0], np.moveaxis(SCENE, -1, 0))
    for size in range(0, len(whole) - 8, 41):
        file.write_bytes(whole[:size])
        with pytest.raises(InputError, match="cannot be read as a TIFF"):
            read_channel(file)


def test_pages_of_different_sizes_are_no_cube(tmp_path: Path) -> None:
    pages = [Pillow.fromarray(SCENE[: ROWS - page, :, 0]) for page in range(2)]
    pages[0].save(tmp_path / "scene.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match="cannot be read as a TIFF"):
        read_channel(tmp_path / "scene.tif")
