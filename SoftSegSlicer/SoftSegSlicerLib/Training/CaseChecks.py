"""What speaks against learning from scans of the scene, said before anything is written."""

import shutil

from softseg.errors import InputError

from ..Exchange.LabelMatching import backgroundAmong
from ..Exchange.LabelReader import segmentNames
from ..Scene import Grids, Transforms

SPLITS = ("train", "val")
SPARE_BYTES = 200 * 1024**2
"""Left free on the disk beside the files of the dataset, for the training's own."""


def checkCase(case, channels):
    """Raise an error where a case cannot be learned from."""
    if not case.images or any(node is None or node.GetImageData() is None for node in case.images.values()):
        raise InputError("a case has no volume", hint="choose a volume, or remove the case")
    name = case.volume.GetName()
    if case.labels is None:
        raise InputError(f"the case '{name}' has no labels", hint="choose a segmentation, or remove the case")
    if list(case.images) != channels:
        raise InputError(f"the case '{name}' has the channels {', '.join(case.images)}, not {', '.join(channels)}")
    if case.split not in SPLITS:
        raise InputError(f"the case '{name}' is for {case.split!r}; expected {' or '.join(SPLITS)}")
    for node in case.images.values():
        if node.GetImageData().GetNumberOfScalarComponents() != 1:
            raise InputError(f"'{node.GetName()}' is a colour image", hint="choose a volume of grey values")
        matrix = Transforms.between(node, case.volume)
        geometry = Grids.geometryOfVolume(case.volume)
        if matrix is None or not Transforms.geometryIn(node, case.volume).same_grid(geometry):
            raise InputError(
                f"'{node.GetName()}' has a different grid than '{name}'", hint="resample it first, or harden transforms"
            )


def trainingGrid(volumeNode):
    """Return the grid on which a volume is written, and the node in whose coordinates that is (None: in the world).

    It is that of the world. Under a transform that is not linear a volume has no straight grid there, so that it is
    written as it is, and its labels are brought into its own coordinates.
    """
    if Transforms.toWorld(volumeNode) is None:
        return Grids.geometryOfVolume(volumeNode), volumeNode
    return Transforms.worldGeometryOf(volumeNode), None


def refuseBackground(cases):
    """Raise an error where background is painted although nothing is background: it would be lost in silence."""
    for case in cases:
        if case.labels.IsA("vtkMRMLSegmentationNode"):
            name = backgroundAmong(segmentNames(case.labels).values())
            if name is not None:
                raise InputError(
                    f"'{case.labels.GetName()}' has a segment '{name}', but positive-only scribbles have no background",
                    hint="delete or rename that segment, or choose that the background is painted",
                )


def requireBackground(exports, tree):
    """Raise an error where scribbles never say what is outside: a network would call everything a structure."""
    value = tree.value_of(tree.background.id)
    if not any(value in export.values for export in exports):
        raise InputError(
            "no background is painted, so the borders of the structures are undefined",
            hint="add a segment called 'Background' and scribble around them, or choose positive-only scribbles",
        )


def requireSpace(folder, wanted):
    """Raise an error where the disk has less than that many bytes and some to spare."""
    free = shutil.disk_usage(folder).free
    if free < wanted + SPARE_BYTES:
        raise InputError(
            f"the dataset needs about {(wanted + SPARE_BYTES) / 1e6:.0f} MB, {free / 1e6:.0f} MB are free",
            file=folder,
            hint="free space or choose another folder",
        )
