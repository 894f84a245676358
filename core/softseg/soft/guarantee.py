"""The probability to ask of a node so that few labels are wrong on a new person, with a stated confidence.

Each voxel is labelled with the deepest node of at least a given probability (:mod:`softseg.soft.confidence`). With a
higher level fewer labels are wrong: an ancestor of a right node is right. So the fraction of wrong labels on one
person never grows with the level, and each person has a lowest level from which on it is at most ``alpha``. If a new
person and the ``n`` people at hand are exchangeable, the ``ceil((n + 1) * confidence)``-th smallest of these levels is
enough for the new person with probability ``confidence`` or more, whatever the distribution (split conformal
prediction, Vovk et al. 2005; over people as in conformal risk control, Angelopoulos et al. 2024). With ``n`` people no
confidence above ``n / (n + 1)`` can be stated. For the mean over people instead of one person, conformal risk control
takes the lowest level with ``(sum of fractions + 1) / (n + 1) <= alpha``; no ``alpha`` below ``1 / (n + 1)`` can be
kept.

Where a model was trained on all people, models that other people trained may label each of them. For the model itself
nothing is proven then (as for the jackknife, Barber et al. 2021). Jackknife+ (at least ``2 c - 1``) and conformal risk
control by cross-validation (Cohen et al. 2024) prove something, for predictions that all those models make together.

Counting people, not voxels, is the point: voxels of one scan are not independent. What holds for exchangeable people
need not hold for others: other ages, scanners or contrasts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.files import read_json_object

FILE = "guarantee.json"
"""Name of the file in a model folder."""

FORMAT_VERSION = 1

CONFIDENCE = 0.9
"""Probability with which a bound holds for a new person, by default (ours)."""

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Person:
    """What was found on one person.

    Attributes
    ----------
    id: the person's, from the dataset.
    wrong: float64 ``[levels]``, the fraction of wrong labels at each level of probability, 0..1, not increasing.
    """

    id: str
    wrong: Curve

    def __post_init__(self) -> None:
        if not (np.isfinite(self.wrong).all() and (self.wrong >= 0).all() and (self.wrong <= 1).all()):
            raise InputError("fractions of wrong labels are not in 0..1", field=f"people.{self.id}")
        if (np.diff(self.wrong) > 1e-6).any():
            raise InputError("the fraction of wrong labels grows with the level", field=f"people.{self.id}")


@dataclass(frozen=True, eq=False)
class Guarantee:
    """Fractions of wrong labels of several people, from which the level for any bound follows.

    Attributes
    ----------
    levels: float64, increasing probabilities in 0.5..1 that a labelled node must have.
    people: with the fraction of wrong labels at each of them.
    model: digest of the model that predicted.
    crossed: whether each person was predicted by a model that other people trained (cross-validation). Nothing is then
        proven for the model itself: it holds as far as that one is as good as those.
    details: how it was found, plain values.
    """

    levels: Curve
    people: tuple[Person, ...]
    model: str = ""
    crossed: bool = False
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not len(self.levels) or (np.diff(self.levels) <= 0).any() or not (self.levels >= 0.5).all():
            raise InputError("expected increasing levels from 0.5 to 1", field="levels")
        if not (self.levels <= 1).all():
            raise InputError("expected increasing levels from 0.5 to 1", field="levels")
        if not self.people:
            raise InputError("there is no person", field="people")
        for person in self.people:
            if person.wrong.shape != self.levels.shape:
                raise InputError(f"expected {len(self.levels)} fractions", field=f"people.{person.id}")

    @property
    def most_confidence(self) -> float:
        """The most confidence that so many people allow: ``n / (n + 1)``."""
        return len(self.people) / (len(self.people) + 1)

    def level(self, alpha: float, confidence: float = CONFIDENCE) -> float:
        """Return the level at which a new person has at most ``alpha`` wrong labels, with this confidence.

        Parameters
        ----------
        alpha: fraction of wrong labels, above 0 and below 1.
        confidence: probability with which the bound holds, over the choice of all people; above 0 and below 1.

        Raises
        ------
        InputError: a number is out of range, there are too few people for this confidence (the message names the
            number), or no level is high enough for so many of them.
        """
        _require_fraction(alpha, "alpha")
        rank, people = _rank(len(self.people), confidence), len(self.people)
        if rank > people:
            raise InputError(
                f"{people} people cannot vouch for a confidence of {confidence:g}: "
                f"it takes {people_needed(confidence)}",
                field="guarantee",
                hint=f"ask for a confidence of {people / (people + 1):.3g} or less, or find it on more people",
            )
        position = int(np.sort([first_below(person.wrong, alpha) for person in self.people])[rank - 1])
        return self._at(position, f"at most {alpha:g} wrong labels on {rank} of {people} people")

    def mean_level(self, alpha: float) -> float:
        """Return the level at which the mean fraction of wrong labels, over new people, is at most ``alpha``.

        Raises
        ------
        InputError: ``alpha`` is out of range, below ``1 / (n + 1)``, or no level is high enough.
        """
        _require_fraction(alpha, "alpha")
        people = len(self.people)
        if (people + 1) * _exact(alpha) < 1:
            raise InputError(
                f"{people} people cannot vouch for {alpha:g} on the mean: it takes {math.ceil(1 / _exact(alpha)) - 1}",
                field="guarantee",
                hint=f"ask for {1 / (people + 1):.3g} or more, or find it on more people",
            )
        bound = (np.sum([person.wrong for person in self.people], axis=0) + 1) / (people + 1)
        return self._at(first_below(bound, alpha), f"at most {alpha:g} wrong labels on the mean")

    def _at(self, position: int, what: str) -> float:
        if position == len(self.levels):
            raise InputError(f"no level of probability gives {what}", field="guarantee", hint="allow more wrong labels")
        return float(self.levels[position])

    # -- files ----------------------------------------------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "format_version": FORMAT_VERSION,
            "model": self.model,
            "crossed": self.crossed,
            "levels": [round(float(level), 6) for level in self.levels],
            "people": [{"id": person.id, "wrong": person.wrong.tolist()} for person in self.people],
            "details": dict(self.details),
        }

    def save(self, path: Path) -> None:
        """Write a JSON file."""
        path.write_text(json.dumps(self.to_json(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: Path) -> Guarantee:
        """Read a JSON file.

        Raises
        ------
        InputError: it is missing or damaged; names file and field.
        """
        content = read_json_object(path)
        if content.get("format_version") != FORMAT_VERSION:
            raise InputError(
                f"expected version {FORMAT_VERSION}, got {content.get('format_version')!r}",
                file=path,
                field="format_version",
                hint="find it again with softseg guarantee",
            )
        try:
            return Guarantee(
                _numbers(content.get("levels"), "levels"),
                tuple(_person(value, f"people[{number}]") for number, value in enumerate(_list(content.get("people")))),
                str(content.get("model", "")),
                content.get("crossed") is True,
                details if isinstance(details := content.get("details"), dict) else {},
            )
        except InputError as error:
            raise InputError(error.message, file=path, field=error.field, hint=error.hint) from error


def people_needed(confidence: float) -> int:
    """Return the least number of people with whom a bound can be stated with this confidence: ``c / (1 - c)``, up.

    Raises
    ------
    InputError: ``confidence`` is not above 0 and below 1.
    """
    _require_fraction(confidence, "confidence")
    exact = _exact(confidence)
    return math.ceil(exact / (1 - exact))


def first_below(wrong: Sequence[float] | Curve, alpha: float) -> int:
    """Return the first position from which the fraction of wrong labels stays within ``alpha``; else the length."""
    above = np.flatnonzero(np.asarray(wrong) > alpha + 1e-12)
    return int(above[-1]) + 1 if above.size else 0


def _rank(people: int, confidence: float) -> int:
    _require_fraction(confidence, "confidence")
    return math.ceil((people + 1) * _exact(confidence))


def _exact(value: float) -> Fraction:
    """Return the number that was written down: 0.9 is nine tenths, so that ten people are enough for a rank of 9.9."""
    return Fraction(repr(float(value)))


def _require_fraction(value: float, field: str) -> None:
    if not 0 < value < 1:
        raise InputError(f"expected a number above 0 and below 1, got {value:g}", field=field)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise InputError("expected a list", field="people")
    return value


def _numbers(value: Any, field: str) -> Curve:
    if not isinstance(value, list) or not all(
        isinstance(each, int | float) and not isinstance(each, bool) and abs(each) <= 1 for each in value
    ):
        raise InputError("expected a list of numbers in 0..1", field=field)
    return np.array(value, np.float64)


def _person(value: Any, field: str) -> Person:
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise InputError("expected id and wrong", field=field)
    return Person(value["id"], _numbers(value.get("wrong"), f"{field}.wrong"))
