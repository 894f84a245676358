"""One segmentation by the engine: from volumes of the scene to files and a request, and back from its files."""

import os
from pathlib import Path

from softseg.errors import InputError
from softseg.image import Image, write_image
from softseg.prediction.inputs import stem
from softseg.requests import FalseColourRequest, file_name

from ..Process import Scratch
from . import FalseColor, Grids, Masks, References, Transforms
from .EngineWork import EngineWork


class SegmentJob(EngineWork):
    """What was prepared for the engine; see :class:`.EngineWork.EngineWork` for what it says of the result.

    Parameters
    ----------
    images: files of the case, one per channel.
    name: of the case for people: the volume's.
    volumeId: MRML id of the first volume, empty for files; it may be gone when the engine is done.
    scene: the MRML scene.
    shown: what is shown at first: a level, node ids, a Cut, or None for the leaves.
    temporary: the folder of temporary files; removed by :meth:`discard`.
    more: further command lines of the engine after the first; the result does not depend on them.
    grid: of the first volume when it was handed to the engine, None for files.
    asked: see EngineWork.
    """

    def __init__(self, images, name, volumeId, scene, shown, temporary, more=(), grid=None, **asked):
        super().__init__(images, **asked)
        self.name, self.volumeId, self.scene, self.shown = name, volumeId, scene, shown
        self.temporary, self.more, self.grid = temporary, more, grid

    def volumeNode(self):
        """Return the first volume, None when it was removed from the scene, or never was in it."""
        return self.scene.GetNodeByID(self.volumeId) if self.volumeId else None

    def pictureFile(self):
        """Return the path of the picture in false colours that was made of a cube, None where there is none."""
        path = os.path.join(self.temporary.path, FalseColor.PICTURE_FILE)
        return path if os.path.isfile(path) else None

    def discard(self):
        """Remove the temporary files."""
        self.temporary.close()


def prepare(volumeNodes, shown, mask, outputFolder, **asked):
    """Write the volumes where the engine finds them and return the job; see Logic.Segmenting."""
    _check(volumeNodes)
    mask = "auto" if mask is None else mask
    given = None if isinstance(mask, str) else Masks.imageOf(mask, volumeNodes[0])
    temporary = Scratch.newFolder()
    try:
        files = []
        asked["mask"] = mask if given is None else str(write_image(given, os.path.join(temporary.path, "mask.nii")))
        for number, volumeNode in enumerate(volumeNodes, 1):
            array = Grids.arrayOf(volumeNode.GetImageData())
            own = Transforms.geometryIn(volumeNode, volumeNodes[0])
            # a folder for each channel: volumes may have one name
            path = os.path.join(temporary.path, f"in-{number}", f"{file_name(volumeNode.GetName() or '')}.nii")
            # not compressed: that would take longer than everything else here
            files.append(str(write_image(Image(array, own), path)))
        first, out = volumeNodes[0], _output(outputFolder, temporary)
        asked.update(out=out, grid=Grids.geometryOfVolume(first))
        return SegmentJob(files, first.GetName(), first.GetID(), References.sceneOf(first), shown, temporary, **asked)
    except BaseException:
        temporary.close()
        raise


def prepareFiles(paths, shown, outputFolder, **asked):
    """Return the job for cubes in files, one per channel; see Logic.Segmenting."""
    temporary = Scratch.newFolder()
    try:
        picture = FalseColourRequest(os.fspath(paths[0]), os.path.join(temporary.path, FalseColor.PICTURE_FILE))
        out = _output(outputFolder, temporary)
        scene, name = References.sceneOf(), stem(Path(paths[0]))
        return SegmentJob(paths, name, "", scene, shown, temporary, (picture.to_argv(),), out=out, **asked)
    except BaseException:
        temporary.close()
        raise


def _output(outputFolder, temporary):
    return os.fspath(outputFolder) if outputFolder else os.path.join(temporary.path, "out")


def _check(volumeNodes):
    if not volumeNodes:
        raise InputError("no volume is chosen", hint="choose the scan to segment")
    for volumeNode in volumeNodes:
        if volumeNode is None or not volumeNode.IsA("vtkMRMLScalarVolumeNode"):
            raise InputError("expected a scalar volume for each channel", hint="choose a scan")
        image = volumeNode.GetImageData()
        if image is None or image.GetNumberOfPoints() == 0:
            raise InputError(f"the volume '{volumeNode.GetName()}' is empty", hint="choose another one")
        if image.GetNumberOfScalarComponents() != 1:
            raise InputError(f"the volume '{volumeNode.GetName()}' has more than one component per voxel")
