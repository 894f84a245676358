"""Mahalanobis distance to the nearest class, in the space of what enters the network's last layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from softseg.errors import InputError
from softseg.network.heads import Head
from softseg.network.outlier_scores.base import OutlierScore, Voxels, only

_MOST_VALUES = 1 << 18  # of distances at a time: within a processor's cache


class Mahalanobis(OutlierScore):
    """Distance of penultimate features to the nearest class mean (Lee et al., NeurIPS 2018, arXiv 1807.03888).

    ``min over c of sqrt((f - mu_c)^T S^-1 (f - mu_c))`` with one covariance S shared by all classes, as the paper's
    (which takes the square: the order is the same, and the root needs fewer steps to store). The paper also moves the
    image along a gradient and joins several layers; this does neither. Classes are the leaves, or the nodes at a level
    of the tree (ours).

    Parameters
    ----------
    means: float32 ``[K, D]``, class means.
    whitening: float32 ``[D, D]``, W with ``W^T W = S^-1``.
    level: depth of the nodes that are the classes; ``None``: the leaves.
    """

    name = "mahalanobis"
    title = "Mahalanobis distance to the nearest class"
    needs = "features"
    heads = ("softmax", "godin", "normrelu")

    def __init__(self, means: Tensor, whitening: Tensor, level: int | None = None) -> None:
        self.level = level
        self._whitening = whitening
        self._centre = means.mean(0)
        whitened = (means - self._centre) @ whitening.T
        self._classes = -2 * whitened.T.contiguous()  # [D, K]
        self._squares = whitened.square().sum(1)

    @property
    def dimensions(self) -> int:
        """Number of features, ``D``."""
        return len(self._centre)

    def of(self, voxels: Voxels) -> Tensor:
        """See :class:`OutlierScore`."""
        if voxels.features is None or voxels.features.shape[-1] != self.dimensions:
            found = "none" if voxels.features is None else voxels.features.shape[-1]
            raise InputError(
                f"expected {self.dimensions} features of each voxel, got {found}",
                field="outliers",
                hint="the score was fitted to another network: fit it again with softseg outliers fit",
            )
        flat = voxels.features.reshape(-1, self.dimensions)
        out = flat.new_empty(len(flat))
        step = max(1, _MOST_VALUES // max(self._classes.shape))
        for first in range(0, len(flat), step):
            white = (flat[first : first + step] - self._centre) @ self._whitening.T
            nearest = torch.addmm(self._squares, white, self._classes).amin(1)
            out[first : first + step] = nearest.add_(white.square().sum(1)).clamp_min_(0).sqrt_()
        return out.reshape(voxels.features.shape[:-1])

    def options(self) -> dict[str, Any]:
        """See :class:`OutlierScore`."""
        return {} if self.level is None else {"level": self.level}

    @classmethod
    def made_from(cls, options: Mapping[str, Any], tensors: Mapping[str, Tensor], head: Head) -> Mahalanobis:
        """See :class:`OutlierScore`; option ``level``, estimates ``means`` and ``whitening``."""
        del head
        only(options, "level")
        level = options.get("level")
        if level is not None and (isinstance(level, bool) or not isinstance(level, int) or level < 1):
            raise ValueError(f"level: expected a whole number of at least 1, got {level!r}")
        for name in ("means", "whitening"):
            tensor = tensors.get(name)
            if not isinstance(tensor, Tensor) or tensor.ndim != 2 or not tensor.is_floating_point():
                raise ValueError(f"the estimate {name!r} is missing or not a matrix")
            if not bool(torch.isfinite(tensor).all()):
                raise ValueError(f"the estimate {name!r} holds NaN or infinity")
        means, whitening = tensors["means"].float(), tensors["whitening"].float()
        if tuple(whitening.shape) != (means.shape[1], means.shape[1]):
            raise ValueError(
                f"expected a whitening of {means.shape[1]} x {means.shape[1]} features, got {tuple(whitening.shape)}"
            )
        return cls(means, whitening, level)
