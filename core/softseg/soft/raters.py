"""One soft ground truth out of the masks of several raters."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import Any, TypeAlias, overload

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.errors import InputError
from softseg.image import Image
from softseg.soft.labels import SoftLabels
from softseg.types import FloatArray

METHODS = ("mean", "majority", "staple", "random")
"""Names of the ways to fuse raters."""

_Masks: TypeAlias = Sequence[SoftLabels] | Sequence[npt.NDArray[Any]] | Sequence[Image]

OVERSHOOT = 0.15
"""Soft values up to this much outside 0..1 are clipped, because interpolation with splines makes such values; more is
an error (our default)."""


@overload
def fuse_raters(
    masks: Sequence[Image], method: str = ..., generator: np.random.Generator | None = ..., classes: None = ...
) -> Image: ...
@overload
def fuse_raters(
    masks: Sequence[npt.NDArray[Any]],
    method: str = ...,
    generator: np.random.Generator | None = ...,
    classes: None = ...,
) -> FloatArray: ...
@overload
def fuse_raters(
    masks: Sequence[SoftLabels], method: str = ..., generator: np.random.Generator | None = ..., classes: None = ...
) -> SoftLabels: ...
@overload
def fuse_raters(
    masks: Sequence[npt.NDArray[Any]] | Sequence[Image],
    method: str = ...,
    generator: np.random.Generator | None = ...,
    *,
    classes: int,
) -> SoftLabels: ...
def fuse_raters(
    masks: _Masks,
    method: str = "mean",
    generator: np.random.Generator | None = None,
    classes: int | None = None,
) -> SoftLabels | FloatArray | Image:
    """Fuse the masks that several raters drew of the same image.

    ``"mean"`` averages; the result tells how many agree. ``"majority"`` gives the class that most raters chose,
    shared equally between tied classes: 0.5 for a mask that half of the raters drew. ``"staple"``
    estimates how reliable each rater is together with the probability of the true mask (STAPLE, Warfield et al. 2004,
    as SimpleITK computes it) and gives that probability. ``"random"`` gives one rater's mask, for another draw in
    every iteration of training.

    Majority and STAPLE are defined on decisions: there, and only there, a soft mask counts as drawn where it is above
    0.5, a soft distribution as its largest class. For several classes STAPLE runs for each class by itself, and the
    probabilities are then divided by their sum, which is our way to make a distribution of them.

    Parameters
    ----------
    masks: one per rater, all of the same kind: arrays ``(k, j, i)`` or images of one structure, with probabilities in
        0..1 (up to 0.15 outside, as spline interpolation leaves them, is clipped); or soft labels; or, with
        ``classes``, integer class indices (``IGNORE_INDEX`` where a rater labelled nothing).
    method: ``"mean"``, ``"majority"``, ``"staple"`` or ``"random"``.
    generator: source of the draw, needed by ``"random"``.
    classes: number of class indices, when integer arrays or images of them are given.

    Returns
    -------
    float32 array or image for masks of one structure, otherwise soft labels.

    Raises
    ------
    InputError: no mask, an unknown method, grids that differ, or values outside 0..1.
    ValueError: ``"random"`` without a generator.
    """
    if method not in METHODS:
        raise InputError(f"expected {', '.join(METHODS)}, got {method!r}", field="method")
    if not masks:
        raise InputError("expected the mask of at least one rater, got none")
    _same_grids(masks)
    if method == "random" and generator is None:
        raise ValueError("method 'random' needs a generator")
    if isinstance(masks[0], SoftLabels) or classes is not None:
        return _fuse_labels([_soft_labels(mask, classes) for mask in masks], method, generator)
    arrays = [_probabilities(mask, rater) for rater, mask in enumerate(list[Any](masks))]
    fused = _fuse_masks(arrays, method, generator)
    return Image(fused, masks[0].geometry) if isinstance(masks[0], Image) else fused


def _same_grids(masks: _Masks) -> None:
    first = masks[0]
    for rater, mask in enumerate(masks[1:], start=2):
        if type(mask) is not type(first):
            raise InputError(f"expected masks of one kind, got {type(first).__name__} and {type(mask).__name__}")
        if isinstance(mask, Image) and isinstance(first, Image):
            if not mask.geometry.same_grid(first.geometry):
                raise InputError(
                    f"the mask of rater {rater} lies on another grid than that of rater 1: size "
                    f"{mask.geometry.size} and {first.geometry.size}, spacing {mask.geometry.spacing} and "
                    f"{first.geometry.spacing} mm",
                    hint="resample the masks to one grid first",
                )
        elif not isinstance(mask, Image) and not isinstance(first, Image) and mask.shape != first.shape:
            raise InputError(f"the mask of rater {rater} has shape {mask.shape}, that of rater 1 {first.shape}")


def _probabilities(mask: npt.NDArray[Any] | Image, rater: int) -> FloatArray:
    array = mask.array if isinstance(mask, Image) else np.asarray(mask)
    return require_probabilities(array, f" in the mask of rater {rater + 1}")


def require_probabilities(
    array: npt.NDArray[Any], where: str = "", file: str | PathLike[str] | None = None
) -> FloatArray:
    """Return a mask as probabilities 0..1; what interpolation overshot is cut off.

    Parameters
    ----------
    array: any shape.
    where, file: of the mask, for messages.

    Raises
    ------
    InputError: values are not finite, or far from 0..1.
    """
    probabilities = array.astype(np.float32)
    if (
        not np.isfinite(probabilities).all()
        or probabilities.min(initial=0) < -OVERSHOOT
        or probabilities.max(initial=0) > 1 + OVERSHOOT
    ):
        raise InputError(
            f"expected probabilities in 0..1{where}, got {probabilities.min():g} to {probabilities.max():g}",
            file=file,
            hint="clip or scale the mask; for label maps, give the number of classes",
        )
    return np.clip(probabilities, 0, 1)


def _soft_labels(mask: SoftLabels | npt.NDArray[Any] | Image, classes: int | None) -> SoftLabels:
    if isinstance(mask, SoftLabels):
        return mask
    array = mask.array if isinstance(mask, Image) else np.asarray(mask)
    try:
        return SoftLabels.from_class_indices(array, int(classes or 0))
    except ValueError as error:
        raise InputError(str(error)) from error


def _fuse_masks(masks: list[FloatArray], method: str, generator: np.random.Generator | None) -> FloatArray:
    if method == "random" and generator is not None:
        return masks[int(generator.integers(len(masks)))]
    if method == "mean":
        return np.asarray(np.mean(masks, axis=0, dtype=np.float64), np.float32)
    drawn = [mask > 0.5 for mask in masks]
    if method == "majority":
        votes = np.sum(drawn, axis=0)
        return np.asarray(np.where(2 * votes == len(masks), 0.5, 2 * votes > len(masks)), np.float32)
    return _staple(drawn)


def _staple(drawn: Sequence[npt.NDArray[np.bool_]]) -> FloatArray:
    """Return STAPLE's probability; where no rater disagrees anywhere there is nothing to estimate, so their mask."""
    if all(np.array_equal(mask, drawn[0]) for mask in drawn[1:]):
        return drawn[0].astype(np.float32)
    images = [sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in drawn]
    probability = sitk.GetArrayFromImage(sitk.STAPLE(images, 1.0)).astype(np.float32)
    return np.asarray(np.clip(np.nan_to_num(probability), 0, 1), np.float32)


