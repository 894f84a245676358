"""Right click on a result, or on a segment of it, in Data and in the views: fold, show probability, edit, export."""

import qt
import slicer
from AbstractScriptedSubjectHierarchyPlugin import AbstractScriptedSubjectHierarchyPlugin
from slicer.i18n import tr as _

from SoftSegSlicerLib.Integration.ResultMenu import ResultMenu


class SoftSegSubjectHierarchyPlugin(AbstractScriptedSubjectHierarchyPlugin):
    """Adds one submenu; Slicer makes the plug-in from this file."""

    filePath = __file__

    def __init__(self, scriptedPlugin):
        scriptedPlugin.name = "SoftSeg"
        self.action = qt.QAction(_("SoftSeg"), scriptedPlugin)
        self.action.objectName = "SoftSegAction"
        self.menu = ResultMenu(qt.QMenu())
        self.action.setMenu(self.menu.menu)
        AbstractScriptedSubjectHierarchyPlugin.__init__(self, scriptedPlugin)

    def canAddNodeToSubjectHierarchy(self, node, parentItemID):  # noqa: ARG002 - Slicer's signature
        """Own nothing: segmentations are those of the Segmentations plug-in."""
        return 0.0

    def canOwnSubjectHierarchyItem(self, itemID):  # noqa: ARG002
        """Own nothing."""
        return 0.0

    def roleForPlugin(self):
        """Return no role."""
        return "N/A"

    def itemContextMenuActions(self):
        """Return the submenu."""
        return [self.action]

    def showContextMenuActionsForItem(self, itemID):
        """Fill the submenu for an item, and show it where there is something to do."""
        node, segmentId = _chosen(itemID)
        self.action.visible = node is not None and self.menu.fill(node, segmentId)


def _chosen(itemID):
    """Return the segmentation of an item, and the id of the segment where the item is one; else None and None."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    if not itemID or hierarchy is None:
        return None, None
    node = hierarchy.GetItemDataNode(itemID)
    if node is not None:
        return (node, None) if node.IsA("vtkMRMLSegmentationNode") else (None, None)
    segmentId = hierarchy.GetItemAttribute(itemID, slicer.vtkMRMLSegmentationNode.GetSegmentIDAttributeName())
    parent = hierarchy.GetItemDataNode(hierarchy.GetItemParent(itemID)) if segmentId else None
    return (parent, segmentId) if parent is not None and parent.IsA("vtkMRMLSegmentationNode") else (None, None)
