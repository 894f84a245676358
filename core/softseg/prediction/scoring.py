"""Outlier scores on their way through the windows: what they need of the network, and where finished scores go.

Scores are computed for each window, blended with the weights of the shares, and never exist for a whole grid in
floating point: what is stored is written in 8 bits as soon as a block is finished.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from softseg.errors import InputError
from softseg.image import Geometry
from softseg.network.heads import Head
from softseg.network.outlier_scores import OutlierScore, Voxels
from softseg.soft.blocks import BlockResampler, Index, Partition
from softseg.soft.outliers import STEPS, as_steps
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.network import Model
    from softseg.network.fitted_outliers import FittedOutliers

FINE = 65535
"""Largest step of a score in 16 bits."""

NOT_JUDGED = float("-inf")
"""Score of voxels that no window reached: they are surely background, so never strange."""

_MOST_VALUES = 1 << 18  # outputs that scores are made from at a time: what they leave behind fits into the cache

ScoreSink = Callable[[Index, Tensor | None], None]
"""Takes a finished block's position and its scores ``(k, j, i, S)``, None where no window reached."""


class Material(NamedTuple):
    """What a window gave beside its raw outputs.

    Attributes
    ----------
    features: ``(k, j, i, D)``, if any score needs them.
    early: ``(k, j, i, S)``, scores of the scores that need a gradient, in their order.
    """

    features: Tensor | None
    early: Tensor | None


