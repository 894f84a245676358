"""A network swept over an image: windows go in, finished blocks of probabilities come out, nothing dense is kept.

Windows are weighted with MONAI's Gaussian importance map, so what comes out equals
``monai.inferers.sliding_window_inference``. What differs is the bookkeeping: only blocks that still change are held.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from softseg.backends import Backend, Kind, Outputs, Region
from softseg.backends.arithmetic import softmax
from softseg.errors import InputError
from softseg.events import Events
from softseg.network.heads import Head
from softseg.prediction.layout import Task, WindowLayout
from softseg.prediction.step_map import mean_of_pictures
from softseg.prediction.sums import WindowSums
from softseg.prediction.window_grid import every_channel
from softseg.requests.predict import BLENDS, Blend
from softseg.soft.blocks import Index
from softseg.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from softseg.prediction.scoring import Material, WindowScorer

SIGMA_SCALE = 0.125
"""Standard deviation of the Gaussian window weight, as a fraction of the window (MONAI's and nnU-Net's default)."""

TIMED_WINDOWS = 2
"""After this many windows the time of all of them is estimated (the first warms up)."""


@dataclass(frozen=True, eq=False)
class WindowPredictor:
    """How windows become outputs.

    Attributes
    ----------
    backend: runs the network.
    head: turns its outputs into probabilities.
    batch_size: windows in a pass.
    blend: what is averaged where windows overlap with a softmax head. A NormReLU head's raw ReLU is averaged.
    scorer: computes outlier scores beside the probabilities, if any are wanted; needs a PyTorch network.
    """

    backend: Backend
    head: Head
    batch_size: int = 1
    blend: Blend = BLENDS[0]
    scorer: WindowScorer | None = None

    @property
    def channels(self) -> int:
        """Channels that are summed."""
        return self.head.out_channels if self.head.name == "normrelu" else self.head.classes

    @property
    def kind(self) -> Kind:
        """What is asked of the network."""
        if self.head.name == "normrelu":
            return "raw"
        return "logits" if self.blend == "logits" else "shares"

    def outputs(self, windows: Sequence[FloatArray]) -> tuple[Sequence[Outputs], list[Material] | None]:
        """Return the network's output for windows ``[channels, k, j, i]``, and what scores need of each."""
        if self.scorer is None:
            return self.backend.run(windows, self.kind), None
        return self.scorer.outputs(self.backend, windows, self.kind)

    def values(self, outputs: Outputs, part: Region) -> FloatArray:
        """Return what is summed of a part of a window: a new array ``(k, j, i, channels)``."""
        found = outputs.part(part)
        return np.maximum(found, 0, out=found) if self.kind == "raw" else found

    def scores(
        self, outputs: Outputs, values: FloatArray, material: Material | None, part: Region
    ) -> FloatArray | None:
        """Return outlier scores ``(k, j, i, S)`` of a part of a window, None where none are wanted.

        Parameters
        ----------
        outputs: of the window.
        values: what :meth:`values` gave of the part.
        material: what scores need of the whole window.
        part: which part.
        """
        if self.scorer is None or material is None:
            return None
        features, early = (None if maps is None else maps[part] for maps in material)
        return self.scorer.of_part(outputs, part, values if self.kind == "shares" else None, features, early)

    def bare(self, shape: Index) -> FloatArray:
        """Return a block ``(k, j, i)`` that no window reaches: background, as from :meth:`probabilities`."""
        out = np.zeros((*shape, 1 if self.head.single else self.head.classes), np.float32)
        if self.head.background is not None and not self.head.single:
            out[..., self.head.background] = 1
        return out

    def probabilities(self, mean: FloatArray, covered: FloatArray) -> FloatArray:
        """Return probabilities of the leaves for means ``(k, j, i, channels)``; voxels without a window are background.

        For a NormReLU head of one channel the mean stays as it is: its division needs the whole volume.
        """
        if self.head.single:
            return mean
        if self.head.name == "normrelu":
            total = mean.sum(axis=-1, keepdims=True)
            mean /= np.where(total > 0, total, np.float32(1))
        elif self.blend == "logits":
            for row in mean:  # one by one: no second copy of the block
                row[:] = softmax(row)
        if self.head.background is not None:
            bare = covered == 0
            if bare.any():
                mean[bare] = 0
                mean[..., self.head.background][bare] = 1
        return mean


