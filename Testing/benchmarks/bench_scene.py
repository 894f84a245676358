"""A head of 1 mm with 134 structures in the MRML scene: how long people wait for it.

Folding relabels the shared layer in place; the peer is what a rebuilt segmentation takes: one import of the same
labels.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from bench_parcellation import _head, _seconds
from measure import Line

REPOSITORY = Path(__file__).resolve().parents[2]
SUITE = "scene"
TARGETS = {"fold": 0.15, "map": 0.2, "hover": 5e-3, "stroke": 0.2}


def run(quick: bool) -> list[Line]:
    """Measure one head; ``quick`` takes every second voxel. Nothing where slicer-core is not installed."""
    try:
        import slicer
    except ImportError:
        return []
    sys.path.insert(0, str(REPOSITORY / "SoftSegSlicer"))
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    slicer.mrmlScene = slicer.vtkMRMLScene()
    logic, head, rounds = SoftSegSlicerLogic(), _head(quick), 3 if quick else 9
    with tempfile.TemporaryDirectory() as folder:
        file = head.save(Path(folder) / "head.soft.npz")
        begin = time.perf_counter()
        node = logic.results.load(file)
        loaded = time.perf_counter() - begin
    size = " x ".join(map(str, head.geometry.size))
    lines = [Line(SUITE, "load", loaded, 3.0, "s", "limit", 1.0, f"file to segments; grid {size}")]
    rebuilt = _rebuild(slicer, logic, node)
    for level in range(1, head.tree.depth + 1):
        first = _once(lambda level=level: logic.collapse(node, level))
        seconds = _median(lambda level=level: _alternate(logic, node, level, head.tree.depth), rounds)
        note = f"first time {first * 1e3:.0f} ms; a rebuild {rebuilt:.2f} s"
        limit = TARGETS["fold"] * 1e3
        lines.append(Line(SUITE, f"fold to level {level}", seconds * 1e3, limit, "ms", "limit", 1.0, note))
    logic.collapse(node, head.tree.depth)
    return lines + _maps(logic, node, rounds) + _strokes(logic, node, 2 * rounds)


def _maps(logic: Any, node: Any, rounds: int) -> list[Line]:
    tree = logic.results.treeOf(node)
    lines = []
    for id_ in (tree.root.id, tree.children(tree.root.id)[-1].id, tree.leaves[len(tree.leaves) // 2].id):
        first = _once(lambda id_=id_: logic.showNode(node, id_))
        seconds = _seconds(lambda id_=id_: _unasked(logic, node).showNode(node, id_), rounds)
        note = f"first time {first * 1e3:.0f} ms"
        lines.append(Line(SUITE, f"heat map of '{id_}'", seconds * 1e3, TARGETS["map"] * 1e3, "ms", "limit", 1.0, note))
    seconds = _seconds(lambda: _unasked(logic, node).showNode(node, tree.leaves[-1].id, contour=True), rounds)
    lines.append(Line(SUITE, "heat map with contour", seconds * 1e3, TARGETS["map"] * 1e3, "ms", "limit", 1.0))
    seconds = _seconds(lambda: _unasked(logic, node).maps.showUncertainty(node), rounds)
    lines.append(Line(SUITE, "uncertainty", seconds * 1e3, TARGETS["map"] * 1e3, "ms", "limit", 1.0))
    logic.maps.hide(node)
    points = np.random.default_rng(0).uniform(-60, 60, (200, 3))
    hover = _seconds(lambda: [logic.points.describe(node, point) for point in points], 3) / len(points)
    lines.append(Line(SUITE, "hover", hover * 1e3, TARGETS["hover"] * 1e3, "ms", "limit", 1.0))
    renamed = tree.rename(tree.leaves[3].id, "another name")
    seconds = _once(lambda: logic.folding.setTree(node, renamed))
    lines.append(Line(SUITE, "rename a leaf", seconds * 1e3, TARGETS["fold"] * 1e3, "ms", "limit", 1.0))
    return lines


def _strokes(logic: Any, node: Any, rounds: int) -> list[Line]:
    """Paint balls of 10,000 voxels into the segments of level 3 under a map, and let the result follow."""
    from SoftSegSlicerLib.Scene import Grids, Segments

    from softseg.soft.correcting import ball
    from softseg.soft.corrections import nearest

    logic.collapse(node, 3)
    parcellation, cut = logic.results.parcellationOf(node), logic.results.cutOf(node)
    logic.showNode(node, cut.nodes[-1].id)
    logic.volumes.table(node)
    nearest.prepare()  # as Edit does
    places, random = np.argwhere(parcellation.entropy(cut) > 0.3), np.random.default_rng(3)
    radius = float((10_000 * 0.75 / np.pi * np.prod(parcellation.geometry.spacing)) ** (1 / 3))

    def stroke() -> float:
        shown = [id_ for id_, _ in Segments.ownSegments(node)]
        image = Segments.layerOf(node)
        voxels = ball(parcellation.geometry, places[random.integers(len(places))], radius)[Grids.boxOf(image)]
        Grids.arrayOf(image)[voxels] = cut.tree.value_of(shown[random.integers(len(shown))])
        image.GetPointData().GetScalars().Modified()
        image.Modified()
        return _once(lambda: logic.corrections.takeEdits(node, live=True))

    seconds = [stroke() for _ in range(rounds)]
    limit, note = TARGETS["stroke"] * 1e3, "10,000 voxels; labels, map and table of volumes follow"
    return [
        Line(SUITE, "the first stroke", seconds[0] * 1e3, limit, "ms", "limit", 1.0, note),
        Line(SUITE, "a stroke", float(np.median(seconds[1:])) * 1e3, limit, "ms", "limit", 1.0, note),
    ]


def _alternate(logic: Any, node: Any, level: int, depth: int) -> float:
    """Return the seconds of folding to a level, coming from another one."""
    logic.collapse(node, depth if level != depth else 1)
    _unasked(logic, node)
    return _once(lambda: logic.collapse(node, level))


def _unasked(logic: Any, node: Any) -> Any:
    """Return the logic, which has to work out again what it was asked before."""
    logic.results.parcellationOf(node).sums.cache.clear()
    return logic


def _once(function: Any) -> float:
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def _median(function: Any, rounds: int) -> float:
    return float(np.median([function() for _ in range(rounds)]))


def _rebuild(slicer: Any, logic: Any, node: Any) -> float:
    """Return the seconds that a new segmentation of the same labels takes."""
    labels = logic.exports.labelMap(node)
    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    importer = slicer.vtkSlicerSegmentationsModuleLogic.ImportLabelmapToSegmentationNode
    seconds = _once(lambda: importer(labels, other))
    slicer.mrmlScene.RemoveNode(other)
    slicer.mrmlScene.RemoveNode(labels)
    return seconds