def _fuse_labels(raters: list[SoftLabels], method: str, generator: np.random.Generator | None) -> SoftLabels:
    from softseg.soft.resample import merge_entries

    counts = {rater.classes for rater in raters}
    if len(counts) > 1:
        raise InputError(f"expected raters with the same classes, got {sorted(counts)}")
    if method == "random" and generator is not None:
        return raters[int(generator.integers(len(raters)))]
    if method == "staple":
        return _staple_labels(raters)
    if method == "majority":
        raters = [_decided(rater) for rater in raters]
    slots = sum(rater.slots for rater in raters)
    classes = np.concatenate([rater.indices for rater in raters]).reshape(slots, -1).T
    probabilities = np.concatenate([rater.probabilities for rater in raters]).reshape(slots, -1).T / np.float32(
        len(raters)
    )
    row, slot, class_, probability = merge_entries(classes, probabilities, slots)
    indices = np.zeros((slots, classes.shape[0]), np.uint16)
    fused = np.zeros((slots, classes.shape[0]), np.float32)
    indices[slot, row], fused[slot, row] = class_, probability
    if method == "majority":
        best = (fused > fused[0] - 1e-6) & (fused > 0)
        fused = (best / np.maximum(best.sum(axis=0), 1)).astype(np.float32)
    used = max(1, int(np.count_nonzero(fused.any(axis=1))))
    shape = (used, *raters[0].shape)
    return SoftLabels(indices[:used].reshape(shape), fused[:used].reshape(shape), raters[0].classes)


def _decided(rater: SoftLabels) -> SoftLabels:
    return SoftLabels.from_class_indices(rater.largest(), rater.classes)


def _staple_labels(raters: list[SoftLabels]) -> SoftLabels:
    decided = [rater.largest() for rater in raters]
    classes = raters[0].classes
    present = np.unique(np.stack(decided))
    present = present[present >= 0]
    dense = np.stack([_staple([labels == class_ for labels in decided]) for class_ in present])
    total = dense.sum(axis=0)
    dense = np.divide(dense, total, out=np.zeros_like(dense), where=total > 0)
    few = SoftLabels.from_dense(dense, k=len(present))
    return SoftLabels(present.astype(np.uint16)[few.indices], few.probabilities, classes)
