"""The choice of a model: shipped ones, folders chosen before, the card of the chosen one."""

from __future__ import annotations

import html
import json
from pathlib import Path

import qt
import slicer
from slicer.i18n import tr as _

from softseg.errors import SoftSegError
from softseg.prediction.model_summary import ModelSummary
from softseg.resources import list_models
from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten

SETTING = "SoftSegSlicer/ModelFolders"
MOST_FOLDERS = 10


class SegmentModels:
    """Combo box, folder button, summary and card.

    Parameters
    ----------
    ui: the panel's widgets.
    context: the panels' context; its dialogs ask for a folder.
    onChanged: called when another model is chosen.
    onError: called with the error of a folder that is no model.
    """

    def __init__(self, ui, context, onChanged, onError):
        self._ui, self._context, self._onChanged, self._onError = ui, context, onChanged, onError
        self.summary = None
        self._cardShown = False
        ui.modelBox.currentIndexChanged.connect(self._onIndexChanged)
        ui.modelFolderButton.clicked.connect(self.onFolderClicked)
        ui.modelSummary.linkActivated.connect(self._onLinkActivated)
        ui.modelSummary.openExternalLinks = False

    def fill(self, chosen):
        """List all models and choose one of them by shipped name or folder; an unknown one is added."""
        shipped, folders = _shipped(), rememberedFolders()
        if chosen and chosen not in shipped and chosen not in folders:
            folders.insert(0, chosen)
        blocked = self._ui.modelBox.blockSignals(True)
        self._ui.modelBox.clear()
        for name in shipped:
            self._ui.modelBox.addItem(name, name)
        for folder in folders:
            self._ui.modelBox.addItem(_folderTitle(folder), folder)
        index = max(0, self._ui.modelBox.findData(chosen))
        self._ui.modelBox.currentIndex = index
        self._ui.modelBox.blockSignals(blocked)
        self._load(self.current())

    def current(self):
        """Return the shipped name or the folder that is chosen; empty if there is none."""
        return self._ui.modelBox.itemData(self._ui.modelBox.currentIndex) or ""

    def choose(self, model):
        """Choose a model by shipped name or folder, after making sure that it is one; False if it is none."""
        try:
            summary = ModelSummary.load(model)
        except SoftSegError as error:
            self._onError(error)
            return False
        path = str(summary.path) if Path(model).exists() else str(model)
        if Path(path).is_dir():
            rememberFolder(path)
        self.fill(path)
        self._onChanged()
        return True

    def offer(self, folder):
        """Add a model folder to the list without choosing it."""
        rememberFolder(str(folder))
        self.fill(self.current())

    def onFolderClicked(self, *_arguments):
        """Ask for a folder and choose it."""
        folder = self._context.dialogs.askFolder(_("Choose a model folder or a training run"))
        if folder:
            self.choose(folder)

    def _onIndexChanged(self, *_arguments):
        self._load(self.current())
        self._onChanged()

    def _load(self, model):
        self.summary = None
        if model:
            try:
                self.summary = ModelSummary.load(model)
            except SoftSegError as error:
                self._onError(error)
        self.redraw()

    def redraw(self):
        """Show summary and card of the chosen model, in the colours of the present palette."""
        summary = self.summary
        self._ui.modelBox.toolTip = _("No model") if summary is None else asWritten(summary.path)
        if summary is None:
            self._ui.modelSummary.text = _("No model can be used: choose a model folder.")
            self._ui.cardText.visible = False
            return
        color = self._ui.modelSummary.palette.color(qt.QPalette.Link).name()
        link = _("Hide the card") if self._cardShown else _("Model card")
        licence = summary.licence.partition(":")[0].partition("(")[0].strip()
        lines = f"{_factsOf(summary)}<br>{html.escape(licence)}"
        known = (summary.description, summary.intended_use, summary.licence)
        self._ui.modelSummary.toolTip = asWritten(" ".join(part for part in known if part))
        self._ui.modelSummary.text = f'{lines} \u00b7 <a href="card" style="color: {color}">{link}</a>'
        self._ui.cardText.markdown = summary.card
        self._ui.cardText.visible = self._cardShown

    def _onLinkActivated(self, *_arguments):
        self._cardShown = not self._cardShown
        self.redraw()


def rememberedFolders():
    """Return the model folders that were chosen before and are still there, the latest first."""
    try:
        folders = json.loads(slicer.app.settings().value(SETTING) or "[]")
    except (TypeError, ValueError):
        folders = []
    return [folder for folder in folders if Path(folder).is_dir()]


def rememberFolder(folder):
    """Put a model folder in front of those that were chosen before."""
    folders = [folder, *(other for other in rememberedFolders() if other != folder)]
    slicer.app.settings().setValue(SETTING, json.dumps(folders[:MOST_FOLDERS]))


def _factsOf(summary):
    leaves = len(summary.tree.leaves) - (summary.tree.background is not None)
    parts = [_("{count} structures from {channels}").format(count=leaves, channels=", ".join(summary.channels))]
    if summary.members:
        parts.append(_("mean of {count} models").format(count=len(summary.members)))
    if any(expected.skull_stripped for expected in summary.expected):
        raw = summary.needs is not None
        parts.append(_("raw or skull-stripped scans") if raw else _("skull-stripped scans"))
    if summary.calibrated:
        parts.append(_("calibrated"))
    if summary.outlier_score:
        parts.append(_("outlier score: {name}").format(name=summary.outlier_score))
    return html.escape(" \u00b7 ".join(parts))


def _folderTitle(folder):
    path = Path(folder)
    return f"{path.parent.name} / {path.name}" if path.name == "model" else path.name


def _shipped():
    try:
        return list_models()
    except SoftSegError:
        return []
