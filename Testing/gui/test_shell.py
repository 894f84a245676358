"""The shell in the stand-in host."""


def test_it_opens_with_the_segment_panel(moduleWidget, screenshot):
    assert list(moduleWidget.panels) == ["Segment"]
    screenshot(moduleWidget.parent, "shell")
