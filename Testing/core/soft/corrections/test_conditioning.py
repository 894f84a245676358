"""Corrections condition: against a dense reference, and what holds whatever is said."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from correction_cases import apply, cases, dense_of, patient, random_corrections, random_parcellation, reference
from hypothesis import given

from softseg.errors import InputError
from softseg.soft import SoftParcellation
from softseg.soft.correcting.apply import with_corrections
from softseg.soft.remap import corrected_as


def exact(parcellation: SoftParcellation) -> np.ndarray:
    """The distribution before it is rounded: float64 ``(C, k, j, i)``."""
    out = dense_of(parcellation.predicted)
    if parcellation.layer is not None:
        rows = parcellation.layer.rows
        flat = out.reshape(len(out), -1)
        flat[:, rows.voxels] = 0
        total = np.add.reduceat(rows.steps.astype(float), rows.first)
        flat[rows.leaves, rows.voxels[rows.owner]] = rows.steps / total[rows.owner]
    return out


@patient
@given(case=cases)
def test_against_a_dense_reference(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    said = random_corrections(model, case[0])
    corrected = apply(model, said)
    expected = reference(model, said)
    np.testing.assert_allclose(exact(corrected), expected, atol=1e-6)
    for node in model.tree.nodes:  # stored: however often a voxel was corrected, a node is off by one rounding
        span = model.tree.leaf_slice(node.id)
        assert np.abs(corrected.probability(node.id) - expected[span].sum(axis=0)).max() <= 1.5 / 255 + 1e-6


@patient
@given(case=cases)
def test_the_node_is_sure_and_the_ratios_inside_stay(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    for said in random_corrections(model, case[0], most=2):
        corrected = model.corrected(said.node, said.voxels, is_node=said.is_node)
        probability = corrected.probability(said.node)[said.voxels]
        assert (probability == (1 if said.is_node else 0)).all()
        before, after = dense_of(model), exact(corrected)
        inside = model.tree.leaf_slice(said.node) if said.is_node else slice(0, 0)
        mass = before[inside].sum(axis=0)
        own = said.voxels & (mass > 0)
        np.testing.assert_allclose(after[inside, own] * mass[own], before[inside, own], atol=1e-9)
        np.testing.assert_array_equal(after[:, ~said.voxels], before[:, ~said.voxels])


@patient
@given(case=cases)
def test_every_cut_sums_to_one_where_anything_was_said(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    corrected = apply(model, random_corrections(model, case[0]))
    there = corrected.corrected_voxels
    for level in range(model.tree.depth + 1):
        total = sum(np.rint(corrected.probability(node.id) * 255) for node in model.tree.cut_at(level).nodes)
        assert (np.asarray(total)[there] == 255).all()


@patient
@given(case=cases)
def test_taking_back_restores_what_would_have_been(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    said = random_corrections(model, case[0])
    corrected = apply(model, said)
    spoken = [one for one in said if one.voxels.any()]
    for number, correction in enumerate(corrected.corrections):
        rest = apply(model, spoken[:number] + spoken[number + 1 :])
        assert_same(corrected.without(correction), rest)
    for correction in corrected.corrections:
        corrected = corrected.without(correction)
    assert corrected.corrections == ()
    assert_same(corrected, model)


def assert_same(first: SoftParcellation, second: SoftParcellation) -> None:
    assert first.start == second.start
    for name in ("counts", "leaves", "shares"):
        one, other = getattr(first, name), getattr(second, name)
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


@patient
@given(case=cases)
def test_sums_that_are_patched_are_those_made_anew(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    said = random_corrections(model, case[0])
    assert model.volumes()
    patched = apply(model, said)
    fresh = apply(random_parcellation(*case), said)
    assert not fresh.stored_box.has_sums
    if patched.corrections:
        last = patched.without(patched.corrections[-1])
        assert_views_equal(last, apply(random_parcellation(*case), [one for one in said if one.voxels.any()][:-1]))
    assert_views_equal(patched, fresh)


@patient
@given(case=cases)
def test_what_was_asked_before_a_correction_is_answered_rightly_after_it(case: tuple[int, bool]) -> None:
    patched, said = random_parcellation(*case), random_corrections(random_parcellation(*case), case[0])
    for one in said:
        assert_views_equal(patched, random_parcellation(*case) if not patched.corrections else patched)
        patched = apply(patched, [one])
    assert_views_equal(patched, apply(random_parcellation(*case), said))


def test_answers_that_are_asked_again_cannot_be_overwritten() -> None:
    model = random_parcellation(3, True)
    with pytest.raises(ValueError, match="read-only"):
        model.box_labels(1)[:] = 0
    own = model.labels(1)
    own[:] = 7
    np.testing.assert_array_equal(model.labels(1), random_parcellation(3, True).labels(1))


@patient
@given(case=cases)
def test_corrections_that_are_answered_follow_to_a_tree_with_other_names(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    known = apply(model, random_corrections(model, case[0]))
    tree = model.tree.rename(model.tree.leaves[0].id, "another name").recolor(model.tree.root.id, (1, 2, 3))
    own = model.with_tree(tree)
    found = corrected_as(own, known.corrections, known)
    if not known.corrections:
        assert found is None
        return
    assert found is not None
    assert found.tree == tree
    assert [one.nearest for one in found.corrections] == [one.nearest for one in known.corrections]
    assert_same(found, with_corrections(own, known.corrections))
    assert_same(found.without(found.corrections[-1]), known.without(known.corrections[-1]))


def test_corrections_are_answered_again_where_they_mean_something_else() -> None:
    model = random_parcellation(3, True)
    inside = np.ones(model.geometry.shape, bool)
    known, leaf = model.corrected("back", inside), model.tree.leaves[0]
    others = [replace(known.corrections[0], node_id=leaf.id)]
    assert leaf.id != "back"
    assert corrected_as(model, others, known) is None
    assert corrected_as(model, known.corrections[:0], known) is None
    assert corrected_as(random_parcellation(3, True), known.corrections, known) is None  # arrays of its own
    assert corrected_as(known, known.corrections, known) is None


@patient
@given(case=cases)
def test_a_map_is_written_where_it_is_wanted(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    own = np.full(model.geometry.shape, 9, np.float32)
    for node in model.tree.nodes:
        assert model.probability(node.id, own) is own
        np.testing.assert_array_equal(own, model.probability(node.id))


def test_many_voxels_are_answered_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(20):
        model = random_parcellation(seed, True)
        said = random_corrections(model, seed)
        plain = apply(model, said)
        with monkeypatch.context() as patch:
            patch.setattr("softseg.soft.corrections.box._PART", 3)
            patch.setattr("softseg.soft.corrections.nearest._MANY", 0)
            assert_same(apply(random_parcellation(seed, True), said), plain)


def test_sums_are_patched_and_not_made_anew() -> None:
    model = random_parcellation(3, True)
    inside = np.zeros(model.geometry.shape, bool)
    inside[model.box] = model.counts > 1
    assert inside.any()
    assert model.sums is not None
    corrected = model.corrected("back", inside)
    assert corrected.stored_box.has_sums
    assert corrected.predicted.stored_box is model.stored_box
    assert corrected.corrected("n0", inside).without(corrected.corrections[0]).stored_box.has_sums


def assert_views_equal(first: SoftParcellation, second: SoftParcellation) -> None:
    for level in range(first.tree.depth + 1):
        np.testing.assert_array_equal(first.labels(level), second.labels(level))
        np.testing.assert_allclose(first.entropy(level), second.entropy(level), atol=1e-6)
    for node in first.tree.nodes:
        np.testing.assert_array_equal(first.probability(node.id), second.probability(node.id))
    np.testing.assert_array_equal(first.confident_labels(0.7), second.confident_labels(0.7))
    for one, other in zip(first.volumes(), second.volumes(), strict=True):
        assert one.soft_ml == pytest.approx(other.soft_ml)
        assert (one.id, one.hard_ml) == (other.id, other.hard_ml)


@patient
@given(case=cases)
def test_the_answers_are_counted(case: tuple[int, bool]) -> None:
    model = random_parcellation(*case)
    for correction in apply(model, random_corrections(model, case[0])).corrections:
        assert correction.conditioned + correction.nearest + correction.even == correction.voxel_count


def test_saying_nothing_changes_nothing(model: SoftParcellation) -> None:
    assert model.corrected("n0", np.zeros(model.geometry.shape, bool)) is model


@pytest.fixture
def model() -> SoftParcellation:
    return random_parcellation(3, True)


def test_what_cannot_be_said_is_refused(model: SoftParcellation) -> None:
    everywhere = np.ones(model.geometry.shape, bool)
    with pytest.raises(InputError, match="nothing is left beside this node"):
        model.corrected("n0", everywhere, is_node=False)
    with pytest.raises(InputError, match="nowhere"):
        model.corrected("nowhere", everywhere)
    with pytest.raises(InputError, match="expected a time such as"):
        model.corrected("n0", everywhere, time="yesterday")
    with pytest.raises(ValueError, match="expected a bool array"):
        model.corrected("n0", everywhere.astype(np.uint8))


def test_a_later_correction_gets_back_what_an_earlier_one_took(model: SoftParcellation) -> None:
    first, second = model.tree.children("n0")[:2]
    voxels = model.probability(first.id) > 0
    there_and_back = model.corrected(second.id, voxels).corrected(first.id, voxels)
    direct = model.corrected(first.id, voxels)
    np.testing.assert_array_equal(dense_of(there_and_back), dense_of(direct))
