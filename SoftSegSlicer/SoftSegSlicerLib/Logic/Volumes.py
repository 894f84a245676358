"""Volumes of the structures of a result."""

from ..Scene import Answers, Placement, References
from ..Scene.VolumesTable import counting, nodeVolumes, writeVolumesTable
from .Signal import Signal


class ResultVolumes:
    """Soft and hard volumes, and their table, which follows corrections and transforms.

    Parameters
    ----------
    results: Results.
    sources: ResultSources.

    Attributes
    ----------
    changed: Signal with a segmentation whose volumes a transform changed.
    """

    def __init__(self, results, sources):
        self.changed = Signal()
        self._results, self._sources = results, sources
        self._growths = {}

    def ofNodes(self, segmentationNode):
        """Return a NodeVolume (``softMl``, ``hardMl``, ``certainty``) for the id of every node of the tree.

        They are volumes in the world: transforms count, hardened or not. Under one that is not linear they are those
        before it; see :meth:`areWorld`. Without a soft parcellation ``softMl`` and ``certainty`` are None.
        """
        source = self._results.source(segmentationNode)
        factor = Placement.worldGrowth(segmentationNode) or 1.0
        return nodeVolumes(source, self._sources.store, factor)

    def count(self, segmentationNode):
        """Count what :meth:`ofNodes` returns in small steps: a generator of ``(done, total)``, for windows."""
        self._sources.require(segmentationNode)
        yield from counting(self._sources.of(segmentationNode), self._sources.store)

    def areWorld(self, segmentationNode):
        """Whether volumes are those in the world; not so under a transform that is not linear, until it is hardened."""
        return Placement.worldGrowth(segmentationNode) is not None

    def table(self, segmentationNode):
        """Return the table node of all volumes, filled again; with intervals where the model answered repeatedly."""
        tree, volumes = self._results.treeOf(segmentationNode), self.ofNodes(segmentationNode)
        return writeVolumesTable(segmentationNode, tree, volumes, Answers.intervalsOf(segmentationNode))

    def refresh(self, segmentationNode, _text=""):
        """Fill the table again, where there is one."""
        if References.referenced(segmentationNode, References.VOLUMES) is not None:
            self.table(segmentationNode)

    def followMove(self, segmentationNode, bent):
        """Fill the table of volumes again where a transform changed them, and tell who wants to know."""
        world = Placement.worldGrowth(segmentationNode)
        growth = (Placement.growth(segmentationNode), world)
        if self._growths.get(segmentationNode.GetID(), (1.0, 1.0)) == growth and not bent:
            return
        self._growths[segmentationNode.GetID()] = growth
        self.refresh(segmentationNode)
        self.changed.emit(segmentationNode)

    def forget(self):
        """Forget transforms, as when the scene is closed."""
        self._growths.clear()
