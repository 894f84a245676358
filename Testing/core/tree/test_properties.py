"""What holds for every tree."""

from __future__ import annotations

import contextlib

import hypothesis.strategies as st
import numpy as np
from hypothesis import HealthCheck, given, settings

from softseg.errors import InputError
from softseg.tree import Cut, LabelTree, Node

RUN = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def cuts(draw: st.DrawFn, tree: LabelTree) -> Cut:
    """Draw a cut: begin at the root and open nodes at will."""
    nodes, todo = [], [tree.root]
    while todo:
        node = todo.pop()
        children = tree.children(node.id)
        if children and draw(st.booleans()):
            todo.extend(children)
        else:
            nodes.append(node)
    return tree.cut([node.id for node in nodes])


def label_maps(draw: st.DrawFn, tree: LabelTree) -> np.ndarray:
    values = [leaf.value for leaf in tree.leaves]
    return np.array(draw(st.lists(st.sampled_from(values), min_size=1, max_size=20)))


@RUN
@given(tree=...)
def test_order_and_slices(tree: LabelTree) -> None:
    for node in tree.nodes:
        under = {leaf.id for leaf in tree.leaves_under(node.id)}
        assert under == {leaf.id for leaf in tree.leaves if node in tree.path(leaf.id)}
        assert tree.class_nodes[tree.class_index(node.id)] == node
        assert tree.depth_of(node.id) == len(tree.path(node.id)) - 1
        assert [below.id for below in tree.branch(node.id)] == [n.id for n in tree.nodes if node in tree.path(n.id)]


@RUN
@given(tree=...)
def test_distance_is_a_metric_and_the_length_of_the_path(tree: LabelTree) -> None:
    matrix = tree.distance_matrix()
    np.testing.assert_array_equal(matrix, matrix.T)
    assert (np.diagonal(matrix) == 0).all()
    assert (matrix + np.eye(len(matrix)) > 0).all()
    assert (matrix[:, None, :] <= (matrix[:, :, None] + matrix[None]) * (1 + 1e-9) + 1e-9).all()
    membership = tree.membership().astype(float)
    apart = np.abs(membership[:, :, None] - membership[:, None, :])
    np.testing.assert_allclose(matrix, np.einsum("v,vab->ab", tree.weights, apart), rtol=1e-9, atol=1e-9)
    if len(matrix) > 1:
        assert tree.distance_matrix(normalize=True).max() == 1.0


@RUN
@given(tree=..., data=st.data())
def test_every_cut_probabilities_out_the_leaves(tree: LabelTree, data: st.DataObject) -> None:
    cut = data.draw(cuts(tree))
    assert (cut.membership().sum(axis=0) == 1).all()
    probabilities = np.random.default_rng(0).dirichlet(np.ones(len(tree.leaves)))
    np.testing.assert_allclose((cut.membership() @ probabilities).sum(), 1.0)
    assert len(set(cut.values)) == len(cut)
    for value, node in zip(cut.values, cut.nodes, strict=True):
        assert cut.node_of_value(value) == node
    for level in range(tree.depth + 1):
        assert (tree.cut_at(level).membership().sum(axis=0) == 1).all()


@RUN
@given(tree=..., data=st.data())
def test_collapse_of_a_collapse_is_the_collapse(tree: LabelTree, data: st.DataObject) -> None:
    labels = label_maps(data.draw, tree)
    fine = data.draw(cuts(tree))
    above = fine.to_tree()
    coarse_above = data.draw(cuts(above))
    coarse = tree.cut([node.id for node in coarse_above.nodes])
    once = tree.collapse(labels, coarse)
    np.testing.assert_array_equal(tree.collapse(tree.collapse(labels, fine), coarse), once)
    np.testing.assert_array_equal(tree.collapse(once, coarse), once)
    positions = coarse.position_of_leaf[tree.to_class_indices(labels)]
    np.testing.assert_array_equal(once, np.array(coarse.values)[positions])
    by_name = [coarse_above.tree.node(node.id).id for node in coarse_above.nodes]
    assert by_name == [node.id for node in coarse.nodes]


@RUN
@given(tree=..., data=st.data())
def test_values_and_class_indices_are_two_names_of_one_thing(tree: LabelTree, data: st.DataObject) -> None:
    labels = label_maps(data.draw, tree)
    np.testing.assert_array_equal(tree.to_values(tree.to_class_indices(labels)), labels)


@RUN
@given(tree=...)
def test_mirror_is_its_own_inverse(tree: LabelTree) -> None:
    permutation = tree.mirror_permutation()
    np.testing.assert_array_equal(permutation[permutation], np.arange(len(tree.leaves)))


def check(tree: LabelTree) -> None:
    """Assert what a tree promises; constructing it again proves the rest."""
    assert LabelTree(tree.nodes, tree.name) == tree
    assert all(leaf.value is not None for leaf in tree.leaves)
    values = [node.value for node in tree.nodes if node.value is not None]
    assert len(values) == len(set(values))


@RUN
@given(tree=..., data=st.data())
def test_edits_give_trees_and_leave_the_old_one(tree: LabelTree, data: st.DataObject) -> None:
    before = tree.to_json()
    id_ = data.draw(st.sampled_from([node.id for node in tree.nodes]))
    other = data.draw(st.sampled_from([node.id for node in tree.nodes]))
    siblings = [node.id for node in tree.children(other)]
    edits = [
        lambda: tree.add(Node("new", "new", id_, value=1000)),
        lambda: tree.remove(id_),
        lambda: tree.remove(id_, keep_children=True),
        lambda: tree.rename(id_, "renamed", "renamed"),
        lambda: tree.move(id_, other, data.draw(st.none() | st.integers(0, 3))),
        lambda: tree.merge([id_]),
        lambda: tree.merge(data.draw(st.lists(st.sampled_from(siblings), min_size=1)) if siblings else []),
        lambda: tree.group(siblings[:2], Node("group", "group", other)),
        lambda: tree.split(id_, [Node("p", "p", id_), Node("q", "q", id_)]),
        lambda: tree.with_background(),
        lambda: tree.with_value(id_, None),
    ]
    for edit in edits:
        with contextlib.suppress(InputError):
            check(edit())
    assert tree.to_json() == before


@RUN
@given(tree=...)
def test_adding_and_removing_a_leaf_changes_nothing(tree: LabelTree) -> None:
    parent = tree.inner_nodes[-1].id if tree.inner_nodes else tree.root.id
    assert tree.add(Node("new", "new", parent, value=1000)).remove("new") == tree


@RUN
@given(tree=...)
def test_a_tree_differs_from_itself_in_nothing(tree: LabelTree) -> None:
    assert tree.diff(tree) == ()
    assert [change.field for change in tree.diff(tree.reweight(tree.nodes[-1].id, 1234.5))] == ["weight"]
