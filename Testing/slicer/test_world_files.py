"""What goes to the engine lies where the scene shows it: comparing, training, segmenting under transforms."""

import numpy as np
import pytest
import SimpleITK as sitk
import slicer
from SoftSegSlicerLib.Compare.Comparison import Comparison
from SoftSegSlicerLib.Compare.ComparisonNodes import jump
from SoftSegSlicerLib.Compare.ComparisonTables import ComparisonTables, place
from SoftSegSlicerLib.Training.SceneDataset import SceneCase, SceneDataset
from worlds import (
    assertSameCentres,
    bentTransform,
    expectedCentres,
    linearTransform,
    segmentCentres,
    translation,
    volumeCentre,
)

from softseg.errors import InputError
from softseg.evaluation import evaluate
from softseg.image import Geometry, read_image
from softseg.requests import EvaluateRequest
from softseg.tree import LabelTree

TURN = np.array([[0.8, -0.6, 0, 3], [0.6, 0.8, 0, -20], [0, 0, 1, 7], [0, 0, 0, 1.0]])
SHEAR = np.array([[1, 0.4, 0, 0], [0, 1, 0.2, 5], [0, 0, 1, 0], [0, 0, 0, 1.0]])
MOVES = {"turned": TURN, "scaled": np.diag([1.5, 0.8, 2.0, 1]), "sheared": SHEAR, "mirrored": np.diag([1.0, -1, 1, 1])}


@pytest.fixture(autouse=True)
def converters(scene):
    """Segmentations make their representations by themselves, as in the application."""
    logic = slicer.vtkSlicerSegmentationsModuleLogic()
    logic.SetMRMLScene(scene)
    return logic


@pytest.fixture(params=sorted(MOVES))
def move(request):
    return MOVES[request.param]


@pytest.fixture
def truth(parcellation, grid, addVolume):
    return addVolume(parcellation.labels(3), grid, "truth", "vtkMRMLLabelMapVolumeNode")


def compared(comparison):
    list(comparison.write())
    request = EvaluateRequest.from_argv(comparison.arguments)
    (prediction,), (reference,) = map(str, request.prediction), map(str, request.reference)
    evaluate([prediction], [reference], LabelTree.load(request.tree), str(request.out), html=False)
    return ComparisonTables(comparison.folder)


def test_nodes_are_compared_where_they_are_in_the_world(logic, scene, parcellation, truth, grid, tmp_path, move):
    """The result is moved by two transform nodes, the reference by hardening: they meet in the world."""
    result = logic.results.add(parcellation, name="result")
    outer = linearTransform(scene, translation(0, 0, 11))
    result.SetAndObserveTransformNodeID(linearTransform(scene, move, parent=outer).GetID())
    truth.SetAndObserveTransformNodeID(linearTransform(scene, translation(0, 0, 11) @ move).GetID())
    truth.HardenTransform()
    tables = compared(Comparison(logic, result, truth, tmp_path))
    rows = {row["node"]: row for row in tables.nodes(tables.deepest)}
    labels = parcellation.labels(3)
    scale = abs(np.linalg.det(move)) * grid.voxel_volume_ml
    for id_, value in (("left", 7), ("right", 3), ("stem", 200)):
        assert rows[id_]["dice"] > (0.999 if move is not SHEAR else 0.97)
        assert rows[id_]["volume_ml"] == pytest.approx((labels == value).sum() * scale, rel=0.03)
        centre = expectedCentres(parcellation, 3, translation(0, 0, 11) @ move)[id_][0]
        distance = np.abs(np.array(place(rows[id_], "center")) - centre).max()
        assert distance < 12, "a point within the structure, in the world"


def test_results_that_lie_apart_do_not_match(logic, scene, parcellation, truth, tmp_path):
    result = logic.results.add(parcellation, name="result")
    result.SetAndObserveTransformNodeID(linearTransform(scene, translation(6, 0, 0)).GetID())
    tables = compared(Comparison(logic, result, truth, tmp_path))
    assert all(row["dice"] < 0.8 for row in tables.nodes(tables.deepest))


