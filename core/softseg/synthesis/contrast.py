"""An intensity and a spread for every class, so that what is alike in the tree often looks alike."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np

from softseg.errors import InputError
from softseg.synthesis.settings import SynthesisSpec
from softseg.tree import LabelTree
from softseg.types import FloatArray
from softseg.yaml_text import load_yaml

CONTRASTS = Path(__file__).with_name("contrasts.yaml")

VARIATION = 0.25
"""Standard deviation of the logarithm of a tissue's intensity in a familiar contrast (our default)."""

MIXTURE = 0.4
"""Largest weight of a second contrast that is mixed into a familiar one (our default)."""

SYNONYMS = {"white-matter": "white", "csf": "fluid", "thalamus-proper": "thalamus"}
"""Nodes of other trees that are tissues of ``head-tissues``."""

DIFFERENCE = 0.04
"""Standard deviation of the intensities of structures of one tissue in a familiar contrast (our default)."""


def class_intensities(
    tree: LabelTree, spec: SynthesisSpec, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return mean and spread of each leaf, float32 ``[C]`` each; means lie in 0..1, background is 0 or nearly so.

    From the root on, a node takes the intensity of its parent with the probability that ``spec.shared`` gives for its
    depth, else an intensity of its own; left and right are then made equal with the probability ``spec.sides``. With
    the probability ``spec.familiar`` all have those of a common contrast instead.

    Raises
    ------
    InputError: a familiar contrast is wanted of a tree without any tissue whose intensity is known.
    """
    if spec.familiar and generator.random() < spec.familiar:
        return familiar_intensities(tree, spec, generator)
    chosen: dict[str, tuple[float, float]] = {}

    def own() -> tuple[float, float]:
        return float(generator.uniform(0.03, 1)), float(generator.uniform(0, spec.spread))

    means, spreads = np.zeros(len(tree.leaves), np.float32), np.zeros(len(tree.leaves), np.float32)
    for leaf_index, leaf in enumerate(tree.leaves):
        before: tuple[float, float] | None = None
        for depth, node in enumerate(tree.path(leaf.id)):
            if node.id not in chosen:
                shared = spec.shared[min(depth - 1, len(spec.shared) - 1)] if depth else 0.0
                fresh = own()
                takes = generator.random() < shared
                chosen[node.id] = before if takes and before is not None else fresh
            before = chosen[node.id]
        means[leaf_index], spreads[leaf_index] = chosen[leaf.id]
    partner = tree.mirror_permutation()
    for one in np.flatnonzero(partner > np.arange(len(partner))):
        if generator.random() < spec.sides:
            means[partner[one]], spreads[partner[one]] = means[one], spreads[one]
    if tree.background is not None:
        background = tree.leaf_index(tree.background.id)
        dark = generator.random() < 0.9
        means[background] = 0.0 if dark else generator.uniform(0, 0.1)
        spreads[background] = 0.0 if dark else generator.uniform(0, 0.02)
    return means, spreads


def familiar_intensities(
    tree: LabelTree, spec: SynthesisSpec, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return mean and spread of each leaf as in a scan of a common contrast; see :func:`class_intensities`.

    Two contrasts are mixed, at most 40 % of the second. A tissue's intensity is then varied once for all its
    structures, and a little for each; left and right are alike. A leaf of no known tissue gets any intensity.

    Raises
    ------
    InputError: the tree has no tissue whose intensity is known.
    """
    usual = _mixed_contrast(generator)
    varied = {tissue: mean * float(np.exp(VARIATION * generator.standard_normal())) for tissue, mean in usual.items()}
    known = {id_: id_ for id_ in usual} | {id_: tissue for id_, tissue in SYNONYMS.items() if tissue in usual}
    tissues = [next((known[n.id] for n in reversed(tree.path(leaf.id)) if n.id in known), None) for leaf in tree.leaves]
    if not any(tissues):
        raise InputError(
            f"tree {tree.name!r} has no tissue whose intensity is known",
            field="synthetic.familiar",
            hint="name tissues as the tree head-tissues does, or set synthetic.familiar=0",
        )
    means = np.array(
        [
            generator.uniform(0.03, 1) if t is None else varied[t] + DIFFERENCE * generator.standard_normal()
            for t in tissues
        ],
        np.float32,
    )
    spreads = generator.uniform(0, spec.spread, len(means)).astype(np.float32)
    partner = tree.mirror_permutation()
    means, spreads = (
        np.where(partner < np.arange(len(partner)), values[partner], values) for values in (means, spreads)
    )
    if tree.background is not None:
        background = tree.leaf_index(tree.background.id)
        means[background], spreads[background] = 0.0, 0.0
    return np.clip(means, 0, 1), spreads


def _mixed_contrast(generator: np.random.Generator) -> Mapping[str, float]:
    contrasts = list(_contrasts().values())
    first, second = (contrasts[int(generator.integers(len(contrasts)))] for _ in range(2))
    weight = float(generator.uniform(0, MIXTURE))
    return {tissue: (1 - weight) * mean + weight * second[tissue] for tissue, mean in first.items()}


@cache
def _contrasts() -> Mapping[str, Mapping[str, float]]:
    found: Mapping[str, Mapping[str, float]] = load_yaml(CONTRASTS.read_text(encoding="utf-8"))
    return found
