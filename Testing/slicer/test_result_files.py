"""Files of results as Slicer's own places read and write them: Add Data, drag and drop, Save."""

import numpy as np
import pytest
import slicer
import vtk
from SoftSegSlicerLib.Integration import SharedLogic
from SoftSegSlicerLib.Integration.FileReader import SoftSegSlicerFileReader
from SoftSegSlicerLib.Integration.FileWriter import SoftSegSlicerFileWriter
from SoftSegSlicerLib.Integration.Opening import openResult, openResults

from softseg.image import Geometry
from softseg.soft import SoftParcellation


class Plugin:
    """What Slicer's C++ reader or writer gives its Python class."""

    def __init__(self):
        self.loadedNodes, self.writtenNodes = [], []
        self._messages = slicer.vtkMRMLMessageCollection()

    def userMessages(self):
        return self._messages

    @property
    def messages(self):
        return [self._messages.GetNthMessageText(n) for n in range(self._messages.GetNumberOfMessages())]


@pytest.fixture
def application(scene, monkeypatch):  # noqa: ARG001 - wanted for its effect
    """What lies around the module: no window of it is open."""
    monkeypatch.setattr(slicer, "modules", type("Modules", (), {})(), raising=False)
    yield
    SharedLogic.dropSharedLogic()


@pytest.fixture
def reader(application):  # noqa: ARG001
    return SoftSegSlicerFileReader(Plugin())


@pytest.fixture
def writer(application):  # noqa: ARG001
    return SoftSegSlicerFileWriter(Plugin())


def test_a_dropped_file_is_shown_with_its_tree_on_its_scan(
    reader, parcellation, addVolume, grid, tmp_path, shownLabels
):
    addVolume(np.zeros((3, 3, 3), np.int16), Geometry((3, 3, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0)), "other")
    scan = addVolume(np.zeros(grid.shape, np.int16), grid, "head")
    path = parcellation.save(tmp_path / "head.soft.npz")
    assert reader.load({"fileName": str(path)})
    (id_,) = reader.parent.loadedNodes
    node, logic = slicer.mrmlScene.GetNodeByID(id_), SharedLogic.sharedLogic()
    assert logic.results.treeOf(node) == parcellation.tree
    np.testing.assert_array_equal(shownLabels(node, grid, logic), parcellation.labels(parcellation.tree.depth))
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is scan
    assert logic.results.parcellationOf(node).model == "test"


def test_maps_of_results_and_label_maps_are_not_taken_for_the_scan(logic, parcellation, addVolume, grid, tmp_path):
    path = parcellation.save(tmp_path / "a.soft.npz")
    addVolume(np.zeros(grid.shape, np.uint8), grid, "labels", "vtkMRMLLabelMapVolumeNode")
    first = openResult(logic, path)
    logic.showNode(first, "brain")
    assert openResult(logic, path).GetNodeReference("softseg.input") is None


def test_of_scans_on_one_grid_the_one_with_the_name_of_the_result_is_taken(
    logic, parcellation, addVolume, grid, tmp_path
):
    for name in ("T1", "case-7", "T2"):
        scan = addVolume(np.zeros(grid.shape, np.int16), grid, name)
    folder = tmp_path / "case-7"
    folder.mkdir()
    node = openResult(logic, parcellation.save(folder / "soft.soft.npz"))
    assert node.GetNodeReference("softseg.input").GetName() == "case-7"
    assert node.GetName() == "case-7 segmentation"
    assert scan.GetName() == "T2"


def test_a_scan_that_slicer_turned_round_is_found(logic, parcellation, addVolume, grid, tmp_path):
    scan = addVolume(np.zeros(grid.shape, np.int16), grid, "head")
    turn = np.diag([-1.0, 1.0, 1.0, 1.0])
    turn[0, 3] = grid.size[0] - 1
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy((grid.affine @ turn).ravel())
    scan.SetIJKToRASMatrix(matrix)
    node = openResult(logic, parcellation.save(tmp_path / "a.soft.npz"))
    assert node.GetNodeReference("softseg.input") is scan


