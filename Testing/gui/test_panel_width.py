"""Slicer's module panel gives a panel the width that it hints at: a wider one loses its right edge there."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

WIDTH = 370
"""Pixels left of 400 for a panel between the frame and the scroll bar of the module panel."""

FORMS = sorted((Path(__file__).resolve().parents[2] / "SoftSegSlicer" / "Resources" / "UI").glob("*.ui"))


@pytest.mark.parametrize("name", ["Segment", "Look", "Tree", "Train", "Compare"])
def test_a_panel_hints_at_the_width_of_the_module_panel(moduleWidget, name):
    assert moduleWidget.showPanel(name).widget.sizeHint.width() <= WIDTH


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.stem)
def test_no_text_that_wraps_widens_its_panel(form):
    labels = ElementTree.parse(form).iterfind(".//widget[@class='QLabel']")  # noqa: S314 - our own file
    wrapping = [label for label in labels if label.find("property[@name='wordWrap']/bool") is not None]
    policies = {label.get("name"): label.find("property[@name='sizePolicy']/sizepolicy") for label in wrapping}
    wide = [name for name, policy in policies.items() if policy is None or policy.get("hsizetype") != "Ignored"]
    assert wide == []