@dataclass(frozen=True, eq=False)
class WindowScorer:
    """Computes scores for windows.

    Attributes
    ----------
    scores: which ones.
    network: whose windows.
    head: what its outputs mean.
    layer: name of the layer whose input are the features, None where no score needs any.
    sink: told the scores of every block, in the partition's order; blocks without any window with None.
    """

    scores: tuple[OutlierScore, ...]
    network: nn.Module
    head: Head
    layer: str | None
    sink: ScoreSink

    @staticmethod
    def of(model: Model, fitted: Sequence[FittedOutliers], sink: ScoreSink) -> WindowScorer:
        """Return what computes scores that were fitted to a model.

        Raises
        ------
        InputError: a score does not fit the model, or two need features of different layers.
        """
        scores = tuple(one.make(model.head) for one in fitted)
        layers = {one.layer for one, score in zip(fitted, scores, strict=True) if score.needs == "features"}
        if len(layers) > 1:
            raise InputError(f"scores need features of several layers: {', '.join(map(str, layers))}", field="outliers")
        layer = next(iter(layers), None)
        if layer is not None and layer not in dict(model.network.named_modules()):
            raise InputError(
                f"the network has no layer {layer!r}, from which the score {fitted[0].score} takes its features",
                file=model.path / "outliers.json",
                field="layer",
                hint="fit the score again with softseg outliers fit",
            )
        return WindowScorer(scores, model.network, model.head, layer, sink)

    @contextlib.contextmanager
    def listening(self) -> Iterator[list[Tensor]]:
        """Collect what enters the layer while the block runs; the last entry is that of the last call."""
        caught: list[Tensor] = []
        if self.layer is None:
            yield caught
            return

        def keep(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            del module
            caught[:] = inputs[:1]

        handle = self.network.get_submodule(self.layer).register_forward_pre_hook(keep)
        try:
            yield caught
        finally:
            handle.remove()

    def material(self, batch: Tensor, features: Sequence[Tensor], run: Callable[[Tensor], Tensor]) -> list[Material]:
        """Return what scores need of a batch, per window, on the CPU.

        Parameters
        ----------
        batch: ``[B, channels, *spatial]``, on the network's device.
        features: what :meth:`listening` collected.
        run: the network, as it is run for the shares: ``[B, out_channels, *spatial]``.
        """
        maps = list(_by_window(features[-1], batch)) if features else [None] * len(batch)
        early: list[list[Tensor]] = [[] for _ in range(len(batch))]
        for score in self.scores:
            if score.needs == "gradient":
                outputs = run(score.perturbed(self.network, batch))
                for window, raw in zip(early, _by_window(outputs, batch), strict=True):
                    window.append(_of_rows(score, raw, self.head))
        return [
            Material(window, torch.stack(found, -1) if found else None)
            for window, found in zip(maps, early, strict=True)
        ]

    def of_part(self, raw: Tensor, shares: Tensor | None, features: Tensor | None, early: Tensor | None) -> Tensor:
        """Return the scores of a part of a window: float32 ``(k, j, i, S)``, a new tensor.

        Parameters
        ----------
        raw: ``(k, j, i, out_channels)``.
        shares: ``(k, j, i, C)`` where they are known.
        features, early: the part of :class:`Material`.
        """
        out = raw.new_empty((*raw.shape[:3], len(self.scores)), dtype=torch.float32)
        waiting = iter(() if early is None else early.unbind(-1))
        late = []
        for number, score in enumerate(self.scores):
            if score.needs == "gradient":
                out[..., number] = next(waiting)
            else:
                late.append(number)
        step = max(1, _MOST_VALUES // max(1, raw[0].numel()))
        for first in range(0, raw.shape[0] if late else 0, step):
            rows = slice(first, first + step)
            known, inputs = (None if values is None else values[rows] for values in (shares, features))
            voxels = Voxels(raw[rows].float(), self.head, known, None if inputs is None else inputs.float())
            for number in late:
                out[rows][..., number] = self.scores[number].of(voxels)
        return out


def _by_window(outputs: Tensor, batch: Tensor) -> Iterator[Tensor]:
    """Give the maps ``(k, j, i, channels)`` of each window of a batch ``[B, channels, *spatial]``, on the CPU."""
    if outputs.shape[2:] != batch.shape[2:]:
        raise InputError(
            f"features have the shape {tuple(outputs.shape[2:])}, expected that of the window, "
            f"{tuple(batch.shape[2:])}",
            field="outliers",
            hint="choose a score that needs no features",
        )
    volumes = outputs.unsqueeze(2) if outputs.ndim == 4 else outputs
    yield from volumes.cpu().movedim(1, -1)


def _of_rows(score: OutlierScore, raw: Tensor, head: Head) -> Tensor:
    """Return a score of a window, slice by slice, so that nothing of the outputs' size is made."""
    return torch.stack([score.of(Voxels(row.float(), head)) for row in raw])


def mean_of_pictures(found: Sequence[tuple[Tensor, Tensor] | None], shape: Index) -> Tensor | None:
    """Return the mean of several pictures' scores of a block, ``(k, j, i, S)``; NOT_JUDGED where none has any.

    Parameters
    ----------
    found: for each picture scores ``(k, j, i, S)`` and where windows reached, bool ``(k, j, i)``; None: nowhere.
    shape: ``(k, j, i)`` of the block.
    """
    there = [pair for pair in found if pair is not None]
    if not there:
        return None
    total = there[0][0].new_zeros((*shape, there[0][0].shape[3]))
    count = total.new_zeros(shape)
    for scores, reached in there:
        total += torch.where(reached[..., None], scores, 0)
        count += reached
    return torch.where(count[..., None] > 0, total / count.clamp_min(1)[..., None], NOT_JUDGED)


class StepMap:
    """A fitted score on the scan's grid, in 8 or 16 bits, filled block by block.

    Parameters
    ----------
    fitted: whose range it is kept in.
    grid, target: the model's grid of this case and the scan's.
    fine: keep it in 16 bits, to be joined with others.

    Attributes
    ----------
    fitted: see above.
    steps: uint8 or uint16 ``(k, j, i)`` of the scan: 0 at the low end of the range, the largest number at the high end.
    """

    def __init__(self, fitted: FittedOutliers, grid: Geometry, target: Geometry, fine: bool = False) -> None:
        self.fitted, self._fine = fitted, fine
        self.steps: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] = np.zeros(
            target.shape, np.uint16 if fine else np.uint8
        )
        self._resampler = BlockResampler(grid, target, 1, None)

    def begin(self, partition: Partition) -> ScoreSink:
        """Return what takes the blocks of a partition, in its order."""
        completed = self._resampler.one_by_one(partition)
        low, high = self.fitted.low, self.fitted.high

        def take(block: Index, scores: Tensor | None) -> None:
            degree = None if scores is None else ((scores - low) / (high - low)).clamp_(0, 1).numpy()
            for voxels, _, values in completed(block, degree):
                steps = np.rint(values[0] * np.float32(FINE)) if self._fine else as_steps(values[0])
                self.steps.reshape(-1)[voxels] = steps

        return take

    def degree(self) -> FloatArray:
        """Return the place of each voxel's score in the range, float32 ``(k, j, i)`` in 0..1."""
        return np.asarray(self.steps / np.float32(FINE if self._fine else STEPS), np.float32)
