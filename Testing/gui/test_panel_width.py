"""A panel that cannot be as narrow as Slicer's module panel loses its right edge there."""

import pytest

WIDTH = 370
"""Pixels left of 400 for a panel between the frame and the scroll bar of the module panel."""


@pytest.mark.parametrize("name", ["Segment", "Look", "Tree", "Train", "Compare"])
def test_a_panel_can_be_as_narrow_as_the_module_panel(moduleWidget, name):
    panel = moduleWidget.showPanel(name)
    assert panel.widget.layout().minimumSize().width() <= WIDTH
