"""Damaged scenes through the module's logic: one plain error or a default, and every other result still works.

    python Testing/reliability/scenes.py [--trials N] [--seconds N] [--seed S]

A trial builds a scene with two results of ours in MRML (by slicer-core, without an application), damages one value
that the first result keeps there (an attribute, a text, a tag, a reference, a volume), lets the module catch up as
after loading, and calls everything that panels call on both.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import sys
import time
import traceback
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import slicer
import vtk

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "SoftSegSlicer"))

from mutations import ODD_TEXTS, STRUCTURED, flip_bytes, truncate

from softseg.errors import SoftSegError
from softseg.image import Geometry
from softseg.soft import SoftParcellation
from softseg.soft.outliers import StoredOutliers
from softseg.tree import LabelTree, Node

SLOW = 2.0
GRID = Geometry((9, 8, 7), (1.5, 1.0, 2.0), (-5.0, 3.0, -7.0), (0.8, -0.6, 0.0, 0.6, 0.8, 0.0, 0.0, 0.0, 1.0))
TREE = LabelTree(
    [
        Node("head", "head", None),
        Node("background", "background", "head", value=0),
        Node("brain", "brain", "head"),
        Node("left", "left", "brain", value=7),
        Node("right", "right", "brain", value=3),
        Node("stem", "stem", "head", value=20),
    ],
    name="small",
)
_SHOWN = ("softseg.heatMap", "softseg.entropy", "softseg.outlierScore", "softseg.outliers", "softseg.leafLabels")


def parcellation() -> SoftParcellation:
    """A soft parcellation with an outlier score."""
    dense = np.full((4, *GRID.shape), 0.01, np.float32)
    for number, place in enumerate((slice(0, 2), slice(2, 4), slice(4, 6), slice(6, 8))):
        dense[number, :, place] = 0.97
    found = SoftParcellation.from_dense(dense, TREE, GRID, model="test")
    steps = np.broadcast_to(np.linspace(0, 255, GRID.shape[2]).astype(np.uint8), GRID.shape)
    return replace(found, outliers=StoredOutliers.of_volume(steps, "energy", 2.0, -10.0, 15.5))


def build(scene: slicer.vtkMRMLScene, soft: SoftParcellation, crisp: bool) -> tuple:
    """Two results in a scene: one that shows everything it can, and a healthy one; and the logic."""
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    scene.AddNode(slicer.vtkMRMLSubjectHierarchyNode())
    for name in ("Red", "Green"):
        composite = slicer.vtkMRMLSliceCompositeNode()
        composite.SetLayoutName(name)
        scene.AddNode(composite)
    logic = SoftSegSlicerLogic()
    healthy = logic.results.add(soft, name="healthy")
    if crisp:
        labels = logic.exports.labelMap(healthy)
        labels.SetName("drawn")
        return logic, logic.results.adopt(labels, TREE), healthy
    result = logic.results.add(soft, name="first")
    logic.volumes.table(result)
    logic.confidence.set(result, 0.8)
    logic.outliers.show(result)
    logic.showNode(result, "brain", contour=True)
    from SoftSegSlicerLib.Scene import References

    intervals = json.dumps({"brain": [0.1, 0.2]})
    References.setText(result, References.INTERVALS, "intervals", intervals)
    return logic, result, healthy


def calls(logic, node, scene) -> dict[str, Callable[[], object]]:
    """Everything that panels ask of a result."""

    def moved():
        transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
        matrix = vtk.vtkMatrix4x4()
        matrix.SetElement(0, 3, 5.0)
        transform.SetMatrixTransformToParent(matrix)
        node.SetAndObserveTransformNodeID(transform.GetID())
        node.HardenTransform()
        scene.RemoveNode(transform)

    return {
        "isManaged": lambda: logic.results.isManaged(node),
        "treeOf": lambda: logic.results.treeOf(node),
        "originalTree": lambda: logic.results.originalTree(node),
        "cutOf": lambda: logic.results.cutOf(node),
        "parcellationOf": lambda: logic.results.parcellationOf(node),
        "shownMap": lambda: logic.maps.shown(node),
        "heatMapStyle": lambda: logic.maps.styleOf(node),
        "styleHeatMap": lambda: logic.maps.style(node, opacity=0.5),
        "collapse": lambda: logic.collapse(node, 1),
        "showNode": lambda: logic.showNode(node, "stem"),
        "showUncertainty": lambda: logic.maps.showUncertainty(node),
        "showOutlierScore": lambda: logic.outliers.showScore(node),
        "confidenceOf": lambda: logic.confidence.of(node),
        "setConfidence": lambda: logic.confidence.set(node, 0.7),
        "answeredDepths": lambda: logic.confidence.depths(node),
        "outlierThreshold": lambda: logic.outliers.threshold(node),
        "setOutlierThreshold": lambda: logic.outliers.setThreshold(node, 3.0),
        "showOutliers": lambda: logic.outliers.show(node),
        "hideOutliers": lambda: logic.outliers.hide(node),
        "volumes": lambda: logic.volumes.table(node),
        "describe": lambda: logic.points.describe(node, (0.0, 0.0, 0.0)),
        "setTree": lambda: logic.folding.setTree(node, logic.results.treeOf(node)),
        "exportSegmentation": lambda: scene.RemoveNode(logic.exports.segmentation(node)),
        "exportLabelMap": lambda: scene.RemoveNode(logic.exports.labelMap(node)),
        "colorTable": lambda: logic.exports.colorTable(node),
        "hideHeatMap": lambda: logic.maps.hide(node),
        "copied": lambda: scene.RemoveNode(scene.CopyNode(node)),
        "moved": moved,
        "leaves": lambda: logic.collapse(node, 2),
        "removed": lambda: scene.RemoveNode(node),
    }


# -- what is damaged ----------------------------------------------------------------------------------------------


def damage(scene: slicer.vtkMRMLScene, node, rng: random.Random) -> str:
    """Damage one value that belongs to a result and say which."""
    owned = [node, *(target for target in _referenced(node) if target is not None)]
    owned += [scene.GetNthNodeByClass(n, "vtkMRMLSliceCompositeNode") for n in range(2)]
    ways = [_attribute] * 8 + [_text] * 4 + [_tag] * 2 + [_reference] * 3 + [_volume] * 2
    while True:
        said = rng.choice(ways)(scene, node, owned, rng)
        if said:
            return said


def _referenced(node) -> list:
    roles: list[str] = []
    node.GetNodeReferenceRoles(roles) if hasattr(node, "GetNodeReferenceRoles") else None
    roles = roles or [f"softseg.{name}" for name in _ROLES]
    return [node.GetNodeReference(role) for role in roles]


_ROLES = (
    *("tree", "parcellation", "heatMap", "entropy", "disagreement", "intervals", "outlierScore", "outliers"),
    *("volumes", "leafLabels", "sourceTree", "colors"),
)


def _attribute(_scene, _node, owned, rng) -> str:
    known = [(each, name) for each in owned for name in each.GetAttributeNames() if name.startswith("SoftSeg.")]
    target, name = rng.choice(known)
    value = _odd(target.GetAttribute(name), rng).encode(errors="replace").decode()  # VTK takes no others
    target.SetAttribute(name, value)
    return f"attribute {name} of {target.GetName()}: {ascii(value)[:80]}"


def _text(_scene, _node, owned, rng) -> str:
    texts = [each for each in owned if each.IsA("vtkMRMLTextNode")]
    if not texts:
        return ""
    target = rng.choice(texts)
    value = _odd(target.GetText() or "", rng)
    target.SetText(value)
    return f"text of {target.GetName()}: {ascii(value)[:80]}"


def _tag(_scene, node, _owned, rng) -> str:
    """A tree or cut on a segment, in a segmentation that comes without references, as from a file of its own."""
    segmentation = node.GetSegmentation()
    name = rng.choice(("SoftSeg.Tree", "SoftSeg.Cut"))
    for position in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(position)
        value = vtk.mutable("")
        if segment.GetTag(name, value):
            damaged = _odd(str(value), rng)
            segment.SetTag(name, damaged)
            node.SetNodeReferenceID("softseg.tree", None)
            return f"tag {name}: {ascii(damaged)[:80]}"
    return ""


def _reference(scene, node, owned, rng) -> str:
    role = f"softseg.{rng.choice(_ROLES)}"
    others = [None, "vtkMRMLNothing7", *(each.GetID() for each in owned)]
    others.append(scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode").GetID())
    target = rng.choice(others)
    node.SetNodeReferenceID(role, target)
    return f"reference {role} to {target}"


def _volume(_scene, node, _owned, rng) -> str:
    volume = node.GetNodeReference(rng.choice(_SHOWN))
    if volume is None or not volume.IsA("vtkMRMLVolumeNode"):
        return ""
    way = rng.randrange(4)
    if way == 0:
        volume.SetAndObserveImageData(None)
    elif way == 1:
        image = vtk.vtkImageData()
        image.SetDimensions(rng.choice(((1, 1, 1), (3, 200, 2), (0, 0, 0))))
        image.AllocateScalars(rng.choice((vtk.VTK_DOUBLE, vtk.VTK_UNSIGNED_CHAR, vtk.VTK_SHORT)), rng.choice((1, 3)))
        if image.GetNumberOfPoints():
            image.GetPointData().GetScalars().Fill(rng.choice((0, 5, 250)))
        volume.SetAndObserveImageData(image)
    elif way == 2:
        volume.SetAndObserveDisplayNodeID(None)
    else:
        matrix = vtk.vtkMatrix4x4()
        for at in range(3):
            matrix.SetElement(at, rng.randrange(4), rng.choice((0.0, float("nan"), 1e300, -3.0)))
        volume.SetIJKToRASMatrix(matrix)
    return f"volume {volume.GetName()}: way {way}"


def _odd(text: str, rng: random.Random) -> str:
    """Return another text: of the same kind, or of any."""
    way = rng.randrange(8)
    if way == 0:
        return rng.choice((*(odd.replace("\0", "") for odd in ODD_TEXTS), "null", "[]", "{}", "1e999", "true", "-5"))
    if way == 1:
        return "[" * rng.choice((10, 100_000))
    if way == 2:
        return base64.urlsafe_b64encode(zlib.compress(b"[" + b"0," * rng.choice((100, 20_000_000)) + b"0]")).decode()
    if way == 3:
        return "9" * 5000
    content = text.encode("utf-8", "replace")
    if way == 4:
        content = truncate(content, rng)
    elif way == 5:
        content = flip_bytes(content, rng)
    else:
        content = rng.choice(STRUCTURED)(content, rng)
    return content.decode("utf-8", "replace").replace("\0", "")


# -- trials -------------------------------------------------------------------------------------------------------


@contextmanager
def raised_in_observers():
    """Collect the exceptions of VTK's observers, which Python prints and forgets."""
    found, before = [], sys.excepthook
    sys.excepthook = lambda kind, error, trace: found.append("".join(traceback.format_exception(kind, error, trace)))
    try:
        yield found
    finally:
        sys.excepthook = before


