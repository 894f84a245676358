"""Trees as text for people."""

from __future__ import annotations

from pathlib import Path

import pytest

from softseg.errors import InputError
from softseg.tree import Code, LabelTree, Node, Terminology, diff_lines, remarks, render


def test_render(tissue: LabelTree) -> None:
    tree = tissue.recolor("E", (255, 128, 0)).reweight("E", 2.5).rename("e1", "first")
    assert render(tree).splitlines() == [
        "tissue: 10 nodes, 5 leaves, depth 3",
        "root",
        "├─ T",
        "│  ├─ tum",
        "│  │  ├─ t1 = 1",
        "│  │  └─ t2 = 2",
        "│  └─ nor",
        "│     └─ n1 = 3",
        "└─ E  (#ff8000, weight 2.5)",
        "   ├─ first = 4  (e1)",
        "   └─ e2 = 5",
    ]


def test_render_a_level(tissue: LabelTree) -> None:
    assert render(tissue.with_name(""), 1).splitlines() == [
        "10 nodes, 5 leaves, depth 3; level 1: 2 labels",
        "root",
        "├─ T  (3 leaves)",
        "└─ E  (2 leaves)",
    ]
    with pytest.raises(InputError, match="expected a level from 0 to 3, got 9"):
        render(tissue, 9)


def test_a_deep_tree_is_no_problem(tmp_path: Path) -> None:
    file = tmp_path / "deep.txt"
    file.write_text("".join(f"{'  ' * depth}n{depth}\n" for depth in range(1500)))
    tree = LabelTree.load(file)
    assert render(tree).count("\n") == 1500
    tree.save(tmp_path / "deep.tsv")
    assert LabelTree.load(tmp_path / "deep.tsv").depth == tree.depth == 1499


def test_diff_lines(tissue: LabelTree) -> None:
    code = Code("12738006", "SCT", "Brain")
    other = (
        tissue.remove("t2")
        .add(Node("new", "new", "E", value=9))
        .move("E", "root", 0)
        .rename("nor", "normal")
        .recolor("e1", (1, 2, 3))
        .reweight("T", 0.5)
        .with_terminology("e2", Terminology(code, code))
        .with_name("other")
    )
    assert diff_lines(tissue, other) == [
        "~ tree: name 'tissue' -> 'other'",
        "- t2: was under 'tum', t2 = 2",
        "~ root: order of children T, E -> E, T",
        "~ e1: color none -> #010203",
        "~ e2: terminology none -> Brain / Brain",
        "+ new: under 'E', new = 9",
        "~ T: weight 1 -> 0.5",
        "~ nor: name 'nor' -> 'normal'",
    ]
    assert diff_lines(tissue, tissue) == []


def test_remarks(tissue: LabelTree) -> None:
    assert remarks(tissue) == [
        "no background (value 0): full supervision adds it, positive-only training needs none",
        "5 leaves have no colour: t1, t2, n1, e1, e2",
        "1 node has a single child: nor",
    ]
    tree = tissue.rename("e1", "left e").recolor("e1", (1, 1, 1)).recolor("e2", (1, 1, 1)).with_background()
    assert remarks(tree)[1:] == [
        "2 nodes have the colour of a sibling: e1, e2",
        "1 node has a single child: nor",
        "1 leaf names a side and has no partner: e1",
    ]
