"""DICOM Segmentations as labels, references and probabilities."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("highdicom")
sys.path.insert(0, str(Path(__file__).resolve().parent))
import highdicom
import pydicom
from dicom_kit import OBLIQUE, STRAIGHT, result, tree, write_series

from softseg.data.dataset import Dataset
from softseg.data.importers import import_folder
from softseg.data.labels import class_count, read_labels
from softseg.data.segments import segmentation_labels
from softseg.dicom.export import run_export_seg
from softseg.dicom.reading import read_segmentation
from softseg.errors import InputError
from softseg.evaluation import evaluate
from softseg.evaluation.sources import read_reference
from softseg.exchange.importing import run_import_soft
from softseg.geometry import Geometry
from softseg.image import Image, read_image, write_image
from softseg.requests import ExportSegRequest, ImportSoftRequest
from softseg.soft import SoftParcellation

KINDS = ["binary", "labelmap", "fractional"]


def exported(folder: Path, geometry: Geometry, kind: str) -> tuple[SoftParcellation, Path]:
    write_series(folder / "ann", geometry)
    stored = result(read_image(folder / "ann").geometry)
    stored.save(folder / "ann.soft.npz")
    request = ExportSegRequest(folder / "ann.soft.npz", folder / f"{kind}.dcm", str(folder / "ann"), type=kind)
    return stored, run_export_seg(request)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("geometry", [STRAIGHT, OBLIQUE], ids=["straight", "oblique"])
def test_what_was_written_is_read(tmp_path: Path, geometry: Geometry, kind: str) -> None:
    stored, file = exported(tmp_path, geometry, kind)
    found = read_segmentation(file)
    assert (found.kind, found.probability) == (kind.upper(), kind == "fractional")
    rows = geometry.size[2] - 2  # the first and the last hold nothing
    part = geometry.cropped((1, 0, 0), (rows, *geometry.shape[1:]))
    first, last = (found.geometry.ijk_to_lps() @ (0, 0, k, 1) for k in (0, rows - 1))
    ends = [part.ijk_to_lps() @ (0, 0, k, 1) for k in (0, rows - 1)]
    assert np.abs(np.sort([first, last], axis=0) - np.sort(ends, axis=0)).max() < 0.01
    assert {segment.name for segment in found.segments} == {"left kidney", "right kidney", "liver"}
    named = {segment.name: segment for segment in found.segments}
    assert named["left kidney"].terminology == stored.tree.find("left").terminology
    assert (named["liver"].terminology, named["liver"].id) == (None, "liver")


@pytest.mark.parametrize("kind", ["binary", "labelmap"])
def test_labels_lie_on_the_image(tmp_path: Path, kind: str) -> None:
    stored, file = exported(tmp_path, OBLIQUE, kind)
    warnings: list[str] = []
    labels = segmentation_labels(file, OBLIQUE, stored.tree, warnings.append)
    values = np.array([stored.tree.value_of(leaf.id) for leaf in stored.tree.leaves])
    np.testing.assert_array_equal(values[labels.array], stored.labels(stored.tree.cut_at(stored.tree.depth)))
    assert warnings == []


def test_fractions_are_a_soft_reference(tmp_path: Path) -> None:
    stored, file = exported(tmp_path, OBLIQUE, "fractional")
    found = read_reference(file, stored.tree, pytest.fail, grid=OBLIQUE)
    labels = found.probabilities.labels
    for leaf in stored.tree.leaves:
        own = (labels.probabilities * (labels.indices == stored.tree.class_index(leaf.id))).sum(axis=0)
        np.testing.assert_allclose(own, stored.probability(leaf.id), atol=1e-6)


def test_nodes_without_a_segment_have_nothing(tmp_path: Path) -> None:
    write_series(tmp_path / "ann", STRAIGHT)
    known = tree()
    dense = np.zeros((4, *STRAIGHT.shape), np.float32)
    dense[known.leaf_index("liver"), 2:4] = 0.75
    dense[known.leaf_index("background")] = 1 - dense[known.leaf_index("liver")]
    SoftParcellation.from_dense(dense, known, STRAIGHT).save(tmp_path / "a.soft.npz")
    file = run_export_seg(
        ExportSegRequest(tmp_path / "a.soft.npz", tmp_path / "a.dcm", str(tmp_path / "ann"), type="fractional")
    )
    labels = read_reference(file, known, pytest.fail, grid=STRAIGHT).probabilities.labels
    assert labels.classes == class_count(known)
    liver = (labels.probabilities * (labels.indices == known.class_index("liver"))).sum(axis=0)
    np.testing.assert_allclose(liver, dense[known.leaf_index("liver")], atol=1 / 255)
    np.testing.assert_allclose(labels.probabilities.sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reference_of_the_same_labels_agrees_completely(tmp_path: Path, kind: str) -> None:
    stored, file = exported(tmp_path, OBLIQUE, kind)
    evaluate([tmp_path / "ann.soft.npz"], [file], stored.tree, tmp_path / "out", html=False, images=[tmp_path / "ann"])
    with (tmp_path / "out" / "levels.csv").open(newline="") as stream:
        coarse, leaves = csv.DictReader(stream)
    assert float(leaves["dice"]) == 1  # at the coarse level labels are summed probability, which labels do not hold
    if kind == "fractional":
        assert float(coarse["dice"]) == 1
        assert float(coarse["mae"]) == pytest.approx(0, abs=1e-6)
    text = "".join(path.read_text() for path in (tmp_path / "out").iterdir())
    assert "Doe" not in text
    assert "SECRET" not in text


def test_fractions_become_the_parcellation_they_were_made_from(tmp_path: Path) -> None:
    stored, file = exported(tmp_path, OBLIQUE, "fractional")
    write_image(Image(np.zeros(OBLIQUE.shape, np.uint8), OBLIQUE), tmp_path / "scan.nii.gz")
    (tmp_path / "tree.json").write_text(json.dumps(stored.tree.to_json()))
    for like in (tmp_path / "ann", tmp_path / "scan.nii.gz"):
        out = tmp_path / "back.soft.npz"
        run_import_soft(ImportSoftRequest((file,), out, tree=str(tmp_path / "tree.json"), like=like))
        back = SoftParcellation.load(out)
        assert back.geometry.same_grid(OBLIQUE, 0.01)
        for node in stored.tree.nodes:
            assert np.abs(back.probability(node.id) - stored.probability(node.id)).max() <= 0.01


def test_labels_are_no_probabilities(tmp_path: Path) -> None:
    _, file = exported(tmp_path, STRAIGHT, "binary")
    with pytest.raises(InputError, match="holds labels"):
        run_import_soft(ImportSoftRequest((file,), tmp_path / "b.soft.npz"))
    with pytest.raises(InputError, match="is a DICOM segmentation, not an image"):
        read_image(file)


def test_another_image_and_strange_segments_are_refused(tmp_path: Path) -> None:
    stored, file = exported(tmp_path, OBLIQUE, "binary")
    with pytest.raises(InputError, match="not those of the image"):
        segmentation_labels(file, STRAIGHT, stored.tree, pytest.fail)
    with pytest.raises(InputError, match="liver"):
        segmentation_labels(file, OBLIQUE, stored.tree.remove("liver"), pytest.fail)
    file.write_bytes(file.read_bytes()[:2000])
    with pytest.raises(InputError, match=file.name):
        segmentation_labels(file, OBLIQUE, stored.tree, pytest.fail)


def test_segments_of_other_programs_are_found_by_their_codes(tmp_path: Path) -> None:
    made = write_series(tmp_path / "ann", OBLIQUE)
    code = highdicom.sr.CodedConcept
    kidney = highdicom.seg.SegmentDescription(
        1, "Segment_1", code("123037004", "SCT", "Anatomical Structure"), code("64033007", "SCT", "Kidney"), "MANUAL"
    )
    side = code("7771000", "SCT", "Left")
    kidney.SegmentedPropertyTypeCodeSequence[0].SegmentedPropertyTypeModifierCodeSequence = [side]
    mask = np.zeros((OBLIQUE.size[2], *OBLIQUE.shape[1:]), np.uint8)
    mask[2:5, 3:6, 1:4] = 1
    for image in made:  # the wrong tag of the kit would place the frames of a segmentation
        image.SpacingBetweenSlices = "2.5"
    highdicom.seg.Segmentation(
        made, mask, "BINARY", [kidney], highdicom.UID(), 9, highdicom.UID(), 1, "Other", "Other", "1", "1"
    ).save_as(tmp_path / "seg.dcm")
    found = segmentation_labels(tmp_path / "seg.dcm", OBLIQUE, tree(), pytest.fail).array
    np.testing.assert_array_equal(found == tree().class_index("left"), mask == 1)


@pytest.mark.parametrize("kind", KINDS)
def test_datasets_are_imported_with_segmentations_as_labels(tmp_path: Path, kind: str) -> None:
    stored, file = exported(tmp_path, OBLIQUE, kind)
    (tmp_path / "in" / "labels").mkdir(parents=True)
    (tmp_path / "in" / "images").mkdir()
    (tmp_path / "ann").rename(tmp_path / "in" / "images" / "ann")
    file.rename(tmp_path / "in" / "labels" / "ann.dcm")
    (tmp_path / "tree.json").write_text(json.dumps(stored.tree.to_json()))
    dataset = Dataset.load(import_folder(tmp_path / "in", tmp_path / "DATA.json", tree=tmp_path / "tree.json"))
    (case,) = dataset.cases
    (labels,) = read_labels(case, dataset, OBLIQUE, lambda image: image.array, pytest.fail)
    liver = (labels.probabilities * (labels.indices == stored.tree.class_index("liver"))).sum(axis=0)
    cut = stored.tree.cut_at(stored.tree.depth)
    expected = stored.probability("liver") if kind == "fractional" else stored.labels(cut) == 1
    np.testing.assert_allclose(liver, expected, atol=1e-6)
    assert pydicom.dcmread(tmp_path / "in" / "labels" / "ann.dcm").PatientID == "SECRET-77"
    assert "SECRET" not in (tmp_path / "DATA.json").read_text()
