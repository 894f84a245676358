"""A network swept over an image: windows go in, finished blocks of shares come out, nothing dense is kept.

Windows are weighted with MONAI's Gaussian importance map, so what comes out equals
``monai.inferers.sliding_window_inference``. What differs is the bookkeeping: only blocks that still change are held.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from monai.data.utils import compute_importance_map
from torch import Tensor, nn

from softseg.errors import InputError
from softseg.events import Events
from softseg.network.architectures import memory_format
from softseg.network.heads import Head
from softseg.prediction.layout import Layout, Picture, Task
from softseg.prediction.scoring import Material, WindowScorer, mean_of_pictures
from softseg.prediction.sums import Region, WindowSums
from softseg.prediction.window_grid import every_channel
from softseg.requests.predict import BLENDS, Blend
from softseg.soft.blocks import Index
from softseg.system import autocast

SIGMA_SCALE = 0.125
"""Standard deviation of the Gaussian window weight as a share of the window's size (MONAI's and nnU-Net's default)."""

TIMED_WINDOWS = 2
"""After this many windows the time of all of them is estimated (the first warms up)."""


@dataclass(frozen=True, eq=False)
class Runner:
    """How windows become outputs.

    Attributes
    ----------
    network: in evaluation mode, on ``device``.
    head: turns its outputs into shares.
    dimensions: 2 runs slices.
    device: where it runs.
    dtype: of the convolutions; everything else is float32.
    batch_size: windows in a pass.
    blend: what is averaged where windows overlap with a softmax head. A NormReLU head's raw ReLU is averaged.
    scorer: computes outlier scores beside the shares, if any are wanted.
    """

    network: nn.Module
    head: Head
    dimensions: int
    device: torch.device
    dtype: torch.dtype
    batch_size: int = 1
    blend: Blend = BLENDS[0]
    scorer: WindowScorer | None = None

    @property
    def channels(self) -> int:
        """Channels that are summed."""
        return self.head.out_channels if self.head.name == "normrelu" else self.head.classes

    def outputs(self, windows: Sequence[Tensor]) -> tuple[Tensor, list[Material] | None]:
        """Return raw outputs for windows ``[channels, k, j, i]`` on the CPU, and what scores need of each window.

        Raw outputs are ``[B, k, j, i, out_channels]``.
        """
        batch = torch.stack(list(windows))
        if self.dimensions == 2:
            batch = batch.squeeze(2)
        batch = batch.to(self.device, memory_format=memory_format(self.dimensions))
        if self.scorer is None:
            return self._raw(self._run(batch)), None
        with self.scorer.listening() as features:
            logits = self._run(batch)
        material = self.scorer.material(batch, features, self._run)
        return self._raw(logits), material

    def _run(self, batch: Tensor) -> Tensor:
        with autocast(self.dtype, self.device):
            logits: Tensor = self.network(batch)
        if logits.shape[1] != self.head.out_channels:
            raise ValueError(f"expected {self.head.out_channels} channels, got {logits.shape[1]}")
        return logits

    def _raw(self, logits: Tensor) -> Tensor:
        return (logits.unsqueeze(2) if self.dimensions == 2 else logits).cpu().movedim(1, -1)

    def activated(
        self, raw: Tensor, material: Material | None = None, part: Region | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """Return what is summed of a part of a window, new tensors: ``(k, j, i, channels)`` and scores.

        Parameters
        ----------
        raw: raw outputs of the part, ``(k, j, i, out_channels)``.
        material: what scores need of the whole window; None: no scores.
        part: which part of the window that is.

        Returns
        -------
        Activations, and outlier scores ``(k, j, i, S)``, None where none are wanted.
        """
        raw = raw.to(torch.float32, memory_format=torch.contiguous_format, copy=True)
        if self.head.name == "normrelu":
            values = torch.relu_(raw)
        else:
            values = self.head.logits(raw, -1)
            values = values if self.blend == "logits" else torch.softmax(values, -1)
        if self.scorer is None or material is None or part is None:
            return values, None
        known = values if self.head.name != "normrelu" and self.blend == "probabilities" else None
        features, early = (None if maps is None else maps[part] for maps in material)
        return values, self.scorer.of_part(raw, known, features, early)

    def bare(self, shape: Index) -> Tensor:
        """Return what a block ``(k, j, i)`` holds that no window reaches: background, as :meth:`shares` gives it."""
        out = torch.zeros((*shape, 1 if self.head.single else self.head.classes))
        if self.head.background is not None and not self.head.single:
            out[..., self.head.background] = 1
        return out

    def shares(self, mean: Tensor, covered: Tensor) -> Tensor:
        """Return shares of the leaves for means ``(k, j, i, channels)``; voxels without a window are background.

        For a NormReLU head of one channel the mean stays as it is: its division needs the whole volume.
        """
        if self.head.single:
            return mean
        if self.head.name == "normrelu":
            total = mean.sum(-1, keepdim=True)
            mean /= torch.where(total > 0, total, torch.ones_like(total))
        elif self.blend == "logits":
            for row in mean:  # one by one: no second copy of the block
                row[:] = torch.softmax(row, -1)
        if self.head.background is not None:
            bare = covered == 0
            mean[bare] = 0
            mean[..., self.head.background][bare] = 1
        return mean


Finished = tuple[Index, list[Tensor | None]]
"""A block's position, and for each picture its shares ``(k, j, i, C)``, ``None`` for nothing but background."""


def sweep(
    runner: Runner,
    layout: Layout,
    permutation: Tensor,
    events: Events,
    timed: Callable[[float], None] | None = None,
) -> Iterator[Finished]:
    """Run the network over all windows and yield the blocks in the partition's order, each as soon as it is finished.

    Parameters
    ----------
    runner: how a window is computed.
    layout: windows and blocks.
    permutation: ``[C]``, the leaf that each leaf becomes in a mirror.
    events: progress by windows; cancelling between them.
    timed: told once, after the first windows, the seconds that all of them will take.
    """
    sums = [WindowSums(layout.cells) for _ in layout.pictures]
    beside = torch.arange(max(0, runner.head.out_channels - runner.head.classes)) + runner.head.classes
    permutation = torch.cat([permutation, beside])  # channels that are no leaves stay where they are
    total, done, began = len(layout.tasks), 0, time.monotonic()
    events.progress(0, total)
    importance = _importance(layout)
    batch: list[Task] = []
    finished: list[Index] = []
    for task, blocks in layout.schedule():
        finished += blocks
        if task is not None:
            batch.append(task)
        if batch and (len(batch) == runner.batch_size or done + len(batch) == total):
            _add_windows(runner, layout, batch, permutation, importance, sums)
            done += len(batch)
            batch = []
            if timed is not None and done >= min(TIMED_WINDOWS, total):
                timed((time.monotonic() - began) / done * total)
                timed = None
            events.progress(done, total)
        if batch:
            continue
        for block in finished:
            yield block, _finished(runner, layout, sums, block)
        finished = []


@torch.inference_mode()
def _add_windows(
    runner: Runner,
    layout: Layout,
    batch: Sequence[Task],
    permutation: Tensor,
    importance: Tensor,
    sums: Sequence[WindowSums],
) -> None:
    pictures = [layout.pictures[task.picture] for task in batch]
    windows = [p.volume[every_channel(t.window)] for p, t in zip(pictures, batch, strict=True)]
    outputs, materials = runner.outputs(windows)
    for number, (task, picture, output) in enumerate(zip(batch, pictures, outputs, strict=True)):
        raw = picture.undone(output, permutation)
        material = None if materials is None else _turned_back(picture, materials[number])
        for cell, inside, part in layout.touched(task):
            values, scores = runner.activated(raw[part], material, part)
            sums[task.picture].add(cell, inside, values, importance[part], scores)


def _turned_back(picture: Picture, material: Material) -> Material:
    features, early = (None if values is None else picture.turned_back(values) for values in material)
    return Material(features, early)


@torch.inference_mode()
def _finished(runner: Runner, layout: Layout, sums: Sequence[WindowSums], block: Index) -> list[Tensor | None]:
    """Return a block's shares for each picture; its scores go to the scorer's sink."""
    shape = layout.partition.shape(block)
    found = [_joined(runner, layout, part, block) for part in sums]
    if runner.scorer is not None:
        runner.scorer.sink(block, mean_of_pictures([scores for _, scores in found], shape))
    return [shares for shares, _ in found]


_Scored = tuple[Tensor, Tensor]
"""Scores ``(k, j, i, S)`` and where windows reached, bool ``(k, j, i)``."""


def _joined(runner: Runner, layout: Layout, sums: WindowSums, block: Index) -> tuple[Tensor | None, _Scored | None]:
    """Put a block together from its cells, and let them go: its shares, and its scores if there are any."""
    whole: Tensor | None = None
    scored: _Scored | None = None
    shape = layout.partition.shape(block)
    for cell, place in layout.cells_of(block):
        mean = sums.finish(cell)
        if mean is None:
            continue
        _require_finite(mean.values)
        reached = mean.covered > 0
        shares = runner.shares(mean.values, mean.covered)
        if tuple(shares.shape[:3]) == shape:
            return shares, None if mean.scores is None else (mean.scores, reached)
        if whole is None:
            whole = runner.bare(shape)
        whole[place] = shares
        if mean.scores is not None:
            if scored is None:
                scored = mean.scores.new_zeros((*shape, mean.scores.shape[3])), reached.new_zeros(shape)
            scored[0][place], scored[1][place] = mean.scores, reached
    return whole, scored


def _require_finite(values: Tensor) -> None:
    if not math.isfinite(float(values.sum())):
        raise InputError(
            "the network answers with values that are no finite numbers",
            hint="its weights are damaged, or its training diverged: train it again",
        )


def _importance(layout: Layout) -> Tensor:
    patch = layout.pictures[0].grid.patch
    weights: Tensor = compute_importance_map(patch, mode="gaussian", sigma_scale=SIGMA_SCALE)
    return weights