Finished = tuple[Index, list[FloatArray | None]]
"""A block's position, and for each picture its probabilities ``(k, j, i, C)``, ``None`` for nothing but background."""


def sweep(
    runner: WindowPredictor,
    layout: WindowLayout,
    permutation: IntArray,
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
    timed: called once, after the first windows, with the seconds that all of them will take.
    """
    sums = [WindowSums(layout.cells) for _ in layout.pictures]
    total, done, began = len(layout.tasks), 0, time.monotonic()
    events.progress(0, total)
    importance = importance_of(layout.pictures[0].grid.patch)
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


def _add_windows(
    runner: WindowPredictor,
    layout: WindowLayout,
    batch: Sequence[Task],
    permutation: IntArray,
    importance: FloatArray,
    sums: Sequence[WindowSums],
) -> None:
    pictures = [layout.pictures[task.picture] for task in batch]
    windows = [p.volume[every_channel(t.window)] for p, t in zip(pictures, batch, strict=True)]
    outputs, materials = runner.outputs(windows)
    for number, (task, picture, output) in enumerate(zip(batch, pictures, outputs, strict=True)):
        material = None if materials is None else materials[number]
        for cell, inside, part in layout.touched(task):
            seen = picture.mirrored(part)
            values = runner.values(output, seen)
            scores = runner.scores(output, values, material, seen)
            turned = None if scores is None else picture.turned_back(scores)
            sums[task.picture].add(cell, inside, picture.undone(values, permutation), importance[part], turned)


def _finished(
    runner: WindowPredictor, layout: WindowLayout, sums: Sequence[WindowSums], block: Index
) -> list[FloatArray | None]:
    """Return a block's probabilities for each picture; its scores go to the scorer's sink."""
    shape = layout.partition.shape(block)
    found = [_joined(runner, layout, part, block) for part in sums]
    if runner.scorer is not None:
        runner.scorer.sink(block, mean_of_pictures([scores for _, scores in found], shape))
    return [probabilities for probabilities, _ in found]


_Scored = tuple[FloatArray, BoolArray]
"""Scores ``(k, j, i, S)`` and where windows reached, bool ``(k, j, i)``."""


def _joined(
    runner: WindowPredictor, layout: WindowLayout, sums: WindowSums, block: Index
) -> tuple[FloatArray | None, _Scored | None]:
    """Put a block together from its cells, and let them go: its probabilities, and its scores if there are any."""
    whole: FloatArray | None = None
    scored: _Scored | None = None
    shape = layout.partition.shape(block)
    for cell, place in layout.cells_of(block):
        mean = sums.finish(cell)
        if mean is None:
            continue
        _require_finite(mean.values)
        reached = mean.covered > 0
        probabilities = runner.probabilities(mean.values, mean.covered)
        if probabilities.shape[:3] == shape:
            return probabilities, None if mean.scores is None else (mean.scores, reached)
        if whole is None:
            whole = runner.bare(shape)
        whole[place] = probabilities
        if mean.scores is not None:
            if scored is None:
                scored = np.zeros((*shape, mean.scores.shape[3]), np.float32), np.zeros(shape, np.bool_)
            scored[0][place], scored[1][place] = mean.scores, reached
    return whole, scored


def _require_finite(values: FloatArray) -> None:
    if not math.isfinite(float(values.sum())):
        raise InputError(
            "the network answers with values that are no finite numbers",
            hint="its weights are damaged, or its training diverged: train it again",
        )


def importance_of(patch: Sequence[int]) -> FloatArray:
    """Return the weight of each voxel of a window ``(k, j, i)``: MONAI's Gaussian, at least 0.001."""
    weights: FloatArray = np.ones((), np.float32)
    for length in patch:
        middle = np.arange(length, dtype=np.float32) - np.float32((length - 1) / 2)
        along = np.exp(middle**2 / np.float32(-2 * (SIGMA_SCALE * length) ** 2))
        weights = weights[..., None] * along
    return np.asarray(np.maximum(weights, np.float32(max(float(weights.min()), 1e-3))), np.float32)
