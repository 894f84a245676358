"""Results and labels in the world, for files: whatever transforms they lie under, on straight grids."""

from dataclasses import replace

import numpy as np

from softseg.straight import is_sheared, straight_grid

from . import Bending, Grids, Transforms


def gridOf(node, geometry):
    """Return a straight grid in the world that covers a grid of a node.

    Parameters
    ----------
    node: a transformable node.
    geometry: the grid, in the node's own coordinates.

    Returns
    -------
    the same voxels where the transform is linear and leaves their axes straight; else others, about as large.
    """
    matrix = Transforms.toWorld(node)
    if matrix is None:
        lattice = straight_grid(geometry) if is_sheared(geometry) else geometry
        return Bending.reach(lattice, Transforms.transformBetween(node, None))
    world = geometry if np.array_equal(matrix, np.eye(4)) else Grids.geometryOf(matrix @ geometry.affine, geometry.size)
    return straight_grid(world) if is_sheared(world) else world


def parcellationOf(parcellation, node):
    """Return a soft parcellation in the world, on the grid of :func:`gridOf`; every share is one of those given.

    Parameters
    ----------
    parcellation: in the own coordinates of ``node``.
    node: its segmentation.
    """
    geometry = gridOf(node, parcellation.geometry)
    if geometry is parcellation.geometry:
        return parcellation
    if _sameVoxels(node, parcellation.geometry, geometry):
        return replace(parcellation, geometry=geometry)
    source = Bending.sourceVoxels(parcellation.geometry, Transforms.transformBetween(node, None), geometry)
    return parcellation.gathered(source, geometry)


def labelsOf(labels, geometry, node):
    """Return labels ``(k, j, i)`` of a grid in the own coordinates of a node in the world, and their grid there."""
    world = gridOf(node, geometry)
    if _sameVoxels(node, geometry, world):
        return labels, world
    source = Bending.sourceVoxels(geometry, Transforms.transformBetween(node, None), world)
    return Bending.taken(labels, source), world


def _sameVoxels(node, geometry, world):
    """Whether a grid in the world has the voxels of a node's own grid."""
    matrix = Transforms.toWorld(node)
    moved = None if matrix is None else Grids.geometryOf(matrix @ geometry.affine, geometry.size)
    return moved is not None and moved.same_grid(world)
