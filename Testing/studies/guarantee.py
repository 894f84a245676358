"""How often a bound on wrong labels holds: simulated people, and all splits of real ones.

``python Testing/studies/guarantee.py`` simulates; with ``guarantee.json`` files as arguments, whose people trained no
network, it also takes every split of these people into some that set the level and others that are asked.

A simulated person has the fraction of wrong labels ``a (2 - 2 t)^b`` at the probability ``t``: ``a`` and ``b`` vary
among people as they do among the six test people of the model brain-134 (a: mean 0.124, standard deviation 0.007; b:
1.45, 0.07), or ten times as much. People of another kind have their ``a`` multiplied by 1.1, as the two older test
people have beside the four younger ones, or by 3.
"""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np

from softseg.errors import InputError
from softseg.soft.guarantee import Guarantee, Person

LEVELS = np.linspace(0.5, 1, 51)
SPLITS = 1000


def people(generator: np.random.Generator, count: int, spread: float = 1.0, worse: float = 1.0) -> list[Person]:
    """Draw people; ``spread`` multiplies the relative differences among them, ``worse`` that of wrong labels."""
    starts = 0.124 * worse * np.exp(generator.normal(0, 0.054 * spread, count))
    powers = 1.45 * np.exp(generator.normal(0, 0.048 * spread, count))
    curves = np.clip(starts[:, None] * (2 - 2 * LEVELS) ** powers[:, None], 0, 1)
    return [Person(str(number), curve) for number, curve in enumerate(curves)]


def wrong_at(person: Person, level: float) -> float:
    """Return the fraction of wrong labels of a person at a level."""
    return float(np.interp(level, LEVELS, person.wrong))


def kept(
    count: int, alpha: float, confidence: float, spread: float = 1.0, worse: float = 1.0, splits: int = SPLITS
) -> tuple[float, float]:
    """Return how often a bound that ``count`` people set holds on a new one, and the mean fraction of wrong labels.

    Parameters
    ----------
    count: people who set the level.
    alpha, confidence: the bound.
    spread: of all people.
    worse: factor of the new person's wrong labels; 1: exchangeable with the others.
    splits: how often people are drawn.
    """
    generator = np.random.default_rng(count)
    found = []
    for _ in range(splits):
        level = Guarantee(LEVELS, tuple(people(generator, count, spread))).level(alpha, confidence)
        found.append(wrong_at(people(generator, 1, spread, worse)[0], level))
    return float(np.mean(np.array(found) <= alpha + 1e-12)), float(np.mean(found))


def every_split(known: list[Person], count: int, alpha: float, confidence: float) -> tuple[float, float, int]:
    """Return the same of real people: each set of ``count`` sets the level, each of the others is asked."""
    found = []
    for chosen in itertools.combinations(known, count):
        level = Guarantee(LEVELS, chosen).level(alpha, confidence)
        found += [wrong_at(person, level) for person in known if person not in chosen]
    return float(np.mean(np.array(found) <= alpha + 1e-12)), float(np.mean(found)), len(found)


def main(files: list[str]) -> None:
    """Print a table."""
    print(f"{SPLITS} simulated splits, at most 5 % wrong labels: how often it holds (mean fraction of wrong labels)")
    print("people  stated  spread  exchangeable    older (x 1.1)   other (x 3)")
    for count, confidence in ((4, 0.8), (9, 0.9), (19, 0.95), (99, 0.95)):
        for spread in (1.0, 10.0):
            cells = [kept(count, 0.05, confidence, spread, worse) for worse in (1.0, 1.1, 3.0)]
            row = "  ".join(f"{often:.3f} ({mean:.4f})" for often, mean in cells)
            print(f"{count:6d}  {confidence:6.3g}  {spread:6.0f}  {row}")
    for file in files:
        known = list(Guarantee.load(Path(file)).people)
        print(f"{file}: {len(known)} people")
        for alpha, count in itertools.product((0.02, 0.05, 0.1), range(3, len(known))):
            confidence = np.floor(100 * count / (count + 1)) / 100
            try:
                often, mean, asked = every_split(known, count, alpha, float(confidence))
            except InputError as error:
                print(f"  {alpha:g}: {count} people: {error.message}")
                continue
            print(f"  {alpha:g}: {count} people, stated {confidence:.2f}: {often:.2f} of {asked}, mean {mean:.4f}")


if __name__ == "__main__":
    main(sys.argv[1:])
