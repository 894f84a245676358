"""Transforms between nodes and the world, and the grid of a volume where they put it."""

import numpy as np
import slicer
import vtk

from softseg.errors import InputError

from . import Grids


def toWorld(node):
    """Return the matrix ``(4, 4)`` from a node's own coordinates to the world (RAS mm); None: it is not linear."""
    return between(node, None)


def between(node, other):
    """Return the matrix ``(4, 4)`` from one node's own coordinates to another's; None: it is not linear.

    Parameters
    ----------
    node, other: transformable nodes; None stands for the world.
    """
    return matrixOf(transformBetween(node, other))


def linear(matrix):
    """Return a matrix ``(4, 4)`` as a vtkTransform."""
    transform = vtk.vtkTransform()
    transform.SetMatrix(Grids.arrayToMatrix(matrix))
    return transform


def matrixOf(transform):
    """Return a transform as a matrix ``(4, 4)``; None: it is not linear."""
    found = vtk.vtkTransform()
    if not slicer.vtkMRMLTransformNode.IsGeneralTransformLinear(transform, found):
        return None
    return Grids.matrixToArray(found.GetMatrix())


def transformBetween(node, other):
    """Return the transform from one node's own coordinates to another's, as a vtkGeneralTransform; None: the world."""
    parents = [None if each is None else each.GetParentTransformNode() for each in (node, other)]
    general = vtk.vtkGeneralTransform()
    slicer.vtkMRMLTransformNode.GetTransformBetweenNodes(*parents, general)
    return general


def worldGeometryOf(volumeNode):
    """Return the grid of a volume node in the world.

    Raises
    ------
    InputError: its transform is not linear.
    """
    return geometryIn(volumeNode, None)


def geometryIn(volumeNode, other):
    """Return the grid of a volume node in the own coordinates of another node; None: in the world.

    Raises
    ------
    InputError: the transform between them is not linear.
    """
    own = Grids.geometryOfVolume(volumeNode)
    if other is volumeNode:
        return own
    matrix = between(volumeNode, other)
    if matrix is None:
        raise InputError(f"'{volumeNode.GetName()}' has a non-linear transform", hint="harden the transform first")
    return own if np.array_equal(matrix, np.eye(4)) else Grids.geometryOf(matrix @ own.affine, own.size)
