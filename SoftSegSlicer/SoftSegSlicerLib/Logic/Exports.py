"""Results as plain nodes of Slicer."""

from ..Scene import ColorMaps, Export, References


class Exports:
    """Segmentations, label maps and colour tables for other modules.

    Parameters
    ----------
    results: Results.
    """

    def __init__(self, results):
        self._results = results

    def segmentation(self, segmentationNode):
        """Return a new, plain segmentation with true segments at the cut, for Segment Editor and statistics."""
        self._results.source(segmentationNode)
        cut = self._results.cutOf(segmentationNode)
        name = f"{segmentationNode.GetName()} exported"
        return Export.exportSegmentation(segmentationNode, cut.tree, cut, name)

    def labelMap(self, segmentationNode):
        """Return a new label map volume at the cut, on the whole grid, with names and codes in its colour table."""
        tree = self._results.treeOf(segmentationNode)
        source = self._results.source(segmentationNode)
        name = f"{segmentationNode.GetName()} labels"
        return Export.exportLabelMap(segmentationNode, tree, source.geometry, name)

    def colorTable(self, segmentationNode):
        """Return the colour table of the whole tree, with terminology, filled again."""
        tree = self._results.treeOf(segmentationNode)
        table = ColorMaps.writeColorTable(
            References.sceneOf(segmentationNode),
            tree,
            [node.id for node in tree.nodes],
            f"{segmentationNode.GetName()} colors",
            References.referenced(segmentationNode, References.COLORS),
        )
        References.setReference(segmentationNode, References.COLORS, table)
        return table