@pytest.mark.parametrize("crisp", [False, True])
@pytest.mark.parametrize("hardened", [False, True])
def test_a_bent_result_is_compared_with_a_reference_bent_alike(
    logic, scene, make, tree, addVolume, tmp_path, crisp, hardened
):
    """Slicer bends the reference where it is hardened, this module the result: voxel for voxel the same."""
    grid = Geometry((20, 24, 18))
    parcellation = make(grid)
    labels = addVolume(parcellation.labels(3), grid, "l", "vtkMRMLLabelMapVolumeNode")
    result = logic.results.adopt(labels, tree) if crisp else logic.results.add(parcellation, name="result")
    reference = logic.exports.segmentation(result)
    for node in (result, reference):
        node.SetAndObserveTransformNodeID(bentTransform(scene).GetID())
    if hardened:
        reference.HardenTransform()
    tables = compared(Comparison(logic, result, reference, tmp_path))
    assert all(row["dice"] > 0.995 for row in tables.nodes(tables.deepest))


def test_a_click_goes_to_the_place_in_the_world_and_stays_on_the_result(logic, scene, parcellation, truth, tmp_path):
    result = logic.results.add(parcellation, name="result")
    for node in (result, truth):
        node.SetAndObserveTransformNodeID(linearTransform(scene, TURN).GetID())
    comparison = Comparison(logic, result, truth, tmp_path)
    tables = compared(comparison)
    point = place(tables.nodes(tables.deepest)[0], "center")
    slices = slicer.vtkMRMLSliceNode()
    scene.AddNode(slices)

    def offset():
        return [slices.GetSliceToRAS().GetElement(axis, 3) for axis in range(3)]

    jump(result, comparison.ownPlace(point))
    np.testing.assert_allclose(offset(), point, atol=1e-3)
    result.SetAndObserveTransformNodeID(linearTransform(scene, translation(5, 5, 5) @ TURN).GetID())
    jump(result, comparison.ownPlace(point))
    np.testing.assert_allclose(offset(), np.array(point) + 5, atol=1e-3)


def test_a_hardened_crisp_result_is_compared_where_it_is(logic, scene, parcellation, tree, grid, addVolume, tmp_path):
    result = logic.results.adopt(addVolume(parcellation.labels(3), grid, "l", "vtkMRMLLabelMapVolumeNode"), tree)
    reference = addVolume(parcellation.labels(3), grid, "truth", "vtkMRMLLabelMapVolumeNode")
    for node in (result, reference):
        node.SetAndObserveTransformNodeID(linearTransform(scene, TURN).GetID())
        node.HardenTransform()
    tables = compared(Comparison(logic, result, reference, tmp_path))
    assert all(row["dice"] == 1.0 for row in tables.nodes(tables.deepest))


@pytest.mark.parametrize("own", [False, True])
def test_training_files_lie_where_the_scene_shows_them(
    logic, scene, parcellation, tree, grid, addVolume, tmp_path, move, own
):
    """The scan under a transform, its labels under the same one or hardened: the same place in the files."""
    array = (1000 * parcellation.probability("stem")).astype(np.int16)
    scan = addVolume(array, grid)
    labels = logic.results.add(parcellation, scan)
    exported = logic.exports.segmentation(labels)
    transform = linearTransform(scene, move)
    for node in (scan, exported):
        node.SetAndObserveTransformNodeID(transform.GetID())
    if own:
        exported.HardenTransform()
    list(SceneDataset("d", tree, [SceneCase({"T1": scan}, exported)]).write(tmp_path))
    image = sitk.ReadImage(next((tmp_path / "images").rglob("*.nrrd")))
    drawn = sitk.ReadImage(next((tmp_path / "labels").rglob("*.nrrd")))

    def centre(values):
        affine = Geometry.of(image).affine
        points = np.argwhere(values)[:, ::-1] @ affine[:3, :3].T + affine[:3, 3]
        return np.average(points, axis=0, weights=values[values > 0])

    assert Geometry.of(image).same_grid(Geometry.of(drawn))
    np.testing.assert_allclose(centre(sitk.GetArrayFromImage(image).clip(0)), volumeCentre(scan), atol=0.2)
    labels = sitk.GetArrayFromImage(drawn)
    for id_, (expected, count) in segmentCentres(exported).items():
        assert (labels == tree.value_of(id_)).sum() == count
        np.testing.assert_allclose(centre(labels == tree.value_of(id_)), expected, atol=0.2, err_msg=id_)


