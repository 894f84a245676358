"""The button that opens results from files, in Segment and in Look."""

import importlib
from types import SimpleNamespace

import numpy as np
import pytest
import qt
import slicer
from gui_results import parcellation, shownLabels
from gui_runs import click

from softseg.image import Geometry, Image, write_image


def test_open_in_look_shows_the_last_of_several_files(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Look")
    moduleWidget.context.dialogs.paths = [str(parcellation().save(tmp_path / f"{name}.soft.npz")) for name in "ab"]
    click(panel.ui.openButton)
    node = moduleWidget.context.segmentation
    assert node.GetName() == "b"
    assert panel.ui.segmentationSelector.currentNode() is node
    assert panel.tree.labelTree == parcellation().tree
    assert set(shownLabels(node)) == {"cortex", "caudate", "putamen", "white matter"}
    assert panel.message.text == ""


def test_look_says_on_one_line_which_file_is_broken(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Look")
    bad = tmp_path / "bad.soft.npz"
    bad.write_bytes(b"nothing")
    moduleWidget.context.dialogs.paths = [str(bad), str(parcellation().save(tmp_path / "good.soft.npz"))]
    click(panel.ui.openButton)
    assert moduleWidget.context.segmentation.GetName() == "good"
    assert "bad.soft.npz" in panel.message.text
    assert "\n" not in panel.message.text


def test_open_in_segment_offers_the_result_as_apply_does(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Segment")
    moduleWidget.context.dialogs.paths = [str(parcellation().save(tmp_path / "head.soft.npz"))]
    click(panel.ui.openButton)
    assert panel.messages.messages == (("info", "Opened: head."),)
    assert panel.ui.resultRow.visible
    click(panel.ui.lookButton)
    assert moduleWidget.panel("Look").tree.labelTree is not None


def test_nothing_happens_where_no_file_was_chosen(moduleWidget):
    panel = moduleWidget.showPanel("Segment")
    click(panel.ui.openButton)
    assert panel.messages.messages == ()
    assert moduleWidget.context.segmentation is None


def probabilities(folder, scale=1.0):
    """Write three tissue maps as BIDS names them; return their paths."""
    paths = []
    shares = np.random.default_rng(0).dirichlet((0.4, 0.4, 0.4), (6, 7, 8)).astype(np.float32) * 0.9 * scale
    for number, label in enumerate(("GM", "WM", "CSF")):
        path = folder / f"sub-1_label-{label}_probseg.nii.gz"
        write_image(Image(shares[..., number], Geometry((8, 7, 6), (2.0, 2.0, 3.0))), path)
        paths.append(str(path))
    return paths, shares


def waitFor(condition):
    for _ in range(100_000):
        slicer.app.processEvents()
        if condition():
            return
    raise AssertionError("it never came")


def test_maps_of_other_tools_open_and_fold(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Look")
    paths, shares = probabilities(tmp_path)
    moduleWidget.context.dialogs.paths = paths
    moduleWidget.context.dialogs.choice = lambda choices: choices.index("a new tree of the maps' own names")
    click(panel.ui.openButton)
    assert not panel.ui.openButton.enabled
    waitFor(lambda: panel.ui.openButton.enabled)
    node = moduleWidget.context.segmentation
    assert panel.ui.segmentationSelector.currentNode() is node
    found = moduleWidget.context.logic.results.parcellationOf(node)
    assert [leaf.name for leaf in found.tree.leaves] == ["background", "grey matter", "white matter", "CSF"]
    assert np.abs(found.probability("white-matter") - shares[..., 1]).max() <= found.node_error
    moduleWidget.context.logic.collapse(node, 0)
    assert set(shownLabels(node)) == {"all"}


def test_maps_that_overlap_are_refused_on_one_line(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Segment")
    paths, _shares = probabilities(tmp_path, 1.2)
    moduleWidget.context.dialogs.paths = paths
    click(panel.ui.openButton)
    waitFor(lambda: panel.ui.openButton.enabled)
    assert moduleWidget.context.segmentation is None
    assert any(kind == "error" and "sum to" in text for kind, text in panel.messages.messages)


@pytest.mark.parametrize(
    ("answer", "paths"),
    [
        (("/a.npz", "/b.npz"), ["/a.npz", "/b.npz"]),
        (("/a.npz",), ["/a.npz"]),
        ((), []),
        ((["/a.npz", "/b.npz"], "*.npz"), ["/a.npz", "/b.npz"]),
        (([], ""), []),
    ],
)
@pytest.mark.usefixtures("moduleWidget")
def test_chosen_files_are_whole_paths_in_the_application_and_in_the_host(monkeypatch, answer, paths):
    module = importlib.import_module("SoftSegSlicerLib.Dialogs")
    chooser = SimpleNamespace(getOpenFileNames=lambda *_: answer)
    monkeypatch.setattr(module, "qt", SimpleNamespace(QFileDialog=chooser))
    assert module.Dialogs().askOpenFiles("title") == paths


def deepNuclei(folder, *names):
    """Write maps of structures of the brain; return their paths."""
    paths = []
    for number, name in enumerate(names):
        share = np.zeros((6, 7, 8), np.float32)
        share[number % 6] = 0.8
        path = folder / f"{name}.nii.gz"
        write_image(Image(share, Geometry((8, 7, 6), (2.0, 2.0, 3.0))), path)
        paths.append(str(path))
    return paths


def test_the_tree_is_chosen_among_those_that_know_the_maps(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Look")
    names = ["Left-Hippocampus", "Right-Hippocampus", "Left-Putamen", "nobody knows this"]
    dialogs = moduleWidget.context.dialogs
    dialogs.paths = deepNuclei(tmp_path, *names)
    dialogs.choice = lambda choices: next(n for n, text in enumerate(choices) if text.startswith("synthseg "))
    click(panel.ui.openButton)
    waitFor(lambda: panel.ui.openButton.enabled)
    text, choices = dialogs.asked[-1]
    assert "the 4 maps" in text
    assert choices[0] == "a new tree of the maps' own names"  # nothing is left out where no tree knows all
    assert "synthseg (3 of 4 maps; 1 left out)" in choices
    counts = [int(choice.partition("(")[2].split()[0]) for choice in choices[1:]]
    assert counts == sorted(counts, reverse=True)
    found = moduleWidget.context.logic.results.parcellationOf(moduleWidget.context.segmentation)
    assert found.tree.name == "synthseg"
    assert found.probability(found.tree.find("Left-Putamen").id)[2].min() > 0.79


def test_a_tree_that_knows_all_maps_comes_first(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Look")
    dialogs = moduleWidget.context.dialogs
    dialogs.paths = deepNuclei(tmp_path, "Left-Hippocampus", "Right-Hippocampus", "Left-Putamen")
    click(panel.ui.openButton)
    waitFor(lambda: panel.ui.openButton.enabled)
    _text, choices = dialogs.asked[-1]
    assert choices[0].endswith("(all 3 maps)")
    assert choices[-1] == "a new tree of the maps' own names"
    tree = moduleWidget.context.logic.results.parcellationOf(moduleWidget.context.segmentation).tree
    assert choices[0].startswith(f"{tree.name} (")


def test_without_a_choice_nothing_is_opened(moduleWidget, tmp_path):
    panel = moduleWidget.showPanel("Look")
    dialogs = moduleWidget.context.dialogs
    dialogs.paths = deepNuclei(tmp_path, "Left-Hippocampus", "Right-Hippocampus", "Left-Putamen")
    dialogs.choice = None
    click(panel.ui.openButton)
    waitFor(lambda: panel.ui.openButton.enabled)
    assert moduleWidget.context.segmentation is None


def test_a_choice_is_made_with_the_mouse(moduleWidget):  # noqa: ARG001 - for the application
    from SoftSegSlicerLib.Panels.Widgets.ChoiceDialog import ChoiceDialog

    asked = ChoiceDialog("Which of <these>?", ["a", "b & c"], "Title")
    qt.QTimer.singleShot(0, lambda: (setattr(asked.list, "currentRow", 1), click(asked.useButton)))
    assert asked.ask() == 1
    again = ChoiceDialog("Which?", ["a", "b"], "Title")
    qt.QTimer.singleShot(0, lambda: click(again.cancelButton))
    assert again.ask() is None
