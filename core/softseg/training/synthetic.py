"""Trainings from label maps: which cases are scans, which are maps, and the plan where there is no scan to look at."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from softseg.data import Dataset
from softseg.data.plan import Normalization, Plan
from softseg.errors import InputError
from softseg.resources import label_tree_path, list_label_trees
from softseg.synthesis.learned import Learned
from softseg.synthesis.maps import LabelMaps
from softseg.training.arguments import TrainingArguments
from softseg.training.recipe import Recipe
from softseg.tree import LabelTree

SPACING = 2.0
PATCH = (96, 96, 96)
"""Grid of trainings from label maps alone: a patch of 192 mm holds most of a head (our defaults)."""


def synthetic_request(request: TrainingArguments) -> TrainingArguments:
    """Return the request with the tree that is learned in the dataset, and the one that is painted beside it.

    Raises
    ------
    InputError: no tree of that name.
    """
    spec = request.recipe.synthetic
    if spec is None:
        return request
    painted = request.dataset.tree
    learned = learned_tree(request.recipe, painted)
    return replace(request, painted=painted, dataset=replace(request.dataset, tree=learned))


def learned_tree(recipe: Recipe, tree: LabelTree) -> LabelTree:
    """Return the tree that a training by this recipe learns from a dataset of ``tree``.

    Raises
    ------
    InputError: no tree of the name in ``synthetic.learn``.
    """
    spec = recipe.synthetic
    return tree if spec is None or spec.learn is None else _tree(spec.learn)


def parted_cases(request: TrainingArguments) -> tuple[list[str], list[str]]:
    """Return the training cases that are scans, and those that images are made up from.

    Raises
    ------
    InputError: a case without an image, and the recipe is not synthetic; a fraction of scans, and there are none.
    """
    spec, dataset = request.recipe.synthetic, request.dataset
    cases = dataset.split("train")
    bare = [case.id for case in cases if not case.images]
    if spec is None:
        if bare:
            raise InputError(
                f"case {bare[0]!r} has labels and no image",
                file=dataset.path,
                field="cases",
                hint="take a recipe with synthetic: true, which makes images up, or name its images",
            )
        return request.training_cases, []
    scans = [case.id for case in cases if case.images]
    maps = bare or [case.id for case in cases]  # labelled scans serve as label maps where there are no others
    if spec.fraction >= 1:
        return [], maps
    if not scans:
        raise InputError(
            "a fraction of the patches is to come from scans, and no training case has an image",
            file=dataset.path,
            field="synthetic.fraction",
            hint="set synthetic.fraction=1, or add scans",
        )
    return scans, maps


def scans_of(request: TrainingArguments) -> Dataset:
    """Return the dataset without the training cases that have labels alone."""
    cases = tuple(case for case in request.dataset.cases if case.images or case.split != "train")
    return replace(request.dataset, cases=cases)


def learned_of(request: TrainingArguments) -> Learned:
    """Return what is painted and what is learned."""
    if request.painted is None:
        raise ValueError("the request is not synthetic")
    spec = request.recipe.synthetic
    return Learned.of(request.painted, request.tree, spec is not None and spec.coarse)


def label_maps(request: TrainingArguments, plan: Plan) -> LabelMaps:
    """Return the label maps of the dataset, under the tree that is painted."""
    learned = learned_of(request)
    dataset = replace(request.dataset, tree=learned.tree)
    return LabelMaps(dataset, plan.orientation, request.cache, learned.structures)


def synthetic_plan(request: TrainingArguments, changes: dict[str, Any]) -> Plan:
    """Return the plan of a training without scans.

    Raises
    ------
    InputError: several channels, or a change that does not fit.
    """
    channels = request.dataset.channels
    if len(channels) != 1:
        raise InputError(
            f"images of one channel are made up, the dataset has {len(channels)}",
            file=request.dataset.path,
            field="channels",
        )
    plan = Plan(
        dimensions=3,
        channels=channels,
        orientation="LPS",
        spacing=(SPACING, SPACING, SPACING),
        patch_size=PATCH,
        batch_size=1,
        normalization={channels[0]: Normalization(kind="percentile", lower=1.0, upper=99.0)},
    )
    return plan.with_overrides(changes)


def _tree(name: str) -> LabelTree:
    if name in list_label_trees():
        return LabelTree.load(label_tree_path(name))
    if Path(name).is_file():
        return LabelTree.load(name)
    raise InputError(
        f"no such label tree: {name}", field="synthetic.learn", hint="give a file or a shipped tree's name"
    )
