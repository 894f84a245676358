"""The scans: one volume for each channel of the model, a brain mask, and what is to be said about them."""

from __future__ import annotations

import dataclasses

import ctk
import qt
import slicer
import vtk
from slicer.i18n import tr as _

from softseg.data.cubes import file_of
from softseg.image import Image
from softseg.prediction.scan_checks import is_stripped, scan_warnings
from softseg.requests.predict import AUTO
from SoftSegSlicerLib.Panels.Segment.MaskChoice import MaskChoice
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten, showAsWritten
from SoftSegSlicerLib.Scene import Grids, Transforms
from SoftSegSlicerLib.Scene.References import isMap

ROLE = "channel."
"""Node references of the parameter node: this and the channel's name."""


class SegmentInputs:
    """Selectors for the channels, and the mask.

    Parameters
    ----------
    ui: the panel's widgets.
    context: the panels' context; the choices are kept in its parameter node.
    onChanged: called when another volume or mask is chosen.
    """

    def __init__(self, ui, context, onChanged):
        self._ui, self._context, self._onChanged = ui, context, onChanged
        self._selectors, self.fromFiles = {}, False
        self._filling = self._waiting = False
        self._observed = []
        self.mask = MaskChoice(ui, context, onChanged)

    @property
    def channels(self):
        """Names of the channels that are asked for."""
        return tuple(self._selectors)

    def setChannels(self, channels, cubes=()):
        """Ask for these channels; what was chosen for a channel of the same name stays.

        Parameters
        ----------
        channels: their names.
        cubes: those that are cubes of many bands. The scene has no place for these, so with them all are files.
        """
        if tuple(channels) == self.channels and bool(cubes) == self.fromFiles:
            return
        self.fromFiles = bool(cubes)
        for selector in self._selectors.values():
            if not isinstance(selector, ctk.ctkPathLineEdit):
                self._context.mapFilter.forget(selector)
        form = self._ui.channelFrame.layout()  # an empty layout is no attribute of ui: PythonQt takes it for false
        while form.rowCount() > 0:
            form.removeRow(0)
        self._selectors = {}
        for channel in channels:
            if self.fromFiles:
                self._selectors[channel] = edit = _newFileEdit(channel)
                label = qt.QLabel(_("{channel} file:").format(channel=channel))
                showAsWritten(label)
                form.addRow(label, edit)
                edit.currentPathChanged.connect(lambda *_args: self._onChanged())
                continue
            self._selectors[channel] = selector = _newSelector(channel, noneEnabled=len(self._selectors) > 0)
            label = qt.QLabel(_("{channel} scan:").format(channel=channel))
            showAsWritten(label)
            label.setBuddy(selector)
            form.addRow(label, selector)
            self._context.mapFilter.apply(selector)
            selector.setMRMLScene(slicer.mrmlScene)
            selector.currentNodeChanged.connect(lambda node, name=channel: self._onVolumeChanged(name, node))
        before = self._ui.modelFolderButton
        for selector in self._selectors.values():
            qt.QWidget.setTabOrder(before, selector)
            before = selector
        self.restore()

    def selector(self, channel):
        """Return the node combo box of a channel."""
        return self._selectors[channel]

    def restore(self):
        """Show what the parameter node remembers; for the first channel without memory, the volume in view."""
        parameters = self._context.parameterNode
        if parameters is None:
            return
        self._filling = True
        for channel, selector in () if self.fromFiles else self._selectors.items():
            node = parameters.parameterNode.GetNodeReference(ROLE + channel)
            if node is None and channel == self.channels[0]:
                node = _volumeInView() or selector.currentNode()
            selector.setCurrentNode(node)
            parameters.parameterNode.SetNodeReferenceID(ROLE + channel, None if node is None else node.GetID())
        self._filling = False
        self.mask.restore()
        self._watch()

    def cleanup(self):
        """Stop observing the volumes."""
        for node, tag in self._observed:
            node.RemoveObserver(tag)
        self._observed = []

    def volumes(self):
        """Return the chosen volumes in the order of the channels; None where none is chosen. Paths for cubes."""
        if self.fromFiles:
            return [edit.currentPath.strip() or None for edit in self._selectors.values()]
        return [selector.currentNode() for selector in self._selectors.values()]

    def problem(self):
        """Return why the volumes cannot be segmented, a sentence; None if they can."""
        if self.fromFiles:
            return self._problemOfFiles()
        for channel, volume in zip(self.channels, self.volumes(), strict=True):
            if volume is None:
                return _("Choose a volume for {channel}.").format(channel=channel)
            image = volume.GetImageData()
            if image is None or image.GetNumberOfPoints() == 0:
                return _("The volume {name} is empty.").format(name=volume.GetName())
        volumes = self.volumes()
        if len({volume.GetID() for volume in volumes}) < len(volumes):
            return _("One volume is chosen for two channels.")
        for volume in volumes[1:]:
            if not _onOneGrid(volumes[0], volume):
                return _("{first} and {second} have different voxel grids: resample one to the other first.").format(
                    first=volumes[0].GetName(), second=volume.GetName()
                )
        return self.mask.problem()

    def said(self, summary):
        """Return what is to be said about the volumes for a model (a ModelSummary): ("warning" or "info", sentence)."""
        warnings, remarks = self._warnings(summary), self._remarks(summary)
        return [*(("warning", text) for text in warnings), *(("info", text) for text in remarks)]

    def _warnings(self, summary):
        """Return what speaks against the volumes without forbidding it: sentences."""
        found = []
        if self.fromFiles:
            return found
        expected = summary.expected
        if self.mask.prepares(summary):
            expected = [dataclasses.replace(one, skull_stripped=False) for one in expected]
        for volume in self.volumes():
            if volume is not None and volume.GetImageData() is not None:
                found += [f"{volume.GetName()}: {text}" for text in warningsOf(volume, expected)]
        return found

    def _remarks(self, summary):
        """Return what will be done with the first volume, where a model (a ModelSummary) needs a mask: sentences."""
        volume = None if self.fromFiles or summary.needs is None or self.mask.kind != AUTO else self.volumes()[0]
        image = None if volume is None else imageOf(volume)
        if image is None:
            return []
        reason = is_stripped(image, *summary.expected)
        if reason is None:
            return [_("{model} computes a brain mask first").format(model=summary.needs.model)]
        return [_("Detected as skull-stripped, so no brain mask is computed: {reason}").format(reason=reason)]

    def _problemOfFiles(self):
        for channel, path in zip(self.channels, self.volumes(), strict=True):
            if path is None:
                return _("Choose a file for {channel}.").format(channel=channel)
            if not file_of(path).exists():
                return _("File not found: {path}.").format(path=file_of(path))
        return None

    def _onVolumeChanged(self, channel, node):
        if self._filling or self._context.parameterNode is None:
            return
        parameters = self._context.parameterNode.parameterNode
        parameters.SetNodeReferenceID(ROLE + channel, None if node is None else node.GetID())
        self._watch()
        self._onChanged()

    def _watch(self):
        """Hear of changes inside the chosen volumes: a file that is read gets its voxels after its node."""
        self.cleanup()
        for node in () if self.fromFiles else filter(None, self.volumes()):
            for event in (vtk.vtkCommand.ModifiedEvent, slicer.vtkMRMLVolumeNode.ImageDataModifiedEvent):
                self._observed.append((node, node.AddObserver(event, self._onVolumeModified)))

    def _onVolumeModified(self, *_arguments):
        if not self._waiting:
            self._waiting = True
            qt.QTimer.singleShot(0, self._tellModified)

    def _tellModified(self):
        self._waiting = False
        if self._observed:
            self._onChanged()


