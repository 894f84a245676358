"""The list of scans of the scene that a training learns from."""

import qt
import slicer
from slicer.i18n import tr as _

from SoftSegSlicerLib.Panels.Widgets.AsWritten import asWritten

from ...Training.SceneDataset import SceneCase, personOf
from ..Widgets.Selectors import chosen

CHANNEL = "image"
VOLUME, LABELS, PERSON, USE = range(4)
ROW_HEIGHT = 22


class TrainCases:
    """Ties the table of cases and its two selectors together.

    Parameters
    ----------
    ui: the panel's widgets by name.
    onChanged: called without arguments when the list changes.
    onAdded: called with the labels of a case that people added.
    """

    def __init__(self, ui, onChanged, onAdded):
        self._ui, self._onChanged, self._onAdded = ui, onChanged, onAdded
        self._cases, self._filling = [], False
        table = ui.caseTable
        table.columnCount = 4
        table.setHeaderLabels([_("Scan"), _("Labels"), _("Person"), _("Use")])
        header = table.header()
        header.stretchLastSection = False
        for column in (VOLUME, LABELS, PERSON):
            header.setSectionResizeMode(column, qt.QHeaderView.Stretch)
        header.setSectionResizeMode(USE, qt.QHeaderView.Fixed)
        header.resizeSection(USE, 92)
        ui.labelsSelector.currentNodeChanged.connect(self._onLabelsChosen)
        ui.volumeSelector.currentNodeChanged.connect(self._updateButtons)
        ui.addCaseButton.clicked.connect(self._onAdd)
        ui.removeCaseButton.clicked.connect(self._onRemove)
        table.itemSelectionChanged.connect(self._updateButtons)
        table.itemChanged.connect(self._onItemChanged)
        self._updateButtons()

    def cases(self):
        """Return the SceneCases as they stand."""
        return list(self._cases)

    def add(self, volumeNode, labelsNode):
        """Add a case; every fifth person or so is for validation, so that there is something to judge by."""
        case = SceneCase({CHANNEL: volumeNode}, labelsNode)
        people = {personOf(other) for other in self._cases if other.split == "train"}
        if len(people) >= 2 and not any(other.split == "val" for other in self._cases):
            case.split = "val"
        self._cases.append(case)
        self._fill()

    def clear(self):
        """Forget all cases, as when the scene is closed."""
        self._cases = []
        self._fill()

    def refresh(self):
        """Drop cases whose nodes were deleted; show names as they are now."""
        scene = slicer.mrmlScene
        self._cases = [
            case for case in self._cases if scene.IsNodePresent(case.volume) and scene.IsNodePresent(case.labels)
        ]
        self._fill()

    def _fill(self):
        self._filling = True
        table = self._ui.caseTable
        table.clear()
        for case in self._cases:
            item = qt.QTreeWidgetItem(table)
            item.setText(VOLUME, case.volume.GetName())
            item.setToolTip(VOLUME, asWritten(case.volume.GetName()))
            item.setText(LABELS, case.labels.GetName())
            item.setToolTip(LABELS, asWritten(case.labels.GetName()))
            item.setText(PERSON, personOf(case))
            item.setToolTip(PERSON, _("Double-click to enter the person"))
            item.setFlags(item.flags() | qt.Qt.ItemIsEditable)
            table.setItemWidget(item, USE, self._useBox(case))
        table.minimumHeight = table.maximumHeight = ROW_HEIGHT * (1 + min(max(len(self._cases), 3), 8)) + 6
        self._filling = False
        self._updateButtons()
        self._onChanged()

    def _useBox(self, case):
        box = qt.QComboBox()
        box.addItem(_("Training"), "train")
        box.addItem(_("Validation"), "val")
        box.currentIndex = 0 if case.split == "train" else 1
        box.toolTip = _(
            "Training: used to fit the model. Validation: never trained on, used to select and score the model."
        )

        def choose(*_args):
            case.split = chosen(box)
            self._onChanged()

        box.currentIndexChanged.connect(choose)
        return box

    def _onItemChanged(self, item, column, *_args):
        if self._filling:
            return
        case = self._cases[self._ui.caseTable.indexOfTopLevelItem(item)]
        if column == PERSON:
            case.person = item.text(PERSON).strip()
        self._filling = True
        item.setText(VOLUME, case.volume.GetName())  # only the person may be typed
        item.setText(LABELS, case.labels.GetName())
        item.setText(PERSON, personOf(case))
        self._filling = False
        self._onChanged()

    def _onLabelsChosen(self, *_args):
        """Suggest the volume that the labels were drawn on."""
        labels = self._ui.labelsSelector.currentNode()
        if labels is not None and labels.IsA("vtkMRMLSegmentationNode"):
            volume = labels.GetNodeReference(slicer.vtkMRMLSegmentationNode.GetReferenceImageGeometryReferenceRole())
            if volume is not None:
                self._ui.volumeSelector.setCurrentNode(volume)
        self._updateButtons()

    def _onAdd(self, *_args):
        labels = self._ui.labelsSelector.currentNode()
        self.add(self._ui.volumeSelector.currentNode(), labels)
        self._onAdded(labels)

    def _onRemove(self, *_args):
        table = self._ui.caseTable
        gone = {table.indexOfTopLevelItem(item) for item in table.selectedItems()}
        self._cases = [case for place, case in enumerate(self._cases) if place not in gone]
        self._fill()

    def _updateButtons(self, *_args):
        chosen = self._ui.volumeSelector.currentNode() is not None and self._ui.labelsSelector.currentNode() is not None
        self._ui.addCaseButton.enabled = chosen
        self._ui.removeCaseButton.enabled = bool(self._ui.caseTable.selectedItems())
