"""What a result is in the scene: its tree, its cut, and where its labels come from."""

from softseg.errors import InputError

from ..Scene import LabelSource, References, TreeNode
from ..Scene.ParcellationNode import ParcellationStore
from ..Scene.SceneWatch import SceneWatch
from ..Scene.Sureness import SureSource


class ResultSources:
    """Reads results; what was decoded is kept for a while.

    Parameters
    ----------
    scene: the MRML scene.

    Attributes
    ----------
    store: ParcellationStore.
    """

    def __init__(self, scene):
        self.store = ParcellationStore()
        self._watch = SceneWatch.of(scene)
        self._lastSure = None

    def addMoveListener(self, method):
        """Call a bound method with a segmentation that moved, and whether its voxels were bent."""
        self._watch.addListener(method)

    def isManaged(self, node):
        """Whether this node is a segmentation with a label tree (also one that was read from a .seg.nrrd file)."""
        if node is None or not node.IsA("vtkMRMLSegmentationNode"):
            return False
        return References.referenced(node, References.TREE) is not None or TreeNode.carriesTree(node)

    def require(self, segmentationNode):
        """Refuse a segmentation that is no result.

        Raises
        ------
        InputError: it has no label tree.
        """
        if segmentationNode is not None and segmentationNode.GetScene() is not None:
            self._watch.settle(segmentationNode)
        if not self.isManaged(segmentationNode):
            raise InputError("this segmentation has no label tree", hint="choose a tree for it first")
        if References.referenced(segmentationNode, References.TREE) is None:
            TreeNode.restoreTree(segmentationNode)

    def treeOf(self, segmentationNode):
        """Return the LabelTree of a segmentation.

        Raises
        ------
        InputError: it has none, or the text in the scene is damaged.
        """
        self.require(segmentationNode)
        return TreeNode.treeOf(segmentationNode)

    def cutOf(self, segmentationNode):
        """Return the Cut that a segmentation shows."""
        return TreeNode.cutOf(segmentationNode, self.treeOf(segmentationNode))

    def of(self, segmentationNode):
        """Return where the labels of a result come from, with what people said about them."""
        return LabelSource.sourceOf(segmentationNode, self.store)

    def soft(self, segmentationNode):
        """Return the SoftSource that the labels of a result come from.

        Raises
        ------
        InputError: it has no soft parcellation.
        """
        source = self.of(segmentationNode)
        if not isinstance(source, LabelSource.SoftSource):
            raise InputError(
                "this segmentation has no probability maps: it does not come from a soft model",
                hint="segment the scan with a soft model, or load a soft parcellation",
            )
        return source

    def shown(self, segmentationNode):
        """Return where the labels that a segmentation shows come from: its source, held to what is sure."""
        source = self.of(segmentationNode)
        shown = SureSource.shown(source, segmentationNode, self._lastSure)
        self._lastSure = None if shown is source else shown
        return shown

    def forget(self):
        """Let go of everything that was decoded, as when the scene is closed."""
        self.store.clear()
        self._lastSure = None
