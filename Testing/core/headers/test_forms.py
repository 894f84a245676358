"""Place: what is read is what nibabel reads, and what is written lies there in every reader."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from header_kit import Array, affines, matrix, patch, save
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.headers import Forms, itk_affine, place_notes, read_header
from softseg.image import Geometry, Image, read_image, write_image

SHAPE = (7, 9, 6)
VALUES = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
STRAIGHT = matrix((0, 0, 0), (1, 1, 1), (0, 1, 2), (1.0, 2.0, 1.5), 0.0, SHAPE, (3, 4, 5))
SHIFTED = STRAIGHT + np.array([[0, 0, 0, 20.0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


@settings(max_examples=40, deadline=None)
@given(
    affines(SHAPE),
    affines(SHAPE),
    st.integers(0, 5),
    st.integers(0, 5),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["mm", "meter", "micron", "unknown"]),
)
def test_any_pair_of_forms_is_read_as_nibabel_reads_it_and_written_as_it_was(
    sform: Array, qform: Array, sform_code: int, qform_code: int, two: bool, pair: bool, units: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = save(
            Path(folder) / ("scan.img" if pair else "scan.nii.gz"),
            VALUES,
            sform,
            sform_code,
            qform,
            qform_code,
            two,
            pair,
            units,
        )
        theirs, image = nib.load(file), read_image(file)
        scale = {"mm": 1, "meter": 1000, "micron": 0.001, "unknown": 1}[units]
        if sform_code or qform_code:
            to_mm = np.diag([scale] * 3 + [1])
            np.testing.assert_allclose(image.geometry.affine, to_mm @ theirs.affine, atol=1e-4 * scale, rtol=1e-5)
        np.testing.assert_array_equal(image.array.T, np.asanyarray(theirs.dataobj))
        again = nib.load(write_image(Image(image.array * 0, image.geometry), Path(folder) / "out.nii.gz"))
        np.testing.assert_allclose(again.affine, theirs.affine, atol=1e-4)
        for name in ("sform_code", "qform_code"):
            assert int(again.header[name]) == int(theirs.header[name])
        np.testing.assert_allclose(again.header.get_sform(), theirs.header.get_sform(), atol=1e-4)
        np.testing.assert_allclose(again.header.get_qform(), theirs.header.get_qform(), atol=1e-4)
        np.testing.assert_allclose(again.header["pixdim"][:4], theirs.header["pixdim"][:4], rtol=1e-6)
        assert again.header.get_xyzt_units()[0] == units
        warned = [note for note in image.notes if "apart" in note]
        apart = np.abs(theirs.get_sform() - theirs.get_qform()).max() * scale > 1
        assert bool(warned) == bool(sform_code and qform_code and apart) or not apart


def test_itk_places_input_and_output_alike(tmp_path: Path) -> None:
    for number, codes in enumerate([(1, 1), (2, 1), (4, 1), (1, 2), (0, 1), (2, 0), (0, 0)]):
        file = save(tmp_path / f"{number}.nii.gz", VALUES, SHIFTED, codes[0], STRAIGHT, codes[1])
        image = read_image(file)
        out = write_image(Image(image.array, image.geometry), tmp_path / f"out{number}.nii.gz")
        np.testing.assert_allclose(itk_affine(out), itk_affine(file), atol=1e-4)


@pytest.mark.parametrize("codes", [(2, 1), (4, 1), (1, 1), (3, 5)])
def test_forms_apart_are_warned_about_with_the_number(codes: tuple[int, int], tmp_path: Path) -> None:
    image = read_image(save(tmp_path / "scan.nii", VALUES, SHIFTED, codes[0], STRAIGHT, codes[1]))
    assert any("20 mm apart" in note and "sform is taken" in note for note in image.notes)
    np.testing.assert_allclose(image.geometry.affine, SHIFTED, atol=1e-4)
    assert image.geometry.other is not None
    np.testing.assert_allclose(image.geometry.other.affine, STRAIGHT, atol=1e-4)


def test_unknown_sides_are_warned_about_and_nothing_is_claimed(tmp_path: Path) -> None:
    file = save(tmp_path / "scan.nii.gz", VALUES, SHIFTED, 0, STRAIGHT, 0)
    image = read_image(file)
    assert len(image.notes) == 1
    assert "left and right are unknown" in image.notes[0]
    header = nib.load(write_image(image, tmp_path / "out.nii.gz")).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    np.testing.assert_allclose(header.get_zooms(), (1.0, 2.0, 1.5), rtol=1e-6)


def test_negative_voxel_lengths_beside_a_sound_sform(tmp_path: Path) -> None:
    file = patch(save(tmp_path / "scan.nii.gz", VALUES, STRAIGHT, 1, STRAIGHT, 1), 80, "<3f", -1.0, 2.0, -1.5)
    image = read_image(file)
    np.testing.assert_allclose(image.geometry.affine, STRAIGHT, atol=1e-4)
    assert any("not positive; the sform holds" in note for note in image.notes)
    assert any("3D Slicer" in note for note in image.notes), "ITK turns this file"
    out = write_image(image, tmp_path / "out.nii.gz")
    np.testing.assert_allclose(nib.load(out).affine, STRAIGHT, atol=1e-4)
    np.testing.assert_allclose(itk_affine(out), STRAIGHT, atol=1e-4)


@pytest.mark.parametrize(("lengths", "taken"), [((-2.0, 1.0, 3.0), (2, 1, 3)), ((0.0, 1.0, 3.0), (1, 1, 3))])
def test_voxel_lengths_that_only_the_qform_uses(
    lengths: tuple[float, ...], taken: tuple[int, ...], tmp_path: Path
) -> None:
    file = patch(save(tmp_path / "scan.nii", VALUES, STRAIGHT, 0, STRAIGHT, 1), 80, "<3f", *lengths)
    image = read_image(file)
    assert image.geometry.spacing == pytest.approx(taken)
    assert any("not positive and are taken as" in note for note in image.notes)


@pytest.mark.parametrize("code", [-1, 6, 300])
def test_a_code_that_is_none_counts_as_0(code: int, tmp_path: Path) -> None:
    file = patch(save(tmp_path / "scan.nii", VALUES, SHIFTED, 1, STRAIGHT, 1), 254, "<h", code)
    image = read_image(file)
    np.testing.assert_allclose(image.geometry.affine, STRAIGHT, atol=1e-4)
    assert any(f"sform_code {code}" in note for note in image.notes)
    raw = write_image(image, tmp_path / "out.nii").read_bytes()
    assert int.from_bytes(raw[254:256], "little", signed=True) == code, "a reader that believes it finds both there"


@pytest.mark.parametrize(("place", "value"), [(280, np.nan), (296, np.inf)])
def test_a_form_with_nan_is_refused_or_the_other_one_holds(place: int, value: float, tmp_path: Path) -> None:
    both = patch(save(tmp_path / "both.nii", VALUES, SHIFTED, 1, STRAIGHT, 1), place, "<f", value)
    image = read_image(both)
    np.testing.assert_allclose(image.geometry.affine, STRAIGHT, atol=1e-4)
    assert any("sform is no place in space" in note for note in image.notes)
    alone = patch(save(tmp_path / "alone.nii", VALUES, SHIFTED, 1, STRAIGHT, 0), place, "<f", value)
    with pytest.raises(InputError, match=r"alone.nii: sform: its sform places the voxels nowhere"):
        read_image(alone)


def test_a_quaternion_that_is_no_rotation(tmp_path: Path) -> None:
    alone = patch(save(tmp_path / "alone.nii", VALUES, SHIFTED, 0, STRAIGHT, 1), 256, "<3f", 1.0, 1.0, 0.0)
    with pytest.raises(InputError, match="its qform places the voxels nowhere"):
        read_image(alone)
    both = patch(save(tmp_path / "both.nii", VALUES, SHIFTED, 2, STRAIGHT, 1), 256, "<3f", 1.0, 1.0, 0.0)
    image = read_image(both)
    np.testing.assert_allclose(image.geometry.affine, SHIFTED, atol=1e-4)
    assert any("qform is no place" in note for note in image.notes)


def test_an_sform_of_zeros_gives_way_to_the_qform(tmp_path: Path) -> None:
    file = patch(save(tmp_path / "scan.nii", VALUES, SHIFTED, 1, STRAIGHT, 1), 280, "<12f", *[0.0] * 12)
    np.testing.assert_allclose(read_image(file).geometry.affine, STRAIGHT, atol=1e-4)


def test_a_half_turn_is_read_as_nibabel_reads_it(tmp_path: Path) -> None:
    turned = matrix((0, 0, 180), (1, 1, 1), (0, 1, 2), (0.6, 0.6, 3.0), 0.0, SHAPE, (0, 0, 0))
    file = patch(save(tmp_path / "scan.nii", VALUES, turned, 0, turned, 1), 264, "<f", 1.0 - 6e-8)
    np.testing.assert_allclose(read_image(file).geometry.affine, nib.load(file).affine, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(affines(SHAPE), st.tuples(*[st.integers(0, 3)] * 3), st.tuples(*[st.floats(0.5, 2)] * 3))
def test_forms_go_along_when_a_grid_is_cropped_or_resampled(
    affine: Array, start: tuple[int, int, int], spacing: tuple[float, float, float]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = save(Path(folder) / "scan.nii", VALUES, affine, 2, affine, 1)
        geometry = read_image(file).geometry
    for changed in (geometry.cropped(start, (2, 2, 2)), geometry.resampled(spacing)):
        assert changed.forms is not None
        np.testing.assert_allclose(changed.forms.affine, changed.affine, atol=1e-4)
        assert changed.forms.other is not None
        np.testing.assert_allclose(changed.forms.other, changed.affine, atol=1e-3)
        again = Geometry.from_json(changed.to_json())
        assert (again, again.forms) == (changed, changed.forms)


def test_geometry_without_forms_is_written_as_both(tmp_path: Path) -> None:
    geometry = Geometry((4, 5, 6), (1.0, 2.0, 3.0), (7.0, 8.0, 9.0), (0, 1, 0, 1, 0, 0, 0, 0, -1))
    file = write_image(Image(np.zeros(geometry.shape, np.uint8), geometry), tmp_path / "out.nii")
    header = nib.load(file).header
    for form in (header.get_sform(), header.get_qform()):
        np.testing.assert_allclose(form, geometry.affine, atol=1e-5)
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 1)
    assert Geometry.of(sitk.ReadImage(str(file))).same_grid(geometry, 1e-5)


def test_sound_files_are_not_talked_about(tmp_path: Path) -> None:
    for number, codes in enumerate([(1, 1), (1, 0), (0, 1), (4, 4)]):
        header = read_header(save(tmp_path / f"{number}.nii.gz", VALUES, STRAIGHT, codes[0], STRAIGHT, codes[1]))
        assert place_notes(header) == ()
        assert header.known


@pytest.mark.parametrize("values", [{"pixdim": (0.0, 1.0, 1.0)}, {"sform": (1.0,)}, {"qfac": 0.0}, {"units": 7}])
def test_forms_are_valid_once_made(values: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected"):
        Forms(**values)
