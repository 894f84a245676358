"""What belongs to what: by name however it is spelled, by code, by value where no name contradicts; each by itself."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.resources import label_tree_path
from softseg.tree import Code, LabelTree, Node, NodeError, Terminology
from softseg.tree.finding import NodeFinder
from softseg.tree.formats.codes import terminology_of_tag
from softseg.tree.matching import ADD, LEAVE_OUT, Item, Matching, contradictions, match_items, match_trees
from softseg.tree.names import plain_name, says_nothing, side_and_rest

LEFT, RIGHT = Code("7771000", "SCT", "Left"), Code("24028007", "SCT", "Right")


def coded(side: Code | None, type_: str = "40146001") -> Terminology:
    return Terminology(Code("123037004", "SCT", "Anatomical Structure"), Code(type_, "SCT", "Cortex"), side)


TREE = LabelTree(
    [
        Node("head", "head", None),
        Node("bg", "background", "head", value=0),
        Node("brain", "brain", "head", value=9),
        Node("cortex", "cortex", "brain", terminology=coded(None)),
        Node("l", "left cortex", "cortex", value=1, terminology=coded(LEFT)),
        Node("r", "right cortex", "cortex", value=2, terminology=coded(RIGHT)),
        Node("s", "brain stem", "brain", value=3),
        Node("gyrus", "precentral gyrus", "brain"),
        Node("gyrus-left", "left", "gyrus", value=4),
        Node("gyrus-right", "right", "gyrus", value=5),
    ],
    name="test",
)
NAMES = {node.name: node.id for node in TREE.nodes if node.name not in ("left", "right", "background", "head")}


def matched(names: dict[int, str], tree: LabelTree = TREE, **options: object) -> dict[int, str | None]:
    found = match_items([Item(value, name, value=value) for value, name in names.items()], tree, **options)  # type: ignore[arg-type]
    return {match.item.key: match.node.id if match.node else None for match in found.matches}  # type: ignore[misc]


def test_one_foreign_name_does_not_make_the_others_count_for_nothing():
    assert matched({1: "right cortex", 2: "left cortex", 3: "Segment_3"}) == {1: "r", 2: "l", 3: None}
    assert matched({1: "right cortex", 2: "left cortex", 3: "lesion"}) == {1: "r", 2: "l", 3: None}
    assert matched({1: "left cortex", 2: "right cortex", 3: "Segment_3"}) == {1: "l", 2: "r", 3: "s"}
    assert matched({1: "", 2: "2", 3: "label 3"}) == {1: "l", 2: "r", 3: "s"}


@pytest.mark.parametrize(
    ("name", "node"),
    [
        ("Left-Cortex", "l"),
        ("lh.cortex", "l"),
        ("ctx-lh-cortex", "l"),
        ("cortex_L", "l"),
        ("CortexRight", "r"),
        ("RIGHT_CORTEX", "r"),
        ("R cortex", "r"),
        ("BrainStem", "s"),
        ("Brain-Stem", "s"),
        ("precentral gyrus left", "gyrus-left"),
        ("rh.precentral.gyrus", "gyrus-right"),
        ("gyrus-left", "gyrus-left"),
        ("Cortex", "cortex"),
        ("Background", "bg"),
        ("left", None),
        ("cortex L1", None),
        ("left right cortex", None),
    ],
)
def test_spellings_of_one_name(name, node):
    assert matched({77: name}) == {77: node if name != "left" else "gyrus-left"}


@pytest.mark.parametrize(
    "name", ["Segment_3", "label 3", "Label_7", "3", "", "  ", "#3", "Segment 1_1", "none", "Region 4"]
)
def test_names_that_programs_give_say_nothing(name):
    assert says_nothing(name)


@pytest.mark.parametrize("name", ["liver", "L1", "CA1", "Segment of the liver", "maskable", "layer 4"])
def test_other_names_say_something(name):
    assert not says_nothing(name)


def test_what_is_similar_is_not_the_same():
    assert plain_name("HER2+") != plain_name("HER2-")
    assert side_and_rest("vertebrae_L1") == ("", "vertebrae l1")
    assert side_and_rest("Left-Hippocampus") == side_and_rest("hippocampus, l") == ("left", "hippocampus")
    twins = LabelTree(
        [Node("a", "a", None), Node("CA2/3", "CA2/3", "a", value=1), Node("CA2 3", "CA2 3", "a", value=2)]
    )
    assert matched({5: "CA2/3", 6: "CA2 3"}, twins) == {5: "CA2/3", 6: "CA2 3"}
    assert matched({5: "ca2_3"}, twins) == {5: None}
    assert matched({6: "CA23"}, twins) == {6: None}


def test_a_name_that_several_nodes_have_needs_the_value():
    tree = LabelTree(
        [
            Node("a", "a", None),
            Node("x", "left side", "a"),
            Node("y", "right side", "a"),
            Node("xc", "cortex", "x", value=1),
            Node("yc", "cortex", "y", value=2),
        ]
    )
    assert matched({2: "cortex", 1: "Cortex"}, tree) == {2: "yc", 1: "xc"}
    assert matched({7: "cortex"}, tree) == {7: None}
    assert matched({7: "left cortex", 8: "cortex_R"}, tree) == {7: "xc", 8: "yc"}
    with pytest.raises(InputError, match=r"7 \(cortex\): could be 'xc' or 'yc'; name it by the id"):
        match_items([Item(7, "cortex", value=7)], tree).require()


def test_codes_count_where_names_say_nothing_of_the_tree():
    items = [
        Item("a", "linke Rinde", "Segment_1", terminology=coded(LEFT)),
        Item("b", "Rinde rechts", "Segment_2", terminology=coded(RIGHT)),
    ]
    found = match_items(items, TREE, numbered=True)
    assert {key: node.id for key, node in found.nodes.items()} == {"a": "l", "b": "r"}
    assert {match.how for match in found.matches} == {"code"}
    against = match_items([Item("a", "left cortex", terminology=coded(RIGHT))], TREE)
    assert against.open[0].reason == "its name means 'left cortex', its code 'right cortex'"
    coarse = match_items([Item("a", "left cortex", terminology=coded(None))], TREE)
    assert coarse.nodes["a"].id == "l"
    tissue = Terminology(Code("85756007", "SCT", "Tissue"), Code("85756007", "SCT", "Tissue"))
    only = LabelTree([Node("a", "a", None), Node("b", "b", "a", value=1, terminology=tissue)])
    assert match_items([Item("x", "anything", terminology=tissue)], only).open  # what Slicer gives to every segment


def test_codes_are_read_from_slicers_tag():
    tag = "any~SCT^123037004^Anatomical Structure~SCT^40146001^Cortex~SCT^7771000^Left~Anatomic~^^~^^"
    assert terminology_of_tag(tag) == coded(LEFT)
    for nothing in ("", "~^^~^^~^^", "a~SCT^1^x", "~~~~~~~~"):
        assert terminology_of_tag(nothing) is None


def test_two_items_of_one_node_are_open_but_for_the_one_that_is_spelled_like_it():
    found = match_items([Item(1, "Cortex_L"), Item(2, "lh.cortex")], TREE)
    assert [match.reason for match in found.open] == [
        "means 'left cortex', as 'lh.cortex' does",
        "means 'left cortex', as 'Cortex_L' does",
    ]
    assert match_items([Item(1, "Cortex_L"), Item(2, "left cortex")], TREE).nodes.keys() == {2}
    assert not match_items([Item((0, 1), value=1), Item((1, 1), value=1)], TREE).nodes


def test_numbers_of_segments_are_no_evidence_beside_names():
    items = [Item("a", "left cortex", "Segment_1", 1), Item("b", "Segment_3", "Segment_3", 3)]
    assert match_items(items, TREE, numbered=True).nodes.keys() == {"a"}
    assert match_items(items, TREE).nodes.keys() == {"a", "b"}
    found = match_items([Item("a", "Segment_1", "Segment_1", 1), items[1]], TREE, numbered=True)
    assert found.note() == (
        "matched by label value, without a known name: 1 (Segment_1) as 'left cortex', 3 (Segment_3) as 'brain stem'"
    )


def test_names_that_a_program_gave_by_itself_decide_nothing_against_the_values():
    def found(names: dict[int, str]) -> Matching:
        return match_items([Item(value, name, value=value, given=False) for value, name in names.items()], TREE)

    assert {key: node.id for key, node in found({1: "tissue", 2: "bone", 3: "skin"}).nodes.items()} == {
        1: "l",
        2: "r",
        3: "s",
    }
    assert {key: node.id for key, node in found({7: "brain stem", 8: "left cortex"}).nodes.items()} == {7: "s", 8: "l"}
    against = found({1: "right cortex", 2: "left cortex"})
    assert [match.item.key for match in against.open] == [1, 2]
    assert against.open[0].reason == "its value means 'left cortex', the program's own colour table 'right cortex'"


def test_what_people_choose_is_taken():
    items = [
        Item(1, "lesion", value=1),
        Item(2, "left cortex", value=2),
        Item(3, "other", value=3),
        Item(4, "more", value=4),
    ]
    found = match_items(items, TREE, {1: "s", 3: LEAVE_OUT, 4: ADD})
    assert {key: node.id for key, node in found.nodes.items()} == {1: "s", 2: "l", 4: "more"}
    assert not found.open
    assert [match.how for match in found.matches] == ["choice", "name", "", "added"]
    new = found.tree.node("more")
    assert (new.parent, new.value in {node.value for node in TREE.nodes}) == ("head", False)
    found.require()
    assert found.values[1] == 3
    with pytest.raises(NodeError, match="no node 'nowhere'"):
        match_items(items, TREE, {1: "nowhere"})


def test_open_items_can_be_added_or_left_out_together():
    found = match_items([Item(77, "", value=77), Item(1, "lesion", value=1), Item(2, "lesion", value=2)], TREE)
    with pytest.raises(
        InputError, match=r"no node for 77; 1 \(lesion\): no node has this name, and 1 is 'left cortex'"
    ):
        found.require()
    added = found.adding()
    added.require()
    assert added.tree.node("label 77").value == 77
    assert len({node.id for node in added.nodes.values()}) == 3
    left = found.leaving_out()
    left.require()
    assert not left.nodes
    assert left.tree is TREE


def test_freesurfers_names_are_found_in_the_tree_of_another_tool():
    tree = LabelTree.load(label_tree_path("brain-134"))
    names = ["Left-Hippocampus", "Right-Hippocampus", "Left-Lateral-Ventricle", "3rd-Ventricle", "Brain-Stem"]
    found = match_items([Item(name, name) for name in names], tree)
    assert [match.node.name if match.node else "" for match in found.matches] == [
        "Left Hippocampus",
        "Right Hippocampus",
        "Left Lateral Ventricle",
        "3rd Ventricle",
        "Brain Stem",
    ]


@pytest.mark.parametrize("name", ["brain-134", "freesurfer-aseg-dkt", "spinal-cord", "brats-tumour", "indian-pines"])
def test_every_node_of_a_shipped_tree_is_found_by_its_own_name(name):
    tree = LabelTree.load(label_tree_path(name))
    finder = NodeFinder(tree)
    names = [node.name for node in tree.nodes]
    for node in tree.nodes:
        if names.count(node.name) == 1:
            assert finder.find(node.name).node == node
        assert node in finder.find(node.id).nodes
    # a leaf that is called like its branch (FreeSurfer's CSF) needs its value beside the name
    items = [Item(leaf.id, leaf.name, value=leaf.value) for leaf in tree.leaves]
    assert {key: node.id for key, node in match_items(items, tree).nodes.items()} == {
        leaf.id: leaf.id for leaf in tree.leaves
    }


def test_an_edited_tree_is_still_the_same_tree():
    edited = TREE.rename("l", "right cortex").rename("r", "left cortex").move("s", "head")  # names put right by hand
    found = match_trees(TREE, edited)
    assert {key: node.id for key, node in found.nodes.items()} == {
        node.value: node.id for node in TREE.nodes if node.value is not None
    }
    assert not contradictions(TREE, edited)


def test_the_tree_of_another_tool_is_another_tree():
    other = LabelTree(
        [
            Node("root", "root", None),
            Node("unknown", "Unknown", "root", value=0),
            Node("1", "Right-Cortex", "root", value=1),
            Node("2", "lh.cortex", "root", value=2),
            Node("3", "lesion", "root", value=3),
            Node("4", "label 4", "root", value=4),
        ]
    )
    found = match_trees(other, TREE)
    assert {key: node.id for key, node in found.nodes.items()} == {0: "bg", 1: "r", 2: "l"}
    assert contradictions(other, TREE) == [
        "1 is 'Right-Cortex' in one and 'left cortex' in the other",
        "2 is 'lh.cortex' in one and 'right cortex' in the other",
        "3 is 'lesion' in one and 'brain stem' in the other",
    ]


foreign = st.sampled_from(["lesion", "liver", "Segment_3", "label 8", "", "12"])
spelled = st.sampled_from(sorted(NAMES)).flatmap(
    lambda name: st.sampled_from([name, name.upper(), name.replace(" ", "_"), name.title().replace(" ", "-")])
)
maps = st.dictionaries(st.integers(1, 12), st.one_of(spelled, foreign), min_size=1, max_size=8)


@settings(deadline=None)
@given(maps, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_items_changes_nothing(names, random, numbered):
    shuffled = list(names.items())
    random.shuffle(shuffled)
    assert matched(names, numbered=numbered) == matched(dict(shuffled), numbered=numbered)


@settings(deadline=None)
@given(st.permutations(sorted(NAMES)), st.permutations(range(1, 13)), st.booleans())
def test_names_win_whatever_the_values_are(names, values, numbered):
    found = match_items(
        [Item(name, name, value=value) for name, value in zip(names, values, strict=False)], TREE, numbered=numbered
    )
    assert {key: node.id for key, node in found.nodes.items()} == NAMES


@settings(deadline=None)
@given(maps, st.booleans(), st.booleans())
def test_no_contradictory_value_is_ever_taken_and_no_node_twice(names, numbered, given_):
    items = [Item(value, name, value=value, given=given_) for value, name in names.items()]
    found = match_items(items, TREE, numbered=numbered)
    nodes = [node.id for node in found.nodes.values()]
    assert len(nodes) == len(set(nodes))
    assert {match.item.key for match in found.matches} == set(names)
    finder = NodeFinder(TREE)
    for match in found.matches:
        named = finder.find(match.item.name).node if match.item.name else None
        if match.how == "value" and given_:
            assert named is None
            assert match.item.nameless  # all nodes of this tree have names, so a foreign name contradicts
            assert match.node is not None
            assert match.node.value == match.item.value
            for other in found.matches:  # no other item says that the numbers are not the tree's
                if other.how == "name" and other.node is not None and other.node.value is not None:
                    assert other.node.value == other.item.value
        if match.how == "name" and given_:
            assert match.node == named
        assert match.open == (match.node is None)


@settings(deadline=None, max_examples=50)
@given(st.permutations([1, 2, 3, 4, 5]))
def test_a_permutation_of_the_values_permutes_the_labels(values):
    """The same voxels get the same nodes, whatever numbers they carry in the file."""
    names = ["left cortex", "right cortex", "brain stem", "gyrus-left", "gyrus-right"]
    voxels = np.arange(5).repeat([3, 1, 4, 1, 5])
    table = match_items(
        [Item(value, name, value=value) for value, name in zip(values, names, strict=True)], TREE
    ).values
    mapped = [table[value] for value in np.array(values)[voxels].tolist()]
    assert mapped == (voxels + 1).tolist()
    assert [one < other for one, other in pairwise(sorted(table.values()))] == [True] * 4
