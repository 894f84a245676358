"""Display of results: heat maps, uncertainty, volumes, the structures under the pointer."""

import math

from softseg.errors import InputError

from ..Scene import Answers, ColorMaps, Grids, HeatMap, LabelSource, Placement, References, VolumeRendering
from ..Scene.ParcellationNode import ParcellationStore
from ..Scene.Probe import Probe, toLocal
from ..Scene.ShownMap import UNCERTAINTY, Kind, ShownMap
from ..Scene.Sureness import Sureness
from ..Scene.VolumesTable import counting, nodeVolumes, writeVolumesTable
from ..Translation import tr as _
from .Clicks import ClicksLogic
from .Surfaces import SurfacesLogic

_DOUBT = 4  # nodes between which a voxel hesitates where the uncertainty map has its last colour


class MapsLogic(ClicksLogic, SurfacesLogic):
    """Maps over the slices and numbers of a result; a map follows when the result is folded or edited."""

    onVolumesChanged = None
    """Called with a segmentation when a transform changed its volumes, or None."""

    def __init__(self):
        super().__init__()
        self._probes = ParcellationStore(most=2)
        self._growths = {}

    def collapse(self, segmentationNode, cut):
        """Show a segmentation at another cut; see :meth:`SurfacesLogic.collapse`."""
        kept = super().collapse(segmentationNode, cut)
        if self.shownMap(segmentationNode) == UNCERTAINTY:
            self._refreshMap(segmentationNode)
        return kept

    def setTree(self, segmentationNode, tree, merged=None):
        """Show a segmentation with an edited tree; see :meth:`SurfacesLogic.setTree`."""
        kept = super().setTree(segmentationNode, tree, merged)
        self._refreshMap(segmentationNode)
        return kept

    def showAlone(self, segmentationNode):
        """Show a result and hide the other results, which would lie on top of it; other segmentations stay.

        While the scene closes nothing changes: the selectors walk through what is left of it.
        """
        if segmentationNode is None or References.sceneOf(segmentationNode).IsClosing():
            return
        HeatMap.hideOthers(segmentationNode)
        for other in References.segmentations(segmentationNode):
            if other is not segmentationNode and self.isManaged(other) and other.GetDisplayVisibility():
                other.SetDisplayVisibility(False)
        if not segmentationNode.GetDisplayVisibility():
            segmentationNode.SetDisplayVisibility(True)

    def _show(self, segmentationNode, cut):
        """Show a new result for the first time, and no other one."""
        super()._show(segmentationNode, cut)
        self.showAlone(segmentationNode)

    def forget(self):
        """Let go of everything that was decoded, as when the scene is closed."""
        super().forget()
        self._probes.clear()
        self._growths.clear()

    # -- looking --------------------------------------------------------------------------------------------------

    def showNode(
        self, segmentationNode, nodeId, *, threshold=None, opacity=None, colorMap=None, contour=None, legend=None
    ):
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
        source = self._requireSoft(segmentationNode)
        node = self.treeOf(segmentationNode).node(nodeId)
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
        """Show the entropy over the nodes of the cut, 0..1 (1: all alike), as :meth:`showNode` shows a node.

        The colours end where a voxel hesitates between four nodes: at fine cuts 1 is never reached.
        """
        source = self._requireSoft(segmentationNode)
        ids = dict.fromkeys(source.remapping.knownNode(node.id) for node in self.cutOf(segmentationNode).nodes)
        array = source.parcellation.entropy(source.parcellation.tree.cut(ids), normalize=True)
        style = given(threshold=threshold, opacity=opacity, colorMap=colorMap, contour=contour, legend=legend)
        title, top = _("Uncertainty"), min(1.0, math.log(_DOUBT) / math.log(max(2, len(ids))))
        return HeatMap.show(segmentationNode, UNCERTAINTY, array, source.geometry, title, style, (0, top))

    def styleHeatMap(self, segmentationNode, **style):
        """Draw the shown map otherwise: threshold, opacity, colorMap, contour, legend; None leaves one as it is."""
        volumeNode = HeatMap.shownMap(segmentationNode)
        if volumeNode is not None:
            HeatMap.applyStyle(segmentationNode, volumeNode, given(**style))

    def heatMapStyle(self, segmentationNode):
        """Return how the shown map is drawn, or how the next one will be: a dict as for :meth:`styleHeatMap`."""
        return HeatMap.styleOf(HeatMap.shownMap(segmentationNode))

    def shownMap(self, segmentationNode):
        """Return the ShownMap that says what the map over the slices shows, None while there is none."""
        return HeatMap.whatIsShown(segmentationNode)

    def hideHeatMap(self, segmentationNode):
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

    def _requireSoft(self, segmentationNode):
        self._requireManaged(segmentationNode)
        self.takeEdits(segmentationNode)
        source = LabelSource.sourceOf(segmentationNode, self._store)
        if not isinstance(source, LabelSource.SoftSource):
            raise InputError(
                "this segmentation has no probability maps: it does not come from a soft model",
                hint="segment the scan with a soft model, or load a soft parcellation",
            )
        return source

    def nodeVolumes(self, segmentationNode):
        """Return a NodeVolume (``softMl``, ``hardMl``, ``certainty``) for the id of every node of the tree.

        They are volumes in the world: transforms count, hardened or not. Under one that is not linear they are those
        before it; see :meth:`volumesAreWorld`. Without a soft parcellation ``softMl`` and ``certainty`` are None.
        """
        self._requireManaged(segmentationNode)
        self.takeEdits(segmentationNode)
        factor = Placement.worldGrowth(segmentationNode) or 1.0
        return nodeVolumes(LabelSource.sourceOf(segmentationNode, self._store), self._store, factor)

    def countVolumes(self, segmentationNode):
        """Count what :meth:`nodeVolumes` returns in small steps: a generator of ``(done, total)``, for windows."""
        self._requireManaged(segmentationNode)
        yield from counting(LabelSource.sourceOf(segmentationNode, self._store), self._store)

    def volumesAreWorld(self, segmentationNode):
        """Whether volumes are those in the world; not so under a transform that is not linear, until it is hardened."""
        return Placement.worldGrowth(segmentationNode) is not None

    def volumesTable(self, segmentationNode):
        """Return the table node of all volumes, filled again; with intervals where the model answered repeatedly."""
        tree, volumes = self.treeOf(segmentationNode), self.nodeVolumes(segmentationNode)
        return writeVolumesTable(segmentationNode, tree, volumes, Answers.intervalsOf(segmentationNode))

    def describe(self, segmentationNode, ras):
        """Return what lies at a point: ``[(node id, share), ...]`` from the root to the largest node of the cut.

        Where labels are held to a confidence, the path ends with the deepest node that is sure.

        Parameters
        ----------
        segmentationNode: a segmentation of ours.
        ras: three numbers, mm in the world.

        Returns
        -------
        empty outside the grid, and where nothing is labelled.
        """
        probe, confidence = self._probe(segmentationNode), Sureness.of(segmentationNode).confidence
        return probe.path(toLocal(segmentationNode, ras), self.cutOf(segmentationNode), confidence)

    def _onMoved(self, segmentationNode, bent):
        """Fill the table of volumes again where a transform changed them, and tell who wants to know."""
        super()._onMoved(segmentationNode, bent)
        world = Placement.worldGrowth(segmentationNode)
        growth = (Placement.growth(segmentationNode), world)
        if self._growths.get(segmentationNode.GetID(), (1.0, 1.0)) == growth and not bent:
            return
        self._growths[segmentationNode.GetID()] = growth
        if References.referenced(segmentationNode, References.VOLUMES) is not None:
            self.volumesTable(segmentationNode)
        if self.onVolumesChanged is not None:
            self.onVolumesChanged(segmentationNode)

    def _refreshCorrected(self, segmentationNode):
        """Let map and volumes follow the corrections."""
        self._refreshMap(segmentationNode)
        if References.referenced(segmentationNode, References.VOLUMES) is not None:
            self.volumesTable(segmentationNode)

    def _probe(self, segmentationNode):
        self._requireManaged(segmentationNode)
        self.takeEdits(segmentationNode)
        source = LabelSource.sourceOf(segmentationNode, self._store)
        return self._probes.derived(id(source), lambda: Probe(source))

    def _refreshMap(self, segmentationNode):
        """Show again what the map shows, after the tree or the cut changed."""
        shown = self.shownMap(segmentationNode)
        if shown == UNCERTAINTY:
            self.showUncertainty(segmentationNode)
        elif shown is not None and shown.kind is Kind.PROBABILITY:
            if shown.nodeId in LabelSource.sourceOf(segmentationNode, self._store).remapping.known:
                self.showNode(segmentationNode, shown.nodeId, **HeatMap.styleOf(HeatMap.shownMap(segmentationNode)))
            else:
                self.hideHeatMap(segmentationNode)


def given(**style):
    """Return the parts of a style that are not None."""
    return {name: value for name, value in style.items() if value is not None}