def warningsOf(volumeNode, expected):
    """Return what speaks against one volume for what each member of a model expects."""
    image = imageOf(volumeNode)
    return [] if image is None else scan_warnings(image, *expected)


def imageOf(volumeNode):
    """Return the voxels of a volume on their grid; None where it has none, or several values in each."""
    data = volumeNode.GetImageData()
    if data is None or data.GetNumberOfPoints() == 0 or data.GetNumberOfScalarComponents() != 1:
        return None
    return Image(Grids.arrayOf(data), Grids.geometryOfVolume(volumeNode))


def _newSelector(channel, noneEnabled):
    selector = slicer.qMRMLNodeComboBox()
    selector.objectName = f"volumeSelector_{channel}"
    selector.nodeTypes = ["vtkMRMLScalarVolumeNode"]
    selector.showChildNodeTypes = False
    selector.noneEnabled = noneEnabled  # without it, the first scan of the scene is chosen by itself
    selector.addEnabled = False
    selector.removeEnabled = False
    selector.selectNodeUponCreation = False
    selector.toolTip = asWritten(_("The volume with the {channel} scan").format(channel=channel))
    return selector


def _newFileEdit(channel):
    edit = ctk.ctkPathLineEdit()
    edit.objectName = f"fileEdit_{channel}"
    edit.filters = ctk.ctkPathLineEdit.Files | ctk.ctkPathLineEdit.Readable
    edit.settingKey = "SoftSegSlicerCubes"
    edit.toolTip = _("The file of the cube: ENVI (.hdr), NPZ, MAT, TIFF or NIfTI; scene.npz:cube names an array in it")
    return edit


def _volumeInView():
    """Return the scalar volume in the background of the slice views, None if there is none."""
    composite = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLSliceCompositeNode")
    node = None if composite is None else slicer.mrmlScene.GetNodeByID(composite.GetBackgroundVolumeID() or "")
    isScan = node is not None and node.GetClassName() == "vtkMRMLScalarVolumeNode" and not isMap(node)
    return node if isScan else None


def _onOneGrid(first, second):
    """Whether two volumes have the same voxels in the world."""
    if Transforms.between(second, first) is None:
        return False
    return Transforms.geometryIn(second, first).same_grid(Grids.geometryOfVolume(first))
