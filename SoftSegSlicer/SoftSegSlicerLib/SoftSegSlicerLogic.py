"""Everything the module does, without its widgets: for the Python console, headless scripts and the panels."""

from .Logic.Looking import LookingLogic
from .Process.HeadlessRunner import HeadlessRunner
from .Process.Outcomes import raiseUnlessDone
from .Scene import ColorMaps, Export, LabelSource, References, SegmentJob


class SoftSegSlicerLogic(LookingLogic):
    """Results in the scene: made, folded, shown as heat maps, measured, edited.

    A result is one segmentation node. Its tree, soft parcellation, heat map and volumes are nodes that it refers to, so
    a saved scene brings all of them back. ``slicer.mrmlScene`` must be set; an application is not needed.
    """

    # -- segmenting -----------------------------------------------------------------------------------------------

    def segment(
        self, volumes, model="brain-134", *, cut=None, device="auto", mask=None, outputFolder=None, onEvent=None
    ):
        """Segment a scan with the engine in a process of its own, and wait for it.

        Parameters
        ----------
        volumes: scalar volume node, or a list of them: one per channel of the model.
        model: name of a shipped model, or a model folder.
        cut: what is shown at first: a level, a Cut, or node ids; the leaves by default.
        device: "auto", "cpu" or "cuda:N".
        mask: what is outside is blanked: ``(segmentation node, segment id)`` or a label map node.
        outputFolder: where the engine's files stay; a temporary folder by default.
        onEvent: called with each event of the engine (docs/events.md).

        Returns
        -------
        the new segmentation node.

        Raises
        ------
        InputError, OutOfMemoryError, CancelledError: as the engine says; nothing is added to the scene.
        """
        job = self.prepareSegment(volumes, model, cut=cut, device=device, mask=mask, outputFolder=outputFolder)
        try:
            runner = HeadlessRunner()
            runner.start(job.arguments, onEvent or _ignore, _ignore)
            raiseUnlessDone(runner.wait())
        except BaseException:
            self.discardSegment(job)
            raise
        return self.finishSegment(job)

    def prepareSegment(self, volumes, model, *, cut=None, device="auto", mask=None, outputFolder=None):
        """Return the SegmentJob for a runner: what :meth:`segment` does before the engine starts.

        Raises
        ------
        InputError: no volume, an empty one, or a mask that does not fit.
        """
        nodes = list(volumes) if isinstance(volumes, (list, tuple)) else [volumes]
        return SegmentJob.prepare(nodes, model, cut, device, mask, outputFolder)

    def finishSegment(self, job):
        """Return the segmentation node of a job whose process is done, with its table of volumes.

        Raises
        ------
        InputError: the engine left no result, or the cut does not fit its tree.
        """
        try:
            segmentationNode = self.loadParcellation(job.softFile(), job.volumeNode())
            if job.volumeNode() is None:
                segmentationNode.SetName(f"{job.case} segmentation")
            if job.cut is not None:
                self.collapse(segmentationNode, job.cut)
            self.volumesTable(segmentationNode)
            return segmentationNode
        finally:
            job.discard()

    def discardSegment(self, job):
        """Forget a job that failed or was cancelled."""
        job.discard()

    # -- handing on -----------------------------------------------------------------------------------------------

    def exportSegmentation(self, segmentationNode):
        """Return a new, plain segmentation with true segments at the cut, for Segment Editor and statistics."""
        cut = self.cutOf(segmentationNode)
        name = f"{segmentationNode.GetName()} exported"
        return Export.exportSegmentation(segmentationNode, cut.tree, cut, name)

    def exportLabelMap(self, segmentationNode):
        """Return a new label map volume at the cut, on the whole grid, with names and codes in its colour table."""
        tree = self.treeOf(segmentationNode)
        source = LabelSource.sourceOf(segmentationNode, self._store)
        name = f"{segmentationNode.GetName()} labels"
        return Export.exportLabelMap(segmentationNode, tree, source.geometry, source.box, name)

    def colorTable(self, segmentationNode):
        """Return the colour table of the whole tree, with terminology, filled again."""
        tree = self.treeOf(segmentationNode)
        table = ColorMaps.writeColorTable(
            References.sceneOf(segmentationNode),
            tree,
            [node.id for node in tree.nodes],
            f"{segmentationNode.GetName()} colors",
            References.referenced(segmentationNode, References.COLORS),
        )
        References.setReference(segmentationNode, References.COLORS, table)
        return table


def _ignore(_):
    """Take an event or an outcome that nobody asked for."""
