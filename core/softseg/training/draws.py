"""A page of what a synthetic recipe trains with."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path

from softseg.data import Dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.files.scratch import scratch_beside
from softseg.synthesis.draw import Draw
from softseg.synthesis.page import write_page
from softseg.synthesis.sampler import SyntheticSampler
from softseg.training.arguments import TrainingArguments
from softseg.training.recipe import Recipe
from softseg.training.synthetic import label_maps, learned_of, parted_cases, synthetic_plan, synthetic_request


def draw_page(
    dataset: Dataset,
    recipe: str,
    out: str | PathLike[str],
    draws: int,
    seed: int,
    sets: Sequence[str],
    events: Events,
) -> Path:
    """Write a PNG of the first patches that a training of this seed would draw.

    Raises
    ------
    InputError: the recipe is not synthetic, or a label map does not fit its trees.
    """
    chosen = Recipe.load(recipe, list(sets))
    if chosen.synthetic is None:
        raise InputError(f"the recipe {chosen.name!r} makes no images up", field="--recipe", hint="set synthetic=true")
    with scratch_beside(out) as folder:
        given = TrainingArguments(dataset, chosen, folder, "cpu", seed, False, {}, folder)
        request = synthetic_request(given)
        plan = synthetic_plan(request, dict(chosen.plan))
        maps, names = label_maps(request, plan), parted_cases(request)[1]
        maps.prepare(events, names)
        sampler = SyntheticSampler(maps, names, learned_of(request), plan, chosen.synthetic, seed)
        events.stage("draw", total=draws)
        made: list[Draw] = []
        for number in range(draws):
            made.append(sampler.draw(number, 0))
            events.progress(number + 1, draws)
            events.check()
        return write_page(made, request.tree, out)
