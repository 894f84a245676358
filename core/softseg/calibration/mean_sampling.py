"""The mean prediction of an ensemble's members in randomly sampled labelled voxels of the scan's grid.

Members may prepare a scan in ways of their own, so their mean exists on the scan's grid only; a single model is looked
at on its own grid (:mod:`softseg.calibration.sampling`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from softseg.calibration.sampling import Sample
from softseg.data.scan_labels import labels_on_scan
from softseg.events import Events
from softseg.network import Joint
from softseg.prediction.answering import mean_of
from softseg.prediction.settings import PredictionSettings
from softseg.requests.predict import PredictRequest

if TYPE_CHECKING:
    import torch

    from softseg.data import Dataset
    from softseg.data.case import Case
    from softseg.network import Model


def sample_mean(
    models: Sequence[Model],
    case: Case,
    dataset: Dataset,
    voxels: int,
    generator: np.random.Generator,
    *,
    device: torch.device,
    events: Events,
) -> Sample:
    """Return the members' mean prediction in voxels of a case, drawn evenly among the labelled ones.

    Each member answers with the temperatures of its own, where it has any; those of the ensemble play no part.

    Parameters
    ----------
    models: the members of one ensemble.
    case: of ``dataset``, whose tree is that of the models.
    voxels: how many; all labelled ones where there are fewer.
    generator: draws them.
    device: where the networks run.
    events: warnings about the labels; cancelling.

    Raises
    ------
    InputError: the case lacks a channel, a file is damaged, or labels and images lie on different grids.
    """
    images = [case.images[channel] for channel in models[0].plan.channels]
    models = without_calibration(models)
    settings = PredictionSettings.of(
        models, PredictRequest(str(models[0].path), tuple(map(str, images)), images[0]), device
    )
    geometry, pieces = mean_of(models, images, settings, Events(cancel=events.cancel))
    reference = labels_on_scan(case, dataset, geometry, models[0].plan.raters, events.warning)
    labelled = np.flatnonzero(reference.total())
    if labelled.size > voxels:
        labelled = np.sort(generator.choice(labelled, voxels, replace=False))
    probabilities = np.zeros((len(dataset.tree.leaves), labelled.size), np.float32)
    background = models[0].head.background
    if background is not None:
        probabilities[background] = 1
    column = np.full(reference.total().size, -1, np.int32)
    column[labelled] = np.arange(labelled.size)
    for places, classes, values in pieces:
        here = column[places]
        wanted = here >= 0
        probabilities[:, here[wanted]] = 0
        probabilities[np.ix_(classes, here[wanted])] = values[:, wanted]
    slots = reference.slots
    return Sample(
        probabilities,
        np.array(reference.indices.reshape(slots, -1)[:, labelled]),
        np.array(reference.probabilities.reshape(slots, -1)[:, labelled]),
    )


def without_calibration(models: Sequence[Model]) -> list[Model]:
    """Return the members of an ensemble as they would be if their mean had no temperatures."""
    joint = Joint.of(models)
    if joint is None:
        raise ValueError("these models are no ensemble")
    bare = replace(joint, calibration=None)
    return [replace(model, ensemble=bare) for model in models]
