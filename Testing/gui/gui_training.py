"""What the tests of training share: people with drawn balls, a tiny training, a stand-in for the engine's process."""

from __future__ import annotations

import numpy as np
import slicer
from gui_actions import click, settle, write
from vtk.util import numpy_support

from softseg.image import Geometry

GRID = Geometry((26, 24, 22), (2.0, 2.0, 2.0))
TINY = (
    "average=0.9 validation.every=10 checkpoint_every=10 batch_size=1 plan.precision=float32 plan.spacing=[2,2,2] "
    "plan.patch_size=[16,16,16] 'plan.network={name: DynUNet, options: {filters: [4, 4, 4]}}'"
)


STAND_IN = """
import json, os, sys, time
def option(name):
    return sys.argv[sys.argv.index(name) + 1]
out, stop = option("--out"), option("--cancel-file")
os.makedirs(out, exist_ok=True)
print(json.dumps({"event": "stage", "stage": "train", "total": 100000}), flush=True)
step = 0
with open(os.path.join(out, "log.jsonl"), "a") as log:
    while not os.path.exists(stop):
        step += 1
        log.write(json.dumps({"event": "step", "step": step, "loss": 1 / step, "learning_rate": 0.1}) + "\\n")
        log.flush()
        progress = {"event": "progress", "stage": "train", "done": step, "total": 100000, "seconds_left": 9}
        print(json.dumps(progress), flush=True)
        time.sleep(0.01)
print(json.dumps({"event": "error", "kind": "cancelled", "message": "cancelled on request"}), flush=True)
sys.exit(130)
"""
"""A process that reports as a training does, at once and without end, until it is told to stop."""


def ball(middle, radius):
    k, j, i = np.mgrid[: GRID.shape[0], : GRID.shape[1], : GRID.shape[2]]
    return (k - middle[0]) ** 2 + (j - middle[1]) ** 2 + (i - middle[2]) ** 2 < radius**2


def addVolume(name, array):
    from SoftSegSlicerLib.Scene.Grids import setArray

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", name)
    setArray(node, array, GRID, numpy_support.get_vtk_array_type(array.dtype))
    return node


def addSegmentation(name, masks, volume):
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    logic = slicer.vtkSlicerSegmentationsModuleLogic
    for segment, mask in masks.items():
        segmentId = node.GetSegmentation().AddEmptySegment("", segment)
        holder = addVolume("mask", mask.astype(np.uint8))
        image = logic.CreateOrientedImageDataFromVolumeNode(holder)
        image.UnRegister(None)
        logic.SetBinaryLabelmapToSegment(image, node, segmentId, logic.MODE_REPLACE)
        slicer.mrmlScene.RemoveNode(holder)
    return node


def addPerson(name, seed, scribbles=False):
    """A noisy ball with a core; drawn in full, or as a few scribbles with some background."""
    generator = np.random.default_rng(seed)
    middle = generator.uniform(9, 14, 3)
    whole, core = ball(middle, 7), ball(middle, 4)
    image = 60.0 * whole + 60.0 * core + generator.normal(0, 15, GRID.shape)
    volume = addVolume(f"{name} T1", image.astype(np.float32))
    masks = {"core": core, "rim": whole & ~core}
    if scribbles:
        painted = np.zeros(GRID.shape, bool)
        painted[int(middle[0]) - 1 : int(middle[0]) + 2] = True
        masks = {"Background": painted & ~whole, **{key: mask & painted for key, mask in masks.items()}}
    return volume, addSegmentation(f"{name} drawn", masks, volume)


def addCase(panel, volume, labels):
    panel.ui.labelsSelector.setCurrentNode(labels)
    assert panel.ui.volumeSelector.currentNode() is volume  # suggested from the segmentation
    click(panel.ui.addCaseButton)


def choose(selector, data):
    place = selector.findData(data)
    assert place >= 0, f"{data} is not offered"
    selector.currentIndex = place
    settle()


def prepared(panel, steps=2000, people=3, scribbles=False):
    """Add people to the table and make the training tiny."""
    for number in range(people):
        addCase(panel, *addPerson(("Anna", "Ben", "Cleo")[number], number, scribbles))
    choose(panel.ui.deviceSelector, "cpu")
    choose(panel.ui.treeSelector, "own|")
    if scribbles:
        choose(panel.ui.unpaintedSelector, "unknown")
    write(panel.ui.settingsEdit, f"steps={steps} {TINY}")


def table(panel):
    tree = panel.ui.caseTable
    return [[tree.topLevelItem(row).text(column) for column in range(3)] for row in range(tree.topLevelItemCount)]


def message(panel):
    return panel.ui.messageLabel.text if panel.ui.messageLabel.visible else ""
