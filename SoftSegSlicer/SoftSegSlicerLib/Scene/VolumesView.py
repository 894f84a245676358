"""A table node beside the views."""

import slicer

from . import Layouts


def showTable(tableNode):
    """Show a table in the table view, in a layout that has one."""
    Layouts.show(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveTableID(tableNode.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()
