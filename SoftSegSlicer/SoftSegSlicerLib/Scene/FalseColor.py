"""A cube of many bands as a picture in three colours, so that there is something to see behind the labels."""

import os

import SimpleITK as sitk
import vtk

from softseg.errors import InputError
from softseg.image import Geometry

from . import Grids, References

PICTURE_FILE = "false-colour.nrrd"


def load(picture, name):
    """Return a new vector volume of a picture's file.

    Raises
    ------
    InputError: the file cannot be read, or is no picture in three colours.
    """
    try:
        image = sitk.ReadImage(os.fspath(picture))
    except RuntimeError as error:
        raise InputError("the false-colour image cannot be read", file=picture) from error
    if image.GetDimension() == 2:
        image = sitk.JoinSeries(image)
    array = sitk.GetArrayFromImage(image)
    if array.ndim != 4 or array.shape[3] != 3:
        raise InputError(f"expected three colours, got an array of shape {array.shape}", file=picture)
    volumeNode = References.addNode(References.sceneOf(), "vtkMRMLVectorVolumeNode", name)
    Grids.setColors(volumeNode, array.astype("uint8", copy=False), Geometry.of(image))
    volumeNode.CreateDefaultDisplayNodes()
    volumeNode.GetDisplayNode().AutoWindowLevelOff()
    volumeNode.GetDisplayNode().SetWindowLevelMinMax(0, vtk.VTK_UNSIGNED_CHAR_MAX)
    return volumeNode
