"""A dataset from the scene: what the engine reads back is what the scene showed, on any grid."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import slicer
import vtk
from vtk.util import numpy_support

from softseg.data import Dataset, check_dataset
from softseg.errors import InputError
from softseg.image import Geometry, read_image
from softseg.tree import LabelTree, Node

ROOT = Path(__file__).resolve().parents[2]
for place in (ROOT / "SoftSegSlicer", ROOT / "Testing" / "host"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from slicerhost import scene as hostScene  # noqa: E402
from SoftSegSlicerLib.Exchange.LabelMatching import matchSegments, matchValues, treeOfSegments  # noqa: E402
from SoftSegSlicerLib.Scene.Grids import setArray  # noqa: E402
from SoftSegSlicerLib.Training.SceneDataset import SceneCase, SceneDataset  # noqa: E402

OBLIQUE = Geometry((14, 12, 10), (1.0, 1.5, 2.5), (5.0, -3.0, 7.0), (0.8, 0.0, 0.6, 0.6, 0.0, -0.8, 0.0, 1.0, 0.0))
HEAD = LabelTree(
    [
        Node("head", "head", None),
        Node("background", "background", "head", value=0),
        Node("brain", "brain", "head", value=9),
        Node("grey", "Grey Matter", "brain", value=3),
        Node("white", "White Matter", "brain", value=5),
    ],
    name="head",
)


@pytest.fixture
def scene():
    host = hostScene.install()
    host.clear()
    yield host.scene
    host.clear()


def addVolume(scene, name, array, geometry=OBLIQUE):
    node = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    setArray(node, array, geometry, numpy_support.get_vtk_array_type(array.dtype))
    return node


def addSegmentation(scene, name, masks, geometry=OBLIQUE):
    """A segmentation with one segment per name; overlapping masks get layers of their own, as in Slicer."""
    node = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    for segment, mask in masks.items():
        segmentId = node.GetSegmentation().AddEmptySegment("", segment)
        volume = addVolume(scene, "mask", mask.astype(np.uint8), geometry)
        image = slicer.vtkSlicerSegmentationsModuleLogic.CreateOrientedImageDataFromVolumeNode(volume)
        image.UnRegister(None)
        slicer.vtkSlicerSegmentationsModuleLogic.SetBinaryLabelmapToSegment(
            image, node, segmentId, slicer.vtkSlicerSegmentationsModuleLogic.MODE_REPLACE
        )
        scene.RemoveNode(volume)
    return node


def block(*box):
    mask = np.zeros(OBLIQUE.shape, bool)
    mask[box] = True
    return mask


def written(dataset, folder):
    steps = list(dataset.write(folder))
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]
    return Dataset.load(Path(folder) / "DATA.json")


@pytest.fixture
def scan():
    return np.random.default_rng(0).normal(100, 30, OBLIQUE.shape).astype(np.float32)


def test_files_hold_what_the_scene_shows_on_an_oblique_grid(scene, scan, tmp_path):
    grey, white = block(slice(2, 5)), block(slice(5, 8), slice(3, 9))
    volume = addVolume(scene, "Müller T1/a", scan)
    labels = addSegmentation(scene, "drawn", {"grey_matter": grey, "White matter": white})
    dataset = written(SceneDataset("study", HEAD, [SceneCase({"T1": volume}, labels, "Müller")]), tmp_path)
    case = dataset.cases[0]
    image, values = read_image(case.images["T1"]), read_image(case.labels)
    assert np.array_equal(image.array, scan)
    assert image.geometry.same_grid(OBLIQUE, 1e-6)
    assert values.geometry.same_grid(OBLIQUE, 1e-6)
    assert np.array_equal(values.array, np.where(grey, 3, np.where(white, 5, 0)))
    assert (case.group, case.split, case.mask) == ("Müller", "train", None)
    assert check_dataset(dataset)[0].volumes[1] == grey.sum()
    assert not list(tmp_path.rglob(".unfinished*"))


def test_strokes_leave_the_unpainted_unlabelled(scene, scan, tmp_path):
    strokes = {"Background": block(0), "Grey Matter": block(4, slice(2, 5))}
    labels = addSegmentation(scene, "strokes", strokes)
    case = SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)
    case = written(SceneDataset("few", HEAD, [case], scribbles=True), tmp_path).cases[0]
    assert np.array_equal(read_image(case.mask).array != 0, strokes["Background"] | strokes["Grey Matter"])
    assert set(np.unique(read_image(case.labels).array)) == {0, 3}
    assert case.group == "scan"


def test_strokes_without_background_are_refused_with_what_to_do(scene, scan, tmp_path):
    labels = addSegmentation(scene, "strokes", {"Grey Matter": block(4)})
    case = SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)
    with pytest.raises(InputError, match=r"no background is painted.*add a segment called 'Background'"):
        list(SceneDataset("few", HEAD, [case], scribbles=True).write(tmp_path))
    assert not (tmp_path / "DATA.json").exists()


def test_positive_strokes_have_no_background_and_no_mask_and_may_be_coarse(scene, scan, tmp_path):
    tree = HEAD.with_value("brain", None)
    fine, coarse = block(4, slice(2, 5)), block(6)
    labels = addSegmentation(scene, "strokes", {"Grey Matter": fine, "brain": coarse})
    case = SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)
    dataset = written(SceneDataset("few", tree, [case], positiveOnly=True), tmp_path)
    known = dataset.tree
    assert known.background is None
    assert known.node("brain").value is not None  # so that the label map may hold it
    assert dataset.cases[0].mask is None
    values = read_image(dataset.cases[0].labels).array
    assert np.array_equal(values, np.where(fine, 3, np.where(coarse, known.node("brain").value, 0)))


def test_positive_strokes_refuse_a_painted_background(scene, scan, tmp_path):
    labels = addSegmentation(scene, "strokes", {"Background": block(0), "Grey Matter": block(4)})
    case = SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)
    with pytest.raises(InputError, match=r"'strokes' has a segment 'Background'.*delete or rename"):
        list(SceneDataset("few", HEAD, [case], positiveOnly=True).write(tmp_path))
    assert not list(tmp_path.iterdir())


def test_of_overlapping_segments_the_deeper_one_wins(scene, scan, tmp_path):
    brain, grey = block(slice(1, 9)), block(slice(3, 6), slice(2, 8))
    for order in (("brain", "Grey Matter"), ("Grey Matter", "brain")):
        masks = {"brain": brain, "Grey Matter": grey}
        labels = addSegmentation(scene, "nested", {name: masks[name] for name in order})
        case = SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)
        values = read_image(written(SceneDataset("nested", HEAD, [case]), tmp_path / order[0]).cases[0].labels).array
        assert np.array_equal(values, np.where(grey, 3, np.where(brain, 9, 0)))


def test_segments_that_contradict_each_other_are_refused_and_nothing_is_written(scene, scan, tmp_path):
    grey, white = block(slice(2, 6)), block(slice(5, 9))
    labels = addSegmentation(scene, "drawn", {"Grey Matter": grey, "White Matter": white})
    dataset = SceneDataset("both", HEAD, [SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)])
    pair = rf"in 'drawn' .*'Grey Matter' and 'White Matter' \({(grey & white).sum()} voxels\)"
    with pytest.raises(InputError, match=pair):
        list(dataset.write(tmp_path))
    assert not [path for path in (tmp_path / "labels").rglob("*") if path.is_file()]
    assert not (tmp_path / "DATA.json").exists()
    dataset.overlaps = "first"
    values = read_image(written(dataset, tmp_path).cases[0].labels).array
    assert np.array_equal(values, np.where(grey, 3, np.where(white, 5, 0)))
    assert len(dataset.remarks) == 1
    assert "'Grey Matter' and 'White Matter'" in dataset.remarks[0]


def test_what_people_chose_for_a_segment_is_what_is_learned(scene, scan, tmp_path):
    grey, white, other = block(slice(1, 3)), block(slice(4, 6)), block(slice(7, 9))
    labels = addSegmentation(scene, "drawn", {"Grey Matter": grey, "Segment_2": white, "lesion": other})
    case = SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)
    with pytest.raises(InputError, match=r"no node for lesion; 2 \(Segment_2\): it has no name|no node for .*lesion"):
        list(SceneDataset("some", HEAD, [case]).write(tmp_path))
    case.mapping = {"Segment_2": "white", "lesion": None}
    values = read_image(written(SceneDataset("some", HEAD, [case]), tmp_path).cases[0].labels).array
    assert np.array_equal(values, np.where(grey, 3, np.where(white, 5, 0)))


def test_labels_on_another_grid_are_brought_onto_the_scan(scene, tmp_path):
    fine = Geometry((20, 20, 20))
    coarse = Geometry((10, 10, 10), (2.0, 2.0, 2.0), (0.5, 0.5, 0.5))
    mask = np.zeros(fine.shape, bool)
    mask[4:12, 6:14, 2:8] = True
    volume = addVolume(scene, "scan", np.arange(1000, dtype=np.int16).reshape(coarse.shape), coarse)
    labels = addSegmentation(scene, "fine", {"Grey Matter": mask}, fine)
    case = written(SceneDataset("grids", HEAD, [SceneCase({"T1": volume}, labels)]), tmp_path).cases[0]
    values = read_image(case.labels)
    assert values.geometry.same_grid(coarse)
    assert np.array_equal(values.array == 3, mask[::2, ::2, ::2])


def test_label_maps_serve_too_with_their_names_or_their_values(scene, scan, tmp_path):
    array = np.zeros(OBLIQUE.shape, np.uint8)
    array[3:5], array[6:8] = 1, 2
    node = scene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "labels")
    setArray(node, array, OBLIQUE, vtk.VTK_UNSIGNED_CHAR)
    colors = scene.AddNewNodeByClass("vtkMRMLColorTableNode", "names")
    colors.SetTypeToUser()
    colors.SetNumberOfColors(3)
    for value, name in enumerate(("none", "white-matter", "GREY MATTER")):
        colors.SetColor(value, name, 1, 1, 1, 1)
    node.CreateDefaultDisplayNodes()
    node.GetDisplayNode().SetAndObserveColorNodeID(colors.GetID())
    case = SceneCase({"T1": addVolume(scene, "scan", scan)}, node)
    values = read_image(written(SceneDataset("map", HEAD, [case]), tmp_path).cases[0].labels).array
    assert np.array_equal(values, np.array([0, 5, 3])[array])
    assert matchValues([0, 3, 5], {3: "", 5: "label 5"}, HEAD) == {3: 3, 5: 5}
    with pytest.raises(InputError, match=r"no node for 7 \(bone\)"):
        matchValues([3, 7], {7: "bone"}, HEAD)


def test_removing_the_nodes_while_files_are_written_loses_nothing(scene, scan, tmp_path):
    grey = block(slice(2, 5))
    volume, labels = addVolume(scene, "scan", scan), addSegmentation(scene, "drawn", {"Grey Matter": grey})
    steps = SceneDataset("gone", HEAD, [SceneCase({"T1": volume}, labels)]).write(tmp_path)
    next(steps)
    scene.RemoveNode(volume)
    scene.RemoveNode(labels)
    list(steps)
    case = Dataset.load(tmp_path / "DATA.json").cases[0]
    assert np.array_equal(read_image(case.labels).array == 3, grey)


def test_cancelling_leaves_no_half_written_file(scene, scan, tmp_path, monkeypatch):
    monkeypatch.setattr("SoftSegSlicerLib.Exchange.LabelReader.SLAB_VOXELS", 500)
    labels = addSegmentation(scene, "drawn", {"Grey Matter": block(slice(2, 5))})
    steps = SceneDataset("some", HEAD, [SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)]).write(tmp_path)
    for _ in range(3):
        next(steps)
    steps.close()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_cannot_be_learned_from_is_refused_with_the_reason(scene, scan, tmp_path):
    volume = addVolume(scene, "scan", scan)
    labels = addSegmentation(scene, "drawn", {"Grey Matter": block(4), "Tumour": block(6)})
    other = addVolume(scene, "other", scan)

    def refusal(*cases, tree=HEAD):
        with pytest.raises(InputError) as caught:
            list(SceneDataset("bad", tree, list(cases)).write(tmp_path))
        return str(caught.value)

    assert "there is no training case" in refusal()
    assert "there is no training case" in refusal(SceneCase({"T1": volume}, labels, split="val"))
    assert "has no volume" in refusal(SceneCase({"T1": None}, labels))
    assert "'scan' has no labels" in refusal(SceneCase({"T1": volume}, None))
    assert "no node for Tumour" in refusal(SceneCase({"T1": volume}, labels))
    one, two = SceneCase({"T1": volume}, labels, "Ada"), SceneCase({"T1": other}, labels, "Ada", "val")
    assert "'Ada' is used for training and for validation" in refusal(one, two)
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 5)
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(matrix)
    volume.SetAndObserveTransformNodeID(transform.GetID())
    assert "'other' has a different grid" in refusal(SceneCase({"T1": volume, "T2": other}, labels))
    empty = scene.AddNewNodeByClass("vtkMRMLSegmentationNode", "blank")
    assert "'blank' holds no labels" in refusal(SceneCase({"T1": other}, empty))
    assert not (tmp_path / "DATA.json").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_that_cannot_be_written_is_named(scene, scan, tmp_path):
    labels = addSegmentation(scene, "drawn", {"Grey Matter": block(4)})
    tmp_path.chmod(0o500)
    case = SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)
    with pytest.raises(InputError, match="cannot write here; choose a folder"):
        list(SceneDataset("ro", HEAD, [case]).write(tmp_path / "new"))


def test_a_file_in_the_place_of_the_folder_is_named(scene, scan, tmp_path):
    (tmp_path / "taken").write_text("")
    labels = addSegmentation(scene, "drawn", {"Grey Matter": block(4)})
    case = SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)
    with pytest.raises(InputError, match=r"taken.*cannot be written"):
        list(SceneDataset("taken", HEAD, [case]).write(tmp_path / "taken" / "new"))


def test_a_full_disk_is_said_before_anything_is_written(scene, scan, tmp_path, monkeypatch):
    labels = addSegmentation(scene, "drawn", {"Grey Matter": block(4)})
    case = SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)
    usage = type("Usage", (), {"free": 1000})
    monkeypatch.setattr("SoftSegSlicerLib.Training.CaseChecks.shutil.disk_usage", lambda _: usage)
    with pytest.raises(InputError, match="0 MB are free"):
        list(SceneDataset("full", HEAD, [case]).write(tmp_path))
    assert not list(tmp_path.iterdir())


def test_a_tree_can_be_made_of_the_segments_names():
    tree = treeOfSegments(["Liver", "background", "liver", "structures"], {"Liver": (1, 2, 3)}, "mine")
    assert [(leaf.name, leaf.value) for leaf in tree.leaves] == [("background", 0), ("Liver", 1), ("structures", 2)]
    assert tree.node("Liver").color == (1, 2, 3)
    names = {"a": "LIVER", "b": "Background"}
    assert matchSegments(names, tree) == {"a": 1, "b": 0}
    with pytest.raises(InputError, match="no segment to learn"):
        treeOfSegments(["Background"])


def test_data_json_says_which_file_is_whose(scene, scan, tmp_path):
    labels = addSegmentation(scene, "drawn", {"Grey Matter": block(4)})
    cases = [SceneCase({"T1": addVolume(scene, "scan", scan)}, labels, person) for person in ("Ada", "Ben")]
    cases[1].split = "val"
    list(SceneDataset("two", HEAD, cases).write(tmp_path))
    content = json.loads((tmp_path / "DATA.json").read_text())
    assert [(case["id"], case["group"], case["split"]) for case in content["cases"]] == [
        ("scan", "Ada", "train"),
        ("scan-2", "Ben", "val"),
    ]


def test_headless_scripts_train_on_nodes_of_the_scene(scene, scan, tmp_path):
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    labels = addSegmentation(scene, "drawn", {"Grey Matter": block(4)})
    dataset = SceneDataset("one", HEAD, [SceneCase({"T1": addVolume(scene, "scan", scan)}, labels)])
    with pytest.raises(InputError, match="unknown recipe key"):  # said by the engine, in its own process
        SoftSegSlicerLogic().train(dataset, str(tmp_path / "run"), minutes=1, sets=["speed=fast"])
    assert Dataset.load(tmp_path / "run" / "dataset" / "DATA.json").name == "one"
