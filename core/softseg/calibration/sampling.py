"""A model's predictions in randomly sampled labelled voxels, picked while it predicts; no whole volume is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from softseg.backends.torch_backend import TorchBackend
from softseg.errors import naming
from softseg.events import Events
from softseg.prediction.layout import Picture, WindowLayout
from softseg.prediction.probabilities import probabilities_of_blocks
from softseg.prediction.sweep import WindowPredictor
from softseg.requests.predict import OVERLAP
from softseg.soft.labels import SoftLabels
from softseg.system import resolve_precision
from softseg.types import FloatArray

if TYPE_CHECKING:
    import torch

    from softseg.data import PreparedCase
    from softseg.network import Model


@dataclass(frozen=True, eq=False)
class Sample:
    """Some voxels of one or more cases.

    Attributes
    ----------
    probabilities: float32 ``[C, n]``, the model's distribution over the leaves.
    indices: ``[K, n]``, class indices of the reference (leaves, then inner nodes).
    truth: float32 ``[K, n]``, their probabilities; at least one of a voxel is above 0.
    """

    probabilities: FloatArray
    indices: npt.NDArray[np.uint16]
    truth: FloatArray

    @property
    def voxels(self) -> int:
        """Number of voxels."""
        return int(self.probabilities.shape[1])

    @staticmethod
    def joined(samples: Sequence[Sample]) -> Sample:
        """Return the voxels of several samples of one model."""
        slots = max(sample.indices.shape[0] for sample in samples)
        return Sample(
            np.concatenate([sample.probabilities for sample in samples], axis=1),
            np.concatenate([_widened(sample.indices, slots) for sample in samples], axis=1),
            np.concatenate([_widened(sample.truth, slots) for sample in samples], axis=1),
        )


def sample_case(
    model: Model,
    case: PreparedCase,
    voxels: int,
    generator: np.random.Generator,
    *,
    device: torch.device,
    precision: str | None = None,
    overlap: float = OVERLAP,
    events: Events | None = None,
) -> Sample:
    """Return the model's prediction in voxels of a prepared case, drawn evenly among the labelled ones.

    Parameters
    ----------
    model: its network is on ``device``.
    case: on the plan's grid.
    voxels: how many; all labelled ones where there are fewer.
    generator: draws them.
    device, precision, overlap: how the windows are computed; in the precision of the model's plan by default.
    events: for cancelling.

    Raises
    ------
    InputError: the network answers with no numbers.
    """
    cancelling = Events(cancel=None if events is None else events.cancel)
    reference = _inside_mask(case)
    labelled = np.flatnonzero(reference.total())
    if labelled.size > voxels:
        labelled = np.sort(generator.choice(labelled, voxels, replace=False))
    probabilities = np.zeros((len(model.tree.leaves), labelled.size), np.float32)
    if model.head.background is not None:
        probabilities[model.head.background] = 1
    column = np.full(reference.shape, -1, np.int64)
    column.reshape(-1)[labelled] = np.arange(labelled.size)
    volume = np.array(case.image, np.float32)
    picture = Picture.of(volume, model.plan.patch_kji, overlap, model.head.background is not None)
    layout = WindowLayout.over([picture], (0, 0, 0))
    if layout is not None and labelled.size:
        dtype = resolve_precision(model.plan.precision if precision is None else precision, device)
        backend = TorchBackend(model.network, model.head, model.plan.dimensions, device, dtype)
        runner = WindowPredictor(backend, model.head)
        with naming(model.path):
            for block, found in probabilities_of_blocks(runner, layout, np.arange(model.head.classes), cancelling):
                here = column[layout.partition.place(block)]
                wanted = here >= 0
                if found is not None and wanted.any():
                    probabilities[:, here[wanted]] = found[wanted].T
    slots = reference.slots
    return Sample(
        probabilities,
        np.array(reference.indices.reshape(slots, -1)[:, labelled]),
        np.array(reference.probabilities.reshape(slots, -1)[:, labelled]),
    )


def _inside_mask(case: PreparedCase) -> SoftLabels:
    if case.mask is None:
        return case.truth
    return SoftLabels(case.truth.indices, case.truth.probabilities * case.mask.astype(np.float32), case.truth.classes)


def _widened(array: npt.NDArray[np.generic], slots: int) -> npt.NDArray[np.generic]:
    return np.pad(array, ((0, slots - array.shape[0]), (0, 0)))
