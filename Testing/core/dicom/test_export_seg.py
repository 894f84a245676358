"""``softseg export-seg``: each kind of DICOM Segmentation, read back by highdicom."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom")
sys.path.insert(0, str(Path(__file__).resolve().parent))
import highdicom
import pydicom
from dicom_kit import OBLIQUE, STRAIGHT, result, volume_of, write_enhanced, write_series

from softseg.dicom.export import run_export_seg
from softseg.dicom.writing import MOST_STEPS
from softseg.errors import InputError
from softseg.geometry import Geometry
from softseg.headers import read_header
from softseg.image import read_image
from softseg.requests import ExportSegRequest
from softseg.soft import SoftParcellation


def exported(tmp_path: Path, source: Path | str, kind: str, stored: SoftParcellation | None = None, **asked):
    stored = result(read_image(source).geometry) if stored is None else stored
    stored.save(tmp_path / "ann.soft.npz")
    out = tmp_path / f"{kind}.dcm"
    run_export_seg(ExportSegRequest(tmp_path / "ann.soft.npz", out, str(source), type=kind, **asked))
    return stored, highdicom.seg.segread(out)


def expected(stored: SoftParcellation, node: str, kind: str) -> np.ndarray:
    if kind == "fractional":
        return stored.probability(node)
    cut = stored.tree.cut_at(stored.tree.depth)
    return stored.labels(cut) == stored.tree.value_of(node)


@pytest.mark.parametrize("kind", ["binary", "labelmap", "fractional"])
@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
def test_highdicom_reads_the_same_voxels_at_the_same_place(tmp_path: Path, geometry: Geometry, kind: str) -> None:
    write_series(tmp_path / "ann", geometry)
    stored, found = exported(tmp_path, tmp_path / "ann", kind)
    assert found.segmentation_type.value == kind.upper()
    leaves = {leaf.name: leaf for leaf in stored.tree.leaves if leaf is not stored.tree.background}
    named = {item.SegmentLabel: item.SegmentNumber for item in found.SegmentSequence if item.SegmentNumber > 0}
    assert set(named) == set(leaves)
    for name, number in named.items():
        volume, grid = volume_of(found, number, geometry)
        assert grid.same_grid(geometry, 0.01)
        np.testing.assert_array_equal(volume, expected(stored, leaves[name].id, kind))
        if kind == "labelmap":
            assert number == leaves[name].value
    if kind == "fractional":
        assert (found.MaximumFractionalValue, found.SegmentationFractionalType) == (MOST_STEPS, "PROBABILITY")
        assert found.pixel_array.max() > 200


@pytest.mark.parametrize("kind", ["binary", "labelmap", "fractional"])
def test_one_file_of_many_frames_in_any_order_is_a_source(tmp_path: Path, kind: str) -> None:
    file = write_enhanced(tmp_path / "ann.dcm", OBLIQUE)
    stored, found = exported(tmp_path, file, kind)
    for item in found.SegmentSequence:
        if item.SegmentNumber > 0:
            volume, grid = volume_of(found, item.SegmentNumber, OBLIQUE)
            assert grid.same_grid(OBLIQUE, 0.01)
            np.testing.assert_array_equal(volume, expected(stored, stored.tree.find(item.SegmentLabel).id, kind))


@pytest.mark.parametrize("kind", ["binary", "labelmap", "fractional"])
def test_patient_and_references_are_those_of_the_series(tmp_path: Path, kind: str) -> None:
    made = write_series(tmp_path / "ann", OBLIQUE)
    _, found = exported(tmp_path, tmp_path / "ann", kind)
    for name in ("PatientID", "PatientName", "PatientBirthDate", "StudyInstanceUID", "FrameOfReferenceUID", "StudyID"):
        assert getattr(found, name) == getattr(made[0], name)
    assert found.SeriesInstanceUID != made[0].SeriesInstanceUID
    assert found.Manufacturer == "SoftSeg"
    assert found.ReferencedSeriesSequence[0].SeriesInstanceUID == made[0].SeriesInstanceUID
    places = {image.SOPInstanceUID: np.array(image.ImagePositionPatient, float) for image in made}
    for frame in found.PerFrameFunctionalGroupsSequence:
        (source,) = frame.DerivationImageSequence[0].SourceImageSequence
        own = np.array(frame.PlanePositionSequence[0].ImagePositionPatient, float)
        np.testing.assert_allclose(own, places[source.ReferencedSOPInstanceUID], atol=1e-6)


def test_segments_carry_codes_colour_and_what_made_them(tmp_path: Path) -> None:
    write_series(tmp_path / "ann")
    stored, found = exported(tmp_path, tmp_path / "ann", "binary")
    items = {item.SegmentLabel: item for item in found.SegmentSequence}
    left = items["left kidney"]
    assert left.SegmentedPropertyTypeCodeSequence[0].CodeValue == "64033007"
    assert left.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence[0].CodeMeaning == "Left"
    liver = items["liver"].SegmentedPropertyTypeCodeSequence[0]  # a node without codes
    assert (liver.CodingSchemeDesignator, liver.CodeValue) == ("99SOFTSEG", "liver")
    assert left.SegmentAlgorithmType == "AUTOMATIC"
    red, green, blue = highdicom.color.CIELabColor(*_lab(left)).to_rgb()
    assert np.abs(np.subtract((red, green, blue), stored.tree.find("left kidney").color)).max() <= 1
    voxels = np.zeros(STRAIGHT.shape, bool)
    voxels[3] = True
    _, found = exported(tmp_path, tmp_path / "ann", "binary", stored.corrected("liver", voxels, author="eve"))
    assert {item.SegmentAlgorithmType for item in found.SegmentSequence} == {"SEMIAUTOMATIC"}
    assert b"eve" not in (tmp_path / "binary.dcm").read_bytes()


def _lab(segment) -> tuple[float, float, float]:
    lightness, a, b = segment.RecommendedDisplayCIELabValue
    return lightness * 100 / 65535, a * 255 / 65535 - 128, b * 255 / 65535 - 128


def test_a_cut_makes_its_nodes_segments(tmp_path: Path) -> None:
    write_series(tmp_path / "ann")
    stored, found = exported(tmp_path, tmp_path / "ann", "fractional", cut="1")
    assert [item.SegmentLabel for item in found.SegmentSequence] == ["kidneys", "liver"]
    np.testing.assert_array_equal(volume_of(found, 1, STRAIGHT)[0], stored.probability("kidneys"))


def test_the_same_voxels_in_another_order_of_axes_fit_the_series(tmp_path: Path) -> None:
    write_series(tmp_path / "ann", OBLIQUE)
    axes = np.reshape(OBLIQUE.direction, (3, 3)) * (1, -1, 1)  # converters to NIfTI turn the rows
    origin = (OBLIQUE.ijk_to_lps() @ (0, OBLIQUE.size[1] - 1, 0, 1))[:3]
    flipped = Geometry(OBLIQUE.size, OBLIQUE.spacing, tuple(origin), tuple(axes.ravel()))
    stored, found = exported(tmp_path, tmp_path / "ann", "labelmap", result(flipped))
    for item in found.SegmentSequence:
        if item.SegmentNumber > 0:
            volume, _ = volume_of(found, item.SegmentNumber, OBLIQUE)
            node = stored.tree.find(item.SegmentLabel).id
            np.testing.assert_array_equal(volume[:, ::-1], expected(stored, node, "labelmap"))


@pytest.mark.parametrize("shift", [0.02, 2.5])
def test_another_grid_is_refused(tmp_path: Path, shift: float) -> None:
    write_series(tmp_path / "ann")
    moved = Geometry(STRAIGHT.size, STRAIGHT.spacing, (-80.0, -60.0, 15.0 + shift))
    with pytest.raises(InputError, match=r"lies on other voxels than the series: 10 x 12 x 7 voxels"):
        exported(tmp_path, tmp_path / "ann", "binary", result(moved))
    assert not (tmp_path / "binary.dcm").exists()
    near = Geometry(STRAIGHT.size, STRAIGHT.spacing, (-80.0, -60.0, 15.005))
    exported(tmp_path, tmp_path / "ann", "binary", result(near))


def test_what_cannot_be_a_source_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        exported(tmp_path, tmp_path / "nothing", "binary", result(STRAIGHT))
    with pytest.raises(InputError, match="expected a folder of DICOM slices"):
        exported(tmp_path, tmp_path, "binary", result(STRAIGHT))
    for file in (tmp_path / "ann").iterdir() if write_series(tmp_path / "ann") else ():
        data = pydicom.dcmread(file)
        del data.FrameOfReferenceUID
        data.save_as(file)
    with pytest.raises(InputError, match="FrameOfReferenceUID"):
        exported(tmp_path, tmp_path / "ann", "binary")


def test_names_that_were_taken_out_of_the_series_do_no_harm(tmp_path: Path) -> None:
    write_series(tmp_path / "ann")
    for file in (tmp_path / "ann").iterdir():
        data = pydicom.dcmread(file)
        for name in ("PatientID", "PatientName", "PatientBirthDate", "StudyID", "AccessionNumber", "StudyTime"):
            delattr(data, name)
        data.save_as(file)
    _, found = exported(tmp_path, tmp_path / "ann", "binary")
    assert found.PatientID in ("", None)


@pytest.mark.parametrize("kind", ["binary", "fractional"])
def test_the_validator_of_dicom3tools_finds_no_error(tmp_path: Path, kind: str) -> None:
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy (dicom3tools) is not installed")
    write_series(tmp_path / "ann", OBLIQUE)
    exported(tmp_path, tmp_path / "ann", kind)
    done = subprocess.run([validator, tmp_path / f"{kind}.dcm"], capture_output=True, text=True, check=False)
    assert "Error" not in done.stdout + done.stderr


def test_slices_are_sorted_for_the_segmentation_as_for_the_image(tmp_path: Path) -> None:
    write_series(tmp_path / "ann", OBLIQUE)
    files = read_header(tmp_path / "ann").files
    assert [int(pydicom.dcmread(file).InstanceNumber) for file in files] == list(range(1, OBLIQUE.size[2] + 1))
