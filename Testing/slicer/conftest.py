"""A MRML scene of its own for every test, by slicer-core alone: no application, no Qt."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed")

REPOSITORY = Path(__file__).resolve().parents[2]
for folder in (REPOSITORY / "core", REPOSITORY / "SoftSegSlicer", REPOSITORY / "Testing" / "slicer"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from softseg.image import Geometry  # noqa: E402 - its folder had to be named first
from softseg.soft import SoftParcellation  # noqa: E402
from softseg.tree import Code, LabelTree, Node, Terminology  # noqa: E402


@pytest.fixture
def scene(monkeypatch):
    """An empty scene as ``slicer.mrmlScene``; ``slicer.modules`` and ``slicer.app`` are not there."""
    scene = slicer.vtkMRMLScene()
    monkeypatch.setattr(slicer, "mrmlScene", scene, raising=False)
    for name in ("modules", "app"):
        monkeypatch.delattr(slicer, name, raising=False)
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode()
    scene.AddNode(hierarchy)
    yield scene
    scene.Clear(True)


@pytest.fixture
def logic(scene):  # noqa: ARG001 - wanted for its effect
    """The module's logic over that scene."""
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    return SoftSegSlicerLogic()


@pytest.fixture(scope="module")
def converter():
    """What makes surfaces of label maps; the application's Segmentations module registers it."""
    factory = slicer.vtkSegmentationConverterFactory.GetInstance()
    rule = slicer.vtkBinaryLabelmapToClosedSurfaceConversionRule()
    factory.RegisterConverterRule(rule)
    yield
    factory.UnregisterConverterRule(rule)


_CATEGORY = Code("123037004", "SCT", "Anatomical Structure")
_SIDES = {"left": Code("7771000", "SCT", "Left"), "right": Code("24028007", "SCT", "Right")}


@pytest.fixture(scope="session")
def tree():
    """Head > background, brain > {cortex > left, right; nuclei (40) > putamen, caudate; stem}, with codes."""
    cortex = Code("40146001", "SCT", "Cerebral cortex")
    return LabelTree(
        [
            Node("head", "head", None),
            Node("background", "background", "head", value=0, color=(0, 0, 0)),
            Node("brain", "brain", "head", color=(200, 170, 150)),
            Node("cortex", "cortex", "brain", color=(205, 62, 78)),
            Node("left", "left cortex", "cortex", value=7, color=(205, 62, 78), terminology=_codes(cortex, "left")),
            Node("right", "right cortex", "cortex", value=3, color=(105, 62, 178), terminology=_codes(cortex, "right")),
            Node("nuclei", "nuclei", "brain", value=40, color=(12, 140, 190)),
            Node("putamen", "putamen", "nuclei", value=12, color=(236, 13, 176)),
            Node("caudate", "caudate | tail", "nuclei", value=11, color=(122, 186, 220)),
            Node("stem", "brain stem", "brain", value=200, color=(119, 159, 176)),
        ],
        name="small",
    )


def _codes(type_, side):
    return Terminology(_CATEGORY, type_, type_modifier=_SIDES[side])


def turned(size, spacing, angles):
    """A grid around the origin of space, turned by two angles (radians)."""
    a, b = angles
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    direction = about_z @ about_x
    origin = -direction @ (np.asarray(spacing) * (np.asarray(size) - 1) / 2)
    return Geometry(
        tuple(size), tuple(map(float, spacing)), tuple(map(float, origin)), tuple(map(float, direction.ravel()))
    )


GRIDS = {
    "axis aligned": turned((20, 24, 18), (1.0, 1.0, 1.0), (0.0, 0.0)),
    "anisotropic": turned((22, 20, 9), (0.8, 1.1, 4.0), (0.0, 0.0)),
    "oblique": turned((20, 24, 18), (1.5, 1.0, 2.0), (0.2, 0.3)),
}


@pytest.fixture(params=sorted(GRIDS))
def anyGrid(request):
    """Each of the grids."""
    return GRIDS[request.param]


@pytest.fixture
def grid():
    """The oblique and anisotropic grid."""
    return GRIDS["oblique"]


def distribution(tree, shape, seed=0):
    """A smooth random distribution ``(leaves, *shape)`` with background all around."""
    from scipy import ndimage

    random = np.random.default_rng(seed)
    field = np.stack([ndimage.gaussian_filter(random.normal(size=shape), 2) for _ in tree.leaves])
    field *= 3 / field.std()
    centre = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    background = tree.leaf_index(tree.background.id)
    field[background] += 30 * ((centre**2).sum(axis=0) - 0.55)
    share = np.exp(field - field.max(axis=0))
    return (share / share.sum(axis=0)).astype(np.float32)


@pytest.fixture
def parcellation(tree, grid):
    """A soft parcellation on the oblique grid."""
    return SoftParcellation.from_dense(distribution(tree, grid.shape), tree, grid, model="test")


@pytest.fixture
def make(tree):
    """Make a soft parcellation on a grid."""
    return lambda geometry, seed=0: SoftParcellation.from_dense(
        distribution(tree, geometry.shape, seed), tree, geometry, model="test"
    )


@pytest.fixture
def addVolume(scene):
    """Add a scalar volume node with values ``(k, j, i)`` on a grid."""
    from SoftSegSlicerLib.Scene import Grids

    def add(array, geometry, name="scan", className="vtkMRMLScalarVolumeNode"):
        import vtk
        from vtk.util import numpy_support

        node = scene.AddNewNodeByClass(className, name)
        scalars = np.ascontiguousarray(array)
        Grids.setArray(node, scalars, geometry, numpy_support.get_vtk_array_type(scalars.dtype))
        assert isinstance(node.GetImageData(), vtk.vtkImageData)
        return node

    return add


@pytest.fixture
def shownLabels():
    """What a segmentation shows: label values ``(k, j, i)`` on a whole grid, read segment by segment as Slicer does."""

    from SoftSegSlicerLib.Scene import Grids

    def read(node, geometry, logic):
        segmentation, display = node.GetSegmentation(), node.GetDisplayNode()
        tree = logic.results.treeOf(node)
        out = np.zeros(geometry.shape, np.uint16)
        for id_ in display.GetVisibleSegmentIDs():
            image = slicer.vtkOrientedImageData()
            node.GetBinaryLabelmapRepresentation(id_, image)
            i0, i1, j0, _j1, k0, _k1 = image.GetExtent()
            if i1 < i0:
                continue
            toGrid = np.linalg.inv(geometry.affine) @ Grids.imageToRas(image)
            np.testing.assert_allclose(toGrid[:3, :3], np.eye(3), atol=1e-4)
            first = toGrid @ [i0, j0, k0, 1]
            i, j, k = np.rint(first[:3]).astype(int)
            np.testing.assert_allclose(first[:3], [i, j, k], atol=1e-3)
            array = Grids.arrayOf(image) > 0
            part = out[k : k + array.shape[0], j : j + array.shape[1], i : i + array.shape[2]]
            assert not part[array].any(), "segments overlap"
            part[array] = tree.value_of(id_)
            assert segmentation.GetSegment(id_).GetLabelValue() == tree.value_of(id_)
        return out

    return read
