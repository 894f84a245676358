"""What the Look tree says of each structure beside its name: volume and mean certainty."""

import math

from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from SoftSegSlicerLib.Panels.Widgets.LabelTreeWidget import TreeColumn
from SoftSegSlicerLib.Panels.Widgets.VolumeCount import VolumeCount

__all__ = ["VolumeColumns", "milliliters"]

UNKNOWN = "\N{EN DASH}"


def milliliters(volume: float) -> str:
    """Return a volume in ml with about three digits."""
    if volume >= 100:
        return f"{volume:.0f}"
    return f"{volume:.1f}" if volume >= 10 else f"{volume:.2f}"


class VolumeColumns:
    """Texts of the two columns; nothing until the volumes are known."""

    def __init__(self):
        self._volumes, self._counting = {}, None
        self.soft = False

    def setUp(self, tree) -> None:
        """Give a LabelTreeWidget the columns."""
        tree.setColumns(
            _("Structure"),
            [
                TreeColumn(_("ml"), "", self.volumeText, "1234.5"),
                TreeColumn(_("Certainty"), "", self.certaintyText, "100 %"),
            ],
        )

    def clear(self, soft: bool) -> None:
        """Forget the volumes; ``soft`` says whether the next ones come from soft maps."""
        self._volumes = {}
        self.soft = soft

    def count(self, logic, segmentationNode, onDone) -> None:
        """Count the volumes between what the user does; ``onDone()`` is called when they are known."""
        if self._counting is None:
            self._counting = VolumeCount(logic)
        self._counting.start(segmentationNode, onDone)

    def fill(self, tree, logic, node, onError):
        """Show the volumes of a segmentation in a LabelTreeWidget; ``onError`` is called with what kept it."""
        volumes = {}
        try:
            volumes = logic.volumes.ofNodes(node)
        except SoftSegError as error:
            onError(error)
        self.set(volumes)
        self.explain(tree.headerItem(), logic.volumes.areWorld(node))
        tree.refreshCells()

    def set(self, volumes) -> None:
        """Take volumes: from node ids to objects with softMl, hardMl (ml) and certainty (0..1 or nan)."""
        self._volumes = dict(volumes)

    def volumeText(self, node) -> str:
        """Return the soft volume of a node, or the hard one where there are no soft maps."""
        volume = self._volumes.get(node.id)
        if volume is None:
            return ""
        return milliliters(volume.softMl if self.soft else volume.hardMl)

    def certaintyText(self, node) -> str:
        """Return the mean certainty of a node in percent."""
        volume = self._volumes.get(node.id)
        if volume is None and self.soft:
            return ""
        if not self.soft or volume.certainty is None or math.isnan(volume.certainty):
            return UNKNOWN
        return f"{volume.certainty:.0%}"

    def explain(self, header, world: bool = True) -> None:
        """Say in the header's tool tips what the columns hold, or why they hold nothing.

        Parameters
        ----------
        world: whether volumes are those in the world; not so under a transform that is not linear.
        """
        text = _("Soft volume: the sum of the structure's probabilities, in ml") if self.soft else _("Volume in ml")
        if not world:
            text += _(", before the transform, which is not linear")
        header.setToolTip(1, text)
        header.setToolTip(
            2,
            _("Certainty: mean probability of the structure in the voxels labelled with it")
            if self.soft
            else _("Off: this segmentation has no probability maps, so its certainty is unknown"),
        )
