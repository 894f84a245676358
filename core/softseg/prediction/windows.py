"""A network over a whole volume: overlapping windows whose probabilities are blended with a Gaussian weight.

Windows are laid as MONAI lays them (``dense_patch_slices``) and weighted with MONAI's importance map, so the result
equals ``monai.inferers.sliding_window_inference`` of the network's probabilities. What differs is the bookkeeping:
probabilities, not logits, are summed; windows without content are skipped; an image smaller than a window has its
border repeated, as in training (MONAI: zeros); cancelling is possible between windows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from torch import Tensor, nn

from softseg.errors import OutOfMemoryError
from softseg.events import Events
from softseg.network.architectures import memory_format
from softseg.prediction.devices import autocast, resolve_precision
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.data import Plan
    from softseg.network.heads import Head

SIGMA_SCALE = 0.125
"""Standard deviation of the Gaussian window weight as a share of the window's size (MONAI's and nnU-Net's default)."""

CONTENT_STEP = 8
"""The box of content begins at a multiple of this many voxels (our default): a rim of background around a brain."""


@dataclass(frozen=True)
class WindowGrid:
    """Where the windows lie.

    Attributes
    ----------
    start, stop: the box of the image that is predicted, ``(k, j, i)``.
    padding: voxels added before and after that box so that one window fits, per axis.
    patch: window size ``(k, j, i)``; 1 along ``k`` for a 2D network.
    slices: the windows inside the padded box.
    """

    start: tuple[int, ...]
    stop: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    patch: tuple[int, ...]
    slices: tuple[tuple[slice, ...], ...]

    @property
    def box(self) -> tuple[slice, ...]:
        """The box of the image that is predicted, as slices ``(k, j, i)``."""
        return tuple(slice(a, b) for a, b in zip(self.start, self.stop, strict=True))

    @staticmethod
    def over(
        shape: Sequence[int], patch: Sequence[int], overlap: float, box: tuple[Sequence[int], Sequence[int]] | None
    ) -> WindowGrid:
        """Lay windows of ``patch`` over ``box`` (start, stop) of an image of ``shape``, the whole image by default."""
        start, stop = ([0] * len(shape), list(shape)) if box is None else (list(box[0]), list(box[1]))
        for axis, (size, length) in enumerate(zip(shape, patch, strict=True)):
            missing = min(length, size) - (stop[axis] - start[axis])
            if missing > 0:
                stop[axis] = min(size, stop[axis] + missing)
                start[axis] = max(0, stop[axis] - min(length, size))
        sizes = [b - a for a, b in zip(start, stop, strict=True)]
        lacks = [max(0, length - size) for size, length in zip(sizes, patch, strict=True)]
        padded = [size + lack for size, lack in zip(sizes, lacks, strict=True)]
        steps = [
            length if length == size else max(1, int(length * (1 - overlap)))
            for size, length in zip(padded, patch, strict=True)
        ]
        return WindowGrid(
            start=tuple(start),
            stop=tuple(stop),
            padding=tuple((lack // 2, lack - lack // 2) for lack in lacks),
            patch=tuple(patch),
            slices=tuple(dense_patch_slices(padded, tuple(patch), steps)),
        )


def sliding_probabilities(
    network: nn.Module,
    head: Head,
    image: FloatArray | Tensor,
    plan: Plan,
    device: torch.device | str = "cpu",
    events: Events | None = None,
    precision: str = "auto",
    *,
    overlap: float = 0.5,
    skip_empty: bool = True,
    batch_size: int = 1,
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
    precision: ``"auto"``, ``"float32"``, ``"bfloat16"`` or ``"float16"``; sums are float32 always.
    overlap: share of a window that neighbouring windows have in common, 0 <= overlap < 1 (0.5 is our default).
    skip_empty: whether windows in which every channel is at its minimum over the image (outside a skull-stripped brain,
        outside the scanned field) are left out and the rest are laid over the box of what is not; voxels that no window
        covers are background with probability 1. Has no effect where the tree has no background.
    batch_size: windows per pass.

    Returns
    -------
    float32 ``[C, k, j, i]``, each 0..1, leaves in tree order; sums to 1 (NormReLU: to at most 1).

    Raises
    ------
    OutOfMemoryError: the probabilities or a window do not fit into memory.
    CancelledError: cancelled between two windows.
    """
    events = Events() if events is None else events
    device = torch.device(device)
    volume = torch.as_tensor(image, dtype=torch.float32)
    shape = tuple(volume.shape[1:])
    background = head.background if skip_empty else None
    box = None if background is None else _content_box(volume)
    if box is None and background is not None:
        return _only_background(head.classes, shape, background)
    grid = WindowGrid.over(shape, plan.patch_kji, overlap, box)
    windows = _Windows(grid, plan.dimensions, device, resolve_precision(precision, device), batch_size)
    try:
        sums, weights = _blend(network, head, _padded(volume, grid), windows, events, background is not None)
        return _finished(head, sums, weights, grid, shape, background)
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise _out_of_memory(head.classes, shape, device) from error
    except RuntimeError as error:
        if "not enough memory" in str(error) or "can't allocate memory" in str(error):
            raise _out_of_memory(head.classes, shape, device) from error
        raise


@dataclass(frozen=True)
class _Windows:
    grid: WindowGrid
    dimensions: int
    device: torch.device
    dtype: torch.dtype
    batch_size: int

    def raw_outputs(self, network: nn.Module, volume: Tensor, windows: Sequence[tuple[slice, ...]]) -> Tensor:
        """Return the network's float32 output for these windows, ``[B, channels, k, j, i]``, k = 1 in 2D."""
        batch = torch.stack([volume[_all(window)] for window in windows])
        if self.dimensions == 2:
            batch = batch.squeeze(2)
        batch = batch.to(self.device, memory_format=memory_format(self.dimensions))
        with autocast(self.dtype, self.device):
            logits: Tensor = network(batch)
        return logits.float().unsqueeze(2) if self.dimensions == 2 else logits.float()


@torch.inference_mode()
def _blend(
    network: nn.Module, head: Head, volume: Tensor, work: _Windows, events: Events, skip_empty: bool
) -> tuple[Tensor, Tensor]:
    """Return the weighted mean over windows ``[channels, k, j, i]`` on the padded box, and each voxel's weight.

    The mean is of probabilities, for NormReLU of the raw ReLU.
    """
    raw = head.name == "normrelu"
    importance = compute_importance_map(work.grid.patch, mode="gaussian", sigma_scale=SIGMA_SCALE)
    sums = torch.zeros((head.out_channels if raw else head.classes, *volume.shape[1:]), dtype=torch.float32)
    weights = torch.zeros(volume.shape[1:], dtype=torch.float32)
    content = (volume > _minima(volume)).any(dim=0)
    windows = [window for window in work.grid.slices if not skip_empty or bool(content[window].any())]
    events.progress(0, len(windows))
    for first in range(0, len(windows), work.batch_size):
        chosen = windows[first : first + work.batch_size]
        logits = work.raw_outputs(network, volume, chosen)
        values = (torch.relu(logits) if raw else head.probabilities(logits)).cpu()
        for window, value in zip(chosen, values, strict=True):
            sums[_all(window)].addcmul_(value, importance)
            weights[window] += importance
        events.progress(first + len(chosen), len(windows))
    sums /= weights.clamp(min=torch.finfo(torch.float32).tiny)
    return sums, weights


def _all(window: tuple[slice, ...]) -> tuple[slice, ...]:
    """Return the index of ``window`` in an array with channels in front."""
    return (slice(None), *window)


def _content_box(volume: Tensor) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return (start, stop) of the voxels that lie above the minimum of some channel, ``None`` if there are none."""
    content = (volume > _minima(volume)).any(dim=0)
    start, stop = [], []
    for axis, size in enumerate(content.shape):
        where = torch.nonzero(content.any(dim=tuple(a for a in range(content.ndim) if a != axis)))
        if len(where) == 0:
            return None
        start.append(int(where[0]) // CONTENT_STEP * CONTENT_STEP)
        stop.append(min(size, math.ceil((int(where[-1]) + 1) / CONTENT_STEP) * CONTENT_STEP))
    return tuple(start), tuple(stop)


def _minima(volume: Tensor) -> Tensor:
    return volume.amin(dim=(1, 2, 3), keepdim=True)


def _padded(volume: Tensor, grid: WindowGrid) -> Tensor:
    inside = volume[_all(grid.box)]
    if not any(before or after for before, after in grid.padding):
        return inside
    flat = [n for pair in reversed(grid.padding) for n in pair]
    return torch.nn.functional.pad(inside[None], flat, mode="replicate")[0]


@torch.inference_mode()
def _finished(
    head: Head, means: Tensor, weights: Tensor, grid: WindowGrid, shape: tuple[int, ...], background: int | None
) -> FloatArray:
    """Return probabilities on the whole image: divide a NormReLU once, cut padding off, put the box back."""
    shares = head.probabilities(means[None], scope="volume")[0] if head.name == "normrelu" else means
    if background is not None:
        shares[background][weights == 0] = 1.0
    sizes = weights.shape
    inner = tuple(slice(before, size - after) for (before, after), size in zip(grid.padding, sizes, strict=True))
    inside: FloatArray = shares[_all(inner)].numpy()
    if inside.shape[1:] == shape:
        return np.ascontiguousarray(inside)
    whole = _only_background(head.classes, shape, 0 if background is None else background)
    whole[_all(grid.box)] = inside
    return whole


def _only_background(classes: int, shape: tuple[int, ...], background: int) -> FloatArray:
    whole = np.zeros((classes, *shape), dtype=np.float32)
    whole[background] = 1.0
    return whole


def _out_of_memory(classes: int, shape: tuple[int, ...], device: torch.device) -> OutOfMemoryError:
    gigabytes = classes * math.prod(shape) * 4 / 1e9
    return OutOfMemoryError(
        f"predicting {classes} classes on {' x '.join(map(str, shape))} voxels ran out of memory on {device} "
        f"(the probabilities alone take {gigabytes:.1f} GB)",
        hint="crop the image, use --device cpu, or a machine with more memory",
    )
