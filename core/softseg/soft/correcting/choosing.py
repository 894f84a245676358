"""Choosing voxels, and what they could be, for a quick correction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from softseg.image import Geometry
from softseg.soft.corrections.runs import Indices
from softseg.soft.distribution import StoredDistribution
from softseg.soft.encoding import SCALE
from softseg.soft.views import ParcellationViews
from softseg.tree import Cut
from softseg.types import BoolArray

Voxel = tuple[int, int, int]


@dataclass(frozen=True)
class Suggestion:
    """What a voxel could be instead.

    Attributes
    ----------
    node_id: a node of the cut.
    probability: what the model gives it, 0..1.
    is_sibling: whether it has the same parent as the node that is shown.
    """

    node_id: str
    probability: float
    is_sibling: bool


def ball(geometry: Geometry, centre: Sequence[float], radius_mm: float) -> BoolArray:
    """Return the voxels of a ball: bool ``(k, j, i)``.

    Parameters
    ----------
    geometry: the grid.
    centre: voxel ``(k, j, i)``, may be between voxels or outside the grid.
    radius_mm: voxels whose centre is no further away belong to it; the voxel of ``centre`` always does.

    Raises
    ------
    ValueError: the radius is negative, or a number is not finite.
    """
    if not (radius_mm >= 0 and np.isfinite([*centre, radius_mm]).all()) or len(centre) != 3:
        raise ValueError(f"expected a voxel (k, j, i) and a radius of 0 mm or more, got {centre} and {radius_mm}")
    out = np.zeros(geometry.shape, bool)
    box, squares = [], []
    for at, size, step in zip(centre, geometry.shape, geometry.spacing_kji, strict=True):
        reach = radius_mm / step
        places = np.arange(max(0, int(np.floor(at - reach))), min(size, int(np.ceil(at + reach)) + 1))
        box.append(slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0))
        squares.append(((places - at) * step) ** 2)
    k, j, i = squares
    out[box[0], box[1], box[2]] = k[:, None, None] + j[:, None] + i <= radius_mm**2 * (1 + 1e-9)
    own = tuple(int(np.rint(at)) for at in centre)
    if all(0 <= at < size for at, size in zip(own, geometry.shape, strict=True)):
        out[own] = True
    return out


def region(parcellation: ParcellationViews, cut: Cut | int, voxel: Voxel) -> BoolArray:
    """Return the voxels of the same label around one; see :meth:`SoftParcellation.region`."""
    from scipy import ndimage

    _require_inside(parcellation, voxel)
    labels = parcellation.labels(cut)
    parts, _ = ndimage.label(labels == labels[voxel])
    return np.asarray(parts == parts[voxel])


def suggestions(
    shown: StoredDistribution, predicted: StoredDistribution, cut: Cut, voxel: Voxel
) -> tuple[Suggestion, ...]:
    """Return what a voxel could be; see :meth:`SoftParcellation.suggestions`.

    Parameters
    ----------
    shown: what is shown.
    predicted: the model's prediction.
    cut: of their tree.
    voxel: ``(k, j, i)``.
    """
    _require_inside(shown, voxel)
    now, model = (_node_steps(one, cut, voxel) for one in (shown, predicted))
    own = cut.nodes[int(now.argmax())] if now.any() else None
    found = []
    for node, probability in zip(cut.nodes, model.tolist(), strict=True):
        sibling = own is not None and node.parent == own.parent
        if node != own and (probability or sibling):
            found.append(Suggestion(node.id, probability / SCALE, sibling))
    return tuple(sorted(found, key=lambda one: -one.probability))


def _node_steps(parcellation: StoredDistribution, cut: Cut, voxel: Voxel) -> Indices:
    """Return the probability of each node of a cut in one voxel, in steps of 1/255."""
    rows = parcellation.stored_box.rows(np.array([np.ravel_multi_index(voxel, parcellation.geometry.shape)]))
    return np.bincount(cut.position_of_leaf[rows.leaves], rows.steps, len(cut.nodes)).astype(np.int64)


def _require_inside(parcellation: StoredDistribution, voxel: Voxel) -> None:
    if len(voxel) != 3 or not all(0 <= at < size for at, size in zip(voxel, parcellation.geometry.shape, strict=True)):
        raise ValueError(f"expected a voxel (k, j, i) inside {parcellation.geometry.shape}, got {voxel}")
