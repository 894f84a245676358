"""Batches of synthetic patches: batch ``step`` is a pure function of seed and step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch

from softseg.data.plan import Plan
from softseg.data.sampler import Batch, made_ahead, stacked
from softseg.synthesis.draw import Draw, draw_head
from softseg.synthesis.learned import Learned
from softseg.synthesis.maps import LabelMaps
from softseg.synthesis.settings import SynthesisSpec
from softseg.types import IGNORE_INDEX


class SyntheticSampler:
    """Makes up patches from label maps.

    Parameters
    ----------
    maps: the label maps.
    case_ids: which of them.
    learned: what is painted and what is learned.
    plan: patch and batch size, spacing, normalisation.
    spec: what varies.
    seed: of everything random here.
    items: which of a step's ``batch_size`` patches are made, all by default.
    """

    def __init__(
        self,
        maps: LabelMaps,
        case_ids: Sequence[str],
        learned: Learned,
        plan: Plan,
        spec: SynthesisSpec,
        seed: int = 0,
        items: range | None = None,
    ) -> None:
        self._maps, self._ids, self._learned, self._plan, self._spec = maps, tuple(case_ids), learned, plan, spec
        self.seed, self._items = seed, range(plan.batch_size) if items is None else items

    def draw(self, step: int, item: int) -> Draw:
        """Return patch ``item`` of ``step``."""
        generator = np.random.default_rng(np.random.SeedSequence([self.seed, step, item]))
        label_map = self._maps.load(self._ids[int(generator.integers(len(self._ids)))])
        return draw_head(label_map, self._learned, self._plan, self._spec, generator)

    def batch(self, step: int) -> Batch:
        """Return the patches of one step."""
        draws = [self.draw(step, item) for item in self._items]
        shape = (1, *self._plan.patch_size)
        return Batch(
            torch.stack([draw.image[None] for draw in draws]),
            torch.stack([draw.target for draw in draws]),
            stacked([draw.known for draw in draws], torch.tensor(True), shape),
            stacked([draw.coarse for draw in draws], torch.tensor(IGNORE_INDEX), shape),
        )

    def batches(self, first_step: int = 0, prefetch: int = 2, workers: int = 1) -> Iterator[tuple[int, Batch]]:
        """Yield ``(step, batch)`` from ``first_step`` on, made ahead in threads, as real patches are."""
        return made_ahead(self.batch, first_step, prefetch, workers)
