"""Judging the network on whole validation cases, on the plan's grid, while it trains."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from softseg.evaluation.quick import quick_scores
from softseg.events import Events
from softseg.prediction.windows import sliding_probabilities

if TYPE_CHECKING:
    from softseg.data import CaseStore, PreparedCase
    from softseg.soft.labels import SoftLabels
    from softseg.training.run import Run


def validate(run: Run, store: CaseStore, case_ids: list[str], events: Events) -> dict[str, float]:
    """Return the mean over the cases of the hard and soft Dice per level (see :func:`softseg.evaluation.quick_scores`).

    The judged network is put into evaluation mode and stays there if it is the mean of the weights.
    """
    network = run.judged
    training = network.training
    network.eval()
    scores: dict[str, list[float]] = {}
    try:
        for case_id in case_ids:
            case = store.load(case_id)
            probabilities = sliding_probabilities(
                network,
                run.head,
                np.asarray(case.image),
                run.plan,
                run.device,
                Events(cancel=events.cancel),
                precision=run.precision,
                overlap=run.recipe.validation.overlap,
            )
            for name, score in quick_scores(probabilities, labels_inside_mask(case), run.tree).items():
                scores.setdefault(name, []).append(score)
            events.check()
    finally:
        network.train(training)
    return {name: float(np.mean(values)) for name, values in scores.items()}


def labels_inside_mask(case: PreparedCase) -> SoftLabels:
    """Return the labels of a case, unlabelled outside its mask."""
    if case.mask is None:
        return case.labels
    return replace(case.labels, shares=case.labels.shares * case.mask.astype(np.float32))
