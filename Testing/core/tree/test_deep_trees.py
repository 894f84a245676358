"""Trees deeper than Python's stack: whatever walks them must not recurse."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from softseg.tree import LabelTree, Node
from softseg.tree.colors import node_colors

DEEP = 1500


@pytest.fixture(scope="module")
def deep() -> LabelTree:
    """A leaf below 1,500 nodes in a row."""
    nodes = [Node("r", "r", None), Node("background", "background", "r", value=0), Node("rim", "rim", "r", value=2)]
    chain = [Node(f"n{n}", f"n{n}", f"n{n - 1}" if n else "r") for n in range(DEEP)]
    return LabelTree([*nodes, *chain, Node("core", "core", f"n{DEEP - 1}", value=1)], name="deep")


def test_colours(deep: LabelTree) -> None:
    assert sys.getrecursionlimit() <= DEEP
    assert len(node_colors(deep)) == len(deep.nodes)


@pytest.mark.parametrize("ending", ["json", "txt", "csv"])
def test_files(deep: LabelTree, tmp_path: Path, ending: str) -> None:
    read = LabelTree.load(deep.save(tmp_path / f"deep.{ending}"))
    assert read.depth == deep.depth
    assert [leaf.value for leaf in read.leaves] == [leaf.value for leaf in deep.leaves]
