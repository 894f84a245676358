"""Edits give new trees and refuse what would be none."""

from __future__ import annotations

import numpy as np
import pytest

from softseg.errors import InputError
from softseg.tree import Code, LabelMapping, LabelTree, Node, Terminology


def ids(tree: LabelTree) -> str:
    return " ".join(node.id for node in tree.nodes)


def test_add_at_the_end_and_between(tissue: LabelTree) -> None:
    node = Node("n0", "n0", "nor", value=9)
    assert ids(tissue.add(node)) == "root T tum t1 t2 nor n1 n0 E e1 e2"
    assert ids(tissue.add(node, index=0)) == "root T tum t1 t2 nor n0 n1 E e1 e2"
    assert ids(tissue) == "root T tum t1 t2 nor n1 E e1 e2"
    with pytest.raises(InputError, match="expected a position from 0 to 1 among the siblings, got 7"):
        tissue.add(node, index=7)
    with pytest.raises(InputError, match="node 'n0': a new node needs a parent"):
        tissue.add(Node("n0", "n0", None, value=9))
    with pytest.raises(InputError, match="no node 'zzz' in the tree"):
        tissue.add(Node("n0", "n0", "zzz", value=9))
    with pytest.raises(InputError, match="label value 3 already belongs to node 'n1'"):
        tissue.add(Node("n0", "n0", "nor", value=3))


def test_remove_a_branch_or_only_the_node(tissue: LabelTree) -> None:
    assert ids(tissue.remove("T")) == "root E e1 e2"
    assert ids(tissue.remove("tum", keep_children=True)) == "root T t1 t2 nor n1 E e1 e2"
    with pytest.raises(InputError, match="node 'root': the root cannot be removed"):
        tissue.remove("root")
    with pytest.raises(InputError, match="node 'nor': a leaf needs a label value"):
        tissue.remove("n1")


def test_rename(tissue: LabelTree) -> None:
    tree = tissue.rename("tum", "tumour", new_id="tumour")
    assert tree.node("tumour").name == "tumour"
    assert tree.node("t1").parent == "tumour"
    assert tree.position("tumour") == tissue.position("tum")
    with pytest.raises(InputError, match="node 'E': this id is given twice"):
        tissue.rename("tum", "E", new_id="E")


def test_move(tissue: LabelTree) -> None:
    assert ids(tissue.move("nor", "E", 0)) == "root T tum t1 t2 E nor n1 e1 e2"
    assert ids(tissue.move("e2", "E", 0)) == "root T tum t1 t2 nor n1 E e2 e1"
    assert ids(tissue.move("tum", "root")) == "root T nor n1 E e1 e2 tum t1 t2"
    with pytest.raises(InputError, match="node 'T': cannot be moved into its own branch: 't1' lies under it"):
        tissue.move("T", "t1")
    with pytest.raises(InputError, match="the root cannot be moved"):
        tissue.move("root", "T")


def test_group(tissue: LabelTree) -> None:
    tree = tissue.with_value("e2", 9).add(Node("e3", "e3", "E", value=5)).group(["e3", "e1"], Node("G", "G", "E"))
    assert ids(tree) == "root T tum t1 t2 nor n1 E G e1 e3 e2"
    with pytest.raises(InputError, match="node 'G': expected the parent 'E' of the grouped nodes"):
        tissue.group(["e1"], Node("G", "G", "T"))


def test_merge_siblings_into_one_leaf(tissue: LabelTree) -> None:
    tree = tissue.merge(["tum", "nor"], "inside", "inside")
    assert ids(tree) == "root T inside E e1 e2"
    assert tree.node("inside").value == 1
    assert tissue.merge(["e2", "e1"], value=40).node("e1").value == 40
    assert ids(tissue.merge(["T"])) == "root T E e1 e2"
    with pytest.raises(InputError, match=r"node 'e1': not a sibling of 'tum'.*; move them under one parent first"):
        tissue.merge(["e1", "tum"])
    with pytest.raises(InputError, match="node 'root': the root has no siblings"):
        tissue.merge(["root"])
    with pytest.raises(InputError, match="expected at least one node"):
        tissue.merge([])


