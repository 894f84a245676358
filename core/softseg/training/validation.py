"""Evaluating the network on whole validation cases, on the plan's grid, while it trains."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from softseg.evaluation.labelled import LabelledScores
from softseg.evaluation.quick import quick_scores
from softseg.events import Events
from softseg.prediction.windows import sliding_probabilities

if TYPE_CHECKING:
    from softseg.data import CaseStore, Plan, PreparedCase
    from softseg.soft.labels import SoftLabels
    from softseg.training.run import Run


def validate(run: Run, store: CaseStore, case_ids: list[str], events: Events) -> dict[str, float]:
    """Return the mean over the cases of the hard and soft Dice per level (see :func:`softseg.evaluation.quick_scores`).

    Without background also ``accuracy/...`` and ``f1/...`` per level, over the labelled voxels of all cases together
    (:class:`softseg.evaluation.labelled.LabelledScores`).
    The first case is drawn to ``validation.png`` where the run has pictures.
    The evaluated network is put into evaluation mode and stays there if it is the mean of the weights.
    """
    network = run.judged
    training = network.training
    network.eval()
    scores: dict[str, list[float]] = {}
    pooled = LabelledScores(run.tree) if run.tree.background is None else None
    try:
        for case_id in case_ids:
            case = store.load(case_id)
            probabilities = sliding_probabilities(
                network,
                run.head,
                np.array(case.image, dtype=np.float32),
                run.plan,
                run.device,
                Events(cancel=events.cancel),
                precision=run.precision,
                overlap=run.recipe.validation.overlap,
            )
            reference = labels_inside_mask(case)
            for name, score in quick_scores(probabilities, reference, run.tree, pooled).items():
                scores.setdefault(name, []).append(score)
            if run.pictures and case_id == case_ids[0]:
                from softseg.training.validation_picture import draw_validation

                picture = run.folder / "validation.png"
                draw_validation(probabilities, reference, case, run.tree, picture, run.step)
            events.check()
    finally:
        if training:
            run.start_learning()
    means = {name: float(np.mean(values)) for name, values in scores.items()}
    return means if pooled is None else {**means, **pooled.scores()}


def least_pause(shapes: Iterable[Sequence[int]], plan: Plan, overlap: float) -> int:
    """Return how many steps should lie between two validations so that they take about a tenth of the time or less.

    Parameters
    ----------
    shapes: sizes ``(k, j, i)`` of the validation cases on the plan's grid.
    plan: patch and batch size.
    overlap: of the windows.

    A step costs about three forward passes for each of its patches; a window costs one, and half of one for blending
    and scoring. Estimated, not measured, so that equal runs validate at equal steps.
    """
    windows = 0
    for shape in shapes:
        along = [
            1 if size <= patch else math.ceil((size - patch) / max(1, int(patch * (1 - overlap)))) + 1
            for size, patch in zip(shape, plan.patch_kji, strict=True)
        ]
        windows += math.prod(along)
    return math.ceil(10 * 1.5 * windows / (3 * plan.batch_size))


def labels_inside_mask(case: PreparedCase) -> SoftLabels:
    """Return the reference of a case, unlabelled outside its mask; of a corrected result the corrected voxels."""
    labels = case.truth
    if case.mask is None:
        return labels
    return replace(labels, probabilities=labels.probabilities * case.mask.astype(np.float32))
