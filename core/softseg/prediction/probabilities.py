"""From a sweep to one distribution per block: several pictures averaged, and heads that need the whole volume."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from softseg.events import Events
from softseg.network.heads import Head
from softseg.prediction.ensemble import PartOfProgress
from softseg.prediction.layout import WindowLayout
from softseg.prediction.spread import SpreadMaps
from softseg.prediction.sweep import Finished, WindowPredictor, sweep
from softseg.prediction.uncertainty import Spread, mean_of
from softseg.prediction.window_grid import every_channel
from softseg.soft.blocks import Index, Partition, SparseVoxels
from softseg.types import FloatArray, IntArray

BlockProbabilities = tuple[Index, FloatArray | None]
"""A block's position and its probabilities ``(k, j, i, C)``, ``None`` for nothing but background."""


@dataclass(frozen=True, eq=False)
class Member:
    """One network of those whose answers are averaged; usually there is only one.

    Attributes
    ----------
    runner: how its windows become probabilities.
    calibrated: what is done to each of its answers ``(k, j, i, C)`` before anything else, if anything.
    """

    runner: WindowPredictor
    calibrated: Callable[[FloatArray], FloatArray] | None = None


def probabilities_of_blocks(
    runner: WindowPredictor | Sequence[Member],
    layout: WindowLayout,
    permutation: IntArray,
    events: Events,
    maps: SpreadMaps | None = None,
    timed: Callable[[float], None] | None = None,
    joint: Callable[[FloatArray], FloatArray] | None = None,
) -> Iterator[BlockProbabilities]:
    """Yield every block of the layout with the probabilities of the leaves, in the partition's order.

    A NormReLU head of one channel is divided by its maximum over the volume, so its blocks, a single channel, are
    gathered first; blocks of all other heads come as soon as they are finished.

    Parameters
    ----------
    runner: the network, or several; each predicts every picture, side by side, and the mean of all is yielded.
    layout, permutation, events, timed: see :func:`softseg.prediction.sweep.sweep`.
    maps: filled on the way, where several answers are averaged.
    joint: what is done to the mean ``(k, j, i, C)`` of several answers, if anything.
    """
    members = [Member(runner)] if isinstance(runner, WindowPredictor) else list(runner)
    head = members[0].runner.head
    for parts in zip(*_sweeps(members, layout, permutation, events, timed), strict=True):
        block = parts[0][0]
        if all(sample is None for _, samples in parts for sample in samples):
            yield block, None
            continue
        shape = (*layout.partition.shape(block), head.classes)
        arrays = [
            _background(shape, head) if sample is None else _answer(member, sample)
            for member, (_, samples) in zip(members, parts, strict=True)
            for sample in samples
        ]
        if len(arrays) == 1:
            yield block, arrays[0]
            continue
        if maps is None:
            mean = mean_of(arrays)
            yield block, mean if joint is None else joint(mean)
            continue
        spread = Spread.of(arrays).changed(joint)
        maps.add(layout.partition.place(block), arrays, spread)
        yield block, spread.mean


def _sweeps(
    members: Sequence[Member],
    layout: WindowLayout,
    permutation: IntArray,
    events: Events,
    timed: Callable[[float], None] | None,
) -> list[Iterator[Finished]]:
    """Return each member's blocks; they report progress together, and the first estimates the time of all."""
    done = [0] * len(members)
    sweeps: list[Iterator[Finished]] = []
    for number, member in enumerate(members):
        own = events if len(members) == 1 else PartOfProgress(events, done, number)
        report = None if timed is None or number else _times(timed, len(members))
        finished = sweep(member.runner, layout, permutation, own, report)
        sweeps.append(
            _divided_by_volume(finished, layout, member.runner.head) if member.runner.head.single else finished
        )
    return sweeps


def _times(timed: Callable[[float], None], members: int) -> Callable[[float], None]:
    return lambda seconds: timed(seconds * members)


def _answer(member: Member, probabilities: FloatArray) -> FloatArray:
    return probabilities if member.calibrated is None else member.calibrated(probabilities)


def dense(
    blocks: Iterable[BlockProbabilities], partition: Partition, classes: int, shape: Index, background: int | None
) -> FloatArray:
    """Put blocks together: float32 ``[C, k, j, i]`` of a whole grid, background where there is no block."""
    whole = only_background(classes, shape, background)
    for block, probabilities in blocks:
        if probabilities is not None:
            whole[every_channel(partition.place(block))] = np.moveaxis(probabilities, -1, 0)
    return whole


def cut_into_blocks(whole: FloatArray, partition: Partition) -> Iterator[BlockProbabilities]:
    """Undo :func:`dense`."""
    for block in partition.blocks():
        yield block, np.ascontiguousarray(np.moveaxis(whole[every_channel(partition.place(block))], 0, -1))


def only_background(classes: int, shape: Index, background: int | None) -> FloatArray:
    """Return ``[C, k, j, i]`` with background everywhere, nothing where the tree has none."""
    whole = np.zeros((classes, *shape), np.float32)
    if background is not None:
        whole[background] = 1
    return whole


def masked(piece: SparseVoxels, probability: FloatArray, background: int) -> SparseVoxels:
    """Return probabilities times the mask's probability; what that leaves is background."""
    voxels, classes, values = piece
    inside = probability.reshape(-1)[voxels]
    changed = values * inside
    row = int(np.searchsorted(classes, background))
    if row == classes.size or classes[row] != background:
        classes = np.insert(classes, row, background)
        changed = np.insert(changed, row, 0, axis=0)
    changed[row] += 1 - inside
    return voxels, classes, changed


def _background(shape: tuple[int, ...], head: Head) -> FloatArray:
    out = np.zeros(shape, np.float32)
    if head.background is not None:
        out[..., head.background] = 1
    return out


def _divided_by_volume(finished: Iterable[Finished], layout: WindowLayout, head: Head) -> Iterator[Finished]:
    """Gather the one channel of every picture, divide it by its largest value, and go through the blocks again."""
    edges = layout.partition.edges
    whole = np.zeros((len(layout.pictures), *(line[-1] - line[0] for line in edges)), np.float32)
    inner = [
        (block, tuple(slice(s.start - line[0], s.stop - line[0]) for s, line in zip(place, edges, strict=True)))
        for block, place in ((block, layout.partition.place(block)) for block in layout.partition.blocks())
    ]
    for (_, samples), (_, place) in zip(finished, inner, strict=True):
        for picture, sample in zip(whole, samples, strict=True):
            if sample is not None:
                picture[place] = sample[..., 0]
    for picture in whole:
        peak = picture.max()
        picture /= peak if peak > 0 else np.float32(1)
    for block, place in inner:
        pairs = [[1 - p[place], p[place]] if head.background == 0 else [p[place], 1 - p[place]] for p in whole]
        yield block, [np.stack(pair, -1) for pair in pairs]
