"""Results through any order of transforms, hardening, copies, folds, deletion and scene files, by world coordinates."""

import shutil
import tempfile

import numpy as np
import pytest
import slicer
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from SoftSegSlicerLib.Scene.ShownMap import ShownMap
from worlds import (
    assertSameCentres,
    asVtk,
    expectedCentres,
    expectedMapCentre,
    linearTransform,
    nodesOf,
    segmentCentres,
    volumeCentre,
)

from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree, Node

TREE = LabelTree(
    [
        Node("head", "head", None),
        Node("background", "background", "head", value=0),
        Node("brain", "brain", "head"),
        Node("left", "left", "brain", value=7),
        Node("right", "right", "brain", value=3),
        Node("stem", "stem", "head", value=20),
    ],
    name="small",
)
OBLIQUE = (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0)
GRID = Geometry((9, 8, 7), (1.5, 1.0, 2.0), (-5.0, 3.0, -7.0), OBLIQUE)


def painted(seed):
    """A soft parcellation with each leaf somewhere."""
    random = np.random.default_rng(seed)
    dense = np.zeros((4, *GRID.shape), np.float32)
    dense[TREE.leaf_index("background")] = 1
    for leaf, (k, j, i) in (("left", (2, 2, 2)), ("right", (2, 4, 5)), ("stem", (4, 2, 5))):
        share = random.uniform(0.55, 0.95)
        place = slice(k, k + 2), slice(j, j + 3), slice(i, i + 2)
        dense[(slice(None), *place)] = 0
        dense[TREE.leaf_index(leaf)][place] = share
        dense[TREE.leaf_index("background")][place] = 1 - share
    return SoftParcellation.from_dense(dense, TREE, GRID, model="test")


PARCELLATION = painted(0)
LEVELS = {level: expectedCentres(PARCELLATION, level, np.eye(4)) for level in (1, 2)}

numbers = st.floats(-1, 1, allow_nan=False, width=16)


@st.composite
def matrices(draw):
    """Any linear transform: turned, mirrored, scaled, sheared, shifted; never flat."""
    turn = np.linalg.qr(np.array(draw(st.lists(numbers, min_size=9, max_size=9))).reshape(3, 3) + 2 * np.eye(3))[0]
    scales = [draw(st.floats(0.5, 2, width=16)) * draw(st.sampled_from([1, 1, 1, -1])) for _ in range(3)]
    shear = np.eye(3)
    shear[0, 1], shear[1, 2] = draw(numbers) / 2, draw(numbers) / 2
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ np.diag(scales) @ shear
    matrix[:3, 3] = [50 * draw(numbers) for _ in range(3)]
    return matrix


