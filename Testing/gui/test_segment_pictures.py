"""Pictures of the Segment panel in the states people see; SOFTSEG_SCREENSHOTS=FOLDER keeps them."""

import pytest
from gui_runs import Dependencies, Runner, addHead, click
from PySide6.QtGui import QImage


@pytest.fixture
def runner(moduleWidget):
    runner = Runner()
    moduleWidget.context.makeRunner = lambda: runner
    moduleWidget.panel("Segment").dependencies = Dependencies()
    return runner


def differ(paths):
    """Whether the light and the dark picture are really light and dark, and of the panel's width."""
    light, dark = (QImage(str(path)) for path in paths)
    assert light.width() == dark.width() == 400
    return light.pixelColor(5, 400).lightness() > 150 > dark.pixelColor(5, 400).lightness()


def test_idle(moduleWidget, screenshot):
    assert differ(screenshot(moduleWidget.parent, "segment-idle"))


def test_the_card_of_a_model(moduleWidget, screenshot):
    panel = moduleWidget.panel("Segment")
    addHead("OAS1_0145")
    panel.ui.modelSummary.linkActivated.emit("card")
    assert differ(screenshot(moduleWidget.parent, "segment-card"))


def test_options(moduleWidget, screenshot):
    panel = moduleWidget.panel("Segment")
    addHead("OAS1_0145", skull=True)
    panel.ui.optionsSection.collapsed = False
    assert panel.ui.applyButton.enabled
    assert differ(screenshot(moduleWidget.parent, "segment-options"))


def test_running(moduleWidget, runner, screenshot):
    panel = moduleWidget.panel("Segment")
    addHead("OAS1_0145")
    click(panel.ui.applyButton)
    runner.send("stage", stage="predict", total=27)
    runner.send("progress", stage="predict", done=11, total=27, seconds_left=38.0)
    assert differ(screenshot(moduleWidget.parent, "segment-running"))


def test_failed(moduleWidget, runner, screenshot):
    panel = moduleWidget.panel("Segment")
    addHead("OAS1_0145")
    click(panel.ui.applyButton)
    runner.end(
        "failed",
        "The probabilities of 135 classes take 6.1 GB, but only 3.9 GB of memory are free.",
        "Close other programs, or choose a smaller scan.",
        3,
    )
    assert differ(screenshot(moduleWidget.parent, "segment-failed"))


def test_several_scans(moduleWidget, runner, screenshot):
    panel = moduleWidget.panel("Segment")
    for number in (145, 162, 180, 204):
        addHead(f"OAS1_0{number}")
    panel.ui.batchSection.collapsed = False
    click(panel.ui.batchButton)
    runner.end("failed", "the image is constant", "", 2)
    runner.send("stage", stage="predict", total=27)
    runner.send("progress", stage="predict", done=20, total=27, seconds_left=11.0)
    assert differ(screenshot(moduleWidget.parent, "segment-batch"))
