"""What the prediction of a usual head would take, for questions in advance."""

from __future__ import annotations

import numpy as np
import torch

from softseg.backends.torch_backend import TorchBackend
from softseg.data import NetworkSpec
from softseg.image import Geometry
from softseg.network.architectures import build_network
from softseg.network.heads import Head
from softseg.prediction.estimate import Work, work_of
from softseg.prediction.layout import Layout
from softseg.prediction.sweep import Runner
from softseg.soft.blocks import Index


def head_work(leaves: int, plan_shape: Index, target_shape: Index, window: Index) -> Work:
    """Return the sizes of a scan of one channel that is predicted by the default network, for questions in advance.

    Parameters
    ----------
    leaves: of the tree, the background included.
    plan_shape, target_shape: ``(k, j, i)`` of the model's grid and of the scan.
    window: ``(k, j, i)``.
    """
    with torch.device("meta"):
        network = build_network(NetworkSpec(), 1, leaves, 3)
    head = Head("softmax", leaves)
    runner = Runner(TorchBackend(network, head, 3, torch.device("cpu"), torch.float32), head)
    layout = Layout.whole(np.zeros((1, *plan_shape), np.float32), window, (1, 1, 1))
    grid, target = (Geometry((shape[2], shape[1], shape[0])) for shape in (plan_shape, target_shape))
    return work_of(runner, layout, (1, 1, 1), grid, target, 0, whole=False)
