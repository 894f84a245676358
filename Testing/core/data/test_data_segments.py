"""Slicer's segmentations as scribbles: found by name, id or value, laid over each other, on a part of the image."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from softseg.data import CaseStore, Dataset, make_plan
from softseg.data.labels import read_labels
from softseg.data.segments import read_segments, segmentation_labels
from softseg.errors import InputError
from softseg.image import Geometry
from softseg.tree import Code, LabelTree, Terminology
from softseg.types import IGNORE_INDEX

GRID = Geometry((12, 10, 8), (1.0, 1.0, 2.0), (5.0, -7.0, 11.0), (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0, 0.0, 0.0, 1.0))


def box(*ranges: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(GRID.shape, bool)
    mask[tuple(slice(*pair) for pair in ranges)] = True
    return mask


def write(path: Path, segments: list[dict], layers: list[np.ndarray], start=(0, 0, 0)) -> Path:
    """Write what Slicer writes: layers as components, cropped to begin at ``start`` (k, j, i), and the keys."""
    parts = [layer[tuple(slice(first, None) for first in start)].astype(np.uint8) for layer in layers]
    image = sitk.GetImageFromArray(np.stack(parts, axis=-1), isVector=True) if len(parts) > 1 else None
    image = sitk.GetImageFromArray(parts[0]) if image is None else image
    part = GRID.cropped(start, parts[0].shape)
    image.SetSpacing(part.spacing)
    image.SetOrigin(part.origin)
    image.SetDirection(part.direction)
    for number, segment in enumerate(segments):
        for key, value in segment.items():
            image.SetMetaData(f"Segment{number}_{key}", str(value))
    sitk.WriteImage(image, str(path), useCompression=True)
    return path


@pytest.fixture
def bare(make) -> LabelTree:
    return make.head_tree().remove("background")


def labels_of(path: Path, tree: LabelTree, unlabelled: int | None = None) -> tuple[np.ndarray, list[str]]:
    warnings: list[str] = []
    return segmentation_labels(path, GRID, tree, warnings.append, unlabelled).array, warnings


def planes(*values_and_slices: tuple[int, int]) -> np.ndarray:
    layer = np.zeros(GRID.shape, np.uint8)
    for value, k in values_and_slices:
        layer[k, 2:4, 3:5] = value
    return layer


CODED = (
    "Segmentation.Status:inprogress|TerminologyEntry:Segmentation category and type - DICOM master list"
    "~SCT^85756007^Tissue~SCT^389082000^White matter~^^~Anatomic codes - DICOM master list~^^~^^|"
)


def test_segments_are_found_by_name_id_and_code_of_any_level(tmp_path, bare):
    code = Terminology(Code("85756007", "SCT", "Tissue"), Code("389082000", "SCT", "White matter"))
    for given in ({"ID": "white", "Name": "wm"}, {"ID": "Segment_2", "Name": "weisse Substanz", "Tags": CODED}):
        segments = [
            {"ID": "Segment_1", "Name": "GREY matter", "LabelValue": 1, "Layer": 0},  # an inner node
            {"LabelValue": 2, "Layer": 0, **given},
            {"ID": "Segment_4", "Name": "grey-left", "LabelValue": 7, "Layer": 0},
        ]
        path = write(tmp_path / "a.seg.nrrd", segments, [planes((1, 1), (2, 3), (7, 6))])
        found, warnings = labels_of(path, bare.with_terminology("white", code))
        expected = np.full(GRID.shape, IGNORE_INDEX)
        for name, k in (("grey", 1), ("white", 3), ("grey-left", 6)):
            expected[k, 2:4, 3:5] = bare.class_index(name)
        np.testing.assert_array_equal(found, expected)
        assert not warnings


def test_numbers_of_segments_count_where_no_segment_has_a_name_and_that_is_said(tmp_path, bare):
    segments = [{"ID": f"Segment_{n}", "Name": f"Segment_{n}", "LabelValue": n, "Layer": 0} for n in (1, 3)]
    path = write(tmp_path / "a.seg.nrrd", segments, [planes((1, 1), (3, 5))])
    found, warnings = labels_of(path, bare)
    for value, k in ((1, 1), (3, 5)):
        node = next(node for node in bare.nodes if node.value == value)
        assert (found[k, 2:4, 3:5] == bare.class_index(node.id)).all()
    assert len(warnings) == 1
    assert "matched by label value, without a known name: 1 (Segment_1) as" in warnings[0]
    segments[0]["Name"] = "grey matter"
    with pytest.raises(InputError, match=r"a.seg.nrrd: labels: .*3 \(Segment_3\): it has no name"):
        labels_of(write(tmp_path / "a.seg.nrrd", segments, [planes((1, 1), (3, 5))]), bare)


def test_a_cropped_file_of_several_layers_lies_where_it_was_painted(tmp_path, bare):
    grey, left = box((2, 6), (3, 8), (4, 9)), box((3, 5), (4, 6), (5, 7))
    white = box((4, 7), (7, 9), (8, 11))
    segments = [
        {"ID": "g", "Name": "grey matter", "LabelValue": 1, "Layer": 0},
        {"ID": "l", "Name": "Left grey", "LabelValue": 1, "Layer": 1},
        {"ID": "w", "Name": "white", "LabelValue": 1, "Layer": 2},
        {"ID": "e", "Name": "never painted, no node of the tree", "LabelValue": 9, "Layer": 0},
    ]
    path = write(tmp_path / "a.seg.nrrd", segments, [grey, left, white], start=(2, 3, 4))
    found, warnings = labels_of(path, bare)
    expected = np.full(GRID.shape, IGNORE_INDEX)
    expected[grey] = bare.class_index("grey")
    expected[left] = bare.class_index("grey-left")  # deeper, and below grey matter: both are true
    expected[white] = bare.class_index("white")
    expected[grey & white] = IGNORE_INDEX  # both cannot be true
    np.testing.assert_array_equal(found, expected)
    assert (grey & white).sum() == 2
    pair = "'grey matter' and 'white matter' (2 voxels)"
    assert warnings == [f"{path}: segments contradict each other: {pair}; 2 voxels are left unlabelled"]


def test_what_is_in_no_segment_is_background_unless_zero_is_unlabelled(make, tmp_path):
    tree = make.head_tree()
    layer = box((2, 4), (2, 4), (2, 4))
    path = write(tmp_path / "a.seg.nrrd", [{"ID": "white", "Name": "white", "LabelValue": 1, "Layer": 0}], [layer])
    background, white = tree.class_index("background"), tree.class_index("white")
    np.testing.assert_array_equal(labels_of(path, tree)[0], np.where(layer, white, background))
    np.testing.assert_array_equal(labels_of(path, tree, 0)[0], np.where(layer, white, IGNORE_INDEX))


def test_old_files_have_a_layer_for_each_segment(tmp_path, bare):
    first, second = box((1, 2), (1, 3), (1, 3)), box((5, 6), (1, 3), (1, 3))
    segments = [{"ID": "white", "Name": "white"}, {"ID": "grey", "Name": "grey matter"}]
    found, _ = labels_of(write(tmp_path / "a.seg.nrrd", segments, [first, second]), bare)
    assert (found[first] == bare.class_index("white")).all()
    assert (found[second] == bare.class_index("grey")).all()


def test_a_turned_grid_is_the_same_voxels(tmp_path, bare):
    layer = box((2, 3), (4, 5), (6, 8))
    path = write(tmp_path / "a.seg.nrrd", [{"ID": "white", "Name": "white", "LabelValue": 1}], [layer])
    image = sitk.ReadImage(str(path))
    turned = sitk.DICOMOrient(image, "LPS")
    for key in image.GetMetaDataKeys():
        if key.startswith("Segment"):
            turned.SetMetaData(key, image.GetMetaData(key))
    sitk.WriteImage(turned, str(path))
    assert read_segments(path)[1].direction != GRID.direction
    np.testing.assert_array_equal(labels_of(path, bare)[0] >= 0, layer)


def test_scribbles_train_from_a_segmentation(make, tmp_path, bare):
    labels = make.head_labels((20, 22, 24))
    make.head("a")
    path = make.folder / "a.seg.nrrd"
    image = sitk.GetImageFromArray(np.where(labels == 3, 1, 0).astype(np.uint8)[4:-4])
    image.SetOrigin((0.0, 0.0, 4.0))
    image.SetMetaData("Segment0_ID", "white")
    sitk.WriteImage(image, str(path))
    make.cases[0]["labels"] = "a.seg.nrrd"
    dataset = make.load(bare)
    plan = make_plan(dataset, memory_gb=8, gpu=False, overrides={"spacing": [1, 1, 1], "crop.kind": "none"})
    case = CaseStore(dataset, plan, tmp_path / "cache").load("a")
    np.testing.assert_array_equal(case.labels.total() > 0, labels == 3)
    assert set(case.class_voxels) == {bare.class_index("white")}
    read = read_labels(dataset.cases[0], dataset, case.source_geometry, lambda image: image.array, lambda _: None)
    assert read[0].shape == labels.shape


@pytest.mark.parametrize(
    ("segments", "message"),
    [
        ([{"ID": "s", "Name": "liver", "LabelValue": 6}], r"no node for liver; name each segment"),
        ([{"ID": "s", "Name": "white", "LabelValue": "one"}], "Segment0: the header does not fit the voxels"),
        ([{"ID": "s", "Name": "white", "LabelValue": 1, "Layer": 4}], "Segment0: the header does not fit the voxels"),
        ([], "the header describes no segments"),
    ],
)
def test_headers_that_do_not_fit(make, tmp_path, segments, message):
    tree = make.flat_tree()
    layers = [box((1, 2), (1, 2), (1, 2)) * (6 if "liver" in message else 1)] * (
        2 if segments and "Layer" in segments[0] else 1
    )
    path = write(tmp_path / "a.seg.nrrd", segments, layers)
    with pytest.raises(InputError, match=rf"a\.seg\.nrrd.*{message}"):
        labels_of(path, tree.rename("lesion", "white").remove("background"), None)


def test_an_ambiguous_name_asks_for_an_id(make, tmp_path):
    tree = make.head_tree().rename("grey-left", "side").rename("grey-right", "side")
    path = write(tmp_path / "a.seg.nrrd", [{"ID": "s", "Name": "side", "LabelValue": 1}], [box((1, 2), (1, 2), (1, 2))])
    with pytest.raises(InputError, match="side: could be 'grey-left' or 'grey-right'; name it by the id"):
        labels_of(path, tree)


@pytest.mark.parametrize("change", [{"SetSpacing": (1.0, 1.0, 1.0)}, {"SetOrigin": (5.5, -7.0, 11.0)}])
def test_other_voxels_than_the_images_are_an_error(tmp_path, bare, change):
    path = write(tmp_path / "a.seg.nrrd", [{"ID": "white", "Name": "white"}], [box((1, 2), (1, 2), (1, 2))])
    image = sitk.ReadImage(str(path))
    for name, value in change.items():
        getattr(image, name)(value)
    sitk.WriteImage(image, str(path))
    with pytest.raises(InputError, match=r"a\.seg\.nrrd.*voxels are not those of the image.*source geometry"):
        labels_of(path, bare)


def test_a_damaged_file_and_segments_outside_the_image(tmp_path, bare):
    path = write(tmp_path / "a.seg.nrrd", [{"ID": "white", "Name": "white"}], [box((1, 2), (1, 2), (1, 2))])
    far = Geometry(GRID.size, GRID.spacing, (500.0, -7.0, 11.0), GRID.direction)
    warnings: list[str] = []
    assert (segmentation_labels(path, far, bare, warnings.append).array == IGNORE_INDEX).all()
    assert "no voxel of the segments lies inside the image" in warnings[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(InputError, match=r"a\.seg\.nrrd.*damaged or truncated"):
        labels_of(path, bare)


def test_a_dataset_names_it_like_any_label_file(make, bare):
    make.head("a")
    write(make.folder / "a.seg.nrrd", [{"ID": "white", "Name": "white"}], [box((1, 2), (1, 2), (1, 2))])
    make.cases[0]["labels"] = ["a-labels.nii.gz", "a.seg.nrrd"]
    assert len(Dataset.load(make.save(bare)).cases[0].files()) == 3
