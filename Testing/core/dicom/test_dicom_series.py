"""Folders of DICOM slices as images: place, order, series, and what is refused."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")
sys.path.insert(0, str(Path(__file__).resolve().parent))
import pydicom
import SimpleITK as sitk
from dicom_kit import OBLIQUE, STRAIGHT, numbers, position, write_series
from pydicom.uid import RLELossless

from softseg.data.importers import import_folder
from softseg.errors import InputError
from softseg.geometry import Geometry
from softseg.headers import is_dicom_folder, read_header, state_of
from softseg.image import Image, read_image, write_image
from softseg.prediction.inputs import find_cases


@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
def test_a_folder_of_slices_is_one_volume_at_its_place(tmp_path: Path, geometry: Geometry) -> None:
    write_series(tmp_path / "ann", geometry)
    found = read_image(tmp_path / "ann")
    np.testing.assert_array_equal(found.array, numbers(geometry))
    assert found.geometry.same_grid(geometry, 1e-4)  # spacing of positions, whatever the tags say of thickness
    assert found.notes == ()


def test_the_grid_is_the_one_that_gdcm_makes_of_the_sorted_files(tmp_path: Path) -> None:
    write_series(tmp_path / "ann", OBLIQUE)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path / "ann")))
    peer = reader.Execute()
    found = read_image(tmp_path / "ann")
    assert Geometry.of(peer).same_grid(found.geometry, 1e-3)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(peer), found.array)


def test_slices_are_rescaled_each_by_its_own_slope(tmp_path: Path) -> None:
    write_series(tmp_path / "pet")
    for file in (tmp_path / "pet").iterdir():
        data = pydicom.dcmread(file)
        data.RescaleSlope, data.RescaleIntercept = f"{0.5 * int(data.InstanceNumber):g}", "1"
        data.save_as(file)
    factors = 0.5 * np.arange(1, STRAIGHT.size[2] + 1)[:, None, None]
    np.testing.assert_allclose(read_image(tmp_path / "pet").array, numbers(STRAIGHT) * factors + 1)


def test_compressed_slices_are_read(tmp_path: Path) -> None:
    write_series(tmp_path / "ann")
    for file in (tmp_path / "ann").iterdir():
        data = pydicom.dcmread(file)
        data.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
        data.save_as(file)
    np.testing.assert_array_equal(read_image(tmp_path / "ann").array, numbers(STRAIGHT))


def test_a_tilted_gantry_is_seen_in_the_positions(tmp_path: Path) -> None:
    made = write_series(tmp_path / "ct")
    for file in (tmp_path / "ct").iterdir():
        data = pydicom.dcmread(file)
        k = int(data.InstanceNumber) - 1
        data.ImagePositionPatient = [str(mm) for mm in position(STRAIGHT, k) + np.array((0, 0.8 * k, 0))]
        data.save_as(file)
    header = read_header(tmp_path / "ct")
    np.testing.assert_allclose(header.affine[:3, 2], (0, -0.8, 2.5), atol=1e-6)
    found = read_image(tmp_path / "ct")
    assert any("sheared" in note for note in found.notes)
    assert len(made) == found.geometry.size[2]


@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
def test_missing_slices_are_refused_with_their_place(tmp_path: Path, geometry: Geometry) -> None:
    write_series(tmp_path / "ann", geometry, left_out=[3])
    with pytest.raises(InputError, match="1 slice is missing") as caught:
        read_image(tmp_path / "ann")
    normal = np.reshape(geometry.direction, (3, 3))[:, 2]
    for k in (2, 4):
        assert f"{position(geometry, k) @ normal:.2f}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ({3: 3.3}, "not equally spaced"),
        ({3: 2}, "7 slices at 6 places"),
        ({6: 9}, "3 slices are missing"),
    ],
)
def test_uneven_and_repeated_slices_are_refused(tmp_path: Path, places: dict[int, float], message: str) -> None:
    write_series(tmp_path / "ann", places=places)
    with pytest.raises(InputError, match=message) as caught:
        read_image(tmp_path / "ann")
    assert "mm" in str(caught.value)


def test_slices_off_by_rounding_are_taken_and_it_is_said(tmp_path: Path) -> None:
    write_series(tmp_path / "ann", places={3: 3.02})  # 0.05 mm
    assert any("0.05 mm off an even grid" in note for note in read_image(tmp_path / "ann").notes)
    write_series(tmp_path / "eve", places={3: 3.002})
    assert read_image(tmp_path / "eve").notes == ()


def test_mixed_orientations_and_sizes_are_refused(tmp_path: Path) -> None:
    write_series(tmp_path / "ann", uid="1.2.3", study="1.2")
    write_series(tmp_path / "more", OBLIQUE, uid="1.2.3", study="1.2", number=3)
    for file in (tmp_path / "more").iterdir():
        file.rename(tmp_path / "ann" / f"b{file.name}")
    with pytest.raises(InputError, match=r"different orientations: 7 as at .* mm and 7 as at"):
        read_image(tmp_path / "ann")
    small = replace(STRAIGHT, size=(8, 12, 7))
    write_series(tmp_path / "eve", uid="1.2.4", study="1.2", left_out=[6])
    write_series(tmp_path / "eve2", small, uid="1.2.4", study="1.2", left_out=range(6))
    for file in (tmp_path / "eve2").iterdir():
        file.rename(tmp_path / "eve" / f"b{file.name}")
    with pytest.raises(InputError, match="10 x 12 and of 8 x 12 pixels"):
        read_image(tmp_path / "eve")


def test_several_series_are_listed_and_chosen_by_number_or_uid(tmp_path: Path) -> None:
    write_series(tmp_path / "ann", number=3, seed=1)
    second = write_series(tmp_path / "two", OBLIQUE, number=12, description="flair", seed=2)
    for file in (tmp_path / "two").iterdir():
        file.rename(tmp_path / "ann" / f"b{file.name}")
    with pytest.raises(InputError, match=r"2 series: 3 t1 mprage sag \(7 slices\); 12 flair \(7 slices\)"):
        read_image(tmp_path / "ann")
    for name in ("12", second[0].SeriesInstanceUID):
        found = read_image(f"{tmp_path / 'ann'}:{name}")
        assert found.geometry.same_grid(OBLIQUE, 1e-4)
        np.testing.assert_array_equal(found.array, numbers(OBLIQUE, 2))
        (case,) = find_cases([tmp_path / "ann"], ["T1"], name)
        assert (case.name, case.images) == ("ann", (Path(f"{tmp_path / 'ann'}:{name}"),))
    with pytest.raises(InputError, match="no series 4: 3 t1"):
        find_cases([tmp_path / "ann"], ["T1"], "4")
    with pytest.raises(InputError, match="2 series"):
        find_cases([tmp_path / "ann"], ["T1"])
    two = find_cases([f"{tmp_path / 'ann'}:3,{tmp_path / 'ann'}:12"], ["T1", "FLAIR"])
    assert [len(case.images) for case in two] == [2]


def test_damaged_slices_are_no_silent_loss(tmp_path: Path) -> None:
    write_series(tmp_path / "ann")
    files = {int(pydicom.dcmread(file).InstanceNumber): file for file in (tmp_path / "ann").iterdir()}
    last = files[7].read_bytes()
    for part in (last[:300], last[:-20], last[: len(last) // 2]):  # the tags or the pixels break off
        files[7].write_bytes(part)
        with pytest.raises(InputError, match="damaged") as caught:
            read_image(tmp_path / "ann")
        assert files[7].name in str(caught.value)


def test_folders_of_slices_and_folders_of_images_are_told_apart(tmp_path: Path) -> None:
    for name in ("ann", "eve.2024"):
        write_series(tmp_path / "people" / name)
    (tmp_path / "people" / "notes").mkdir()
    assert [case.name for case in find_cases([tmp_path / "people"], ["T1"])] == ["ann", "eve.2024"]
    assert [case.name for case in find_cases([tmp_path / "people" / "eve.2024"], ["T1"])] == ["eve.2024"]
    write_image(Image(numbers(STRAIGHT), STRAIGHT), tmp_path / "mixed" / "scan.nii.gz")
    write_series(tmp_path / "mixed")
    assert not is_dicom_folder(tmp_path / "mixed")  # a folder of volumes stays one
    assert [case.name for case in find_cases([tmp_path / "mixed"], ["T1"])] == ["scan"]


def test_a_folder_of_slices_is_known_again_until_a_slice_changes(tmp_path: Path) -> None:
    write_series(tmp_path / "ann")
    before = state_of(tmp_path / "ann")
    assert state_of(tmp_path / "ann") == before
    file = next((tmp_path / "ann").iterdir())
    file.write_bytes(file.read_bytes() + b"\0\0")
    assert state_of(tmp_path / "ann") != before


def test_datasets_are_imported_from_folders_of_slices(tmp_path: Path) -> None:
    from softseg.data.dataset import Dataset

    for name in ("ann", "eve"):
        write_series(tmp_path / "in" / "images" / name, OBLIQUE)
        labels = (numbers(OBLIQUE) > 1000).astype(np.uint8)
        write_image(Image(labels, OBLIQUE), tmp_path / "in" / "labels" / f"{name}.nii.gz")
    dataset = Dataset.load(import_folder(tmp_path / "in", tmp_path / "DATA.json"))
    assert [case.id for case in dataset.cases] == ["ann", "eve"]
    assert all(path.is_dir() for case in dataset.cases for path in case.images.values())
    text = (tmp_path / "DATA.json").read_text()
    assert "Doe" not in text
    assert "SECRET" not in text
