"""Cleaning a soft map: what is removed becomes 0, what is filled is raised, everything else stays bit for bit.

Nothing is thresholded. A threshold only serves to *find* connected parts; the values inside them, and the faint rim
around them, are kept as they are. Each function takes the map of one structure; in a distribution over several, give
the removed probability to another class (:meth:`softseg.soft.parcellation.SoftParcellation.masked` gives it to the
background).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import SimpleITK as sitk

from softseg.types import BoolArray, IntArray

FIND_ABOVE = 0.1
"""Voxels above this belong to the core of a part (our default)."""


def keep_largest(
    soft: npt.NDArray[Any], above: float = FIND_ABOVE, connectivity: int = 26, parts: int = 1
) -> npt.NDArray[Any]:
    """Keep the connected part with the largest soft mass (sum of its values) and set all others to 0.

    Parameters
    ----------
    soft: probabilities ``(k, j, i)`` in 0..1, any float type.
    above: see :func:`find_parts`.
    connectivity: 6, 18 or 26 neighbours.
    parts: how many of the largest are kept.
    """
    found, masses = find_parts(soft, above, connectivity)
    kept = np.zeros(masses.size, bool)
    kept[np.argsort(-masses, kind="stable")[:parts]] = True
    kept[0] = False
    return _kept(soft, kept[found])


def remove_small(
    soft: npt.NDArray[Any],
    smallest_ml: float,
    voxel_volume_ml: float,
    above: float = FIND_ABOVE,
    connectivity: int = 26,
) -> npt.NDArray[Any]:
    """Set connected parts to 0 whose soft volume (sum of their values times the volume of a voxel) is too small.

    Parameters
    ----------
    soft: probabilities ``(k, j, i)`` in 0..1, any float type.
    smallest_ml: parts below this go.
    voxel_volume_ml: of one voxel, :attr:`softseg.image.Geometry.voxel_volume_ml`.
    above: see :func:`find_parts`.
    connectivity: 6, 18 or 26 neighbours.
    """
    found, masses = find_parts(soft, above, connectivity)
    kept = masses * voxel_volume_ml >= smallest_ml
    return _kept(soft, kept[found])


def fill_holes(soft: npt.NDArray[Any], in_plane: bool = False) -> npt.NDArray[Any]:
    """Raise every hole to the lowest value that surrounds it (morphological reconstruction, grey fill-hole).

    A hole is a region lower than all paths from it to the border of the volume. A soft map stays soft: a hole inside a
    ring of 0.3 becomes 0.3. Voxels outside holes keep their values.

    Parameters
    ----------
    soft: probabilities ``(k, j, i)`` in 0..1, any float type.
    in_plane: look at every slice by itself, for thick slices.
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(soft))
    if not in_plane:
        return np.asarray(sitk.GetArrayFromImage(sitk.GrayscaleFillhole(image)))
    slices = [sitk.GetArrayFromImage(sitk.GrayscaleFillhole(image[:, :, k])) for k in range(image.GetSize()[2])]
    return np.stack(slices)


def find_parts(
    soft: npt.NDArray[Any], above: float = FIND_ABOVE, connectivity: int = 26
) -> tuple[IntArray, npt.NDArray[np.float64]]:
    """Return the connected parts of a soft map, their faint rims included.

    Voxels above ``above`` form the cores. A fainter voxel belongs to the nearest core among those that it is connected
    to by voxels above 0; fainter regions without any core are parts of their own.

    Parameters
    ----------
    soft: probabilities ``(k, j, i)`` in 0..1.
    above: where cores begin; 0 makes everything above 0 core.
    connectivity: 6, 18 or 26 neighbours.

    Returns
    -------
    parts, masses: integer map, 0 where ``soft`` is 0 and else 1..n; sum of the values of each part, ``masses[0]`` = 0.

    Raises
    ------
    ValueError: the connectivity is none of these.
    """
    from scipy import ndimage

    ranks = {6: 1, 18: 2, 26: 3}
    if connectivity not in ranks:
        raise ValueError(f"expected connectivity 6, 18 or 26, got {connectivity}")
    neighbours = ndimage.generate_binary_structure(3, ranks[connectivity])
    wholes, count = ndimage.label(soft > 0, neighbours)
    cores, core_count = ndimage.label(soft > above, neighbours)
    parts = cores.copy()
    faint = (wholes > 0) & (cores == 0)
    boxes = ndimage.find_objects(wholes)
    for whole in np.unique(wholes[faint]):
        box = boxes[whole - 1]
        inside = faint[box] & (wholes[box] == whole)
        parts[box][inside] = _nearest_core(cores[box], wholes[box] == whole, inside, core_count + int(whole))
    masses = np.bincount(parts.reshape(-1), soft.reshape(-1).astype(np.float64), core_count + count + 1)
    return parts, masses.astype(np.float64)


def _nearest_core(cores: IntArray, whole: BoolArray, faint: BoolArray, alone: int) -> Any:
    from scipy import ndimage

    own = np.where(whole, cores, 0)
    if not own.any():
        return alone
    nearest = ndimage.distance_transform_edt(own == 0, return_distances=False, return_indices=True)
    return own[tuple(nearest)][faint]


def _kept(soft: npt.NDArray[Any], keep: BoolArray) -> npt.NDArray[Any]:
    return np.asarray(np.where(keep, soft, soft.dtype.type(0)))
