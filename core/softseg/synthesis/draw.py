"""One draw: from a label map to a picture and the exact fractions of the structures in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from softseg.data.plan import Plan
from softseg.data.preprocess import normalize
from softseg.data.sampler import INNER
from softseg.synthesis.acquisition import degraded, noise
from softseg.synthesis.contrast import class_intensities
from softseg.synthesis.field import face, field_of_view, without_skull
from softseg.synthesis.learned import Learned
from softseg.synthesis.maps import LabelMap
from softseg.synthesis.settings import SynthesisSpec
from softseg.synthesis.shape import fractions, mean_of, positions, random_elastic, random_matrix, sampled_classes
from softseg.types import IGNORE_INDEX


@dataclass(frozen=True, eq=False)
class Draw:
    """A synthetic patch.

    Attributes
    ----------
    image: float32 ``(k, j, i)``, normalised by the plan.
    target: float32 ``[C, k, j, i]``, fractions of the learned leaves, which sum to 1; background outside of the field;
        0 where not all of the voxel is known so finely.
    means: float32 ``[D]``, the intensity that each class of the drawn tree was given.
    mirrored: whether left and right were swapped.
    known: bool ``(k, j, i)``, where the target is known; None: everywhere.
    coarse: int64 ``(k, j, i)``, class indices of inner nodes where nothing finer is known, -1 elsewhere; None: nowhere.
    """

    image: Tensor
    target: Tensor
    means: npt.NDArray[np.float32]
    mirrored: bool
    known: Tensor | None = None
    coarse: Tensor | None = None


def draw_head(
    label_map: LabelMap, learned: Learned, plan: Plan, spec: SynthesisSpec, generator: np.random.Generator
) -> Draw:
    """Return a patch of the plan's size around the brain of ``label_map``; everything random is the generator's."""
    shape, spacing = plan.patch_kji, _spacing(plan, label_map)
    mirrored = bool(generator.random() < spec.mirror)
    matrix = random_matrix(spec, generator)
    if mirrored:
        matrix[:, plan.left_right_axis] *= -1
    reach = spec.shift_mm * (2 if generator.random() < 1 / 3 else 1)
    middle = np.asarray(label_map.middle) * label_map.spacing + matrix @ generator.uniform(-reach, reach, 3)
    elastic = random_elastic(spec, shape, spacing, generator)
    where = positions(shape, spacing, matrix, elastic, middle)
    points = sampled_classes(label_map, where, spacing, matrix)
    names = learned.swapped if mirrored else np.arange(len(learned.swapped))
    target = fractions(points, learned.row_of[names], learned.rows)
    means, spreads = class_intensities(learned.tree, spec, generator)
    picture = mean_of(points, means[names])
    if spec.spread:
        picture += mean_of(points, spreads[names]) * noise(tuple(picture.shape), generator)
    picture = picture.view(shape)
    target = target.view(-1, *shape)
    picture, seen = _as_scanned(picture, target, learned, plan, spec, generator)
    picture = degraded(picture, spec, spacing, generator)
    image = _normal(picture, seen, target, learned, plan)
    target, known, coarse = _known(target, learned)
    return Draw(image, target, means, mirrored, known, coarse)


def _known(rows: Tensor, learned: Learned) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return target, where it is known, and groups where nothing finer is, as :class:`softseg.data.PatchSampler`."""
    target, groups = rows[: learned.leaves], rows[learned.leaves :]
    if not len(groups) or not bool(groups.any()):
        return target, None, None
    unknown = groups.sum(dim=0)
    known = unknown <= INNER
    target *= torch.where(known, 1 / (1 - unknown).clamp_min(0.5), 0.0)
    fraction, place = groups.max(dim=0)
    coarse = torch.where(fraction >= 1 - INNER, torch.tensor(learned.groups)[place], IGNORE_INDEX)
    return target, known, coarse


def _as_scanned(
    picture: Tensor, target: Tensor, learned: Learned, plan: Plan, spec: SynthesisSpec, generator: np.random.Generator
) -> tuple[Tensor, Tensor | None]:
    """Remove skull and face from the image and return the field of view."""
    brain = 1 - target[learned.background]
    kept = without_skull(brain, spec, generator)
    if kept is not None:
        picture = picture * kept
    elif generator.random() < spec.defaced:
        axes = _axis(plan, "SI"), _axis(plan, "AP")
        flips = [axis for axis, letter in zip(axes, "SP", strict=True) if plan.orientation[2 - axis] != letter]
        shown = face(brain.flip(flips), axes, generator).flip(flips)
        picture = torch.where(shown, picture, 0.0)
    return picture, field_of_view(plan.patch_kji, spec, generator)


def _normal(picture: Tensor, seen: Tensor | None, target: Tensor, learned: Learned, plan: Plan) -> Tensor:
    """Normalise what was scanned as the plan normalises scans; outside lies the smallest value and background."""
    how = next(iter(plan.normalization.values()))
    if seen is None:
        return torch.from_numpy(normalize(picture.numpy(), how))
    inside = torch.from_numpy(normalize(picture[seen].numpy(), how))
    out = torch.full(picture.shape, float(inside.min()))
    out[seen] = inside
    target[:, ~seen] = 0
    target[learned.background][~seen] = 1
    return out


def _axis(plan: Plan, letters: str) -> int:
    return 2 - next(axis for axis, letter in enumerate(plan.orientation) if letter in letters)


def _spacing(plan: Plan, label_map: LabelMap) -> tuple[float, float, float]:
    k, j, i = (own if value is None else value for value, own in zip(plan.spacing, label_map.spacing, strict=True))
    return k, j, i
