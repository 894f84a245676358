"""Structure, numbers, cuts and label maps of a tree."""

from __future__ import annotations

import numpy as np
import pytest

from softseg.errors import InputError
from softseg.tree import Cut, LabelTree, Node
from softseg.types import IGNORE_INDEX

UNIT = [[0, 2, 4, 5, 5], [2, 0, 4, 5, 5], [4, 4, 0, 5, 5], [5, 5, 5, 0, 2], [5, 5, 5, 2, 0]]
WEIGHTED = [[0, 1, 3, 6, 6], [1, 0, 3, 6, 6], [3, 3, 0, 6, 6], [6, 6, 6, 0, 1], [6, 6, 6, 1, 0]]
LEVEL_WEIGHTS = {"T": 2, "E": 2, "tum": 1, "nor": 1, "t1": 0.5, "t2": 0.5, "n1": 0.5, "e1": 0.5, "e2": 0.5}


def test_nodes_are_depth_first_whatever_the_order_given(tissue: LabelTree) -> None:
    ids = [node.id for node in tissue.nodes]
    assert ids == ["root", "T", "tum", "t1", "t2", "nor", "n1", "E", "e1", "e2"]
    assert [leaf.id for leaf in tissue.leaves] == ["t1", "t2", "n1", "e1", "e2"]
    assert [node.id for node in tissue.inner_nodes] == ["root", "T", "tum", "nor", "E"]
    late = LabelTree([*tissue.nodes[1:], tissue.nodes[0]], "tissue")
    assert late == tissue
    assert hash(late) == hash(tissue)
    assert (tissue.depth, tissue.root.id, tissue.background) == (3, "root", None)


def test_walks(tissue: LabelTree) -> None:
    assert [node.id for node in tissue.path("t2")] == ["root", "T", "tum", "t2"]
    assert [node.id for node in tissue.children("T")] == ["tum", "nor"]
    assert [node.id for node in tissue.branch("T")] == ["T", "tum", "t1", "t2", "nor", "n1"]
    assert [node.id for node in tissue.leaves_under("T")] == ["t1", "t2", "n1"]
    assert tissue.leaf_slice("E") == slice(3, 5)
    assert tissue.leaf_slice("t2") == slice(1, 2)
    assert tissue.parent("T") == tissue.root
    assert tissue.parent("root") is None
    assert tissue.depth_of("t1") == 3
    assert "t1" in tissue
    assert "x" not in tissue
    assert len(tissue) == 10


def test_class_indices_number_leaves_then_inner_nodes(tissue: LabelTree) -> None:
    assert [tissue.class_index(node.id) for node in tissue.leaves] == [0, 1, 2, 3, 4]
    assert [tissue.class_index(node.id) for node in tissue.inner_nodes] == [5, 6, 7, 8, 9]
    assert tissue.leaf_index("e1") == 3
    with pytest.raises(InputError, match="node 'E': expected a leaf"):
        tissue.leaf_index("E")


def test_arrays(tissue: LabelTree) -> None:
    assert tissue.depths.tolist() == [0, 1, 2, 3, 3, 2, 3, 1, 2, 2]
    assert tissue.parents.tolist() == [-1, 0, 1, 2, 2, 1, 5, 0, 7, 7]
    assert tissue.weights.tolist() == [0.0] + [1.0] * 9
    membership = tissue.membership()
    assert membership.dtype == np.bool_
    assert membership[1].tolist() == [True, True, True, False, False]
    assert membership[0].all()
    with pytest.raises(ValueError, match="read-only"):
        tissue.weights[0] = 3


def test_distances_of_the_reference(tissue: LabelTree) -> None:
    np.testing.assert_allclose(tissue.distance_matrix(), UNIT, rtol=0, atol=1e-12)
    np.testing.assert_allclose(tissue.distance_matrix(normalize=True), np.array(UNIT) / 5, rtol=0, atol=1e-12)
    weighted = tissue
    for id_, weight in LEVEL_WEIGHTS.items():
        weighted = weighted.reweight(id_, weight)
    np.testing.assert_allclose(weighted.distance_matrix(), WEIGHTED, rtol=0, atol=1e-12)