class Results(RuleBasedStateMachine):
    """Each result is known by the name of its node; beside it stands where it should be and what it shows."""

    results = Bundle("results")
    transforms = Bundle("transforms")

    def __init__(self):
        super().__init__()
        self.scene = slicer.vtkMRMLScene()
        self.had = getattr(slicer, "mrmlScene", None)
        slicer.mrmlScene = self.scene
        self.folder = tempfile.mkdtemp()
        self.segmentations = slicer.vtkSlicerSegmentationsModuleLogic()
        self.segmentations.SetMRMLScene(self.scene)
        self.remote = slicer.vtkMRMLRemoteIOLogic()
        self.remote.GetCacheManager().SetRemoteCacheDirectory(self.folder)
        self.remote.SetMRMLScene(self.scene)
        self.remote.AddDataIOToScene()
        self.scene.AddNode(slicer.vtkMRMLSubjectHierarchyNode())
        from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

        self.logic = SoftSegSlicerLogic()
        self.own, self.parents, self.matrix, self.parentOf = {}, {}, {}, {}
        self.levels, self.maps, self.number = {}, {}, 0

    def teardown(self):
        for name in list(self.own):
            self.scene.RemoveNode(self.node(name))
        nodes = [self.scene.GetNodeByID(id_) for id_ in nodesOf(self.scene)]
        kept = ("vtkMRMLSubjectHierarchyNode", "vtkMRMLTransformNode", "vtkMRMLColorNode")
        left = [each for each in nodes if not any(each.IsA(name) for name in kept)]
        # a scene that was opened again has files for its transforms and colour maps
        files = [each.GetStorageNode() for each in nodes if each not in left and each.IsA("vtkMRMLStorableNode")]
        files += [each.GetDisplayNode() for each in nodes if each.IsA("vtkMRMLTransformNode")]
        left = [each for each in left if each not in files]
        assert [each.GetID() for each in left] == []
        self.logic.forget()
        self.remote.RemoveDataIOFromScene()
        self.scene.Clear(True)
        if self.had is None:
            del slicer.mrmlScene
        else:
            slicer.mrmlScene = self.had
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what should be ---------------------------------------------------------------------------------------------

    def node(self, name):
        return self.scene.GetFirstNodeByName(name)

    def toWorld(self, parent):
        matrix = np.eye(4)
        while parent is not None:
            matrix = self.matrix[parent] @ matrix
            parent = self.parentOf[parent]
        return matrix

    def place(self, name):
        return self.toWorld(self.parents[name]) @ self.own[name]

    def fresh(self, word):
        self.number += 1
        return f"{word}{self.number}"

    @invariant()
    def everythingLiesWhereItShould(self):
        for name in self.own:
            node, place = self.node(name), self.place(name)
            expected = {
                id_: ((place @ [*centre, 1])[:3], count) for id_, (centre, count) in LEVELS[self.levels[name]].items()
            }
            assertSameCentres(segmentCentres(node), expected)
            shown = self.maps[name]
            assert self.logic.maps.shown(node) == (None if shown is None else ShownMap.probability(shown))
            if shown:
                heat = node.GetNodeReference("softseg.heatMap")
                np.testing.assert_allclose(
                    volumeCentre(heat), expectedMapCentre(PARCELLATION, shown, place), atol=0.2, err_msg=name
                )
            table = node.GetNodeReference("softseg.volumes")
            if table is not None:
                ml = next(row.soft_ml for row in PARCELLATION.volumes() if row.id == "brain")
                ml *= abs(np.linalg.det(place[:3, :3]))
                assert float(table.GetCellText(2, 2)) == pytest.approx(ml, rel=1e-3)

    # -- what happens -----------------------------------------------------------------------------------------------

    @initialize(target=transforms, matrix=matrices())
    def firstTransform(self, matrix):
        return self.addTransform(matrix, None)

    @initialize(target=results)
    def firstResult(self):
        return self.addResult()

    def addResult(self):
        name = self.fresh("result")
        self.logic.results.add(PARCELLATION, name=name)
        self.own[name], self.parents[name], self.levels[name], self.maps[name] = np.eye(4), None, 2, None
        return name

    def addTransform(self, matrix, parent):
        name = self.fresh("transform")
        node = linearTransform(self.scene, matrix, None if parent is None else self.node(parent))
        node.SetName(name)
        self.matrix[name], self.parentOf[name] = matrix, parent
        return name

    @rule(target=transforms, matrix=matrices(), parent=transforms)
    def nest(self, matrix, parent):
        if parent not in self.matrix:
            return multiple()
        return self.addTransform(matrix, parent)

    @rule(name=results, transform=transforms)
    def put(self, name, transform):
        if name in self.own and transform in self.matrix:
            self.node(name).SetAndObserveTransformNodeID(self.node(transform).GetID())
            self.parents[name] = transform

    @rule(name=results)
    def takeOff(self, name):
        if name in self.own:
            self.node(name).SetAndObserveTransformNodeID(None)
            self.parents[name] = None

    @rule(transform=transforms, matrix=matrices())
    def change(self, transform, matrix):
        if transform in self.matrix:
            self.node(transform).SetMatrixTransformToParent(asVtk(matrix))
            self.matrix[transform] = matrix

    @rule(name=results)
    def harden(self, name):
        if name in self.own:
            self.own[name], self.parents[name] = self.place(name), None
            self.node(name).HardenTransform()

    @rule(name=results, matrix=matrices())
    def apply(self, name, matrix):
        """A script moves the segments; what is asked for next follows."""
        if name in self.own:
            self.node(name).ApplyTransformMatrix(asVtk(matrix))
            self.own[name] = matrix @ self.own[name]
            self.logic.collapse(self.node(name), self.levels[name])
            if self.maps[name]:
                self.logic.showNode(self.node(name), self.maps[name])
            if self.node(name).GetNodeReference("softseg.volumes"):
                self.logic.volumes.table(self.node(name))

    @rule(name=results, level=st.sampled_from([1, 2]))
    def fold(self, name, level):
        if name in self.own:
            assert self.logic.collapse(self.node(name), level) is None, "nobody painted"
            self.levels[name] = level

    @rule(name=results, nodeId=st.sampled_from(["brain", "left", "stem"]))
    def look(self, name, nodeId):
        if name in self.own:
            self.logic.showNode(self.node(name), nodeId, contour=nodeId == "left")
            self.maps = dict.fromkeys(self.maps, None)  # there is room for one map over the slices
            self.maps[name] = nodeId

    @rule(name=results)
    def measure(self, name):
        if name in self.own:
            self.logic.volumes.table(self.node(name))

    @rule(target=results, name=results, way=st.sampled_from(["clone", "CopyNode", "CopyContent"]))
    def copy(self, name, way):
        if name not in self.own:
            return multiple()
        node, made = self.node(name), self.fresh("copy")
        if way == "CopyNode":
            copy = self.scene.CopyNode(node)
        elif way == "clone":
            hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(self.scene)
            item = hierarchy.GetItemByDataNode(node) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), node)
            before = nodesOf(self.scene)
            slicer.vtkSlicerSubjectHierarchyModuleLogic.CloneSubjectHierarchyItem(hierarchy, item, made)
            added = [self.scene.GetNodeByID(id_) for id_ in nodesOf(self.scene) - before]
            copy = next(each for each in added if each.IsA("vtkMRMLSegmentationNode"))
        else:
            copy = self.scene.AddNewNodeByClass("vtkMRMLSegmentationNode", made)
            copy.CopyContent(node)
            assert self.logic.results.treeOf(copy) == TREE
        copy.SetName(made)
        self.own[made], self.levels[made], self.maps[made] = self.own[name], self.levels[name], None
        self.parents[made] = self.parents[name] if way == "CopyNode" else None  # Slicer copies no references there
        return made

    @rule(name=consumes(results))
    def delete(self, name):
        if name in self.own:
            self.scene.RemoveNode(self.node(name))
            for known in (self.own, self.parents, self.levels, self.maps):
                del known[name]

    @rule(transform=consumes(transforms))
    def deleteTransform(self, transform):
        """What lay under it falls back, as Slicer has it."""
        if transform in self.matrix and transform not in self.parentOf.values():
            node = self.node(transform)
            for each in (node.GetStorageNode(), node.GetDisplayNode(), node):
                if each is not None:
                    self.scene.RemoveNode(each)
            del self.matrix[transform], self.parentOf[transform]
            for name, parent in self.parents.items():
                if parent == transform:
                    self.parents[name] = None

    @rule()
    def saveAndOpen(self):
        file = f"{self.folder}/{self.fresh('scene')}.mrb"
        assert self.scene.WriteToMRB(file)
        self.scene.Clear(True)
        self.logic.forget()
        assert self.scene.ReadFromMRB(file)

    @rule()
    def anotherLogic(self):
        """As when the module is reloaded."""
        from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

        self.logic = SoftSegSlicerLogic()


Results.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=14,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestResults = pytest.mark.slow(Results.TestCase)
