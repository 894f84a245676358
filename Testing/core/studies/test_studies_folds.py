"""Folds: nobody is on two sides, everybody is tested once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from softseg.data import Dataset
from softseg.errors import InputError
from softseg.studies.plan.blocks import block_numbers, deal_blocks, part_masks
from softseg.studies.plan.folds import folds_of
from softseg.studies.plan.study_file import FoldSpec


def crowd(fields: Dataset, people: int, scans: int = 2) -> Dataset:
    """The first case, as many scans of as many people."""
    first = fields.cases[0]
    cases = [replace(first, id=f"{p}-{s}", group=f"person{p}") for p in range(people) for s in range(scans)]
    return replace(fields, cases=tuple(cases))


@pytest.mark.parametrize("count", [3, 5, "all"])
def test_everybody_is_tested_once_and_people_stay_together(fields: Dataset, count: int | str) -> None:
    data = crowd(fields, 7)
    folds = folds_of(data, FoldSpec(by="person", count=count))
    assert len(folds) == (7 if count == "all" else count)
    tested = Counter(name for fold in folds for name, part in fold.parts.items() if part == "test")
    assert tested == {case.id: 1 for case in data.cases}
    for fold in folds:
        sides = {}
        for case in data.cases:
            sides.setdefault(case.group, set()).add(fold.parts[case.id])
        assert all(len(parts) == 1 for parts in sides.values())
        assert sum(part == {"val"} for part in sides.values()) == 1


def test_nested_folds_never_see_the_outer_test_people(fields: Dataset) -> None:
    data = crowd(fields, 6, scans=1)
    folds = folds_of(data, FoldSpec(by="person", count=3, nested=2))
    outer = {fold.name: fold for fold in folds if not fold.inner}
    inner = [fold for fold in folds if fold.inner]
    assert len(inner) == 6
    for fold in inner:
        outside = {name for name, part in outer[fold.outer].parts.items() if part == "test"}
        assert not outside & set(fold.parts)
    for number, whole in outer.items():
        judged = Counter(n for fold in inner if fold.outer == number for n, p in fold.parts.items() if p == "test")
        assert judged == {name: 1 for name, part in whole.parts.items() if part != "test"}


def test_the_datasets_own_split_and_chosen_folds(fields: Dataset) -> None:
    assert folds_of(fields, FoldSpec())[0].parts == {case.id: case.split for case in fields.cases}
    data = crowd(fields, 5)
    some = folds_of(data, FoldSpec(by="person", count=5, only=[1, 3]))
    every = folds_of(data, FoldSpec(by="person", count=5))
    assert some == [every[1], every[3]]
    with pytest.raises(InputError, match="no fold 9"):
        folds_of(data, FoldSpec(by="person", count=5, only=[9]))


def test_too_few_people(fields: Dataset) -> None:
    with pytest.raises(InputError, match="too few"):
        folds_of(crowd(fields, 2), FoldSpec(by="person", count=2))
    with pytest.raises(InputError, match="too few"):
        folds_of(crowd(fields, 4), FoldSpec(by="person", count=5))


maps = arrays(np.int64, st.tuples(st.just(1), st.integers(4, 20), st.integers(4, 20)), elements=st.integers(0, 4))


@given(maps, st.integers(1, 6), st.integers(2, 4), st.integers(0, 3))
@settings(deadline=None)
def test_blocks_cover_all_and_margins_keep_labels_apart(labels: np.ndarray, edge: int, count: int, margin: int) -> None:
    fold = deal_blocks(labels, edge, count)
    block = block_numbers(labels.shape, edge)
    assert fold.min() >= 0
    assert fold.max() < count
    assert all(len(np.unique(fold[block == number])) == 1 for number in np.unique(block))
    tested = np.zeros(labels.shape, int)
    for number in range(count):
        masks = part_masks(fold, number, count, 1, margin)
        tested += masks["test"]
        assert not (masks["train"] & masks["val"]).any()
        for one, other in (("train", "test"), ("train", "val"), ("val", "test")):
            places = [np.argwhere(masks[part]) for part in (one, other)]
            if all(len(place) for place in places):
                gap = np.abs(places[0][:, None] - places[1][None]).max(axis=2).min()
                assert gap > margin
    assert (tested == 1).all()


def test_a_class_in_several_blocks_comes_into_several_folds(shared_data: Path) -> None:
    labels = np.load(shared_data / "hyperspectral" / "indian_pines.npz")["labels"][None].astype(int)
    fold = deal_blocks(labels, 12, 4)
    block = block_numbers(labels.shape, 12)
    for value in range(1, 17):
        blocks = len(np.unique(block[labels == value]))
        assert len(np.unique(fold[labels == value])) == min(4, blocks)
    fractions = np.bincount(fold[labels > 0]) / (labels > 0).sum()
    assert fractions.max() < 0.3
