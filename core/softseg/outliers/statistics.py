"""Class means and one shared covariance, estimated in a single pass over any number of voxels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from softseg.errors import InputError

WORST_CONDITION = 1e6
"""Largest ratio of a covariance's eigenvalues that is inverted as it is (our default)."""

SHRINKAGES = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Tried in turn where it is worse: the fraction of the covariance that is replaced by its mean variance (ours)."""


class Gaussians(NamedTuple):
    """What was estimated.

    Attributes
    ----------
    means: float32 ``[K, D]``; only of classes that had a voxel.
    whitening: float32 ``[D, D]``, W with ``W^T W`` the inverse covariance.
    missing: positions of the classes without a voxel.
    shrinkage: see :data:`SHRINKAGES`; 0 where the covariance was sound.
    voxels: how many voxels it comes from (the sum of their probabilities).
    """

    means: Tensor
    whitening: Tensor
    missing: tuple[int, ...]
    shrinkage: float
    voxels: float


class ClassStatistics:
    """Sums over voxels, in double precision, from which means and covariance follow.

    A voxel counts for each class by its probability of it (ours; with crisp labels, once).

    Parameters
    ----------
    classes: number of classes.
    """

    def __init__(self, classes: int) -> None:
        self._weights = torch.zeros(classes, dtype=torch.float64)
        self._origin: Tensor | None = None  # near the data, so that squares do not cancel
        self._sums = self._squares = torch.zeros(0, dtype=torch.float64)

    def add(self, features: Tensor, classes: Tensor, probabilities: Tensor) -> None:
        """Add some voxels.

        Parameters
        ----------
        features: ``[N, D]``.
        classes: int64 ``[N, S]``: classes of each voxel.
        probabilities: ``[N, S]``: its probability of them, each above 0 or of no account.
        """
        if not len(features):
            return
        values = features.double()
        if self._origin is None:
            self._origin = values.mean(0)
            size = len(self._origin)
            self._sums = torch.zeros((len(self._weights), size), dtype=torch.float64)
            self._squares = torch.zeros((size, size), dtype=torch.float64)
        values = values - self._origin
        weights = probabilities.double()
        for of, weight in zip(classes.T, weights.T, strict=True):
            self._weights.index_add_(0, of, weight)
            self._sums.index_add_(0, of, values * weight[:, None])
        self._squares.addmm_((values * weights.sum(1, keepdim=True)).T, values)

    def estimated(self, names: Sequence[str]) -> Gaussians:
        """Return what follows from all voxels.

        Parameters
        ----------
        names: of the classes, for messages.

        Raises
        ------
        InputError: there is no labelled voxel of any class, or features do not vary at all.
        """
        there = self._weights > 0
        if self._origin is None or not bool(there.any()):
            raise InputError(
                f"no labelled voxel of {', '.join(list(names)[:3])}{' ...' if len(names) > 3 else ''} to estimate from",
                field="cases",
                hint="name cases whose labels have these classes",
            )
        weights, sums = self._weights[there], self._sums[there]
        means = sums / weights[:, None]
        covariance = (self._squares - sums.T @ means) / weights.sum()
        inverse_root, shrinkage = _inverse_root(covariance)
        missing = tuple(torch.nonzero(~there)[:, 0].tolist())
        return Gaussians((means + self._origin).float(), inverse_root.float(), missing, shrinkage, float(weights.sum()))


def _inverse_root(covariance: Tensor) -> tuple[Tensor, float]:
    """Return W with ``W^T W`` the inverse of the covariance, and how much it had to be shrunk."""
    values, vectors = torch.linalg.eigh((covariance + covariance.T) / 2)
    mean = float(values.mean())
    if not mean > 1e-12:
        raise InputError(
            "the features do not vary within the classes: there is no covariance to measure distances with",
            field="cases",
            hint="use more labelled voxels, or a score that needs no features",
        )
    for shrinkage in (0.0, *SHRINKAGES):
        shrunk = (1 - shrinkage) * values.clamp_min(0) + shrinkage * mean
        if float(shrunk.min()) * WORST_CONDITION >= float(shrunk.max()):
            break
    return (vectors / shrunk.sqrt()).T.contiguous(), shrinkage
