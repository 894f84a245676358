"""Where the patches of a training come from: scans, label maps, or both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from softseg.data import CaseStore, PatchSampler, Plan, default_augmentation
from softseg.data.sampler import Batch, made_ahead
from softseg.synthesis.sampler import SyntheticSampler
from softseg.training.arguments import TrainingArguments
from softseg.training.synthetic import label_maps, learned_of, parted_cases


class Sampler(Protocol):
    """Gives the batch of each step, which depends on seed and step alone."""

    def batch(self, step: int) -> Batch:
        """Return the patches of one step."""

    def batches(self, first_step: int = 0, prefetch: int = 2, workers: int = 1) -> Iterator[tuple[int, Batch]]:
        """Yield ``(step, batch)`` without end, made ahead."""


def make_sampler(request: TrainingArguments, store: CaseStore, plan: Plan, items: range) -> Sampler:
    """Return what the recipe asks for; ``items`` are the patches of a step that this process makes."""
    recipe, spec = request.recipe, request.recipe.synthetic
    scans, maps = parted_cases(request)

    def real() -> PatchSampler:
        augmentation = default_augmentation(plan, recipe.augmentation)
        return PatchSampler(
            store, scans, plan, recipe.targets, augmentation, request.seed, items, recipe.corrected_fraction
        )

    if spec is None:
        return real()
    made_up = SyntheticSampler(label_maps(request, plan), maps, learned_of(request), plan, spec, request.seed, items)
    return MixedSampler(real(), made_up, spec.fraction, request.seed) if scans else made_up


class MixedSampler:
    """Takes each step's batch from scans or from label maps, by chance.

    Parameters
    ----------
    real, made_up: both kinds.
    fraction: probability of a synthetic batch.
    seed: of the choice.
    """

    def __init__(self, real: Sampler, made_up: Sampler, fraction: float, seed: int) -> None:
        self._real, self._made_up, self._fraction, self._seed = real, made_up, fraction, seed

    def is_synthetic(self, step: int) -> bool:
        """Whether the batch of ``step`` is made up from label maps."""
        chance = np.random.default_rng(np.random.SeedSequence([self._seed, step, 0x5917]))
        return bool(chance.random() < self._fraction)

    def batch(self, step: int) -> Batch:
        """Return the patches of one step."""
        return (self._made_up if self.is_synthetic(step) else self._real).batch(step)

    def batches(self, first_step: int = 0, prefetch: int = 2, workers: int = 1) -> Iterator[tuple[int, Batch]]:
        """Yield ``(step, batch)`` from ``first_step`` on, made ahead in threads."""
        return made_ahead(self.batch, first_step, prefetch, workers)
