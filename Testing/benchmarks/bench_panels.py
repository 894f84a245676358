"""A head of 1 mm with 134 structures in the Look and Tree panels: from the click until scene and panel are up to date.

The panels are the real ones, in the stand-in host; what slice views take to draw is not in it.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bench_parcellation import _head
from measure import Line

from softseg.resources import label_tree_path
from softseg.tree import LabelTree

REPOSITORY = Path(__file__).resolve().parents[2]
SUITE = "panels"
TARGETS = {"fold": 150.0, "map": 200.0, "tree": 10.0, "sure": 500.0}
"""Limits in ms: labels after folding, the map after a selection, the rows of the tree alone, and labels that follow a
confidence (these two are ours)."""


class _Parameters:
    segmentation = None


def run(quick: bool) -> list[Line]:
    """Measure one head; ``quick`` takes every second voxel. Nothing where slicer-core or PySide6 is not installed."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    sys.path[:0] = [str(REPOSITORY / "Testing" / "host"), str(REPOSITORY / "SoftSegSlicer")]
    try:
        import slicerhost

        slicerhost.install()
    except ImportError:
        return []
    import slicer
    from SoftSegSlicerLib.PanelContext import PanelContext
    from SoftSegSlicerLib.Panels.Look.LookPanel import LookPanel
    from SoftSegSlicerLib.Panels.Tree.TreePanel import TreePanel
    from SoftSegSlicerLib.SoftSegSlicerLogic import SoftSegSlicerLogic

    context = PanelContext(SoftSegSlicerLogic())
    context.parameterNode = _Parameters()
    head, rounds = _head(quick), 3 if quick else 9
    with tempfile.TemporaryDirectory() as folder:
        node = context.logic.results.load(head.save(Path(folder) / "head.soft.npz"))
    look = LookPanel(context)
    look.widget.show()
    context.segmentation = node
    slicer.app.processEvents()

    def timed(act: Callable[[], Any]) -> float:
        begin = time.perf_counter()
        act()
        slicer.app.processEvents()
        return (time.perf_counter() - begin) * 1e3

    lines = _looking(look, timed, rounds)
    look.widget.hide()
    return lines + _editing(TreePanel(context), timed, rounds)


def _looking(look: Any, timed: Callable[[Callable[[], Any]], float], rounds: int) -> list[Line]:
    tree = look.tree.labelTree
    branch = next(n.id for n in tree.inner_nodes if tree.depth_of(n.id) == 2 and len(tree.leaves_under(n.id)) > 20)
    item, slider = look.tree.itemOf(branch), look.ui.levelSlider
    fold = [timed(lambda opened=opened: item.setExpanded(opened)) for _ in range(rounds) for opened in (False, True)]
    levels = [
        timed(lambda level=level: slider.setProperty("value", level))
        for _ in range(rounds)
        for level in (2, tree.depth, 4)
    ]
    chosen = [n.id for n in tree.nodes if n.value != 0][1 :: max(1, len(tree.nodes) // 12)]
    maps = [timed(lambda id_=id_: look.tree.select([id_])) for id_ in chosen]
    return [
        _line("fold or open a branch", fold, "fold", f"'{branch}'"),
        _line("level slider", levels, "fold"),
        _line("select a structure", maps, "map", "its heat map, median of many structures"),
        *_sureness(look, timed, rounds, chosen),
    ]


def _sureness(look: Any, timed: Callable[[Callable[[], Any]], float], rounds: int, chosen: list[str]) -> list[Line]:
    ui, levels = look.ui, (0.8, 0.95, 0.7)
    ui.uncertaintyButton.click()
    ui.decisionSelector.currentIndex = 1
    decisions = [timed(lambda id_=id_: look.tree.select([id_])) for id_ in chosen]
    ui.labelsButton.click()
    ui.confidenceCheck.click()
    confidence = [
        timed(lambda level=level: ui.confidenceSlider.setProperty("value", level))
        for _ in range(rounds)
        for level in levels
    ]
    ui.confidenceCheck.click()
    return [
        _line("select a structure: its decision", decisions, "map", "uncertainty within it, median of many structures"),
        _line("confidence slider", confidence, "sure", "labels of mixed depth"),
    ]


def _editing(panel: Any, timed: Callable[[Callable[[], Any]], float], rounds: int) -> list[Line]:
    tree = panel.editor.tree
    leaf = tree.leaves[len(tree.leaves) // 2]
    names = [f"{leaf.name} {number}" for number in range(rounds)]
    rename = [timed(lambda name=name: panel.edit(lambda editor: editor.rename(leaf.id, name))) for name in names]
    rows = panel.tree
    other = LabelTree.load(label_tree_path("brain-134"))
    again = [other.rename(leaf.id, name) for name in names]
    update = [timed(lambda changed=changed: rows.setTree(changed)) for changed in again]
    return [
        _line("rename a structure", rename, "fold", "panel and scene"),
        _line("rows of the tree after a rename", update, "tree", f"{len(other.nodes)} rows"),
    ]


def _line(name: str, times: list[float], target: str, note: str = "") -> Line:
    return Line(SUITE, name, float(np.median(times)), TARGETS[target], "ms", "limit", 1.0, note)
