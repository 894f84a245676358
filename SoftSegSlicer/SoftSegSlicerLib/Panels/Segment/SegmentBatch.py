"""Several scans: which ones, how far each is, what became of it."""

from __future__ import annotations

from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from softseg.errors import InputError, SoftSegError
from softseg.prediction.inputs import find_cases
from softseg.requests import FalseColourRequest
from SoftSegSlicerLib.Panels.Segment.SegmentQueue import RUNNING, WAITING, QueuedScan
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten
from SoftSegSlicerLib.Process.Runner import CANCELLED, DONE, FAILED
from SoftSegSlicerLib.Scene import FalseColor
from SoftSegSlicerLib.Scene.EngineWork import SOFT, EngineWork
from SoftSegSlicerLib.Scene.References import isMap

FROM_SCENE, FROM_FOLDER = 0, 1


class FilesOfCase(EngineWork):
    """A case whose files are where they are, so nothing has to be written or removed.

    Parameters
    ----------
    images: its files.
    cube: whether a picture in false colours is made of it, beside its result.
    asked: see EngineWork.
    """

    def __init__(self, images, cube, **asked):
        super().__init__(images, **asked)
        self._cube = cube

    @property
    def more(self):
        """Further command lines of the engine, once the case is written."""
        return (FalseColourRequest(self.images[0], pictureOf(self.written())).to_argv(),) if self._cube else ()

    def discard(self):
        """Do nothing."""


def pictureOf(written):
    """Return where the picture of a cube lies beside its result."""
    return written.folder / FalseColor.PICTURE_FILE


