"""Patches to train on: batch ``step`` is a pure function of seed and step, so a resumed training sees the same ones."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from softseg.data.augmentation import AugmentationSpec, change_intensities
from softseg.data.buffers import Buffers
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
from softseg.errors import InputError
from softseg.soft.labels import SoftLabels
from softseg.tree import LabelTree
from softseg.types import IGNORE_INDEX

INNER = 1e-3
"""A soft target's voxel of which more than this is labelled with an inner node takes no part in the loss."""


@dataclass(frozen=True, eq=False)
class Batch:
    """One step's patches.

    Attributes
    ----------
    image: float32 ``[B, channels, *patch]``.
    target: float32 ``[B, C, *patch]``, distributions over the leaves (``"soft"``), or int64 ``[B, 1, *patch]``, class
        indices (leaves, inner nodes, -1 unlabelled; ``"crisp"``).
    mask: bool ``[B, 1, *patch]``, which voxels count; None when all do.
    """

    image: Tensor
    target: Tensor
    mask: Tensor | None


class PatchSampler:
    """Draws patches from prepared cases.

    Parameters
    ----------
    store: the cases.
    case_ids: which of them.
    plan: patch size, batch size, shares of patch centres.
    targets: ``"soft"``: distributions, interpolated linearly, never thresholded; ``"crisp"``: the class with the
        largest interpolated share, for losses that need integers.
    augmentation: random changes; none by default.
    seed: of everything random here.
    items: which of a step's ``batch_size`` patches are made, all by default; each depends on its number alone.
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
        self._cases_of_class = self._index_classes()
        self._drawn = self._worth_drawing()

    def batch(self, step: int) -> Batch:
        """Return the patches of one step."""
        plan = self.plan
        size = len(self._items)
        if self.targets == "soft":
            target = self._buffers.zeros(size, self._leaves, *plan.patch_size)
        else:
            target = torch.empty((size, 1, *plan.patch_size), dtype=torch.int64)
        found = [self._item(step, item, target[place]) for place, item in enumerate(self._items)]
        mask = None
        if any(valid is not None for _, valid in found):
            everywhere = torch.ones((1, *plan.patch_size), dtype=torch.bool)
            mask = torch.stack([everywhere if valid is None else valid for _, valid in found])
        return Batch(torch.stack([image for image, _ in found]), target, mask)

    def batches(self, first_step: int = 0, prefetch: int = 2, workers: int = 1) -> Iterator[tuple[int, Batch]]:
        """Yield ``(step, batch)`` from ``first_step`` on, without end, made ahead in threads.

        Close the iterator (or leave the ``for`` loop and drop it) to end the threads. The order and contents do not
        depend on their number or on how fast either side is.

        Parameters
        ----------
        prefetch: batches made ahead, at least.
        workers: threads; more than one only where the network does not need the processor's cores itself.
        """
        threads = torch.get_num_threads()
        with ThreadPoolExecutor(max(1, workers), "softseg-patches", _compute_alone) as pool:
            ahead = deque(pool.submit(self.batch, first_step + later) for later in range(max(1, prefetch, workers)))
            try:
                for step in itertools.count(first_step):
                    batch = ahead.popleft().result()
                    if step == first_step:
                        torch.set_num_threads(threads)  # of this thread; what a worker sets reaches libraries of all
                    ahead.append(pool.submit(self.batch, step + len(ahead) + 1))
                    yield step, batch
            finally:
                for waiting in ahead:
                    waiting.cancel()

    def _item(self, step: int, item: int, target: Tensor) -> tuple[Tensor, Tensor | None]:
        """Fill ``target`` (zeros, ``[C or 1, *patch]``) and return image and mask of one patch."""
        generator = np.random.default_rng(np.random.SeedSequence([self.seed, step, item]))
        case, centre = self._centre(generator)
        plan = self.plan
        grid = random_grid(
            centre, plan.patch_kji, case.geometry.spacing_kji, plan.left_right_axis, self.augmentation, generator
        )
        corners = Corners.of(grid, case.geometry.shape)
        labels = case.raters[int(generator.integers(len(case.raters)))]
        image = read_image_patch(case.image, corners).view(-1, *plan.patch_size)
        image = change_intensities(image, self.augmentation, generator, self._cubes)
        fill = self._soft_target if self.targets == "soft" else self._crisp_target
        mask = fill(labels, corners, grid.mirrored, target.view(target.shape[0], -1), case)
        if case.mask is not None:
            valid = read_mask_patch(case.mask, corners)
            mask = valid if mask is None else mask & valid
        return image, None if mask is None else mask.view(1, *plan.patch_size)

    def _soft_target(
        self, labels: SoftLabels, corners: Corners, mirrored: bool, target: Tensor, case: PreparedCase
    ) -> Tensor | None:
        leaves = self._leaves
        classes = self._mirror if mirrored else torch.arange(labels.classes)
        leaf = classes < leaves
        add_label_patch(labels, corners, torch.where(leaf, classes, -1), target)
        self._fill_outside(target[self._background], corners)
        if case.complete:
            return None if self._known_outside(corners) else corners.inside
        total = self._buffers.zeros(1, target.shape[1])
        add_label_patch(labels, corners, torch.where(leaf, 0, -1), total)
        self._fill_outside(total[0], corners)
        inner = self._buffers.zeros(1, target.shape[1])
        add_label_patch(labels, corners, torch.where(leaf, -1, 0), inner)
        mask = (total[0] >= case.least) & (inner[0] <= INNER)
        target *= torch.where(mask, 1 / total[0].clamp_min(case.least), 0.0)
        return None if bool(mask.all()) else mask

    def _crisp_target(
        self, labels: SoftLabels, corners: Corners, mirrored: bool, target: Tensor, case: PreparedCase
    ) -> Tensor | None:
        present = classes_in_box(labels, corners)
        if self._background >= 0:
            present = np.union1d(present, [self._background])
        names = torch.from_numpy(present)
        rows = torch.zeros(labels.classes, dtype=torch.int64)
        rows[names] = torch.arange(len(present))
        dense = self._buffers.zeros(max(1, len(present)), target.shape[1])
        add_label_patch(labels, corners, rows, dense)
        self._fill_outside(dense[rows[self._background]], corners)
        names = torch.cat([self._mirror[names] if mirrored else names, torch.tensor([IGNORE_INDEX])])
        target[0] = names[largest_row(dense)[0].long()]
        if case.complete and self._known_outside(corners):
            return None
        mask = dense.sum(dim=0) >= case.least
        if bool(mask.all()):
            return None
        target[0, ~mask] = IGNORE_INDEX
        return mask

    def _known_outside(self, corners: Corners) -> bool:
        """Whether the patch lies within the case, or in what is background all around it."""
        return corners.inside is None or (self._background >= 0 and self.plan.crop.kind == "nonzero")

    def _fill_outside(self, background: Tensor, corners: Corners) -> None:
        """Call all outside the box of non-zero voxels background; around other images nothing is known."""
        if corners.inside is not None and self._known_outside(corners):
            background[~corners.inside] = 1

    def _index_classes(self) -> dict[int, list[str]]:
        """Return, by class other than background, the cases that have sample points of it."""
        found: dict[int, list[str]] = {}
        for name in self._ids:
            for label in self._store.load(name).point_classes:
                if label != self._background:
                    found.setdefault(label, []).append(name)
        return dict(sorted(found.items()))

    def _worth_drawing(self) -> tuple[str, ...]:
        """Return the cases to draw from: of those with strokes only the ones that have some."""
        cases = [self._store.load(name) for name in self._ids]
        found = tuple(case.id for case in cases if len(case.points) or not self._only_labels(case))
        if not found:
            raise InputError("no case has a labelled voxel", file=self._store.dataset.path, field="cases")
        return found

    def _only_labels(self, case: PreparedCase) -> bool:
        """Whether patches without a label say nothing: there is no background, or only strokes are painted."""
        return case.strokes or self._background < 0

    def _centre(self, generator: np.random.Generator) -> tuple[PreparedCase, npt.NDArray[np.float64]]:
        """Draw a case and the middle of a patch in it."""
        sampling = self.plan.sampling
        kind, name, draw = generator.random(), generator.integers(len(self._drawn)), generator.random(2)
        shift = generator.uniform(-0.25, 0.25, 3)
        case = self._store.load(self._drawn[int(name)])
        point: npt.NDArray[np.float64] | None = None
        if kind < sampling.balanced and self._cases_of_class:
            label = list(self._cases_of_class)[int(draw[0] * len(self._cases_of_class))]
            owners = self._cases_of_class[label]
            case = self._store.load(owners[int(name) % len(owners)])
            point = _pick(case, label, draw[1])
        elif kind < sampling.balanced + sampling.foreground:
            point = self._labelled_point(case, draw, without=self._background)
        if point is None and self._only_labels(case):  # elsewhere there is nothing to learn
            point = self._labelled_point(case, draw)
        if point is None:
            point = np.floor(generator.random(3) * case.geometry.shape)
        patch = np.asarray(self.plan.patch_kji)
        point = point + np.floor(shift * patch) * (patch > 1)
        return case, _fit(point, patch, np.asarray(case.geometry.shape))

    def _labelled_point(
        self, case: PreparedCase, draw: npt.NDArray[np.float64], without: int | None = None
    ) -> npt.NDArray[np.float64] | None:
        """Draw a labelled voxel, not of the class ``without``: a class by its volume, then one of its sample points."""
        volumes = {label: count for label, count in case.class_voxels.items() if label != without}
        if not volumes:
            return None
        share = np.cumsum(list(volumes.values()))
        label = list(volumes)[int(np.searchsorted(share, draw[0] * share[-1], side="right"))]
        return _pick(case, label, draw[1])


def mirrored_classes(tree: LabelTree) -> npt.NDArray[np.int64]:
    """Return ``[classes]``: the class index of each class after left and right are swapped.

    Leaves follow :meth:`LabelTree.mirror_permutation`; an inner node becomes the smallest node above its leaves'
    mirror images.
    """
    leaves = np.asarray(tree.mirror_permutation(), np.int64)
    inner = []
    for node in tree.inner_nodes:
        images = {int(leaves[leaf]) for leaf in range(*tree.leaf_slice(node.id).indices(len(leaves)))}
        above = [
            (part.stop - part.start, tree.class_index(other.id))
            for other in tree.inner_nodes
            if images <= set(range((part := tree.leaf_slice(other.id)).start, part.stop))
        ]
        own = tree.class_index(node.id)
        smallest = min(size for size, _ in above)
        best = [index for size, index in above if size == smallest]
        inner.append(own if own in best else best[0])
    return np.concatenate([leaves, np.asarray(inner, np.int64)])


def _compute_alone() -> None:
    """Let the present thread compute on one core: a second one would be taken from the network."""
    torch.get_num_threads()  # the first look would undo what is set before it
    torch.set_num_threads(1)


def _pick(case: PreparedCase, label: int, draw: float) -> npt.NDArray[np.float64] | None:
    """Return the sample voxel of a class at ``draw`` (0..1) of them, None where it has none."""
    found = case.point_classes.get(label)
    return (
        None if found is None else case.points[found.start + int(draw * (found.stop - found.start))].astype(np.float64)
    )


def _fit(
    point: npt.NDArray[np.float64], patch: npt.NDArray[np.int64], shape: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Return the middle of a patch around ``point`` that stays inside the case, or is centred where it is larger."""
    start = np.floor(point) - patch // 2
    start = np.where(patch >= shape, -((patch - shape) // 2), np.clip(start, 0, np.maximum(shape - patch, 0)))
    return np.asarray(start + (patch - 1) / 2, np.float64)
