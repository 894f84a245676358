"""Segment with the shipped model in the real process: a click on Apply, and a result beside the scan."""

import numpy as np
import qt
import slicer
from gui_runs import click
from SoftSegSlicerLib.Scene import Grids

from softseg.image import read_image


def addScan(path, box):
    """Add a part of a real scan; it keeps its place in space."""
    image = read_image(path)
    geometry = image.geometry.cropped([part.start for part in box], [part.stop - part.start for part in box])
    node = slicer.util.addVolumeFromArray(np.ascontiguousarray(image.array[box], np.float32), name="OAS1_0145")
    node.SetIJKToRASMatrix(Grids.arrayToMatrix(geometry.affine))
    slicer.app.processEvents()
    return node


def test_apply_segments_a_real_scan(moduleWidget, waitUntil, shared_data, screenshot):
    box = (slice(90, 154), slice(100, 164), slice(30, 94))
    scan = addScan(shared_data / "brain" / "images" / "1000.nii.gz", box)
    panel = moduleWidget.panel("Segment")
    panel.models.choose("brain-134")
    panel.inputs.selector("T1").setCurrentNode(scan)
    panel.ui.maskBox.currentIndex = panel.ui.maskBox.findData("none")  # cut out of the middle of a stripped head
    gaps, timer, clock = [], qt.QTimer(), qt.QElapsedTimer()
    timer.timeout.connect(lambda: gaps.append(clock.restart()))
    seen = []
    click(panel.ui.applyButton)
    assert panel.running
    clock.start()
    timer.start(10)

    def look():
        if panel.running and panel.ui.statusLabel.text not in seen:
            seen.append(panel.ui.statusLabel.text)
            if seen[-1].startswith("Storing"):
                timer.stop()  # what follows is no longer beside a process: the result comes into the scene
        return not panel.running

    waitUntil(look, 400)
    assert not [text for kind, text in panel.messages.messages if kind == "error"]
    node = moduleWidget.context.segmentation
    assert node.GetName() == "OAS1_0145 segmentation"
    volumes = moduleWidget.logic.volumes.ofNodes(node)
    content = np.count_nonzero(slicer.util.arrayFromVolume(scan)) / 1000  # ml: voxels of 1 mm, skull-stripped
    assert 0.8 * content < volumes["brain"].softMl < 1.1 * content
    assert any(text.startswith("Segmenting") for text in seen)
    print(f"longest gap while the process ran: {max(gaps)} ms")
    assert max(gaps) < 200
    screenshot(moduleWidget.parent, "segment-done")
