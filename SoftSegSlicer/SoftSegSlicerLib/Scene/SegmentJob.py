"""One segmentation by the engine: from volumes of the scene to files and arguments, and back from its files."""

import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from softseg.errors import InputError
from softseg.image import Image, write_image
from softseg.prediction.inputs import stem

from . import FalseColor, Grids, Masks, Placement, References
from .PredictOptions import PredictOptions

_SOFT_FILE = "soft.soft.npz"


@dataclass(frozen=True)
class SegmentJob:
    """What was prepared for the engine.

    Attributes
    ----------
    arguments: of ``python -m softseg``.
    output: folder in which the case's folder appears.
    case: name of the case: the volume's.
    volumeId: MRML id of the first volume; it may be gone when the engine is done.
    scene: the MRML scene.
    cut: what is shown at first: a level, node ids, a Cut, or None for the leaves.
    temporary: the folder of temporary files; removed by :meth:`discard`.
    options: what else the engine was asked.
    more: further command lines of the engine after the first; the result does not depend on them.
    grid: of the first volume when it was handed to the engine, None for files.
    """

    arguments: list
    output: str
    case: str
    volumeId: str
    scene: Any
    cut: Any
    temporary: tempfile.TemporaryDirectory = field(repr=False)
    options: PredictOptions = field(default_factory=PredictOptions)
    more: tuple = ()
    grid: Any = None

    def resultFile(self, name):
        """Return the path of a file beside the soft parcellation; None where the engine wrote no such file."""
        path = os.path.join(os.path.dirname(self.softFile()), name)
        return path if os.path.isfile(path) else None

    def softFile(self):
        """Return the path of the soft parcellation that the engine wrote.

        Raises
        ------
        InputError: there is none.
        """
        folders = sorted(os.listdir(self.output)) if os.path.isdir(self.output) else []
        wanted = [name for name in folders if os.path.isfile(os.path.join(self.output, name, _SOFT_FILE))]
        if self.case in wanted:
            wanted = [self.case]
        if not wanted:
            raise InputError("the segmentation left no result", file=self.output, hint="look at the log, and try again")
        return os.path.join(self.output, wanted[0], _SOFT_FILE)

    def volumeNode(self):
        """Return the first volume, None when it was removed from the scene, or never was in it."""
        return self.scene.GetNodeByID(self.volumeId) if self.volumeId else None

    def pictureFile(self):
        """Return the path of the picture in false colours that was made of a cube, None where there is none."""
        path = os.path.join(self.temporary.name, FalseColor.PICTURE_FILE)
        return path if os.path.isfile(path) else None

    def discard(self):
        """Remove the temporary files."""
        self.temporary.cleanup()


def prepare(volumeNodes, model, cut, device, mask, outputFolder, options):
    """Write the volumes where the engine finds them and return the job; see SoftSegSlicerLogic.prepareSegment."""
    _check(volumeNodes)
    options.check()
    inside = None if mask is None else Masks.insideOf(mask, volumeNodes[0])
    temporary = tempfile.TemporaryDirectory(prefix="softseg-", ignore_cleanup_errors=True)
    try:
        case = _safe(volumeNodes[0].GetName())
        files = []
        for number, volumeNode in enumerate(volumeNodes):
            array = Grids.arrayOf(volumeNode.GetImageData())
            if inside is not None and array.shape == inside.shape:
                array = np.where(inside, array, array.min())
            name = case if number == 0 else f"{case}-{number + 1}"
            own = Placement.geometryIn(volumeNode, volumeNodes[0])
            # not compressed: that would take longer than everything else here
            files.append(str(write_image(Image(array, own), os.path.join(temporary.name, "in", f"{name}.nii"))))
        output = os.fspath(outputFolder) if outputFolder else os.path.join(temporary.name, "out")
        arguments = ["predict", os.fspath(model), ",".join(files), "--out", output, "--device", device]
        arguments += options.arguments()
    except BaseException:
        temporary.cleanup()
        raise
    scene = References.sceneOf(volumeNodes[0])
    grid = Grids.geometryOfVolume(volumeNodes[0])
    return SegmentJob(arguments, output, case, volumeNodes[0].GetID(), scene, cut, temporary, options, grid=grid)


def prepareFiles(paths, model, cut, device, outputFolder, options):
    """Return the job for cubes in files, one per channel; see SoftSegSlicerLogic.prepareSegment."""
    options.check()
    temporary = tempfile.TemporaryDirectory(prefix="softseg-", ignore_cleanup_errors=True)
    files = [os.fspath(path) for path in paths]
    output = os.fspath(outputFolder) if outputFolder else os.path.join(temporary.name, "out")
    arguments = ["predict", os.fspath(model), ",".join(files), "--out", output, "--device", device]
    arguments += options.arguments()
    picture = FalseColor.arguments(files[0], os.path.join(temporary.name, FalseColor.PICTURE_FILE))
    return SegmentJob(
        arguments, output, stem(Path(files[0])), "", References.sceneOf(), cut, temporary, options, (picture,)
    )


def _check(volumeNodes):
    if not volumeNodes:
        raise InputError("no volume is chosen", hint="choose the scan that is to be segmented")
    for volumeNode in volumeNodes:
        if volumeNode is None or not volumeNode.IsA("vtkMRMLScalarVolumeNode"):
            raise InputError("expected a scalar volume for each channel", hint="choose a scan")
        image = volumeNode.GetImageData()
        if image is None or image.GetNumberOfPoints() == 0:
            raise InputError(f"the volume '{volumeNode.GetName()}' is empty", hint="choose another one")
        if image.GetNumberOfScalarComponents() != 1:
            raise InputError(f"the volume '{volumeNode.GetName()}' has several values in a voxel")


def _safe(text):
    """Return a name of a volume as name of a file: commas separate channels and would be misread."""
    name = "".join(letter if letter.isalnum() or letter in "+-_" else "-" for letter in text or "").strip("-")
    return name or "scan"