def test_labels_of_a_bent_scan_are_brought_to_the_scan(logic, scene, parcellation, tree, grid, addVolume, tmp_path):
    scan = addVolume(np.ones(grid.shape, np.int16), grid)
    exported = logic.exports.segmentation(logic.results.add(parcellation, scan))
    for node in (scan, exported):
        node.SetAndObserveTransformNodeID(bentTransform(scene).GetID())
    list(SceneDataset("d", tree, [SceneCase({"T1": scan}, exported)]).write(tmp_path))
    drawn = read_image(next((tmp_path / "labels").rglob("*.nrrd")), labels=True)
    assert drawn.geometry.same_grid(grid)
    assert (drawn.array == parcellation.labels(3)).mean() > 0.98


def test_channels_are_handed_over_as_they_lie_on_the_first_one(logic, scene, grid, addVolume):
    first, second = addVolume(np.ones(grid.shape, np.int16), grid), addVolume(np.ones(grid.shape, np.int16), grid, "T2")
    first.SetAndObserveTransformNodeID(linearTransform(scene, TURN).GetID())
    second.SetAndObserveTransformNodeID(linearTransform(scene, TURN).GetID())
    second.HardenTransform()
    job = logic.segmenting.prepare([first, second], "model")
    files = [read_image(file) for file in job.images]
    assert files[0].geometry.same_grid(grid)
    assert files[1].geometry.same_grid(grid)
    job.discard()
    first.SetAndObserveTransformNodeID(bentTransform(scene).GetID())
    with pytest.raises(InputError, match="non-linear"):
        logic.segmenting.prepare([first, second], "model")


def onGrid(image, grid):
    """Return an image's values at the centres of a grid's voxels, ``(k, j, i)``, the nearest; 0 beyond it."""
    centres = np.stack(np.meshgrid(*(np.arange(size) for size in grid.size), indexing="ij"), axis=-1)
    toImage = np.linalg.inv(image.geometry.affine) @ grid.affine
    i, j, k = np.round(centres @ toImage[:3, :3].T + toImage[:3, 3]).astype(int).transpose(3, 2, 1, 0)
    inside = np.all([(at >= 0) & (at < size) for at, size in zip((i, j, k), image.geometry.size, strict=True)], axis=0)
    values = np.zeros(grid.shape, image.array.dtype)
    values[inside] = image.array[k[inside], j[inside], i[inside]]
    return values


def test_a_mask_covers_what_it_covers_in_the_world(logic, scene, parcellation, grid, addVolume, move):
    scan = addVolume(np.arange(np.prod(grid.shape), dtype=np.int32).reshape(grid.shape), grid)
    result = logic.results.add(parcellation, scan)
    labels = addVolume((parcellation.labels(3) == 200).astype(np.uint8), grid, "mask", "vtkMRMLLabelMapVolumeNode")
    scan.SetAndObserveTransformNodeID(linearTransform(scene, move).GetID())
    for node in (result, labels):
        node.SetAndObserveTransformNodeID(linearTransform(scene, move).GetID())
        node.HardenTransform()
    for mask in ((result, "stem"), labels):
        job = logic.segmenting.prepare(scan, "model", mask=mask)
        written = onGrid(read_image(job.request.mask), grid)
        np.testing.assert_array_equal(written > 0, parcellation.labels(3) == 200)
        job.discard()
    labels.SetAndObserveTransformNodeID(linearTransform(scene, translation(900, 0, 0)).GetID())
    with pytest.raises(InputError, match="the mask is empty"):
        logic.segmenting.prepare(scan, "model", mask=labels)


