"""A table node beside the views."""

import slicer


def showTable(tableNode):
    """Show a table in the table view, in a layout that has one."""
    layouts = slicer.app.layoutManager()
    if layouts is not None:
        layouts.setLayout(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)
    selection = slicer.app.applicationLogic().GetSelectionNode()
    selection.SetActiveTableID(tableNode.GetID())
    slicer.app.applicationLogic().PropagateTableSelection()