class SegmentBatch:
    """The section for several scans.

    Parameters
    ----------
    ui: the panel's widgets.
    context: the panels' context.
    modelOf: returns the chosen model and its summary.
    onChanged: called when something is ticked or another source is chosen.
    onError: called with an error.
    """

    def __init__(self, ui, context, modelOf, onChanged, onError):
        self._ui, self._context, self._modelOf = ui, context, modelOf
        self._onChanged, self._onError = onChanged, onError
        self._items, self._results, self._states = {}, {}, {}
        self._filling = False
        ui.batchFolderEdit.filters = ui.batchOutputEdit.filters = 1  # folders
        ui.batchSourceBox.currentIndexChanged.connect(self.refresh)
        ui.batchFolderEdit.currentPathChanged.connect(self._onFolderChanged)
        ui.batchOutputEdit.currentPathChanged.connect(self._onOutputChanged)
        ui.batchList.itemChanged.connect(self._onItemChanged)
        ui.batchList.itemDoubleClicked.connect(self.onDoubleClicked)
        ui.batchSection.contentsCollapsed.connect(self.refresh)
        ui.batchList.setColumnWidth(0, 170)

    @property
    def fromFolder(self):
        """Whether files of a folder are segmented, not volumes of the scene."""
        return self._ui.batchSourceBox.currentIndex == FROM_FOLDER

    def restore(self):
        """Show what the parameter node remembers."""
        parameters = self._context.parameterNode
        if parameters is not None:
            self._filling = True
            self._ui.batchFolderEdit.currentPath = parameters.batchFolder
            self._ui.batchOutputEdit.currentPath = parameters.batchOutput
            self._filling = False
        self.refresh()

    def refresh(self, *_arguments):
        """List the scans again; what was unticked stays so."""
        for widget in (self._ui.batchFolderLabel, self._ui.batchFolderEdit):
            widget.visible = self.fromFolder
        if self._ui.batchSection.collapsed or self._context.parameterNode is None:
            return
        unticked = {key for key, item in self._items.items() if item.checkState(0) == qt.Qt.Unchecked}
        self._filling = True
        self._ui.batchList.clear()
        self._items = {}
        for key, name, problem in self._listed():
            state = self._states.get(key, problem)
            item = qt.QTreeWidgetItem([name, state])
            item.setToolTip(0, asWritten(name))
            item.setToolTip(1, asWritten(state))
            item.setFlags(qt.Qt.ItemIsEnabled | qt.Qt.ItemIsSelectable | qt.Qt.ItemIsUserCheckable)
            item.setCheckState(0, qt.Qt.Unchecked if key in unticked or problem else qt.Qt.Checked)
            self._ui.batchList.addTopLevelItem(item)
            self._items[key] = item
        self._filling = False
        self._onChanged()

    def problem(self):
        """Return why no batch can be started, a sentence; None if it can."""
        _model, summary = self._modelOf()
        if summary is None:
            return _("Choose a model.")
        if not self.fromFolder and summary.cubes:
            return _("This model takes cubes of many bands: use a folder with their files.")
        if not self.fromFolder and len(summary.channels) > 1:
            return _(
                "This model takes {count} scans per person: use a folder, where file names show which belong together."
            ).format(count=len(summary.channels))
        if self.fromFolder and not self._ui.batchFolderEdit.currentPath:
            return _("Choose the folder with the scans.")
        if self.fromFolder and not self._ui.batchOutputEdit.currentPath:
            return _("Choose a folder for the results.")
        if not self._ticked():
            return _("Select at least one scan.")
        return None

    def jobs(self, device, cut, options):
        """Return the jobs of all ticked scans; ``options``: see SegmentDoubt.options."""
        model, _summary = self._modelOf()
        output = self._ui.batchOutputEdit.currentPath
        self._results, self._states = {}, {}
        if self.fromFolder:
            return [
                self._jobOfFiles(case, model, device, cut, output, options)
                for case in self._cases()
                if case.name in self._ticked()
            ]
        scene = slicer.mrmlScene
        return [
            self._jobOfVolume(scene.GetNodeByID(key), model, device, cut, output, options) for key in self._ticked()
        ]

    def show(self, job):
        """Show the state of a job in its row."""
        words = {
            WAITING: "",
            RUNNING: _("running ..."),
            DONE: _("done"),
            CANCELLED: _("cancelled"),
            FAILED: _("failed"),
        }
        text = words[job.state] + (f": {job.message}" if job.message else "")
        self._states[job.key] = text
        item = self._items.get(job.key)
        if item is None:
            return
        self._filling = True
        item.setText(1, text)
        item.setToolTip(1, asWritten(text))
        self._filling = False

    def onDoubleClicked(self, item, *_arguments):
        """Bring the result of a finished scan to the front, loading it if it is not in the scene."""
        key = next((key for key, other in self._items.items() if other is item or other == item), None)
        result = self._results.get(key)
        if result is None:
            return
        try:
            node = slicer.mrmlScene.GetNodeByID(result) if isinstance(result, str) else self._loaded(result)
            if node is None:  # it was deleted since
                return
            self._context.segmentation = node
            self._context.showPanel("Look")
        except SoftSegError as error:
            self._onError(error)

    def _loaded(self, written):
        """Return a new segmentation of a result's file, with the picture beside it as what it lies on."""
        logic, picture = self._context.logic, pictureOf(written)
        behind = logic.segmenting.loadPicture(picture, written.case) if picture.is_file() else None
        return logic.results.load(written.file(SOFT), behind, written.case)

    def _jobOfFiles(self, case, model, device, cut, output, options):
        cube = bool(self._modelOf()[1].cubes)

        def prepare():
            if case.problem is not None:
                raise case.problem
            return FilesOfCase(case.images, cube, model=model, out=output, device=device, cut=cut, **options)

        def finish(prepared):
            self._results[case.name] = prepared.written()

        return QueuedScan(case.name, case.name, prepare, finish)

    def _jobOfVolume(self, volume, model, device, cut, output, options):
        key, name, logic = volume.GetID(), volume.GetName(), self._context.logic

        def prepare():
            node = slicer.mrmlScene.GetNodeByID(key)
            if node is None:
                raise InputError(_("the volume {name} was deleted").format(name=name))
            return logic.segmenting.prepare(
                [node], model, cut=levelOf(cut), device=device, outputFolder=output or None, **options
            )

        def finish(prepared):
            node = yield from logic.segmenting.steps(prepared)
            self._results[key] = node.GetID()

        return QueuedScan(key, name, prepare, finish)

    def _listed(self):
        """Return (key, name, problem) of every scan there is."""
        if not self.fromFolder:
            nodes = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
            fitting = [n for n in nodes if n.GetClassName() == "vtkMRMLScalarVolumeNode" and not n.GetHideFromEditors()]
            return [(n.GetID(), n.GetName(), "") for n in fitting if not isMap(n)]
        return [(case.name, case.name, sentenceOf(case.problem)) for case in self._cases()]

    def _cases(self):
        _model, summary = self._modelOf()
        folder = self._ui.batchFolderEdit.currentPath
        if summary is None or not folder or not Path(folder).is_dir():
            return []
        try:
            return find_cases([folder], summary.channels)
        except (SoftSegError, OSError) as error:
            self._onError(error)
            return []

    def _ticked(self):
        return [key for key, item in self._items.items() if item.checkState(0) == qt.Qt.Checked]

    def _onFolderChanged(self, path):
        if not self._filling and self._context.parameterNode is not None:
            self._context.parameterNode.batchFolder = path
            self.refresh()

    def _onOutputChanged(self, path):
        if not self._filling and self._context.parameterNode is not None:
            self._context.parameterNode.batchOutput = path
            self._onChanged()

    def _onItemChanged(self, *_arguments):
        if not self._filling:
            self._onChanged()


def levelOf(cut):
    """Return the level that the parameter ``cut`` names; None for the leaves."""
    return None if cut == "leaves" else int(cut)


def sentenceOf(problem):
    """Return an error as a short text, empty for None."""
    return "" if problem is None else problem.message
