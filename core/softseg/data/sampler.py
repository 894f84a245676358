"""Patches to train on: batch ``step`` is a pure function of seed and step, so a resumed training sees the same ones."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from softseg.data.augmentation import AugmentationSpec, change_intensities
from softseg.data.buffers import Buffers
from softseg.data.centres import PatchCentres
from softseg.data.mirrored import mirrored_classes
from softseg.data.plan import Plan
from softseg.data.spatial import (
    Corners,
    add_label_patch,
    classes_in_box,
    largest_row,
    random_grid,
    read_image_patch,
    read_mask_patch,
)
from softseg.data.store import CaseStore, PreparedCase
from softseg.soft.labels import SoftLabels
from softseg.types import IGNORE_INDEX

LEAST_WEIGHT = 1e-4
"""A voxel of a corrected result that weighs no more than this is not known."""

INNER = 1e-3
"""A soft target's voxel of which more than this is labelled with an inner node takes no part in the soft loss. If not
more than this is labelled otherwise, the voxel is known as that node."""


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's patches.

    Attributes
    ----------
    image: float32 ``[B, channels, *patch]``.
    target: float32 ``[B, C, *patch]``, distributions over the leaves (``"soft"``), or int64 ``[B, 1, *patch]``, class
        indices (leaves, inner nodes, -1 unlabelled; ``"crisp"``).
    mask: bool ``[B, 1, *patch]``, which voxels count, or float32, how much each does; None when all do alike.
    coarse: int64 ``[B, 1, *patch]``, beside a soft target: class indices of inner nodes where nothing finer is known
        (the mask leaves these voxels out), -1 elsewhere; None when there are none.
    """

    image: Tensor
    target: Tensor
    mask: Tensor | None
    coarse: Tensor | None = None


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of a patch beside its target, ``[N]`` each: mask (bool or float32; None: all), coarse (int64)."""

    mask: Tensor | None
    coarse: Tensor | None = None


class PatchSampler:
    """Draws patches from prepared cases.

    Parameters
    ----------
    store: the cases.
    case_ids: which of them.
    plan: patch size, batch size, fractions of patch centres.
    targets: ``"soft"``: distributions, interpolated linearly, never thresholded; ``"crisp"``: the class with the
        largest interpolated probability, for losses that need integers.
    augmentation: random changes; none by default.
    seed: of everything random here.
    items: which of a step's ``batch_size`` patches are made, all by default; each depends on its number alone.
    corrected: fraction of the patches from corrected results, 0..1, where there are other cases too.
    """

    def __init__(
        self,
        store: CaseStore,
        case_ids: Sequence[str],
        plan: Plan,
        targets: Literal["soft", "crisp"] = "soft",
        augmentation: AugmentationSpec | None = None,
        seed: int = 0,
        items: range | None = None,
        corrected: float = 0.5,
    ) -> None:
        if not case_ids:
            raise ValueError("expected at least one case")
        self.plan, self.targets, self.seed = plan, targets, seed
        self.augmentation = AugmentationSpec.none() if augmentation is None else augmentation
        self._items = range(plan.batch_size) if items is None else items
        self._store, self._ids = store, tuple(case_ids)
        tree = store.dataset.tree
        self._leaves = len(tree.leaves)
        self._background = -1 if tree.background is None else tree.leaf_index(tree.background.id)
        self._mirror = torch.from_numpy(mirrored_classes(tree))
        self._buffers = Buffers()
        self._cubes = [place for name, place in plan.input_slices.items() if name in plan.bands]
        self._centres = PatchCentres(store, self._ids, plan, corrected)

    def batch(self, step: int) -> Batch:
        """Return the patches of one step."""
        plan = self.plan
        size = len(self._items)
        if self.targets == "soft":
            target = self._buffers.zeros(size, self._leaves, *plan.patch_size)
        else:
            target = torch.empty((size, 1, *plan.patch_size), dtype=torch.int64)
        found = [self._item(step, item, target[place]) for place, item in enumerate(self._items)]
        return Batch(
            torch.stack([image for image, _ in found]),
            target,
            stacked([known.mask for _, known in found], torch.tensor(True), (1, *plan.patch_size)),
            stacked([known.coarse for _, known in found], torch.tensor(IGNORE_INDEX), (1, *plan.patch_size)),
        )

    def batches(self, first_step: int = 0, prefetch: int = 2, workers: int = 1) -> Iterator[tuple[int, Batch]]:
        """Yield ``(step, batch)`` from ``first_step`` on, without end, made ahead in threads.

        Close the iterator (or leave the ``for`` loop and drop it) to end the threads. The order and contents do not
        depend on their number or on how fast either side is.

        Parameters
        ----------
        prefetch: batches made ahead, at least.
        workers: threads; more than one only where the network does not need the processor's cores itself.
        """
        return made_ahead(self.batch, first_step, prefetch, workers)

    def _item(self, step: int, item: int, target: Tensor) -> tuple[Tensor, _Known]:
        """Fill ``target`` (zeros, ``[C or 1, *patch]``) and return the image of one patch and what is known of it."""
        generator = np.random.default_rng(np.random.SeedSequence([self.seed, step, item]))
        case, centre = self._centres.draw(generator)
        plan = self.plan
        grid = random_grid(
            centre, plan.patch_kji, case.geometry.spacing_kji, plan.left_right_axis, self.augmentation, generator
        )
        corners = Corners.of(grid, case.geometry.shape)
        labels = case.raters[int(generator.integers(len(case.raters)))]
        image = read_image_patch(case.image, corners).view(-1, *plan.patch_size)
        image = change_intensities(image, self.augmentation, generator, self._cubes)
        fill = self._soft_target if self.targets == "soft" else self._crisp_target
        known = fill(labels, corners, grid.mirrored, target.view(target.shape[0], -1), case)
        if case.mask is not None:
            valid = read_mask_patch(case.mask, corners)
            known = _Known(
                valid if known.mask is None else known.mask * valid,
                None if known.coarse is None else known.coarse.masked_fill(~valid, IGNORE_INDEX),
            )
        return image, known

    def _soft_target(
        self, labels: SoftLabels, corners: Corners, mirrored: bool, target: Tensor, case: PreparedCase
    ) -> _Known:
        leaves = self._leaves
        classes = self._mirror if mirrored else torch.arange(labels.classes)
        leaf = classes < leaves
        add_label_patch(labels, corners, torch.where(leaf, classes, -1), target)
        if case.weighted:
            return self._weighted_target(labels, corners, classes, target)
        self._fill_outside(target[self._background], corners)
        if case.complete:
            return _Known(None if self._known_outside(corners) else corners.inside)
        total = self._buffers.zeros(1, target.shape[1])
        add_label_patch(labels, corners, torch.where(leaf, 0, -1), total)
        self._fill_outside(total[0], corners)
        inner = self._buffers.zeros(1, target.shape[1])
        add_label_patch(labels, corners, torch.where(leaf, -1, 0), inner)
        mixed = inner[0] > INNER
        mask = (total[0] >= case.least) & ~mixed
        target *= torch.where(mask, 1 / total[0].clamp_min(case.least), 0.0)
        coarse = self._coarse_target(labels, corners, classes, mixed & (total[0] <= INNER), case)
        return _Known(None if bool(mask.all()) else mask, coarse)

    def _weighted_target(self, labels: SoftLabels, corners: Corners, classes: Tensor, target: Tensor) -> _Known:
        """Turn ``target``, probabilities times weights ``[C, N]``, into probabilities, and return the weights.

        A voxel counts as its inner node where that weighs more than its leaves; nothing
        is known outside the case.
        """
        rows = torch.where(classes < self._leaves, -1, classes - self._leaves)
        weight = target.sum(dim=0)
        present = classes_in_box(labels, corners)
        if not (present >= self._leaves).any():
            target *= torch.where(weight > LEAST_WEIGHT, 1 / weight.clamp_min(LEAST_WEIGHT), 0.0)
            return _Known(torch.where(weight > LEAST_WEIGHT, weight, 0.0))
        inner = self._buffers.zeros(max(1, labels.classes - self._leaves), target.shape[1])
        add_label_patch(labels, corners, rows, inner)
        row, probability = largest_row(inner)
        group = probability > weight
        weight = torch.where(group | (weight <= LEAST_WEIGHT), 0.0, weight)
        target *= torch.where(weight > 0, 1 / weight.clamp_min(LEAST_WEIGHT), 0.0)
        coarse = torch.where(group, row.long() + self._leaves, IGNORE_INDEX)
        return _Known(weight, coarse if bool(group.any()) else None)

    def _coarse_target(
        self, labels: SoftLabels, corners: Corners, classes: Tensor, candidates: Tensor, case: PreparedCase
    ) -> Tensor | None:
        """Return the inner node of voxels labelled with it alone, int64 ``[N]``, -1 elsewhere; None if there are none.

        ``candidates`` are the voxels without a probability of any leaf. Where two inner nodes meet, the voxel is
        unlabelled.
        """
        if not bool(candidates.any()):
            return None
        present = classes_in_box(labels, corners)
        names = torch.from_numpy(present[present >= self._leaves])
        rows = torch.full((labels.classes,), -1, dtype=torch.int64)
        rows[names] = torch.arange(len(names))
        dense = self._buffers.zeros(len(names), candidates.shape[0])
        add_label_patch(labels, corners, rows, dense)
        row, probability = largest_row(dense)
        alone = candidates & (probability >= case.least) & (dense.sum(dim=0) - probability <= INNER)
        return torch.where(alone, classes[names][row.long()], IGNORE_INDEX)

    def _crisp_target(
        self, labels: SoftLabels, corners: Corners, mirrored: bool, target: Tensor, case: PreparedCase
    ) -> _Known:
        present = classes_in_box(labels, corners)
        if self._background >= 0:
            present = np.union1d(present, [self._background])
        names = torch.from_numpy(present)
        rows = torch.zeros(labels.classes, dtype=torch.int64)
        rows[names] = torch.arange(len(present))
        dense = self._buffers.zeros(max(1, len(present)), target.shape[1])
        add_label_patch(labels, corners, rows, dense)
        if not case.weighted:
            self._fill_outside(dense[rows[self._background]], corners)
        names = torch.cat([self._mirror[names] if mirrored else names, torch.tensor([IGNORE_INDEX])])
        target[0] = names[largest_row(dense)[0].long()]
        if case.complete and self._known_outside(corners):
            return _Known(None)
        total = dense.sum(dim=0)
        mask = total >= (LEAST_WEIGHT if case.weighted else case.least)
        target[0, ~mask] = IGNORE_INDEX
        if case.weighted:
            return _Known(torch.where(mask, total, 0.0))
        return _Known(None if bool(mask.all()) else mask)

    def _known_outside(self, corners: Corners) -> bool:
        """Whether the patch lies within the case, or in what is background all around it."""
        return corners.inside is None or (self._background >= 0 and self.plan.crop.kind == "nonzero")

    def _fill_outside(self, background: Tensor, corners: Corners) -> None:
        """Call all outside the box of non-zero voxels background; around other images nothing is known."""
        if corners.inside is not None and self._known_outside(corners):
            background[~corners.inside] = 1


def stacked(parts: Sequence[Tensor | None], otherwise: Tensor, shape: tuple[int, ...]) -> Tensor | None:
    """Return patches of ``shape`` (or flat) as ``[B, *shape]``, None if there are none; missing ones hold one value."""
    if all(part is None for part in parts):
        return None
    if any(part is not None and part.is_floating_point() for part in parts):  # some voxels count less than others
        otherwise = otherwise.float()
        parts = [None if part is None else part.float() for part in parts]
    return torch.stack([otherwise.expand(shape) if part is None else part.reshape(shape) for part in parts])


def made_ahead(
    batch: Callable[[int], Batch], first_step: int, prefetch: int, workers: int
) -> Iterator[tuple[int, Batch]]:
    """Yield ``(step, batch(step))`` from ``first_step`` on, without end, made ahead in threads."""
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(max(1, workers), "softseg-patches", _compute_alone) as pool:
        ahead = deque(pool.submit(batch, first_step + later) for later in range(max(1, prefetch, workers)))
        try:
            for step in itertools.count(first_step):
                made = ahead.popleft().result()
                if step == first_step:
                    torch.set_num_threads(threads)  # of this thread; what a worker sets reaches libraries of all
                ahead.append(pool.submit(batch, step + len(ahead) + 1))
                yield step, made
        finally:
            for waiting in ahead:
                waiting.cancel()


def _compute_alone() -> None:
    """Let the present thread compute on one core: a second one would be taken from the network."""
    torch.get_num_threads()  # the first look would undo what is set before it
    torch.set_num_threads(1)
