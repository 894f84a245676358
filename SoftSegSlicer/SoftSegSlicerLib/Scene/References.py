"""What belongs to a segmentation of ours: node references, attributes, and the text nodes that carry data."""

import slicer

from softseg.errors import InputError

from . import Stored

TREE = "softseg.tree"
PARCELLATION = "softseg.parcellation"
CORRECTIONS = "softseg.corrections"
"""What people said about voxels; see CorrectionsNode."""
INPUT = "softseg.input"
HEAT_MAP = "softseg.heatMap"
ENTROPY = "softseg.entropy"
DISAGREEMENT = "softseg.disagreement"
INTERVALS = "softseg.intervals"
MASK = "softseg.mask"
"""The probability by which the engine multiplied a result."""
OUTLIER_SCORE = "softseg.outlierScore"
OUTLIERS = "softseg.outliers"
VOLUMES = "softseg.volumes"
LEAF_LABELS = "softseg.leafLabels"
SOURCE_TREE = "softseg.sourceTree"
"""Tree of the unfolded labels or of the stored parcellation, from before any edit."""
CONTOUR = "softseg.contour"
COLORS = "softseg.colors"

COMPARISON = tuple(f"softseg.comparison.{part}" for part in ("table", "bars", "chart", "series", "softSeries"))
"""Table, plot and series of what a comparison found."""

KINDS = {
    **dict.fromkeys((TREE, SOURCE_TREE, PARCELLATION, INTERVALS), "vtkMRMLTextNode"),
    **dict.fromkeys((HEAT_MAP, ENTROPY, DISAGREEMENT, OUTLIER_SCORE, MASK), "vtkMRMLScalarVolumeNode"),
    **dict.fromkeys((OUTLIERS, LEAF_LABELS), "vtkMRMLLabelMapVolumeNode"),
    INPUT: "vtkMRMLVolumeNode",
    VOLUMES: "vtkMRMLTableNode",
    CONTOUR: "vtkMRMLModelNode",
    COLORS: "vtkMRMLColorNode",
}
"""Class of the nodes that a reference may name."""

OF_ALL = "SoftSeg.OfAll"
"""On nodes that all results of a scene use: they go with the last one."""

CUT = "SoftSeg.Cut"
MERGED = "SoftSeg.Merged"
SURENESS = "SoftSeg.Sureness"
"""JSON: what the labels are held to; see :class:`SoftSegSlicerLib.Scene.Sureness.Sureness`."""
LOOKS = "SoftSeg.Looks"
"""JSON: what people set for segments that are folded now; see SegmentLooks."""
SELECTED = "SoftSeg.Selected"
"""JSON, on Segment Editor's node: the segment that people selected, while another one stands in for it."""
GRID = "SoftSeg.Grid"
"""JSON: on which grid the result lies, in the segmentation's own coordinates; see Placement."""
TURN = "SoftSeg.Turn"
"""JSON, on a map: how it counts the voxels of the grid, where that is not as the grid does; see Placement."""
SHOWN_NODE = "SoftSeg.ShownNode"
MAP = "SoftSeg.Map"
"""On the volume of a map: the reference that names it."""
CONTENT = "SoftSeg.Content"
"""On a text node: digest of what it carries."""

LEAVING: set = set()
"""Segmentations that are being removed: still in the scene, but no longer in the subject hierarchy."""


def sceneOf(node=None):
    """Return the scene of a node, or the application's.

    Raises
    ------
    RuntimeError: there is none (set ``slicer.mrmlScene`` when no application does).
    """
    scene = node.GetScene() if node is not None else getattr(slicer, "mrmlScene", None)
    if scene is None:
        raise RuntimeError("there is no MRML scene: set slicer.mrmlScene")
    return scene


def segmentations(node):
    """Return the segmentation nodes of the scene of a node, without those that are being removed."""
    scene = sceneOf(node)
    count = scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")
    found = [scene.GetNthNodeByClass(number, "vtkMRMLSegmentationNode") for number in range(count)]
    return [each for each in found if each not in LEAVING]


def addNode(scene, className, name, hidden=False, attributes=None):
    """Return a new node with a name that no other node has; hidden ones do not appear in selectors and trees.

    Its attributes are there before the scene tells of it.
    """
    node = scene.CreateNodeByClass(className)
    node.UnRegister(None)
    node.SetName(scene.GenerateUniqueName(name))
    node.SetHideFromEditors(hidden)
    for key, value in (attributes or {}).items():
        node.SetAttribute(key, value)
    return scene.AddNode(node)


def isMap(volumeNode):
    """Whether a volume is a map or mask of a result, not a scan or labels of people."""
    return any(volumeNode.GetAttribute(name) is not None for name in (MAP, SHOWN_NODE))


def referenced(node, role):
    """Return the node that ``node`` refers to, or None: where there is none, and where a damaged scene names another.

    What a reference may name is said in :data:`KINDS`.
    """
    target = node.GetNodeReference(role)
    if target is None or role not in KINDS or target.IsA(KINDS[role]):
        return target
    Stored.tell(
        InputError(
            f"the reference {role} names '{target.GetName()}', which is no {KINDS[role][len('vtkMRML') :]}",
            file=f"'{node.GetName()}' in the scene",
        )
    )
    return None


def setReference(node, role, target):
    """Let ``node`` refer to ``target`` (None: to nothing)."""
    node.SetNodeReferenceID(role, None if target is None else target.GetID())


def removeReferenced(node, role):
    """Remove the node that ``node`` refers to from the scene, if there is one, with its display and storage nodes."""
    target = referenced(node, role)
    setReference(node, role, None)
    if target is not None:
        scene = target.GetScene()
        for each in (target, *displayAndStorageOf(target)):
            scene.RemoveNode(each)


def referencing(node):
    """Return the nodes of the scene that refer to a node."""
    scene = node.GetScene()
    numbers = range(scene.GetNumberOfNodeReferences())
    found = [scene.GetNthReferencingNode(n) for n in numbers if scene.GetNthReferencedID(n) == node.GetID()]
    return [each for each in found if each is not None]


def displayAndStorageOf(node):
    """Return the display and storage nodes of a node."""
    found = []
    if node.IsA("vtkMRMLDisplayableNode"):
        found += [node.GetNthDisplayNode(number) for number in range(node.GetNumberOfDisplayNodes())]
    if node.IsA("vtkMRMLStorableNode"):
        found += [node.GetNthStorageNode(number) for number in range(node.GetNumberOfStorageNodes())]
    return [each for each in found if each is not None]


def textOf(node, role):
    """Return the text of the text node that ``node`` refers to, or None."""
    target = referenced(node, role)
    return None if target is None else target.GetText() or ""


def setText(node, role, name, text):
    """Write ``text`` into the hidden text node that ``node`` refers to, made when missing, and return it."""
    target = referenced(node, role)
    if target is None:
        target = addNode(sceneOf(node), "vtkMRMLTextNode", name, hidden=True)
        setReference(node, role, target)
    if target.GetText() != text:
        target.SetText(text)
    return target