def test_sum_of_a_branch_and_its_best_leaf_may_disagree(tissue: LabelTree) -> None:
    probabilities = np.array([0.30, 0.25, 0, 0.45, 0])
    assert tissue.leaves[int(probabilities.argmax())].id == "e1"
    assert tissue.cut_at(1).nodes[int((tissue.cut_at(1).membership() @ probabilities).argmax())].id == "T"


def test_a_tree_of_one_node_is_its_own_leaf() -> None:
    tree = LabelTree([Node("all", "all", None, value=1)])
    assert tree.depth == 0
    assert tree.distance_matrix(normalize=True).tolist() == [[0.0]]
    assert tree.cut_at(0).values == (1,)
    assert "1 leaves" in repr(tree)


def test_find_by_id_name_and_case(tissue: LabelTree) -> None:
    tree = tissue.rename("tum", "Tumour").rename("e1", "Left").rename("e2", "Left")
    assert tree.find("tum").id == "tum"
    assert tree.find("tumour").id == "tum"
    with pytest.raises(InputError, match="several nodes are named 'Left': 'e1', 'e2'; give the id"):
        tree.find("Left")
    with pytest.raises(InputError, match=r"no node 'tumor' in the tree; did you mean .*'Tumour'"):
        tree.find("tumor")


def test_levels(tissue: LabelTree) -> None:
    ids = [[node.id for node in tissue.cut_at(level).nodes] for level in range(4)]
    assert ids == [["root"], ["T", "E"], ["tum", "nor", "e1", "e2"], ["t1", "t2", "n1", "e1", "e2"]]
    for level in (-1, 4, True, 1.0):
        with pytest.raises(InputError, match="expected a level from 0 to 3"):
            tissue.cut_at(level)  # type: ignore[arg-type]


def test_cut_by_ids(tissue: LabelTree) -> None:
    cut = tissue.cut(["E", "nor", "t2", "t1"])
    assert [node.id for node in cut.nodes] == ["t1", "t2", "nor", "E"]
    assert cut.position_of_leaf.tolist() == [0, 1, 2, 3, 3]
    assert cut.values == (1, 2, 9, 10)
    assert cut.name_of(10) == "E"
    assert cut.position_of("e2") == 3
    assert len(cut) == 4
    assert cut == tissue.cut(["t1", "t2", "nor", "E"])
    assert hash(cut) == hash(tissue.cut(["t1", "t2", "nor", "E"]))
    assert cut != tissue.cut_at(1)
    with pytest.raises(InputError, match="label value 3 is not in the cut"):
        cut.node_of_value(3)
    with pytest.raises(InputError, match="node 'T': this node lies above the cut"):
        cut.position_of("T")


def test_cut_must_cover_every_leaf_once(tissue: LabelTree) -> None:
    with pytest.raises(InputError, match=r"node 'e1': a cut covers every leaf, but nothing covers this one"):
        tissue.cut(["T"])
    with pytest.raises(InputError, match="'t1' lies under both 'T' and 'tum'"):
        Cut(tissue, (tissue.node("T"), tissue.node("tum"), tissue.node("E")))


def test_cut_from_level_word_and_file(tissue: LabelTree, tmp_path) -> None:
    assert tissue.cut_from(1) == tissue.cut_from("1") == tissue.cut_at(1)
    assert tissue.cut_from("leaves") == tissue.cut_at(3)
    file = tmp_path / "cut.txt"
    file.write_text("# coarse\nT\n\nE\n")
    assert tissue.cut_from(file) == tissue.cut_at(1)
    file.write_text("T\nX\n")
    with pytest.raises(InputError, match=r"cut\.txt: line 2: no node 'X'"):
        tissue.cut_from(str(file))
    file.write_text("T\n")
    with pytest.raises(InputError, match=r"cut\.txt: node 'e1': a cut covers every leaf"):
        tissue.cut_from(file)


def test_values_of_nodes_without_one_follow_the_highest(tissue: LabelTree) -> None:
    assert [tissue.value_of(node.id) for node in tissue.inner_nodes] == [6, 7, 8, 9, 10]
    full = tissue.with_value("e2", 65535)
    assert [full.value_of(node.id) for node in full.inner_nodes] == [5, 6, 7, 8, 9]


