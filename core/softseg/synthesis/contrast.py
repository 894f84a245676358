"""An intensity and a spread for every class, so that what is alike in the tree often looks alike."""

from __future__ import annotations

import numpy as np

from softseg.synthesis.settings import SynthesisSpec
from softseg.tree import LabelTree
from softseg.types import FloatArray


def class_intensities(
    tree: LabelTree, spec: SynthesisSpec, generator: np.random.Generator
) -> tuple[FloatArray, FloatArray]:
    """Return mean and spread of each leaf, float32 ``[C]`` each; means lie in 0..1, background is 0 or nearly so.

    From the root on, a node takes the intensity of its parent with the probability that ``spec.shared`` gives for its
    depth, else an intensity of its own; left and right are then made equal with the probability ``spec.sides``.
    """
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
