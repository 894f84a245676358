"""What the prediction of a usual head would take, for questions in advance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softseg.backends.base import Kind, Outputs
from softseg.image import Geometry
from softseg.network.heads import Head
from softseg.prediction.estimate import Work, work_of
from softseg.prediction.layout import WindowLayout
from softseg.prediction.sweep import WindowPredictor
from softseg.soft.blocks import Index
from softseg.types import FloatArray


def head_work(leaves: int, plan_shape: Index, target_shape: Index, window: Index) -> Work:
    """Return the sizes of a scan of one channel that is predicted by the default network, for questions in advance.

    Parameters
    ----------
    leaves: of the tree, the background included.
    plan_shape, target_shape: ``(k, j, i)`` of the model's grid and of the scan.
    window: ``(k, j, i)``.
    """
    head = Head("softmax", leaves)
    runner = WindowPredictor(UsualNetwork(), head)
    layout = WindowLayout.whole(np.zeros((1, *plan_shape), np.float32), window, (1, 1, 1))
    grid, target = (Geometry((shape[2], shape[1], shape[0])) for shape in (plan_shape, target_shape))
    return work_of(runner, layout, (1, 1, 1), grid, target, 0, whole=False)


@dataclass(frozen=True)
class UsualNetwork:
    """The memory of the default network in 3D, for one channel and in float32: a backend that is asked, never run."""

    @property
    def name(self) -> str:
        """Name of no library."""
        return "none"

    def run(self, windows: Sequence[FloatArray], kind: Kind) -> Sequence[Outputs]:
        """Refuse: there are no weights."""
        raise NotImplementedError

    def memory(self, channels: int, window: Sequence[int], batch: int, gradient: bool = False) -> int:
        """Return about how many bytes a pass takes; see :class:`~softseg.backends.Backend`."""
        del channels, gradient
        return _WEIGHTS + _VOXEL * batch * math.prod(window)


_WEIGHTS, _VOXEL = 44_850_000, 905  # as softseg.backends.memory counts windows of 64 x 64 x 64 and up to 135 leaves
