"""``softseg tree`` and ``softseg collapse`` on real trees."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from softseg.image import read_image
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree


def test_check_and_show_a_shipped_tree(cli: Callable) -> None:
    answer = cli("tree", "check", "brain-134")
    assert answer.code == 0
    assert "135 leaves" in answer.out
    assert "with background" in answer.out
    shown = cli("tree", "show", "brain-134", "--level", "2").out
    assert "grey matter" in shown
    assert "hippocampus" not in shown.lower()


def test_a_folder_does_not_hide_the_shipped_tree_of_its_name(
    cli: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "brain-134").mkdir()
    monkeypatch.chdir(tmp_path)
    assert cli("tree", "check", "brain-134").code == 0


def test_check_remarks_on_what_is_worth_a_look(cli: Callable, world: Path) -> None:
    (world / "bare.txt").write_text("body\n  left kidney = 1\n  liver = 2\n", encoding="utf-8")
    answer = cli("tree", "check", world / "bare.txt")
    assert answer.code == 0
    assert "remark: no background" in answer.out
    assert "remark: 2 leaves have no colour: left kidney, liver" in answer.out
    assert "remark: 1 leaf names a side and has no partner: left kidney" in answer.out


def test_a_format_without_branches_says_so(cli: Callable, world: Path) -> None:
    found = cli("tree", "convert", world / "tree.json", world / "table.ctbl")
    assert found.code == 0
    assert re.search(r"table\.ctbl: this format keeps no branches; \d+ inner nodes? (is|are) left out", found.out)
    assert "no branches" not in cli("tree", "convert", world / "tree.json", world / "same.csv").out


def test_convert_folds_and_diff_tells(cli: Callable, world: Path) -> None:
    assert cli("tree", "convert", world / "tree.json", world / "folded.json", "--level", "1").code == 0
    folded = LabelTree.load(world / "folded.json")
    assert [leaf.id for leaf in folded.leaves] == ["background", "organ"]
    told = cli("tree", "diff", world / "tree.json", world / "folded.json")
    assert told.code == 0
    assert "- core" in told.out
    assert cli("tree", "diff", world / "tree.json", world / "tree.json").out == ""


def test_collapse_to_a_cut_and_to_a_node(cli: Callable, world: Path) -> None:
    tree = LabelTree.load(world / "tree.json")
    labels = read_image(world / "labels0.nii.gz")
    dense = np.stack([labels.array == value for value in (0, 1, 2)]).astype(np.float32) * 0.9 + 0.1 / 3
    SoftParcellation.from_dense(dense, tree, labels.geometry).save(world / "a.soft.npz")
    assert cli("collapse", world / "a.soft.npz", "--cut", "1", "--out", world / "cut.nii.gz").code == 0
    value = tree.cut_at(1).values[1]
    np.testing.assert_array_equal(read_image(world / "cut.nii.gz").array == value, labels.array > 0)
    assert "shell" not in (world / "cut.ctbl").read_text(encoding="utf-8")
    assert "organ" in (world / "cut.ctbl").read_text(encoding="utf-8")
    answer = cli("collapse", world / "a.soft.npz", "--node", "organ", "--out", world / "node.nii.gz")
    assert answer.code == 0
    assert f"soft map: {world / 'node.nii.gz'}" in answer.out
    np.testing.assert_allclose(read_image(world / "node.nii.gz").array, dense[1:].sum(0), atol=0.01)
    small = ("--node", "organ", "--out", world / "small.nii.gz", "--map-type", "uint8")
    assert cli("collapse", world / "a.soft.npz", *small).code == 0
    assert read_image(world / "small.nii.gz").array.dtype == np.uint8


def test_collapse_wants_one_of_cut_and_node(cli: Callable, world: Path) -> None:
    answer = cli("collapse", "x.soft.npz", "--out", world / "y.nii.gz")
    assert answer.code == 2
    assert answer.err == "softseg: --cut/--node/--confidence: give either --cut, --node or --confidence\n"


def test_a_defect_is_an_event_too(cli: Callable, world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Path) -> None:
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr(SoftParcellation, "load", broken)
    answer = cli("collapse", "x.soft.npz", "--cut", "1", "--out", world / "y.nii.gz", "--events", "json")
    last = json.loads(answer.out.splitlines()[-1])
    assert answer.code == last["exit_code"] == 1
    assert (last["event"], last["kind"]) == ("error", "error")
    assert "ZeroDivisionError" in last["message"]