def run_trial(number: int, seed: int, soft: SoftParcellation) -> tuple[str, list[str]]:
    """Run one trial; return what was damaged and what went wrong."""
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    rng = random.Random(f"scenes-{seed}-{number}")
    scene, faults = slicer.vtkMRMLScene(), []
    slicer.mrmlScene = scene
    with raised_in_observers() as raised:
        logic, node, healthy = build(scene, soft, crisp=rng.random() < 0.25)
        logic.forget()
        what = damage(scene, node, rng)
        scene.InvokeEvent(slicer.vtkMRMLScene.EndImportEvent)
        if rng.random() < 0.5:
            logic = SoftSegSlicerLogic()
        began = time.process_time()
        every = list(calls(logic, node, scene).items())
        if rng.random() < 0.5:
            last = every.pop()
            rng.shuffle(every)
            every.append(last)
        for name, call in every:
            faults += _fault(name, call)
        faults += [
            f"healthy {fault}"
            for name, call in calls(logic, healthy, scene).items()
            for fault in _fault(name, call, True)
        ]
        if time.process_time() - began > SLOW:
            faults.append(f"slow: {time.process_time() - began:.1f} s")
        logic.forget()
        scene.Clear(True)
    return what, faults + [f"in an observer: {text}" for text in raised]


