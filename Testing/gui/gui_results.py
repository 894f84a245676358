"""Small results for the tests of the Look and Tree panels."""

import dataclasses

import numpy as np
import slicer
from vtk.util import numpy_support

from softseg import SoftParcellation
from softseg.image import Geometry
from softseg.resources import label_tree_path
from softseg.soft.outliers import StoredOutliers
from softseg.tree import LabelTree, Node

GEOMETRY = Geometry((12, 10, 8), (1.0, 1.0, 2.0), (5.0, -3.0, 7.0), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))


def tree():
    """Return a tree of five leaves in two groups."""
    return LabelTree(
        [
            Node("head", "head", None),
            Node("background", "background", "head", color=(0, 0, 0), value=0),
            Node("grey", "grey matter", "head", color=(120, 120, 120)),
            Node("cortex", "cortex", "grey", color=(200, 100, 100), value=1),
            Node("caudate", "caudate", "grey", color=(200, 150, 0), value=2),
            Node("putamen", "putamen", "grey", color=(0, 100, 200), value=3),
            Node("white", "white matter", "head", color=(240, 240, 240), value=4),
        ],
        "small",
    )


def parcellation():
    """Return a soft parcellation: five slabs along i with soft borders, background around."""
    leaves = tree().leaves
    dense = np.zeros((len(leaves), *GEOMETRY.shape), np.float32)
    for i in range(GEOMETRY.shape[2]):
        place = (i - 1) / 2.0
        for leaf in range(len(leaves)):
            dense[leaf, :, :, i] = max(0.0, 1.0 - abs(place - leaf))
    dense[0] += 1.0 - dense.sum(0)
    return SoftParcellation.from_dense(dense, tree(), GEOMETRY, model="test")


def phantom():
    """Return a soft parcellation of the size of a head with all structures of brain-134, each somewhere in it."""
    brain = LabelTree.load(label_tree_path("brain-134"))
    shape, leaves = (36, 44, 36), len(brain.leaves)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, size) for size in shape), indexing="ij"), -1)
    radius = np.linalg.norm(grid * (1.15, 1.0, 1.25), axis=-1)
    seeds = np.random.default_rng(4).uniform(-0.75, 0.75, (leaves, 3)) * (0.8, 0.9, 0.75)
    near = np.exp(-40 * np.stack([((grid - seed) ** 2).sum(-1) for seed in seeds])) + 1e-9
    background = brain.leaf_index(brain.background.id)
    near[background] = 0
    inside = 1 / (1 + np.exp(30 * (radius - 0.9)))
    dense = near / near.sum(0) * inside
    dense[background] = 1 - inside
    geometry = Geometry(shape[::-1], (4.0, 4.0, 4.0), (-72.0, -88.0, -72.0))
    return SoftParcellation.from_dense(dense.astype(np.float32), brain, geometry, model="phantom")


def strange(soft, threshold=-2.0):
    """Return a soft parcellation with an outlier score from -8 to 4: strangest on one side."""
    steps = np.zeros(soft.geometry.shape, np.uint8)
    steps[soft.box] = np.linspace(0, 255, soft.counts.shape[2]).astype(np.uint8)
    outliers = StoredOutliers.of_volume(steps, "energy", threshold, -8.0, 4.0)
    return dataclasses.replace(soft, outliers=outliers)


def rasOf(i, j, k):
    """Return where a voxel is, RAS in mm."""
    return tuple(float(mm) for mm in (GEOMETRY.affine @ np.array([i, j, k, 1.0]))[:3])


def shownLabels(node):
    """Return the visible segments of a segmentation: from their names to the number of voxels."""
    found = {}
    display, segmentation = node.GetDisplayNode(), node.GetSegmentation()
    for id_ in segmentation.GetSegmentIDs():
        segment = segmentation.GetSegment(id_)
        image = segment.GetRepresentation("Binary labelmap")
        if display.GetSegmentVisibility(id_) and image is not None and image.GetNumberOfPoints():
            voxels = numpy_support.vtk_to_numpy(image.GetPointData().GetScalars())
            found[segment.GetName()] = int(np.count_nonzero(voxels == segment.GetLabelValue()))
    return {name: count for name, count in found.items() if count}


def labelMapNode(values, name="labels"):
    """Return a label map volume with these label values, a slab each."""
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", name)
    array = np.repeat(np.asarray(values, np.int16), 2)[None, None, :] * np.ones((4, 5, 1), np.int16)
    slicer.util.updateVolumeFromArray(node, array)
    node.CreateDefaultDisplayNodes()
    return node


def readableScenes(folder):
    """Give the scene what it needs to read bundles (in the application it has that)."""
    cache = slicer.vtkCacheManager()
    cache.SetRemoteCacheDirectory(str(folder))
    slicer.mrmlScene.SetCacheManager(cache)
    manager = slicer.vtkDataIOManager()
    manager.SetCacheManager(cache)
    slicer.mrmlScene.SetDataIOManager(manager)
