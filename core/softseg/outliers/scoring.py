"""Outlier scores and probabilities of a prepared case, in one pass over its windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from softseg.backends.torch_backend import TorchBackend
from softseg.data import PreparedCase
from softseg.errors import naming
from softseg.events import Events
from softseg.network import Model
from softseg.network.fitted_outliers import FittedOutliers
from softseg.prediction.layout import Picture, WindowLayout
from softseg.prediction.probabilities import dense, only_background, probabilities_of_blocks
from softseg.prediction.scoring import WindowScorer
from softseg.prediction.step_map import NOT_JUDGED
from softseg.prediction.sweep import WindowPredictor
from softseg.prediction.window_grid import every_channel
from softseg.requests.predict import OVERLAP
from softseg.soft.blocks import Index
from softseg.system import resolve_device, resolve_precision
from softseg.types import FloatArray


@dataclass(frozen=True, eq=False)
class ScoredCase:
    """A model's output for a case, on the plan's grid.

    Attributes
    ----------
    probabilities: float32 ``[C, k, j, i]``, probabilities of the leaves.
    scores: float32 ``[S, k, j, i]``, one map for each fitted score, larger where stranger; minus infinity where no
        window reached, which is surely background.
    """

    probabilities: FloatArray
    scores: FloatArray


def score_case(
    model: Model,
    fitted: Sequence[FittedOutliers],
    case: PreparedCase,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    *,
    overlap: float = OVERLAP,
    precision: str | None = None,
) -> ScoredCase:
    """Return probabilities and scores of a case as prediction computes them, before anything is stored.

    Parameters
    ----------
    model: its network is moved to the device.
    fitted: which scores; thresholds play no part.
    case: prepared with the model's plan.
    device: where the network runs.
    events: progress by windows, and cancelling.
    overlap: of neighbouring windows, 0 <= overlap < 1.
    precision: of the network's arithmetic; the plan's by default.

    Raises
    ------
    InputError: a score does not fit the model, or the network answers with no numbers.
    """
    events = Events() if events is None else events
    device, head, plan = resolve_device(device), model.head, model.plan
    network = model.network.to(device).eval()
    volume = np.array(case.image, np.float32)
    shape: Index = (volume.shape[1], volume.shape[2], volume.shape[3])
    scores = np.full((len(fitted), *shape), NOT_JUDGED, np.float32)
    layout = WindowLayout.over([Picture.of(volume, plan.patch_kji, overlap, head.background is not None)], (0, 0, 0))
    if layout is None:
        return ScoredCase(only_background(head.classes, shape, head.background), scores)
    partition = layout.partition

    def take(block: Index, found: FloatArray | None) -> None:
        if found is not None:
            scores[every_channel(partition.place(block))] = np.moveaxis(found, -1, 0)

    scorer = WindowScorer.of(model, fitted, take) if fitted else None
    dtype = resolve_precision(plan.precision if precision is None else precision, device)
    runner = WindowPredictor(TorchBackend(network, head, plan.dimensions, device, dtype), head, scorer=scorer)
    blocks = probabilities_of_blocks(runner, layout, np.arange(head.classes), events)
    with naming(model.path):
        return ScoredCase(dense(blocks, partition, head.classes, shape, head.background), scores)


def outlier_scores(
    model: Model,
    fitted: FittedOutliers,
    case: PreparedCase,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    *,
    overlap: float = OVERLAP,
) -> FloatArray:
    """Return one score of a case: float32 ``(k, j, i)``; see :func:`score_case`."""
    return np.asarray(score_case(model, [fitted], case, device, events, overlap=overlap).scores[0])
