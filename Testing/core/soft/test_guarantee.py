"""A bound on wrong labels holds on new people as often as it says, and is refused where people are too few."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.soft.guarantee import Guarantee, Person, first_below, people_needed

LEVELS = np.linspace(0.5, 1, 51)


def draw(generator: np.random.Generator, people: int, shift: float = 0.0) -> list[Person]:
    """People whose fraction of wrong labels falls from some start to 0, each in their own way."""
    starts = generator.beta(2, 12, people) + shift
    powers = generator.uniform(0.5, 4, people)
    curves = np.clip(starts[:, None] * (1 - (LEVELS - 0.5) / 0.5) ** powers[:, None], 0, 1)
    return [Person(str(number), curve) for number, curve in enumerate(curves)]


def wrong_at(person: Person, level: float) -> float:
    return float(person.wrong[int(np.argmin(np.abs(LEVELS - level)))])


@pytest.mark.parametrize(("people", "alpha", "confidence"), [(9, 0.05, 0.9), (20, 0.03, 0.9), (19, 0.1, 0.95)])
def test_it_holds_on_a_new_person_as_often_as_it_says(people: int, alpha: float, confidence: float) -> None:
    generator = np.random.default_rng(people)
    kept, splits = 0, 1000
    for _ in range(splits):
        *known, new = draw(generator, people + 1)
        kept += wrong_at(new, Guarantee(LEVELS, tuple(known)).level(alpha, confidence)) <= alpha
    # 0.03: more than three standard deviations of a probability over 1000 splits
    assert kept / splits >= confidence - 0.03
    assert kept / splits <= confidence + 1 / (people + 1) + 0.03  # and is no more careful than it has to be


def test_it_holds_on_the_mean() -> None:
    alpha, people = 0.08, 15
    generator = np.random.default_rng(1)
    probabilities = []
    for _ in range(1000):
        *known, new = draw(generator, people + 1)
        probabilities.append(wrong_at(new, Guarantee(LEVELS, tuple(known)).mean_level(alpha)))
    assert np.mean(probabilities) <= alpha + 3 * np.std(probabilities) / 1000**0.5


def test_other_people_may_break_it() -> None:
    """Nothing is promised for people of another kind: here they have more wrong labels at every level."""
    generator = np.random.default_rng(2)
    kept = 0
    for _ in range(300):
        guarantee = Guarantee(LEVELS, tuple(draw(generator, 19)))
        kept += wrong_at(draw(generator, 1, shift=0.25)[0], guarantee.level(0.05, 0.9)) <= 0.05
    assert kept / 300 < 0.8


@pytest.mark.parametrize(("confidence", "people"), [(0.5, 1), (0.8, 4), (0.9, 9), (0.95, 19), (0.99, 99)])
def test_how_many_people_a_confidence_takes(confidence: float, people: int) -> None:
    assert people_needed(confidence) == people
    generator = np.random.default_rng(3)
    Guarantee(LEVELS, tuple(draw(generator, people))).level(0.2, confidence)
    if people > 1:
        with pytest.raises(InputError, match=rf"{people - 1} people cannot vouch .* it takes {people}"):
            Guarantee(LEVELS, tuple(draw(generator, people - 1))).level(0.2, confidence)


def test_a_mean_below_one_over_people_and_one_is_refused() -> None:
    guarantee = Guarantee(LEVELS, tuple(draw(np.random.default_rng(4), 9)))
    guarantee.mean_level(0.1)
    with pytest.raises(InputError, match=r"9 people cannot vouch for 0\.09 on the mean: it takes 11"):
        guarantee.mean_level(0.09)


def test_where_no_level_is_enough() -> None:
    hopeless = [Person(str(number), np.full(51, 0.4)) for number in range(9)]
    with pytest.raises(InputError, match=r"no level of probability gives at most 0\.05 wrong labels on 9 of 9 people"):
        Guarantee(LEVELS, tuple(hopeless)).level(0.05, 0.9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.01, 0.99))
def test_the_first_level_is_the_first_from_which_on_the_bound_is_kept(drops: list[float], alpha: float) -> None:
    curve = np.sort(drops)[::-1]
    at = first_below(curve, alpha)
    assert (curve[at:] <= alpha + 1e-12).all()
    assert at == 0 or curve[at - 1] > alpha


def test_it_is_written_and_read(tmp_path: Path) -> None:
    before = Guarantee(LEVELS, tuple(draw(np.random.default_rng(5), 9)), "digest", True, {"dataset": "d"})
    before.save(tmp_path / "guarantee.json")
    after = Guarantee.load(tmp_path / "guarantee.json")
    assert after.level(0.05) == before.level(0.05)
    assert (after.model, after.crossed, after.details) == ("digest", True, {"dataset": "d"})


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"format_version": 7}, "format_version"),
        ({"levels": [0.5, 0.4]}, "levels"),
        ({"levels": [0.5, 1e400]}, "levels"),
        ({"levels": "all"}, "levels"),
        ({"people": []}, "people"),
        ({"people": [{"id": "a", "wrong": [0.1]}]}, "people.a"),
        ({"people": [{"id": "a", "wrong": [0.1] * 50 + [0.2]}]}, "people.a"),
        ({"people": [{"wrong": []}]}, r"people\[0\]"),
    ],
)
def test_a_damaged_file_is_refused_with_file_and_field(tmp_path: Path, change: dict[str, object], field: str) -> None:
    content = Guarantee(LEVELS, tuple(draw(np.random.default_rng(6), 9))).to_json()
    (tmp_path / "guarantee.json").write_text(json.dumps({**content, **change}), encoding="utf-8")
    with pytest.raises(InputError, match=rf"guarantee\.json: {field}"):
        Guarantee.load(tmp_path / "guarantee.json")


@pytest.mark.parametrize(("alpha", "confidence"), [(0, 0.9), (1, 0.9), (0.1, 0), (0.1, 1), (float("nan"), 0.9)])
def test_numbers_out_of_range_are_refused(alpha: float, confidence: float) -> None:
    with pytest.raises(InputError, match="above 0 and below 1"):
        Guarantee(LEVELS, tuple(draw(np.random.default_rng(7), 9))).level(alpha, confidence)
