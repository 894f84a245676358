"""Scenes are files: what a damaged one holds is refused in one plain line or passed over, and all else works."""

import json
import logging
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import slicer
from SoftSegSlicerLib.Scene import Stored, TreeNode

from softseg.errors import InputError

TOOLS = Path(__file__).resolve().parents[1] / "reliability"


@pytest.fixture
def result(logic, parcellation):
    return logic.results.add(parcellation, name="first")


def reopened(logic, scene):
    """As after the scene was loaded: nothing is decoded, and the module catches up."""
    logic.forget()
    scene.InvokeEvent(slicer.vtkMRMLScene.EndImportEvent)


def test_damaged_scenes_of_a_fixed_seed(monkeypatch):
    """60 damages of any kind: the tool ``Testing/reliability/scenes.py``."""
    monkeypatch.syspath_prepend(str(TOOLS))
    import scenes

    monkeypatch.setattr(slicer, "mrmlScene", None, raising=False)
    soft = scenes.parcellation()
    found = []
    for number in range(60):
        what, faults = scenes.run_trial(number, 5, soft)
        found += [f"{number}: {what}: {fault}" for fault in faults]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("value", ["", "nonsense", "[1, 2]", '{"matrix": []}', "9" * 5000, "[" * 100_000])
def test_a_damaged_grid_is_one_plain_error_and_other_results_work(logic, scene, result, parcellation, value):
    healthy = logic.results.add(parcellation, name="healthy")
    result.SetAttribute("SoftSeg.Grid", value or '{"matrix": "x"}')
    reopened(logic, scene)
    with pytest.raises(InputError) as caught:
        logic.collapse(result, 1)
    assert "'first" in str(caught.value)
    assert "SoftSeg.Grid is damaged" in str(caught.value)
    logic.collapse(healthy, 1)
    assert [node.id for node in logic.results.cutOf(healthy).nodes] == ["background", "brain"]


@pytest.mark.parametrize("name", ["SoftSeg.Cut", "SoftSeg.Sureness"])
def test_what_only_decides_the_look_falls_back_and_is_said_once(logic, scene, result, name, caplog):
    result.SetAttribute(name, '{"confidence": "much"}')
    reopened(logic, scene)
    Stored._told.clear()
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            logic.results.cutOf(result)
            assert logic.confidence.of(result) is None
    said = [record.getMessage() for record in caplog.records if name in record.getMessage()]
    assert len(said) == 1
    assert "'first" in said[0]


def test_a_parcellation_that_is_not_what_was_stored_is_refused(logic, scene, result, make, grid):
    """Its digest is compared with its bytes, not believed."""
    other = logic.results.add(make(grid, seed=5), name="other")
    mine, its = (node.GetNodeReference("softseg.parcellation") for node in (result, other))
    mine.SetText(its.GetText())
    reopened(logic, scene)
    with pytest.raises(InputError, match=r"'first soft parcellation.* is damaged"):
        logic.results.parcellationOf(result)
    assert logic.results.parcellationOf(other) is not None


def test_a_digest_of_another_result_does_not_bring_its_parcellation(logic, result, make, grid):
    other = logic.results.add(make(grid, seed=5), name="other")
    logic.results.parcellationOf(other)
    mine, its = (node.GetNodeReference("softseg.parcellation") for node in (result, other))
    mine.SetAttribute("SoftSeg.Content", its.GetAttribute("SoftSeg.Content"))
    with pytest.raises(InputError, match="is damaged"):
        logic.results.parcellationOf(result)


def test_an_older_scene_without_digest_is_read(logic, scene, result, parcellation):
    result.GetNodeReference("softseg.parcellation").RemoveAttribute("SoftSeg.Content")
    reopened(logic, scene)
    np.testing.assert_array_equal(logic.results.parcellationOf(result).labels(1), parcellation.labels(1))


def test_a_tree_that_unpacks_to_a_gigabyte_is_refused_at_once(logic, result):
    import base64
    import zlib

    packer = zlib.compressobj(9)
    block = b" " * (1 << 20)
    bomb = b"".join(packer.compress(block) for _ in range(1024)) + packer.flush()
    TreeNode._carrier(result).SetTag(TreeNode.TREE_TAG, base64.urlsafe_b64encode(bomb).decode())
    result.SetNodeReferenceID("softseg.tree", None)
    tracemalloc.start()
    with pytest.raises(InputError, match="label tree that this segmentation carries is damaged"):
        logic.results.treeOf(result)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6


@pytest.mark.parametrize("text", ["[" * 100_000, json.dumps(["x"]), '{"a": ' * 2000, "nothing"])
def test_a_tree_text_that_is_no_tree_is_refused(logic, scene, result, text):
    result.GetNodeReference("softseg.tree").SetText(text)
    reopened(logic, scene)
    with pytest.raises(InputError, match=r"damaged|expected"):
        logic.results.treeOf(result)


def test_a_reference_to_a_node_of_another_kind_is_none(logic, scene, result):
    result.SetNodeReferenceID("softseg.tree", scene.GetFirstNodeByClass("vtkMRMLSubjectHierarchyNode").GetID())
    reopened(logic, scene)
    logic.results.treeOf(result)  # from the segments, which carry it
    assert result.GetNodeReference("softseg.tree").IsA("vtkMRMLTextNode")
