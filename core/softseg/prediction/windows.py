"""A network over a whole volume, as one dense array: for small grids, for training, and to compare with.

Prediction itself never holds this array; see :mod:`softseg.prediction.sweep`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from softseg.backends.torch_backend import TorchBackend
from softseg.errors import OutOfMemoryError
from softseg.events import Events
from softseg.prediction.layout import Picture, WindowLayout
from softseg.prediction.probabilities import dense, only_background, probabilities_of_blocks
from softseg.prediction.sweep import WindowPredictor
from softseg.requests.predict import BLENDS, OVERLAP, Blend
from softseg.system import MEMORY_ERRORS, is_out_of_memory, resolve_device, resolve_precision
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.data import Plan
    from softseg.network.heads import Head


def sliding_probabilities(
    network: nn.Module,
    head: Head,
    image: FloatArray | Tensor,
    plan: Plan,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    precision: str | None = None,
    *,
    overlap: float = OVERLAP,
    skip_empty: bool = True,
    batch_size: int = 1,
    blend: Blend = BLENDS[0],
) -> FloatArray:
    """Return the probability of every leaf at every voxel of the plan's grid.

    Parameters
    ----------
    network: the trained network; it is put into evaluation mode by the caller and must be on ``device``.
    head: turns its output into probabilities. A NormReLU head has scope ``"volume"`` here: the raw ReLU is blended over
        all windows and divided once, so the result does not depend on how windows are batched or ordered.
    image: preprocessed image ``[channels, k, j, i]`` on the plan's grid.
    plan: its ``patch_size`` is the window; ``dimensions`` 2 runs slice by slice along ``k``.
    device: where the network runs.
    events: progress within the caller's stage, and cancelling between windows; a caller that counts something else
        passes ``Events(cancel=events.cancel)``.
    precision: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``; the plan's by default. Sums are float32
        always.
    overlap: fraction of a window that neighbouring windows have in common, 0 <= overlap < 1 (0.5 is our default).
    skip_empty: whether windows in which every channel is at its minimum over the image (outside a skull-stripped brain,
        outside the scanned field) are left out and the rest are laid over the box of what is not; voxels that no window
        covers are background with probability 1. Has no effect where the tree has no background.
    batch_size: windows per pass.
    blend: what is averaged where windows overlap, with a softmax head.

    Returns
    -------
    float32 ``[C, k, j, i]``, each 0..1, leaves in tree order; sums to 1 (NormReLU: to at most 1).

    Raises
    ------
    OutOfMemoryError: the probabilities or a window do not fit into memory.
    CancelledError: cancelled between two windows.
    """
    events = Events() if events is None else events
    device = resolve_device(device)
    volume = np.asarray(image, np.float32)
    shape = volume.shape[1], volume.shape[2], volume.shape[3]
    dtype = resolve_precision(plan.precision if precision is None else precision, device)
    runner = WindowPredictor(TorchBackend(network, head, plan.dimensions, device, dtype), head, batch_size, blend)
    try:
        picture = Picture.of(volume, plan.patch_kji, overlap, skip_empty and head.background is not None)
        layout = WindowLayout.over([picture], (0, 0, 0))
        if layout is None:
            return only_background(head.classes, shape, head.background)
        blocks = probabilities_of_blocks(runner, layout, np.arange(head.classes), events)
        return dense(blocks, layout.partition, head.classes, shape, head.background)
    except MEMORY_ERRORS as error:
        if not is_out_of_memory(error):
            raise
        gigabytes = head.classes * math.prod(shape) * 4 / 1e9
        raise OutOfMemoryError(
            f"predicting {head.classes} classes on {' x '.join(map(str, shape))} voxels ran out of memory on {device} "
            f"(the probabilities alone take {gigabytes:.1f} GB)",
            hint="crop the image, use --device cpu, or a machine with more memory",
        ) from error
