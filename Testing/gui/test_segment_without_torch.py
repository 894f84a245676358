"""Apply in the real process where neither PyTorch nor MONAI can be imported, and where ONNX Runtime cannot either."""

import numpy as np
import pytest
import slicer
from gui_runs import click

SHUT_OUT = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Refused())
"""


@pytest.fixture
def shutOut(tmp_path, monkeypatch):
    """Make packages unimportable in the processes that are started from now on."""

    def shut(*names):
        (tmp_path / "sitecustomize.py").write_text(SHUT_OUT.format(names=names))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    return shut


@pytest.fixture
def panel(moduleWidget):
    """The panel Segment with a small scan of a cord and the model for it."""
    k, j, i = np.mgrid[:2, :64, :64]
    values = 100 + 80 * np.exp(-((j - 32) ** 2 + (i - 32) ** 2) / 60.0) + k
    scan = slicer.util.addVolumeFromArray(values.astype(np.float32), name="cord")
    scan.SetSpacing(0.5, 0.5, 5.0)
    found = moduleWidget.panel("Segment")
    found.models.choose("cord-gm-soft")
    slicer.app.processEvents()
    found.inputs.selector("T2starw").setCurrentNode(scan)
    return found


def test_apply_works(moduleWidget, panel, shutOut, waitUntil):
    shutOut("torch", "monai")
    click(panel.ui.applyButton)
    assert panel.running
    waitUntil(lambda: not panel.running, 300)
    assert ("info", "Done: cord segmentation.") in panel.messages.messages
    node = moduleWidget.context.segmentation
    assert node.GetName() == "cord segmentation"
    volumes = moduleWidget.logic.volumes.ofNodes(node)
    inside = sum(volumes[name].softMl for name in ("background", "cord"))
    assert inside == pytest.approx(2 * 64 * 64 * 0.5 * 0.5 * 5 / 1000, rel=0.01)


def test_with_neither_one_line_names_what_installs_it(panel, shutOut, waitUntil):
    shutOut("torch", "monai", "onnxruntime", "openvino")
    click(panel.ui.applyButton)
    waitUntil(lambda: not panel.running, 300)
    (line,) = [text for kind, text in panel.messages.messages if kind == "error"]
    assert "onnxruntime is not installed" in line
    assert "pip install onnxruntime" in line
