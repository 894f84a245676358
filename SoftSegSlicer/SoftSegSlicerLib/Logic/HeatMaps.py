"""Maps over the slices: probabilities, uncertainty, decisions, disagreement."""

import math

from softseg.errors import InputError

from ..Scene import ColorMaps, Grids, HeatMap, References, VolumeRendering
from ..Scene.ShownMap import DISAGREEMENT, UNCERTAINTY, Kind, ShownMap
from ..Translation import tr as _

_DOUBT = 4  # nodes between which a voxel hesitates where the uncertainty map has its last colour


class HeatMaps:
    """The map over the slices; it follows when the result is folded, edited or corrected.

    Parameters
    ----------
    results: Results.
    """

    def __init__(self, results):
        self._results = results

    # -- one structure, the labels ------------------------------------------------------------------------------------

    def show(self, segmentationNode, nodeId, *, threshold=None, opacity=None, colorMap=None, contour=None, legend=None):
        """Show the probability of a node as heat map over the slices; segments become outlines meanwhile.

        Parameters
        ----------
        segmentationNode: a segmentation with a soft parcellation.
        nodeId: any node of its tree.
        threshold: shares below it are not drawn, 0..1 (0.05 at first).
        opacity: 0..1 (0.6 at first).
        colorMap: name of a colour map, see :meth:`colorMaps` ("Inferno" at first).
        contour: whether the contour at 0.5 is drawn (not at first).
        legend: whether the legend is there (it is at first).
            What is not given stays as it is.

        Returns
        -------
        the scalar volume node of the heat map, values 0..1; the same one every time.

        Raises
        ------
        InputError: no such node, it was split off after the prediction, or there is no soft parcellation.
        """
        source = self._results.soft(segmentationNode)
        node = self._results.treeOf(segmentationNode).node(nodeId)
        if nodeId not in source.remapping.known:
            raise InputError(
                f"'{node.name}' has no probability of its own: it was split off after the prediction",
                hint="show the node above it",
            )
        own = Grids.arrayFor(
            References.referenced(segmentationNode, References.HEAT_MAP), source.geometry, HeatMap.SCALAR_TYPE
        )
        array = source.parcellation.probability(nodeId, own)
        style = given(threshold=threshold, opacity=opacity, colorMap=colorMap, contour=contour, legend=legend)
        return HeatMap.show(segmentationNode, ShownMap.probability(nodeId), array, source.geometry, node.name, style)

    def showUncertainty(
        self, segmentationNode, *, threshold=None, opacity=None, colorMap=None, contour=None, legend=None
    ):
        """Show the entropy over the nodes of the cut, 0..1 (1: all alike), as :meth:`show` shows a node.

        The colours end where a voxel hesitates between four nodes: at fine cuts 1 is never reached.
        """
        source = self._results.soft(segmentationNode)
        ids = dict.fromkeys(source.remapping.knownNode(node.id) for node in self._results.cutOf(segmentationNode).nodes)
        array = source.parcellation.entropy(source.parcellation.tree.cut(ids), normalize=True)
        style = given(threshold=threshold, opacity=opacity, colorMap=colorMap, contour=contour, legend=legend)
        title, top = _("Uncertainty"), min(1.0, math.log(_DOUBT) / math.log(max(2, len(ids))))
        return HeatMap.show(segmentationNode, UNCERTAINTY, array, source.geometry, title, style, (0, top))

    def style(self, segmentationNode, **style):
        """Draw the shown map otherwise: threshold, opacity, colorMap, contour, legend; None leaves one as it is."""
        volumeNode = HeatMap.shownMap(segmentationNode)
        if volumeNode is not None:
            HeatMap.applyStyle(segmentationNode, volumeNode, given(**style))

    def styleOf(self, segmentationNode):
        """Return how the shown map is drawn, or how the next one will be: a dict as for :meth:`style`."""
        return HeatMap.styleOf(HeatMap.shownMap(segmentationNode))

    def shown(self, segmentationNode):
        """Return the ShownMap that says what the map over the slices shows, None while there is none."""
        return HeatMap.whatIsShown(segmentationNode)

    def hide(self, segmentationNode):
        """Take the map off the slices; segments look as before."""
        volumeNode = HeatMap.shownMap(segmentationNode)
        if volumeNode is not None:
            VolumeRendering.show(volumeNode, False)
        HeatMap.hide(segmentationNode)

    def showVolumeRendering(self, segmentationNode, on):
        """Show the present map as a cloud in the 3D views, or stop showing it.

        Raises
        ------
        InputError: no map is shown.
        """
        volumeNode = HeatMap.shownMap(segmentationNode)
        if volumeNode is None:
            raise InputError("no map is shown", hint="choose a structure first")
        return VolumeRendering.show(volumeNode, on)

    def volumeRenderingShown(self, segmentationNode):
        """Whether the present map is shown as a cloud in the 3D views."""
        volumeNode = HeatMap.shownMap(segmentationNode)
        return volumeNode is not None and VolumeRendering.isShown(volumeNode)

    def colorMaps(self):
        """Return the names of the colour maps for heat maps that the scene has."""
        return ColorMaps.colorMaps(References.sceneOf())

    # -- one decision -------------------------------------------------------------------------------------------------

    def decisionOf(self, segmentationNode, nodeId):
        """Return the id of the node in which a decision is made: the node, or where it has no parts, the one above.

        None where the tree holds no decision, or nothing is known about the node.
        """
        known = self._results.soft(segmentationNode).remapping.known
        if nodeId not in known:
            return None
        return next((node.id for node in reversed(known.path(nodeId)) if len(known.children(node.id)) > 1), None)

    def showDecision(self, segmentationNode, nodeId, *, threshold=None, opacity=None, colorMap=None, legend=None):
        """Show how undecided every voxel is between the parts of a node, 0..1, as :meth:`show` shows a node.

        A voxel may be sure of the cortex and not know the gyrus. Of a node without parts it is the decision in the node
        above it. Where the node itself has next to no share, nothing is to be decided, and the map is 0.

        Raises
        ------
        InputError: there is no soft parcellation, or no decision.
        """
        deciding = self.decisionOf(segmentationNode, nodeId)
        if deciding is None:
            raise InputError("this node has no children to decide between", hint="choose a structure that has children")
        source = self._results.soft(segmentationNode)
        style = given(threshold=threshold, opacity=opacity, colorMap=colorMap, contour=False, legend=legend)
        title = _("Uncertainty within {name}").format(name=self._results.treeOf(segmentationNode).node(deciding).name)
        return HeatMap.show(
            segmentationNode,
            ShownMap.decision(deciding),
            source.parcellation.branch_entropy(deciding, normalize=True),
            source.geometry,
            title,
            style,
        )

    # -- repeated predictions -----------------------------------------------------------------------------------------

    def hasDisagreement(self, segmentationNode):
        """Whether the model answered repeatedly and it is known how much the answers differ."""
        return References.referenced(segmentationNode, References.DISAGREEMENT) is not None

    def showDisagreement(self, segmentationNode, *, threshold=None, opacity=None, colorMap=None, legend=None):
        """Show how much repeated answers differ (mutual information, nats), as :meth:`show` shows a node.

        The last colour stands for ln 2: half of the answers say one thing for sure, the others another. 0 is where all
        agree, also where they agree on being unsure.

        Raises
        ------
        InputError: the model predicted only once.
        """
        volumeNode = References.referenced(segmentationNode, References.DISAGREEMENT)
        if volumeNode is None:
            raise InputError("the model predicted only once", hint="segment the scan with the option 'Uncertainty'")
        style = given(threshold=threshold, opacity=opacity, colorMap=colorMap, contour=False, legend=legend)
        return HeatMap.show(
            segmentationNode,
            DISAGREEMENT,
            Grids.arrayOf(volumeNode.GetImageData()),
            Grids.geometryOfVolume(volumeNode),
            _("Disagreement"),
            style,
            (0, math.log(2)),
        )

    # -- following ----------------------------------------------------------------------------------------------------

    def followFold(self, segmentationNode):
        """Show again what depends on the cut."""
        if self.shown(segmentationNode) == UNCERTAINTY:
            self.showUncertainty(segmentationNode)

    def refresh(self, segmentationNode, _text=""):
        """Show again what the map shows, after the tree or the corrections changed."""
        shown = self.shown(segmentationNode)
        if shown is None:
            return
        if shown.kind is Kind.UNCERTAINTY:
            self.showUncertainty(segmentationNode)
        elif shown.kind is Kind.DECISION and self.decisionOf(segmentationNode, shown.nodeId) is not None:
            self.showDecision(segmentationNode, shown.nodeId)
        elif shown.kind is Kind.PROBABILITY and shown.nodeId in self._results.source(segmentationNode).remapping.known:
            self.show(segmentationNode, shown.nodeId, **self.styleOf(segmentationNode))
        elif shown.kind in (Kind.DECISION, Kind.PROBABILITY):
            self.hide(segmentationNode)


def given(**style):
    """Return the parts of a style that are not None."""
    return {name: value for name, value in style.items() if value is not None}
