"""Finely labelled brains in whole heads: brains that were labelled without their skull get one.

A brain takes the place of the brain of a head, moved and stretched until both masks agree. What it leaves of the space
is fluid. The head's own structures stay usable beside it: one that the brain's tree does not have is a leaf under the
smallest branch that holds it, so that it trains that branch alone (``synthetic.coarse``). All of this is ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.errors import InputError
from softseg.image import Image
from softseg.tree import LabelTree, Node
from softseg.types import BoolArray
from softseg.yaml_text import load_yaml

CORRESPONDENCE = Path(__file__).with_name("brain_nodes.yaml")

FLUID, OUTER, OUTSIDE = "csf", "outer-fluid", "extracerebral"
"""Nodes of ``head-tissues``: fluid within the brain's mask, around it, and all other tissue around it."""

COARSE_MM = 4.0
"""Voxels of the masks that are laid over each other (our default)."""

STEPS, STEP_MM = 120, 1.5
"""How often, and how far at most, a mask moves while it is laid over another one (our default)."""

FAR_MM = 12.0
"""Distances beyond this one do not matter when masks are laid over each other (our default)."""


@dataclass(frozen=True, eq=False)
class BrainsInHeads:
    """The tree of heads with brains of another tree in them, and what a head's own labels are in it.

    Attributes
    ----------
    brains: the tree of the brains, with a background.
    heads: the tree ``head-tissues``.
    nodes: id in ``brains`` of each leaf of ``heads`` inside the brain: a leaf, or a branch that holds it.
    """

    brains: LabelTree
    heads: LabelTree
    nodes: Mapping[str, str]

    @staticmethod
    def of(brains: LabelTree, heads: LabelTree, file: Path = CORRESPONDENCE) -> BrainsInHeads:
        """Read the correspondence and check it against both trees.

        Raises
        ------
        InputError: it names a node that a tree does not have, or the tree of the brains has no background.
        """
        nodes: Mapping[str, str] = load_yaml(file.read_text(encoding="utf-8"))
        if brains.background is None:
            raise InputError("the tree of the brains needs a background", field="tree")
        for head, brain in nodes.items():
            if head not in heads or brain not in brains:
                missing, tree = (head, heads) if head not in heads else (brain, brains)
                raise InputError(
                    f"the tree {tree.name!r} of the brains or heads has no node {missing!r}, which {file.name} names",
                    field="tree",
                    hint="brains are put into heads with the tree brain-134",
                )
        return BrainsInHeads(brains, heads, nodes)

    @cached_property
    def tree(self) -> LabelTree:
        """The brains' tree, with the tissues around the brain, and a leaf for each structure that it has not."""
        nodes = list(self.brains.nodes)
        for node in self.heads.nodes:
            if self._is_outside(node):
                top = node.id in (OUTSIDE, OUTER)
                nodes.append(replace(node, parent=self.brains.root.id if top else node.parent))
        free = iter(sorted(set(range(1, 1 << 16)) - {node.value for node in nodes if node.value is not None}))
        for leaf in self.heads.leaves:
            parent = self.nodes.get(leaf.id)
            if parent is not None and self.brains.children(parent):
                nodes.append(Node(id=leaf.id, name=leaf.name, parent=parent, value=next(free)))
        return LabelTree(nodes, f"{self.brains.name} in heads")

    def _is_outside(self, node: Node) -> bool:
        return any(above.id in (OUTSIDE, OUTER) for above in self.heads.path(node.id))

    @cached_property
    def inside(self) -> npt.NDArray[np.int64]:
        """Values of ``heads`` inside the brain's mask."""
        return np.asarray([self.heads.value_of(id_) for id_ in self.nodes], np.int64)

    def own(self, head: npt.NDArray[np.uint16]) -> npt.NDArray[np.uint16]:
        """Return a head's labels, values of ``heads``, as values of :attr:`tree`.

        What is neither inside the brain's mask nor a tissue around it becomes background.
        """
        table = np.zeros(int(head.max()) + 1, np.uint16)
        for leaf in self.heads.leaves:
            value, place = self.heads.value_of(leaf.id), self.nodes.get(leaf.id)
            if value < len(table) and (place is not None or self._is_outside(leaf)):
                known = leaf.id if place is None or self.brains.children(place) else place
                table[value] = self.tree.value_of(known)
        return np.asarray(table[head])

    def pasted(self, head: Image, brain: Image) -> Image:
        """Return the head with another brain in it, values of :attr:`tree`, on the head's grid.

        Parameters
        ----------
        head: values of ``heads``, fluid apart (:func:`softseg.synthesis.fluid.split_fluid`).
        brain: values of ``brains``, any grid.

        Raises
        ------
        InputError: there is no brain in one of them.
        """
        room: BoolArray = np.isin(head.array, self.inside)
        values = brain.array.astype(np.uint16)
        background = 0 if self.brains.background is None else self.brains.value_of(self.brains.background.id)
        if not room.any() or not (values != background).any():
            raise InputError("holds no brain", field="labels")
        mask, target = (values != background).astype(np.uint8), Image(room.astype(np.uint8), head.geometry)
        moved = sitk.Resample(
            Image(values, brain.geometry).to_sitk(),
            target.to_sitk(),
            mask_transform(Image(mask, brain.geometry), target),
            sitk.sitkNearestNeighbor,
            float(background),
        )
        new = sitk.GetArrayFromImage(moved).astype(np.uint16)
        out = self.own(np.where(room, 0, head.array).astype(np.uint16))
        out[room] = self.tree.value_of(self.nodes[FLUID])
        may = room | (head.array == self.heads.value_of(OUTER))
        taken = may & (new != background)
        out[taken] = new[taken]
        return Image(out, head.geometry)


