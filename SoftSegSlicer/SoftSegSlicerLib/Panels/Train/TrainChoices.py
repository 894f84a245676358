"""What a training learns and how: label tree, recipe, time, device, folder, further settings."""

import os
import shlex

import slicer
from slicer.i18n import tr as _

from softseg.errors import InputError
from softseg.requests import file_name
from softseg.resources import label_tree_path
from softseg.tree import LabelTree

from ...Exchange.LabelMatching import treeOfSegments
from ...Exchange.LabelReader import layersOf, segmentColors, segmentNames
from ...Exchange.TreeSuggestions import shippedByFit
from ...Training.RecipeTexts import recipeTexts
from ..Widgets.DeviceList import DeviceChoice
from ..Widgets.Selectors import chosen

OWN, OF_SEGMENTATION, OF_DATASET, SHIPPED, FILE, ASK = "own", "segmentation", "dataset", "shipped", "file", "ask"
NARROWEST = 330
"""Width in pixels that long texts have room for in a panel of 400 pixels."""
TREE_FILES = "Label trees (*.json *.txt *.csv *.ctbl *.label *.tsv);;All files (*)"


class TrainChoices:
    """Ties the selectors of the part "Training settings" together.

    Parameters
    ----------
    ui: the panel's widgets by name.
    context: PanelContext.
    onChanged: called without arguments when a choice changes.
    """

    def __init__(self, ui, context, onChanged):
        self._ui, self._context, self._onChanged = ui, context, onChanged
        self._source, self._files, self._before, self._filling = None, [], 0, False
        for name, text in recipeTexts().items():
            ui.recipeSelector.addItem(name, text)
        for text, minutes in (
            (_("10 minutes"), 10),
            (_("30 minutes"), 30),
            (_("1 hour"), 60),
            (_("4 hours"), 240),
            (_("12 hours (overnight)"), 720),
            (_("All steps of the recipe"), 0),
        ):
            ui.timeSelector.addItem(text, minutes)
        ui.timeSelector.currentIndex = 2
        self._devices = DeviceChoice(ui.deviceSelector, context.devices, without=("mps",))  # it cannot train
        ui.recipeSelector.currentIndexChanged.connect(self._onRecipe)
        ui.treeSelector.currentIndexChanged.connect(self._onTree)
        if not ui.folderEdit.currentPath:
            ui.folderEdit.currentPath = os.path.join(os.path.expanduser("~"), "SoftSeg")
        self._onRecipe()

    def offerTrees(self, source, cases):
        """Offer the trees that fit where the examples come from.

        Parameters
        ----------
        source: ``"scene"`` or ``"file"``.
        cases: SceneCases of the scene.
        """
        entries = []
        if source == "file":
            entries.append((_("As in the dataset"), OF_DATASET, ""))
        else:
            managed = [case.labels for case in cases if self._context.logic.results.isManaged(case.labels)]
            if managed:
                entries.append(
                    (_("Tree of {name}").format(name=managed[0].GetName()), OF_SEGMENTATION, managed[0].GetID())
                )
            entries.append((_("Names of the segments, one level"), OWN, ""))
        made = [case.labels for case in cases if not self._context.logic.results.isManaged(case.labels)]
        ranked = shippedByFit(made[0] if source != "file" and made else None)
        entries += [(text, SHIPPED, name) for name, text in ranked]
        entries += [(os.path.basename(path), FILE, path) for path in self._files]
        entries.append((_("From a file…"), ASK, ""))
        self._fill(entries, keep=source == self._source and self._chosen())
        self._source = source

    def tree(self, cases):
        """Return the chosen LabelTree; None for that of the dataset.

        Parameters
        ----------
        cases: SceneCases whose segments name the leaves of an own tree.

        Raises
        ------
        InputError: the file is no tree, or there is no segment.
        """
        kind, what = self._chosen()
        if kind == SHIPPED:
            return LabelTree.load(label_tree_path(what))
        if kind == FILE:
            return LabelTree.load(what)
        if kind == OWN:
            return ownTree(cases)
        if kind == OF_SEGMENTATION:
            return self._treeOfNode(what)
        return None

    @property
    def recipe(self):
        """Name of the recipe."""
        return self._ui.recipeSelector.currentText

    @property
    def minutes(self):
        """The time budget, None for none."""
        return chosen(self._ui.timeSelector) or None

    @property
    def device(self):
        """Name of the device for the engine."""
        return chosen(self._ui.deviceSelector)

    def sets(self):
        """Return the further settings, ``["key=value", ...]``.

        Raises
        ------
        InputError: an entry is not of that form.
        """
        text = self._ui.settingsEdit.text
        try:
            parts = shlex.split(text)
        except ValueError as error:
            raise InputError(f"settings cannot be read: {error}", hint="close the quotation marks") from error
        for part in parts:
            if not part.partition("=")[1] or part.startswith("="):
                raise InputError(f"expected key=value in the settings, got {part!r}", hint="for example steps=2000")
        return parts

    def newFolder(self, name):
        """Return a folder for a new training, which does not exist yet.

        Raises
        ------
        InputError: no folder is chosen.
        """
        parent = self._ui.folderEdit.currentPath.strip()
        if not parent:
            raise InputError("no folder is chosen for the training", hint="choose one under 'Save in'")
        number, name = 1, file_name(name)
        folder = os.path.join(parent, name)
        while os.path.exists(folder):
            number += 1
            folder = os.path.join(parent, f"{name}-{number}")
        return folder

    def _treeOfNode(self, nodeId):
        node = slicer.mrmlScene.GetNodeByID(nodeId)
        if node is None:
            raise InputError("the segmentation with the chosen tree was removed", hint="choose a label tree")
        return self._context.logic.results.treeOf(node)

    def _chosen(self):
        data = chosen(self._ui.treeSelector)
        return tuple(data.split("|", 1)) if data else (OWN, "")

    def _fill(self, entries, keep):
        self._filling = True
        selector = self._ui.treeSelector
        selector.clear()
        place = 0
        for n, (text, kind, what) in enumerate(entries):
            selector.addItem(text, f"{kind}|{what}")
            if keep == (kind, what):
                place = n
        selector.currentIndex = self._before = place
        self._filling = False

    def _onRecipe(self, *_args):
        label = self._ui.recipeLabel
        label.text = chosen(self._ui.recipeSelector) or ""
        label.minimumHeight = label.heightForWidth(NARROWEST)  # collapsible sections do not ask for height by width
        self._onChanged()

    def _onTree(self, *_args):
        if self._filling:
            return
        if self._chosen()[0] == ASK:
            path = self._context.dialogs.askOpenFile(_("Label tree"), TREE_FILES)
            self._ui.treeSelector.currentIndex = self._before
            if path:
                self._addFile(path)
            return
        self._before = self._ui.treeSelector.currentIndex
        self._onChanged()

    def _addFile(self, path):
        if path not in self._files:
            self._files.append(path)
            place = self._ui.treeSelector.count - 1
            self._filling = True
            self._ui.treeSelector.insertItem(place, os.path.basename(path), f"{FILE}|{path}")
            self._filling = False
        self._ui.treeSelector.currentIndex = self._ui.treeSelector.findData(f"{FILE}|{path}")


def ownTree(cases):
    """Return a tree of one level from the names of all segments, or of the label maps' colours.

    Raises
    ------
    InputError: there is no segment.
    """
    names, colors, values = [], {}, {}
    for case in cases:
        if case.labels.IsA("vtkMRMLSegmentationNode"):
            names += segmentNames(case.labels).values()
            colors.update(segmentColors(case.labels))
        else:  # with the values of the label map, so that names and values say the same
            found = {name: value for value, name in layersOf(case.labels)[0].labels if value}
            names += found
            values = found | values
    return treeOfSegments(names, colors, "own structures", values)
