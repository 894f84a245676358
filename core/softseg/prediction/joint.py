"""Members of an ensemble that see a scan along different axes: each predicts it, the scan's grid joins them.

A network of slices that looks along one axis knows nothing of the neighbouring slices; others that look along the other
axes do. Their grids differ in their axes, and may differ in voxel size, so no block of one is finished with a block of
another. So the members predict one after another, their predictions in the scan's voxels are kept in 12 bits
(:mod:`softseg.soft.fine`), and their mean is used like the output of one network. All of this is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from softseg.events import Events
from softseg.image import Geometry
from softseg.network.ensemble_outliers import EnsembleOutliers
from softseg.prediction.estimate import require_free
from softseg.prediction.postprocessing import clean
from softseg.prediction.probabilities import only_background
from softseg.prediction.settings import PredictionSettings
from softseg.prediction.spread import SpreadMaps
from softseg.prediction.step_map import StepMap
from softseg.prediction.streaming import Collected, StreamedResult
from softseg.prediction.uncertainty import Spread
from softseg.soft.blocks import SparseVoxels
from softseg.soft.fine import FineStore, side_by_side
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.network import Model

KEPT = 24
"""Bytes that a member's answer takes per voxel of the scan, for the estimate (20 were measured for a head)."""

Answer = tuple[FineStore, StepMap | None]
"""A model's prediction in the voxels of a scan, and their outlier score, if it is wanted."""

_STEPS = 1000  # of progress, for each member: how many windows the next ones have is not known before


class InTurn(Events):
    """Progress of one of several that come one after another: one stage for all of them.

    Parameters
    ----------
    events: receives progress.
    number, count: which one this is, and of how many.
    """

    def __init__(self, events: Events, number: int, count: int) -> None:
        super().__init__(events.sink, events.cancel)
        self._events, self._number, self._count = events, number, count

    def stage(self, stage: str, total: int | None = None, done: int = 0) -> None:  # noqa: ARG002 - counted otherwise
        """Begin the stage with the first of them."""
        if self._number == 0:
            self._events.stage(stage, _STEPS * self._count, done)
        self.check()

    def progress(self, done: int, total: int) -> None:
        """Report what all have done."""
        self._events.progress(_STEPS * self._number + _STEPS * done // max(1, total), _STEPS * self._count)


def predict_jointly(
    models: Sequence[Model],
    target: Geometry,
    settings: PredictionSettings,
    events: Events,
    answer: Callable[[Model, PredictionSettings, Events], Answer],
    mask: FloatArray | None = None,
) -> StreamedResult:
    """Predict a scan with each model and average.

    Parameters
    ----------
    models: of one tree.
    target: the scan's grid.
    settings: how; ``settings.others`` are all models but the first.
    events: stages, progress, estimates, warnings; cancelling.
    answer: returns one model's prediction in the voxels of ``target``.
    mask: see :func:`softseg.prediction.streaming.stream`.

    Raises
    ------
    OutOfMemoryError: less memory is free than will be needed.
    """
    model, count = models[0], len(models)
    stores, scores = in_turn(models, settings, events, answer)
    events.stage("average")
    maps = SpreadMaps(target.shape, model.tree, settings.branches)
    collected = Collected(model, target, settings, scores, sum(store.error for store in stores) / count, mask)
    pieces = averaged(stores, models, settings, target, maps, events)
    if settings.postprocess:
        pieces = _cleaned(model, pieces, target, settings, events)
    for piece in pieces:
        collected.add(piece)
    return collected.found(maps, target, events)


def in_turn(
    models: Sequence[Model],
    settings: PredictionSettings,
    events: Events,
    answer: Callable[[Model, PredictionSettings, Events], Answer],
) -> tuple[list[FineStore], list[StepMap]]:
    """Return each model's prediction in the scan's voxels, one after the other, and outlier scores if any."""
    own = replace(settings, others=(), nodes=(), postprocess=(), branches=(), outliers=None)
    wanted = settings.outliers.members if isinstance(settings.outliers, EnsembleOutliers) else ()
    stores: list[FineStore] = []
    scores: list[StepMap] = []
    for number, (model, outliers) in enumerate(zip(models, wanted or [None] * len(models), strict=True)):
        events.log(f"model {number + 1} of {len(models)}: {model.name}")
        store, score = answer(model, replace(own, outliers=outliers), InTurn(events, number, len(models)))
        stores.append(store)
        scores += [] if score is None else [score]
    return stores, scores


def averaged(
    stores: Sequence[FineStore],
    models: Sequence[Model],
    settings: PredictionSettings,
    target: Geometry,
    maps: SpreadMaps | None,
    events: Events,
) -> Iterator[SparseVoxels]:
    """Yield the models' mean, calibrated by settings and ensemble; ``maps`` are filled."""
    calibration = settings.calibration_of(models)
    for voxels, classes, samples in side_by_side(stores):
        events.check()
        change = None if calibration is None else partial(calibration.apply, tree=models[0].tree, classes=classes)
        spread = Spread.of(samples).changed(change)
        if maps is not None:
            maps.add(np.unravel_index(voxels, target.shape), samples, spread, classes)
        yield voxels, classes, spread.mean.T


def _cleaned(
    model: Model, pieces: Iterator[SparseVoxels], target: Geometry, settings: PredictionSettings, events: Events
) -> Iterator[SparseVoxels]:
    """Clean the mean. Connected parts reach through the whole volume, so it must be there as a whole."""
    leaves, background = model.head.classes, model.head.background
    require_free(4 * leaves * int(np.prod(target.shape)))
    whole: FloatArray = only_background(leaves, target.shape, background)
    flat = whole.reshape(leaves, -1)
    for voxels, classes, values in pieces:
        flat[:, voxels] = 0
        flat[classes[:, None], voxels] = values
    events.stage("clean")
    clean(whole, settings.postprocess, model.tree, target.voxel_volume_ml)
    every = np.arange(leaves)
    for first in range(0, flat.shape[1], 1 << 16):
        voxels = np.arange(first, min(first + (1 << 16), flat.shape[1]))
        yield voxels, every, flat[:, first : first + (1 << 16)]
