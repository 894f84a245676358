"""Outlier scores on their way through the windows: what they need of the network, and where finished scores go.

Scores are computed for each window, blended with the weights of the probabilities, and never exist for a whole grid in
floating point: what is stored is written in 8 bits as soon as a block is finished.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from softseg.backends import Backend, Kind, Outputs, Region
from softseg.backends.torch_backend import TorchBackend, TorchOutputs
from softseg.errors import InputError
from softseg.network.heads import Head
from softseg.network.outlier_scores import OutlierScore, Voxels
from softseg.prediction.step_map import ScoreSink
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.network import Model
    from softseg.network.fitted_outliers import FittedOutliers

_MOST_VALUES = 1 << 18  # outputs that scores are made from at a time: what they leave behind fits into the cache


class Material(NamedTuple):
    """What a window gave beside its raw outputs.

    Attributes
    ----------
    features: ``(k, j, i, D)``, if any score needs them.
    early: ``(k, j, i, S)``, scores of the scores that need a gradient, in their order.
    """

    features: FloatArray | None
    early: FloatArray | None


@dataclass(frozen=True, eq=False)
class WindowScorer:
    """Computes scores for windows.

    Attributes
    ----------
    scores: which ones.
    network: whose windows.
    head: what its outputs mean.
    layer: name of the layer whose input are the features, None where no score needs any.
    sink: receives the scores of every block, in the partition's order; blocks without any window with None.
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

    @torch.inference_mode()
    def outputs(
        self, backend: Backend, windows: Sequence[FloatArray], kind: Kind
    ) -> tuple[list[TorchOutputs], list[Material]]:
        """Return the network's output for windows ``[channels, k, j, i]``, and what scores need of each.

        Parameters
        ----------
        backend: runs the network of this scorer.
        windows, kind: see :class:`~softseg.backends.Backend`.
        """
        if not isinstance(backend, TorchBackend):
            raise ValueError(f"scores need a PyTorch network, this one is run by {backend.name}")
        batch = backend.batch(windows)
        with self.listening() as features:
            logits = backend.logits(batch)
        return backend.outputs(logits, kind), self._material(backend, batch, features)

    def _material(self, backend: TorchBackend, batch: Tensor, features: Sequence[Tensor]) -> list[Material]:
        maps = [as_array(window) for window in _by_window(features[-1], batch)] if features else [None] * len(batch)
        early: list[list[Tensor]] = [[] for _ in range(len(batch))]
        for score in self.scores:
            if score.needs == "gradient":
                outputs = backend.logits(score.perturbed(self.network, batch))
                for window, raw in zip(early, _by_window(outputs, batch), strict=True):
                    window.append(_of_rows(score, raw, self.head))
        return [
            Material(window, as_array(torch.stack(found, -1)) if found else None)
            for window, found in zip(maps, early, strict=True)
        ]

    @torch.inference_mode()
    def of_part(
        self,
        outputs: Outputs,
        part: Region,
        probabilities: FloatArray | None,
        features: FloatArray | None,
        early: FloatArray | None,
    ) -> FloatArray:
        """Return the scores of a part of a window: float32 ``(k, j, i, S)``, a new array.

        Parameters
        ----------
        outputs: of the window.
        part: which part.
        probabilities: ``(k, j, i, C)`` where they are known.
        features, early: the part of :class:`Material`.
        """
        if not isinstance(outputs, TorchOutputs):
            raise ValueError("scores need outputs of a PyTorch network")
        raw = outputs.values[part]
        out = torch.empty((*raw.shape[:3], len(self.scores)))
        waiting = iter(() if early is None else torch.from_numpy(early).unbind(-1))
        late = []
        for number, score in enumerate(self.scores):
            if score.needs == "gradient":
                out[..., number] = next(waiting)
            else:
                late.append(number)
        step = max(1, _MOST_VALUES // max(1, raw[0].numel()))
        for first in range(0, raw.shape[0] if late else 0, step):
            rows = slice(first, first + step)
            known, inputs = (
                None if each is None else torch.from_numpy(each[rows]) for each in (probabilities, features)
            )
            voxels = Voxels(raw[rows].float(), self.head, known, inputs)
            for number in late:
                out[rows][..., number] = self.scores[number].of(voxels)
        return as_array(out)


def as_array(values: Tensor) -> FloatArray:
    """Return values of any number type as a float32 array."""
    found: FloatArray = values.float().numpy()
    return found


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
