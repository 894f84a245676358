"""The tree that fits labels made elsewhere is found, by names or by values, with counts."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.resources import label_tree_path, list_label_trees
from softseg.tree import LabelTree
from softseg.tree.matching import Item
from softseg.tree.ranking import rank_trees

TREES = [LabelTree.load(label_tree_path(name)) for name in list_label_trees()]


def items_of(tree: LabelTree, named: bool, valued: bool) -> list[Item]:
    """The leaves of a tree as labels that came from elsewhere."""
    leaves = [leaf for leaf in tree.leaves if leaf.value]
    return [
        Item(n, leaf.id if named else str(leaf.value), value=leaf.value if valued else n)
        for n, leaf in enumerate(leaves, start=1)
    ]


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.name)
@pytest.mark.parametrize(("named", "valued"), [(True, True), (True, False), (False, True)])
def test_every_shipped_tree_is_found_for_its_own_labels(tree: LabelTree, named: bool, valued: bool) -> None:
    best = rank_trees(items_of(tree, named, valued), TREES)[0]
    assert best.is_complete
    assert best.fitting == best.total == len([leaf for leaf in tree.leaves if leaf.value])
    assert best.named == (best.total if named else 0)
    if named:
        twins = {"brain-134", "brain-134-side-first"}  # the same structures: the first of them is taken
        assert best.tree.name == ("brain-134" if tree.name in twins else tree.name)


def test_freesurfer_labels_without_names_find_their_tree_with_counts() -> None:
    values = [2, 3, 4, 10, 11, 12, 17, 41, 42, 49, 50, 1003, 1005, 2003, 2005, 77777]
    ranked = rank_trees([Item(value, str(value), value=value) for value in values], TREES)
    assert ranked[0].tree.name == "freesurfer-aseg-dkt"
    assert (ranked[0].fitting, ranked[0].named, ranked[0].total) == (15, 0, 16)
    assert not ranked[0].is_complete
    assert ranked[1].fitting < 15


def test_the_background_is_no_label() -> None:
    items = [Item(0, "0", value=0), Item("b", "Background", value=9), Item("l", "left rib 3", value=94)]
    best = rank_trees(items, TREES, numbered=True)[0]
    assert (best.tree.name, best.fitting, best.total) == ("totalsegmentator", 1, 1)


def test_labels_that_nothing_fits_and_none_at_all() -> None:
    assert [fit.fitting for fit in rank_trees([Item("x", "engine block")], TREES)] == [0] * len(TREES)
    assert not any(fit.is_complete for fit in rank_trees([], TREES))


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(len(TREES))), st.sampled_from(TREES), st.integers(1, 40))
def test_the_order_of_the_trees_does_not_matter(order: list[int], tree: LabelTree, count: int) -> None:
    items = items_of(tree, True, True)[:count]
    counts = [(fit.fitting, fit.named) for fit in rank_trees(items, [TREES[n] for n in order])]
    assert counts == [(fit.fitting, fit.named) for fit in rank_trees(items, TREES)]
    assert counts == sorted(counts, reverse=True)