def mask_transform(moving: Image, fixed: Image) -> sitk.Transform:
    """Return the affine transform from points of ``fixed`` to points of ``moving`` that makes two masks agree.

    The masks' smooth distance maps, in mm, are made as equal as an affine transform can; the start is equal middles
    and equal extents along the axes of the patient.
    """
    maps = _distance(fixed, margin=4), _distance(moving, margin=24)  # no point of the first may leave the second
    start = _boxes_matched(fixed, moving)
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMeanSquares()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(
        1.0, STEPS, estimateLearningRate=method.EachIteration, maximumStepSizeInPhysicalUnits=STEP_MM
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(start, inPlace=False)
    found: sitk.Transform = method.Execute(*maps)
    return found


def _distance(mask: Image, margin: int) -> sitk.Image:
    """Return the distance to a mask's surface in mm, negative within, at most ``FAR_MM``.

    It lies in coarse voxels, ``margin`` of them around the image.
    """
    grid = Image(mask.array.astype(np.float32), mask.geometry).to_sitk()
    spacing = grid.GetSpacing()
    size = [max(1, round(n * side / COARSE_MM)) for n, side in zip(grid.GetSize(), spacing, strict=True)]
    coarse = sitk.Resample(
        grid, size, sitk.Transform(), sitk.sitkLinear, grid.GetOrigin(), [COARSE_MM] * 3, grid.GetDirection()
    )
    padded = sitk.ConstantPad(coarse > 0.5, [margin] * 3, [margin] * 3, 0)
    distance = sitk.SignedMaurerDistanceMap(padded, squaredDistance=False, useImageSpacing=True)
    near: sitk.Image = sitk.Clamp(distance, sitk.sitkFloat32, -FAR_MM, FAR_MM)
    return near


def _boxes_matched(fixed: Image, moving: Image) -> sitk.AffineTransform:
    boxes = []
    for mask in (fixed, moving):
        geometry = mask.geometry
        points = np.argwhere(mask.array)[::7, ::-1] * np.asarray(geometry.spacing)
        lps = np.asarray(geometry.origin) + points @ np.reshape(geometry.direction, (3, 3)).T
        boxes.append(np.percentile(lps, (1, 99), axis=0))
    (low, high), (low_moving, high_moving) = boxes
    transform = sitk.AffineTransform(3)
    transform.SetMatrix(np.diag((high_moving - low_moving) / (high - low)).ravel())
    transform.SetCenter(((low + high) / 2).tolist())
    transform.SetTranslation(((low_moving + high_moving) / 2 - (low + high) / 2).tolist())
    return transform