@pytest.mark.parametrize("content", [b"", b"no zip at all", "cut"])
def test_a_broken_file_gives_one_line_and_nothing_in_the_scene(reader, parcellation, tmp_path, content, capsys):
    path = parcellation.save(tmp_path / "broken.soft.npz")
    path.write_bytes(path.read_bytes()[:-200] if content == "cut" else content)
    before = slicer.mrmlScene.GetNumberOfNodes()
    assert not reader.load({"fileName": str(path)})
    (message,) = reader.parent.messages
    assert message
    assert "\n" not in message
    assert slicer.mrmlScene.GetNumberOfNodes() == before
    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_file_is_known_by_its_name_or_by_what_it_holds(reader, parcellation, tmp_path):
    path = parcellation.save(tmp_path / "a.soft.npz")
    renamed = path.with_name("b.npz")
    renamed.write_bytes(path.read_bytes())
    other = tmp_path / "c.npz"
    np.savez(other, cube=np.zeros(3))
    broken = tmp_path / "d.npz"
    broken.write_bytes(b"")
    assert reader.canLoadFileConfidence(str(path)) > reader.canLoadFileConfidence(str(renamed)) > 0.6
    for path in (other, broken, tmp_path / "absent.npz", tmp_path / "scan.nii.gz"):
        assert not reader.canLoadFile(str(path))
        assert reader.canLoadFileConfidence(str(path)) == 0.0
    assert reader.load({"fileName": str(renamed)})


def test_of_several_files_a_broken_one_does_not_keep_the_others_out(logic, parcellation, tmp_path):
    good = [parcellation.save(tmp_path / f"{name}.soft.npz") for name in "ab"]
    bad = tmp_path / "bad.soft.npz"
    bad.write_bytes(b"PK")
    nodes, errors = openResults(logic, [good[0], bad, good[1]])
    assert [node.GetName() for node in nodes] == ["a", "b"]
    (error,) = errors
    assert str(error).startswith(str(bad))


def test_what_is_written_is_read_again(writer, reader, parcellation, tmp_path):
    node = SharedLogic.sharedLogic().results.add(parcellation, name="mine")
    assert writer.canWriteObject(node) is True
    assert 0 < writer.canWriteObjectConfidence(node) < 0.5
    path = tmp_path / "mine.soft.npz"
    assert writer.write({"nodeID": node.GetID(), "fileName": str(path)})
    assert writer.parent.writtenNodes == [node.GetID()]
    again = SoftParcellation.load(path)
    np.testing.assert_array_equal(again.shares, parcellation.shares)
    assert again.tree == parcellation.tree
    assert reader.load({"fileName": str(path), "name": "Mine again"})
    assert slicer.mrmlScene.GetNodeByID(reader.parent.loadedNodes[0]).GetName() == "Mine again"


def test_a_result_is_written_where_it_lies_now(writer, parcellation, tmp_path):
    logic = SharedLogic.sharedLogic()
    node = logic.results.add(parcellation)
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = vtk.vtkMatrix4x4()
    matrix.SetElement(0, 3, 12.0)
    transform.SetMatrixTransformToParent(matrix)
    node.SetAndObserveTransformNodeID(transform.GetID())
    node.HardenTransform()
    path = tmp_path / "moved.soft.npz"
    assert writer.write({"nodeID": node.GetID(), "fileName": str(path)})
    moved = SoftParcellation.load(path).geometry.affine @ np.linalg.inv(parcellation.geometry.affine)
    expected = np.eye(4)
    expected[0, 3] = 12.0
    np.testing.assert_allclose(moved, expected, atol=1e-6)


def test_segmentations_without_soft_maps_are_not_offered_and_failures_are_one_line(
    writer, parcellation, scene, tmp_path
):
    assert not writer.canWriteObject(scene.AddNewNodeByClass("vtkMRMLSegmentationNode"))
    assert writer.canWriteObject(scene.AddNewNodeByClass("vtkMRMLModelNode")) is False  # Slicer takes no 0 for it
    assert writer.canWriteObjectConfidence(None) == 0.0
    node = SharedLogic.sharedLogic().results.add(parcellation)
    (tmp_path / "file").write_bytes(b"")
    assert not writer.write({"nodeID": node.GetID(), "fileName": str(tmp_path / "file" / "a.soft.npz")})
    assert not writer.write({"nodeID": node.GetID(), "fileName": str(tmp_path / "a.nrrd")})
    assert len(writer.parent.messages) == 2
    assert not any("\n" in message for message in writer.parent.messages)