def _fault(name: str, call: Callable[[], object], healthy: bool = False) -> list[str]:
    try:
        call()
    except SoftSegError as error:
        if healthy:
            return [f"{name}: {error}"]
        if len(str(error)) > 3000 or "\n" in str(error):
            return [f"{name}: not one short line: {str(error)[:200]}"]
    except Exception as error:  # noqa: BLE001 - what escapes is what is looked for
        where = traceback.extract_tb(error.__traceback__)[-1]
        return [f"{name}: {type(error).__name__}: {str(error)[:200]} ({Path(where.filename).name}:{where.lineno})"]
    return []


def main(arguments: Sequence[str] | None = None) -> int:
    """Run trials; 1 when one failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--first", type=int, default=0, help="number of the first trial [0]")
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    import logging

    logging.disable(logging.ERROR)
    vtk.vtkObject.GlobalWarningDisplayOff()
    soft, began, done, kinds = parcellation(), time.monotonic(), 0, Counter[str]()
    for number in range(options.first, options.first + options.trials):
        if time.monotonic() - began > options.seconds:
            break
        what, faults = run_trial(number, options.seed, soft)
        done += 1
        for fault in faults:
            kinds[fault.strip().splitlines()[-1][:160]] += 1
            print(f"{number}: {what}: {fault.strip()[-900:]}", flush=True)
    for kind, count in kinds.most_common():
        print(f"  {count}  {kind}")
    seconds = time.monotonic() - began
    print(f"{done} damaged scenes with seed {options.seed} in {seconds:.0f} s, {sum(kinds.values())} faults")
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
