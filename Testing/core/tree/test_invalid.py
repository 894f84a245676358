"""What is no tree: one error that names the node."""

from __future__ import annotations

import pytest

from softseg.errors import InputError
from softseg.tree import Code, LabelTree, Node, NodeError, Terminology

ROOT = Node("root", "root", None)
LEAF = Node("a", "a", "root", value=1)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([], "the tree has no nodes"),
        ([ROOT], "node 'root': a leaf needs a label value; give it a value or children"),
        ([ROOT, LEAF, Node("b", "b", None, value=2)], "node 'b': a second root: 'root' is the root already"),
        ([ROOT, LEAF, Node("a", "b", "root", value=2)], "node 'a': this id is given twice"),
        ([ROOT, LEAF, Node("b", "b", "root", value=1)], "node 'b': label value 1 already belongs to node 'a'"),
        ([ROOT, LEAF, Node("b", "b", "c", value=2)], "node 'b': its parent 'c' is not in the tree"),
        ([ROOT, LEAF, Node("b", "b", "root")], "node 'b': a leaf needs a label value"),
        ([ROOT, LEAF, Node("x", "x", "y"), Node("y", "y", "x")], "a cycle: x > y > x|a cycle: y > x > y"),
        ([Node("x", "x", "x")], "node 'x': a cycle: x > x"),
    ],
)
def test_no_tree(nodes: list[Node], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        LabelTree(nodes)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weight", [0, -1, float("nan"), float("inf"), "1", True, None])
def test_bad_weight(weight: object) -> None:
    with pytest.raises(NodeError, match="node 'a': expected a weight that is a finite number above 0"):
        Node("a", "a", None, weight=weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("color", [(1, 2), (1, 2, 256), (0.5, 0, 0), "red", (1, 2, True)])
def test_bad_color(color: object) -> None:
    with pytest.raises(NodeError, match="node 'a': expected a colour of three whole numbers"):
        Node("a", "a", None, color=color)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-1, 65536, 1.5, "1", True])
def test_bad_value(value: object) -> None:
    with pytest.raises(NodeError, match=r"node 'a': expected a label value that is a whole number 0\.\.65535"):
        Node("a", "a", None, value=value)  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["", " ", " a", "a\nb", "a\tb", None, 3])
def test_bad_id_and_name(text: object) -> None:
    with pytest.raises(NodeError, match="expected id to be text"):
        Node(text, "a", None)  # type: ignore[arg-type]
    with pytest.raises(NodeError, match="node 'a': expected name to be text"):
        Node("a", text, None)  # type: ignore[arg-type]


def test_bad_parent_and_terminology() -> None:
    with pytest.raises(NodeError, match="node 'a': expected parent to be the id of a node, got 3"):
        Node("a", "a", 3)  # type: ignore[arg-type]
    with pytest.raises(NodeError, match="node 'a': expected a Terminology"):
        Node("a", "a", None, terminology="brain")  # type: ignore[arg-type]
    with pytest.raises(NodeError, match="a terminology code needs a value"):
        Code("", "SCT", "Brain")
    code = Code("12738006", "SCT", "Brain")
    with pytest.raises(NodeError, match="a region modifier but no region"):
        Terminology(code, code, region_modifier=code)


def test_numbers_of_numpy_become_plain() -> None:
    numpy = pytest.importorskip("numpy")
    node = Node("a", "a", None, weight=numpy.float32(2), value=numpy.uint8(3), color=[numpy.uint8(1), 2, 3])
    assert (type(node.weight), type(node.value), node.color) == (float, int, (1, 2, 3))


def test_nodes_and_trees_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        LEAF.name = "b"  # type: ignore[misc]
    with pytest.raises(AttributeError):
        LabelTree([ROOT, LEAF]).name = "b"  # type: ignore[misc]


def test_every_field_counts_for_equality() -> None:
    code = Code("12738006", "SCT", "Brain")
    tree = LabelTree([ROOT, LEAF, Node("b", "b", "root", value=2)])
    others = [
        tree.rename("a", "z"), tree.rename("a", "a", "z"), tree.reweight("a", 2), tree.recolor("a", (1, 2, 3)),
        tree.with_value("a", 9), tree.with_terminology("a", Terminology(code, code)), tree.move("a", "root"),
        tree.with_name("z"),
    ]  # fmt: skip
    assert all(other != tree for other in others)
    assert len(set(others)) == len(others)
    assert tree != "tree"