def test_a_scene_saved_beside_soft_parcellations_shows_its_results_again(writer, parcellation, scene, tmp_path, capfd):
    logic = SharedLogic.sharedLogic()
    node = logic.results.add(parcellation, name="mine")
    logic.collapse(node, 2)
    node.AddDefaultStorageNode()  # as the dialog Save does before it knows what is written
    node.GetStorageNode().SetFileName(str(tmp_path / "mine.seg.nrrd"))
    assert writer.write({"nodeID": node.GetID(), "fileName": str(tmp_path / "mine.soft.npz")})
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    scene.Clear(False)
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Import()
    assert (tmp_path / "mine.labels.seg.nrrd").is_file()  # there is no mine.seg.nrrd, which Slicer would complain of
    assert "failed" not in capfd.readouterr().err.lower()
    again = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert set(again.GetSegmentation().GetSegmentIDs()) == {"cortex", "nuclei", "stem"}
    assert [each.id for each in logic.results.cutOf(again).nodes] == ["background", "cortex", "nuclei", "stem"]
    np.testing.assert_array_equal(logic.results.parcellationOf(again).shares, parcellation.shares)


def test_labels_saved_before_a_correction_do_not_take_it_back(writer, parcellation, scene, grid, tmp_path, shownLabels):
    logic = SharedLogic.sharedLogic()
    node = logic.results.add(parcellation, name="mine")
    node.AddDefaultStorageNode()
    node.GetStorageNode().SetFileName(str(tmp_path / "mine.seg.nrrd"))
    assert node.GetStorageNode().WriteData(node)
    voxels = np.zeros(grid.shape, bool)
    voxels[6:9, 8:11, 8:11] = True
    logic.corrections.add(node, "stem", voxels)
    said, labels = [each.id for each in logic.corrections.of(node)], shownLabels(node, grid, logic)
    assert writer.write({"nodeID": node.GetID(), "fileName": str(tmp_path / "mine.soft.npz")})
    scene.SetURL(str(tmp_path / "scene.mrml"))
    assert scene.Commit()
    scene.Clear(False)
    logic.forget()
    scene.SetURL(str(tmp_path / "scene.mrml"))
    scene.Import()
    again = scene.GetFirstNodeByClass("vtkMRMLSegmentationNode")
    assert [each.id for each in logic.corrections.of(again)] == said
    np.testing.assert_array_equal(shownLabels(again, grid, logic), labels)


def test_corrections_are_written_and_shown_again(writer, reader, parcellation, grid, tmp_path, shownLabels):
    logic = SharedLogic.sharedLogic()
    node = logic.results.add(parcellation, name="mine")
    voxels = np.zeros(grid.shape, bool)
    voxels[6:9, 8:11, 8:11] = True
    logic.corrections.add(node, "stem", voxels)
    path = tmp_path / "mine.soft.npz"
    assert writer.write({"nodeID": node.GetID(), "fileName": str(path)})
    assert reader.load({"fileName": str(path)})
    again = slicer.mrmlScene.GetNodeByID(reader.parent.loadedNodes[0])
    assert len(logic.corrections.of(again)) == 1
    assert (shownLabels(again, grid, logic)[voxels] == 200).all()
    np.testing.assert_allclose(logic.results.parcellationOf(again).probability("stem")[voxels], 1)
    logic.corrections.remove(again, logic.corrections.of(again)[0].id)
    np.testing.assert_array_equal(shownLabels(again, grid, logic), parcellation.labels(3))


def test_a_scene_that_would_refer_to_the_result_s_file_refers_to_its_labels(writer, parcellation, tmp_path):
    node = SharedLogic.sharedLogic().results.add(parcellation)
    storage = slicer.vtkMRMLSegmentationStorageNode()
    slicer.mrmlScene.AddNode(storage)
    node.SetAndObserveStorageNodeID(storage.GetID())
    path = tmp_path / "head.soft.npz"
    storage.SetFileName(str(path))  # as the dialog that saves does before it calls the writer
    assert writer.write({"fileName": str(path), "nodeID": node.GetID()})
    assert SoftParcellation.load(path).tree == parcellation.tree
    again = slicer.mrmlScene.AddNode(slicer.vtkMRMLSegmentationNode())
    assert storage.GetFileName() != str(path)
    assert storage.ReadData(again)
    assert list(again.GetSegmentation().GetSegmentIDs()) == list(node.GetSegmentation().GetSegmentIDs())