def test_a_merge_refuses_to_be_inverted(tissue: LabelTree) -> None:
    merged = tissue.merge(["t1", "t2"], "t", "t", value=1)
    mapping = LabelMapping.between(tissue, merged, {"t1": "t", "t2": "t"})
    assert mapping.apply(np.array([0, 1, 2, 3, 5])).tolist() == [0, 1, 1, 3, 5]
    with pytest.raises(InputError, match="node 't': cannot be undone: 't1' and 't2' both became this node"):
        mapping.inverted()
    with pytest.raises(InputError, match="node 't1': cannot be undone: nothing in the old tree"):
        LabelMapping.between(merged, tissue, {"t": "tum"}).inverted()


def test_mapping_follows_renames_and_merged_branches(tissue: LabelTree) -> None:
    renamed = tissue.rename("t1", "core", new_id="core").with_value("core", 30)
    mapping = LabelMapping.between(tissue, renamed, {"t1": "core"})
    assert mapping.apply(np.array([1, 2])).tolist() == [30, 2]
    np.testing.assert_array_equal(mapping.inverted().apply(mapping.apply(np.arange(1, 6))), np.arange(1, 6))
    folded = tissue.merge(["tum"])
    assert LabelMapping.between(tissue, folded).apply(np.array([1, 2, 3])).tolist() == [1, 1, 3]
    with pytest.raises(InputError, match="stands for it; name the node that it became"):
        LabelMapping.between(tissue, tissue.remove("T"))
    with pytest.raises(InputError, match="label value 9 not in"):
        mapping.apply(np.array([9]))


def test_split(tissue: LabelTree) -> None:
    tree = tissue.split("n1", [Node("n1a", "n1a", "n1"), Node("n1b", "n1b", "n1", value=6)])
    assert ids(tree) == "root T tum t1 t2 nor n1 n1a n1b E e1 e2"
    assert [tree.node(id_).value for id_ in ("n1", "n1a", "n1b")] == [3, 7, 6]
    with pytest.raises(InputError, match="node 'E': only a leaf can be split"):
        tissue.split("E", [Node("x", "x", "E")])
    with pytest.raises(InputError, match="node 'n1': a split needs at least one part"):
        tissue.split("n1", [])
    with pytest.raises(InputError, match="node 'x': expected the parent 'n1', got 'E'"):
        tissue.split("n1", [Node("x", "x", "E")])


def test_plain_fields(tissue: LabelTree) -> None:
    code = Code("12738006", "SCT", "Brain")
    tree = tissue.recolor("T", (1, 2, 3)).reweight("T", 4).with_terminology("T", Terminology(code, code))
    assert tree.node("T") == Node("T", "T", "root", 4.0, (1, 2, 3), None, Terminology(code, code))
    assert tissue.node("T").color is None
    with pytest.raises(InputError, match="no node 'zzz'"):
        tissue.recolor("zzz", None)
    with pytest.raises(InputError, match="node 'T': expected a weight"):
        tissue.reweight("T", 0)
    with pytest.raises(InputError, match="node 't1': a leaf needs a label value"):
        tissue.with_value("t1", None)


def test_with_background(tissue: LabelTree) -> None:
    tree = tissue.with_background()
    assert tree.background is not None
    assert (tree.background.id, tree.leaves[0].value, tree.background.parent) == ("background", 0, "root")
    assert tree.with_background() is tree
    with pytest.raises(
        InputError, match=r"node 'T': label value 0 already belongs to node 'background'|already belongs to node 'T'"
    ):
        tissue.with_value("T", 0).with_background()
    with pytest.raises(InputError, match="a tree of one node has no place for a background"):
        LabelTree([Node("a", "a", None, value=1)]).with_background()