def test_a_mask_under_a_bent_transform_covers_the_volume_under_the_same(logic, scene, parcellation, grid, addVolume):
    scan = addVolume(np.arange(np.prod(grid.shape), dtype=np.int32).reshape(grid.shape), grid)
    result = logic.results.add(parcellation, scan)
    for node in (scan, result):
        node.SetAndObserveTransformNodeID(bentTransform(scene).GetID())
    job = logic.segmenting.prepare(scan, "model", mask=(result, "stem"))
    written = onGrid(read_image(job.request.mask), grid)
    assert ((written > 0) == (parcellation.labels(3) == 200)).mean() > 0.99


def test_labels_under_a_transform_are_adopted_where_they_are(logic, scene, parcellation, tree, grid, addVolume, move):
    scan = addVolume(np.zeros(grid.shape, np.int16), grid)
    made = logic.exports.segmentation(logic.results.add(parcellation, scan))
    made.SetAndObserveTransformNodeID(linearTransform(scene, move).GetID())
    adopted = logic.results.adopt(made, tree)
    for level in (1, 3):
        logic.collapse(adopted, level)
    leaves = expectedCentres(parcellation, 3, move)
    assertSameCentres(segmentCentres(adopted), leaves)
    logic.collapse(adopted, 1)
    total = sum(count for _, count in leaves.values())
    middle = sum(centre * count for centre, count in leaves.values()) / total
    np.testing.assert_allclose(segmentCentres(adopted)["brain"][0], middle, atol=0.2)
    made = addVolume(parcellation.labels(3), grid, "l", "vtkMRMLLabelMapVolumeNode")
    made.SetAndObserveTransformNodeID(linearTransform(scene, move).GetID())
    made.HardenTransform()
    adopted = logic.results.adopt(made, tree)
    assertSameCentres(segmentCentres(adopted), expectedCentres(parcellation, 3, move))


def test_exports_lie_where_the_result_is(logic, scene, parcellation, grid, addVolume, move):
    result = logic.results.add(parcellation, addVolume(np.zeros(grid.shape, np.int16), grid))
    result.SetAndObserveTransformNodeID(linearTransform(scene, move).GetID())
    result.HardenTransform()
    result.SetAndObserveTransformNodeID(linearTransform(scene, translation(0, 8, 0)).GetID())
    whole = translation(0, 8, 0) @ move
    assertSameCentres(segmentCentres(logic.exports.segmentation(result)), expectedCentres(parcellation, 3, whole))
    labels = logic.exports.labelMap(result)
    expected = expectedCentres(parcellation, 3, whole)
    total = sum(count for _, count in expected.values())
    middle = sum(centre * count for centre, count in expected.values()) / total
    slicer.util.arrayFromVolume(labels)[:] = slicer.util.arrayFromVolume(labels) > 0
    np.testing.assert_allclose(volumeCentre(labels), middle, atol=0.2)


def test_a_result_moves_with_a_scan_that_was_hardened_while_the_engine_ran(
    logic, scene, parcellation, grid, addVolume, tmp_path, monkeypatch, move
):
    scan = addVolume(np.zeros(grid.shape, np.int16), grid)
    job = logic.segmenting.prepare(scan, "model")
    monkeypatch.setattr(type(job), "softFile", lambda _: str(parcellation.save(tmp_path / "it.soft.npz")))
    scan.SetAndObserveTransformNodeID(linearTransform(scene, move).GetID())
    scan.HardenTransform()
    result = logic.segmenting.finish(job)
    assertSameCentres(segmentCentres(result), expectedCentres(parcellation, 3, move))
    logic.collapse(result, 1)
    assertSameCentres(segmentCentres(result), expectedCentres(parcellation, 1, move))
