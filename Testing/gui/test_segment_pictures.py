"""Pictures of the Segment panel in the states people see."""

import numpy as np
import slicer


def addHead(name="head", spacing=1.0, skull=False):
    """Add a volume that looks to the checks like a skull-stripped head."""
    array = np.full((60, 72, 60), 5.0 if skull else 0.0, np.float32)
    array[12:48, 14:60, 12:48] = 100
    node = slicer.util.addVolumeFromArray(array, name=name)
    node.SetSpacing(spacing, spacing, spacing)
    return node


def test_idle(moduleWidget, screenshot):
    screenshot(moduleWidget.parent, "segment-idle")


def test_ready_with_options_open(moduleWidget, screenshot):
    panel = moduleWidget.panel("Segment")
    panel.inputs.selector("T1").setCurrentNode(addHead(spacing=2.5, skull=True))
    panel.ui.optionsSection.collapsed = False
    panel.ui.batchSection.collapsed = False
    assert panel.ui.applyButton.enabled
    screenshot(moduleWidget.parent, "segment-options")
