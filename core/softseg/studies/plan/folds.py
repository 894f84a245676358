"""Which people train, validate and test in each fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softseg.data import Case, Dataset
from softseg.data.case import Split
from softseg.errors import InputError
from softseg.studies.plan.study_file import FoldSpec


@dataclass(frozen=True)
class Fold:
    """One division of the data.

    Attributes
    ----------
    name: ``0``, ``1``, ...; with an inner fold ``0.2``; ``split`` for the dataset's own.
    parts: split of each case by its id; cases that take no part are missing.
    """

    name: str
    parts: dict[str, Split]

    @property
    def outer(self) -> str:
        """Name of the fold that this one belongs to."""
        return self.name.partition(".")[0]

    @property
    def inner(self) -> bool:
        """Whether this fold lies within the training part of another."""
        return "." in self.name


def folds_of(dataset: Dataset, spec: FoldSpec) -> list[Fold]:
    """Return the folds by person, or the one that the dataset has.

    People are shuffled with the seed and dealt; fold n tests the n-th part, the next ``validation`` people of those
    that are left (in dealing order, beginning after the tested ones) choose the best network, the others train.

    Raises
    ------
    InputError: there are too few people, a fold that is asked for does not exist, or no case is left to test.
    """
    if spec.by == "split":
        folds = [Fold("split", {case.id: case.split for case in dataset.cases})]
    else:
        folds = _by_person([case for case in dataset.cases if case.split in spec.splits], spec, dataset)
    folds = chosen(folds, spec, dataset)
    for fold in folds:
        for part in ("train", "test"):
            if part not in fold.parts.values():
                raise InputError(
                    f"fold {fold.name} has no case to {part}", file=dataset.path, field="folds", hint="use other folds"
                )
    return folds


def chosen(folds: list[Fold], spec: FoldSpec, dataset: Dataset) -> list[Fold]:
    """Return the folds that ``spec.only`` names, with their inner ones.

    Raises
    ------
    InputError: one of them does not exist.
    """
    if spec.only is None:
        return folds
    outer = [fold.name for fold in folds if not fold.inner]
    wanted = {str(number) for number in spec.only}
    if wanted - set(outer):
        raise InputError(
            f"there is no fold {min(wanted - set(outer))}",
            file=dataset.path,
            field="folds.only",
            hint=f"there are {', '.join(outer)}",
        )
    return [fold for fold in folds if fold.outer in wanted]


def _by_person(cases: Sequence[Case], spec: FoldSpec, dataset: Dataset) -> list[Fold]:
    people = sorted({case.group for case in cases})
    count = len(people) if spec.count == "all" else spec.count
    tested_most = -(-len(people) // count) if count <= len(people) else len(people)
    if len(people) < tested_most + spec.validation + 1:
        raise InputError(
            f"{len(people)} people are too few for {count} folds with {spec.validation} to validate",
            file=dataset.path,
            field="folds",
            hint="use fewer folds, or validation: 0",
        )
    np.random.default_rng(spec.seed).shuffle(people)
    found = []
    for number in range(count):
        tested = people[number::count]
        start = people.index(tested[-1])
        rest = [person for person in [*people[start:], *people[:start]] if person not in tested]
        found.append(_fold(str(number), cases, tested, rest[: spec.validation]))
        for inner in range(spec.nested):
            judged = rest[inner :: spec.nested]
            left = [person for person in rest if person not in judged]
            parts = _fold("", cases, judged, left[: spec.validation]).parts
            outside = {case.id for case in cases if case.group in tested}
            kept = {name: part for name, part in parts.items() if name not in outside}
            found.append(Fold(f"{number}.{inner}", kept))
    return found


def _fold(name: str, cases: Sequence[Case], tested: Sequence[str], validated: Sequence[str]) -> Fold:
    def part(case: Case) -> Split:
        return "test" if case.group in tested else "val" if case.group in validated else "train"

    return Fold(name, {case.id: part(case) for case in cases})