def test_collapse_and_collapse_again(tissue: LabelTree) -> None:
    labels = np.array([[[0, 1, 2], [3, 4, 5]]], dtype=np.uint8)
    fine = tissue.collapse(labels, tissue.cut_at(2))
    coarse = tissue.collapse(labels, tissue.cut_at(1))
    assert fine.dtype == np.uint16
    assert fine.tolist() == [[[0, 8, 8], [9, 4, 5]]]
    assert coarse.tolist() == [[[0, 7, 7], [7, 10, 10]]]
    np.testing.assert_array_equal(tissue.collapse(fine, tissue.cut_at(1)), coarse)


def test_a_coarse_label_above_the_cut_stays_coarse(tissue: LabelTree) -> None:
    tree = tissue.with_value("T", 50)
    assert tree.collapse([50, 1, 4], tree.cut_at(3)).tolist() == [50, 1, 4]
    assert tree.collapse([50, 1, 4], tree.cut_at(1)).tolist() == [50, 50, tree.value_of("E")]


def test_collapse_names_strange_values(tissue: LabelTree) -> None:
    with pytest.raises(InputError, match="label values 77, 300 not in the label tree 'tissue'"):
        tissue.collapse(np.array([1, 77, 300]), tissue.cut_at(1))
    with pytest.raises(InputError, match="label value -1 not in"):
        tissue.collapse(np.array([1, -1]), tissue.cut_at(1))
    with pytest.raises(InputError, match=r"whole numbers, got 0\.5"):
        tissue.collapse(np.array([1, 0.5]), tissue.cut_at(1))
    with pytest.raises(InputError, match="whole numbers, got nan"):
        tissue.collapse(np.array([1, np.nan]), tissue.cut_at(1))
    with pytest.raises(InputError, match="another tree"):
        tissue.collapse(np.array([1]), tissue.remove("e2").cut_at(1))


def test_class_indices_of_a_label_map(tissue: LabelTree) -> None:
    tree = tissue.with_value("T", 50)
    indices = tree.to_class_indices(np.array([0, 1.0, 5, 50]))
    assert indices.dtype == np.int16
    assert indices.tolist() == [IGNORE_INDEX, 0, 4, 6]
    assert tree.to_values(indices).tolist() == [0, 1, 5, 50]
    with pytest.raises(InputError, match="label value 51 not in"):
        tree.to_class_indices(np.array([51]))
    with pytest.raises(InputError, match="expected class indices from -1 to 9"):
        tree.to_values(np.array([10]))
    with_background = tree.with_background()
    assert with_background.to_class_indices(np.array([0, 1])).tolist() == [0, 1]
    assert with_background.to_class_indices(np.zeros((0, 2), dtype=np.uint8)).shape == (0, 2)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Left Hippocampus", "Right Hippocampus"),
        ("ctx-lh-insula", "ctx-rh-insula"),
        ("thalamus_L", "thalamus_R"),
        ("amygdala.r", "amygdala.l"),
        ("LeftPutamen", "RightPutamen"),
        ("putamenLeft", "putamenRight"),
        ("LEFT LUNG", "RIGHT LUNG"),
    ],
)
def test_mirror_pairs(left: str, right: str) -> None:
    nodes = [
        Node(name, name, "root", value=value) for value, name in enumerate(["Brain Stem", left, "Lobule V", right])
    ]
    assert LabelTree([Node("root", "root", None), *nodes]).mirror_permutation().tolist() == [0, 3, 2, 1]


def test_mirror_by_path_when_names_repeat() -> None:
    nodes = [Node("head", "head", None)]
    for number, side in enumerate(("Left", "Right")):
        nodes.append(Node(f"s{number}", side, "head"))
        nodes += [Node(f"s{number}-{i}", name, f"s{number}", value=2 * number + i) for i, name in enumerate("ab")]
    assert LabelTree(nodes).mirror_permutation().tolist() == [2, 3, 0, 1]


def test_no_mirror_without_a_partner() -> None:
    nodes = [Node(name, name, "root", value=value) for value, name in enumerate(["Left eye", "nose", "l", "Rib"])]
    assert LabelTree([Node("root", "root", None), *nodes]).mirror_permutation().tolist() == [0, 1, 2, 3]


def test_an_array_holds_what_a_cut_holds(tissue: LabelTree) -> None:
    collapsed = tissue.cut_at(2).to_tree()
    assert [(leaf.id, leaf.value) for leaf in collapsed.leaves] == [("tum", 8), ("nor", 9), ("e1", 4), ("e2", 5)]
    assert collapsed.depth == 2
