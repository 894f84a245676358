"""Results beside their input: subject hierarchy, parent transform, default display."""

import slicer

from . import References


def placeBeside(node, volumeNode):
    """Put a node under the subject hierarchy parent of another one and, if it can move, under its parent transform."""
    if node.IsA("vtkMRMLTransformableNode"):
        node.SetAndObserveTransformNodeID(volumeNode.GetTransformNodeID())
    listBeside(node, volumeNode)


def listBeside(node, volumeNode):
    """Put a node under the subject hierarchy parent of another one; transforms stay as they are."""
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(References.sceneOf(node))
    if hierarchy is None:
        return
    beside = hierarchy.GetItemByDataNode(volumeNode) or hierarchy.CreateItem(hierarchy.GetSceneItemID(), volumeNode)
    parent = hierarchy.GetItemParent(beside)
    item = hierarchy.GetItemByDataNode(node)
    if item:
        hierarchy.SetItemParent(item, parent)
    else:
        hierarchy.CreateItem(parent, node)
