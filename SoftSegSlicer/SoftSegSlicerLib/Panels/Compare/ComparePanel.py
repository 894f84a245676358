"""Compare: a result against a reference, per level and structure, and the way to what is wrong."""

import os

import qt
import slicer
from slicer.i18n import tr as _

from softseg.errors import InputError, SoftSegError
from softseg.resources import label_tree_path
from softseg.tree import LabelTree

from ...Compare.Comparison import Comparison
from ...Compare.ComparisonNodes import ComparisonNodes, jump
from ...Compare.ComparisonTables import place, tablesAreThere
from ...Dependencies import DeclinedError, Dependencies
from ...Exchange.TreeSuggestions import shippedByFit
from ...Process import Scratch
from ...Process.Runner import CANCELLED, FAILED
from ...Scene import Layouts
from ..Widgets.MessageLine import MessageLine
from ..Widgets.PanelWidgets import loadPanel
from ..Widgets.Selectors import chosen
from .CompareCorrections import CompareCorrections
from .CompareMatches import chosenMappings
from .CompareRun import CompareRun
from .CompareTables import CompareTables, detail

OF_RESULT, SHIPPED, FILE, ASK = "result", "shipped", "file", "ask"


class ComparePanel:
    """The panel; see the module's documentation of panels.

    Parameters
    ----------
    context: PanelContext.

    Attributes
    ----------
    dependencies: asks for and installs what is missing; tests replace it.
    """

    def __init__(self, context):
        self._context = context
        self.widget, self.ui = loadPanel("ComparePanel")
        ui = self.ui
        self._message = MessageLine(ui.messageLabel)
        self._run, self._comparison = None, None
        self.dependencies = Dependencies(context)
        self._folder, self._resultId, self._treeFile = None, "", ""
        self._nodes, self.result = ComparisonNodes(slicer.mrmlScene), None
        self._corrections = CompareCorrections(context, ui)
        self.tables = CompareTables(ui, self._onLevel, self._onStructure)
        ui.placeSelector.addItem(_("the largest error"), "error")
        ui.placeSelector.addItem(_("the centre"), "center")
        context.mapFilter.apply(ui.resultSelector, ui.referenceSelector)
        ui.resultSelector.currentNodeChanged.connect(self._onResult)
        ui.referenceSelector.currentNodeChanged.connect(self._update)
        ui.treeSelector.currentIndexChanged.connect(self._onTree)
        ui.compareButton.clicked.connect(self._onCompare)
        ui.cancelButton.clicked.connect(self._onCancel)
        ui.plotButton.clicked.connect(self._onPlot)
        ui.tableButton.clicked.connect(self._onTable)
        ui.reportButton.clicked.connect(self._onReport)
        ui.saveButton.clicked.connect(self._onSave)
        context.addObserver("segmentationChanged", self._onSegmentation)
        context.addObserver("corrected", self._onCorrected)
        self._filling = False
        self._onSegmentation()
        self._fillTrees()

    def refresh(self):
        """Catch up with the scene; called when the panel comes to the front."""
        self._onSegmentation()
        self._fillTrees()

    def cleanup(self):
        """Stop what works, and remove temporary files."""
        self._stop()
        self._context.removeObserver("segmentationChanged", self._onSegmentation)
        self._context.removeObserver("corrected", self._onCorrected)
        self._discardFolder()

    def onSceneStartClose(self):
        """Stop a comparison of nodes that go away, and forget the one that is shown."""
        self._stop()
        self._message.clear()
        self.ui.resultFrame.visible = False

    def onSceneEndClose(self):
        """Begin again with the new scene."""
        self._fillTrees()

    # -- choosing -------------------------------------------------------------------------------------------------

    def _onSegmentation(self, **_data):
        if self.ui.resultSelector.currentNode() is None and self._context.segmentation is not None:
            self.ui.resultSelector.setCurrentNode(self._context.segmentation)

    def _onResult(self, *_args):
        self._fillTrees()

    def _onCorrected(self, node, **_data):
        if node is self.ui.resultSelector.currentNode():
            self._update()

    def _fillTrees(self):
        result = self.ui.resultSelector.currentNode()
        managed = self._context.logic.results.isManaged(result)
        entries = [(_("Same as the result"), OF_RESULT)] if managed else []
        entries += [(text, f"{SHIPPED}|{name}") for name, text in shippedByFit(None if managed else result)]
        if self._treeFile:
            entries.append((os.path.basename(self._treeFile), FILE))
        entries.append((_("From a file…"), ASK))
        before = chosen(self.ui.treeSelector)
        self._filling = True
        self.ui.treeSelector.clear()
        for text, data in entries:
            self.ui.treeSelector.addItem(text, data)
        kept = [data for _text, data in entries]
        self.ui.treeSelector.currentIndex = kept.index(before) if before in kept and not managed else 0
        self._filling = False
        self._update()

    def _onTree(self, *_args):
        if self._filling:
            return
        if chosen(self.ui.treeSelector) == ASK:
            path = self._context.dialogs.askOpenFile(_("Label tree"), _("Label trees") + " (*.json *.txt *.csv);;* (*)")
            self._treeFile = path or self._treeFile
            self._fillTrees()
            if path:
                self.ui.treeSelector.currentIndex = self.ui.treeSelector.findData(FILE)
        self._update()

    def _tree(self):
        data = chosen(self.ui.treeSelector) or OF_RESULT
        if data.startswith(SHIPPED):
            return LabelTree.load(label_tree_path(data.partition("|")[2]))
        return LabelTree.load(self._treeFile) if data == FILE else None

    @property
    def busy(self):
        """Whether a comparison is under way."""
        return self._run is not None

    def _update(self, *_args):
        self._corrections.refresh()
        missing = self.ui.resultSelector.currentNode() is None or self._corrections.reference is None
        self.ui.compareButton.enabled = ready = not missing and not self.busy
        why = _("A comparison is running.") if self.busy else _("Choose a result and a reference.")
        self.ui.compareButton.toolTip = _("Evaluate the result at every level") if ready else why
        self.ui.cancelButton.enabled = self.busy
        self.ui.progressBar.visible = self.busy

    # -- comparing ------------------------------------------------------------------------------------------------

    def _onCompare(self, *_args):
        self._message.clear()
        self.ui.resultFrame.visible = False
        result, reference = self.ui.resultSelector.currentNode(), self._corrections.reference
        self._discardFolder()
        self._folder = Scratch.newFolder()
        try:
            self.dependencies.ensure()
            mappings = chosenMappings(self._context, result, reference, self._tree())
            if mappings is None:
                return
            self._corrections.begin(result, reference)
            self._run = CompareRun(
                self._context,
                lambda overlaps: self._made(result, reference, mappings, overlaps),
                self._onWritten,
                self._onStart,
                self._onEvent,
                self._onEnd,
            )
        except DeclinedError:
            self._message.info(_("No packages were installed, so nothing was compared."))
            return
        except (SoftSegError, OSError) as error:
            self._message.error(error)
            return
        self._resultId, self._title = result.GetID(), result.GetName()
        self.result = None
        self._update()

    def _made(self, result, reference, mappings, overlaps):
        folder = str(self._folder.path)
        self._comparison = Comparison(
            self._context.logic, result, reference, folder, self._tree(), overlaps=overlaps, **mappings
        )
        return self._comparison

    def _onWritten(self, done, total):
        self.ui.progressBar.maximum, self.ui.progressBar.value = total, done

    def _onStart(self):
        if self._comparison.said:
            self._message.info(f"{self._comparison.said}.")
        self.ui.progressBar.maximum = 0  # busy

    def _onCancel(self, *_args):
        if self._run is not None and not self._run.cancel():
            self._run = None
        self._update()

    def _stop(self):
        run, self._run = self._run, None
        if run is not None:
            run.kill()
        self._update()

    def _onEvent(self, event):
        if event["event"] == "stage" and event["stage"] == "report" and tablesAreThere(str(self._folder.path)):
            self._show()  # the numbers are there; the report's pictures take longer
        elif event["event"] == "warning":
            self._message.info(self._comparison.inScene(event["text"]))

    def _onEnd(self, outcome):
        self._run = None
        if isinstance(outcome, SoftSegError):
            self._message.error(outcome)
        elif outcome.state == FAILED:
            self._message.error(self._comparison.inScene(outcome.text))
        elif outcome.state == CANCELLED:
            self._message.info(_("Cancelled."))
        else:
            self._show()
            self.ui.reportButton.enabled = self.ui.saveButton.enabled = True
        self._update()

    def _show(self):
        if self.result is None:
            try:
                self.result = self._comparison.tables()
            except InputError as error:
                self._message.error(error)
                return
            self.ui.reportButton.enabled = self.ui.saveButton.enabled = False
            self.ui.detailLabel.text = ""
            self.ui.resultFrame.visible = True
            self._nodes = self._nodes if self._nodes.of(slicer.mrmlScene) else ComparisonNodes(slicer.mrmlScene)
            self.tables.show(self.result)

    # -- looking --------------------------------------------------------------------------------------------------

    def _onLevel(self, level):
        name = _("leaves") if level == self.result.deepest else _("level {number}").format(number=f"{level:.0f}")
        count = len(self.tables.rows())
        text = _("{count} structures at {level}, worst first")
        if level == self.result.toldLevel < self.result.deepest:
            text = _("{count} structures at {level}, the finest level of the reference, worst first")
        elif level > self.result.toldLevel:
            text = _("{count} structures at {level}, below the finest level of the reference, worst first")
        self.ui.structureTitle.text = text.format(count=count, level=name)
        self._corrections.show(self.result, level, name)

    def _onStructure(self, row):
        node = slicer.mrmlScene.GetNodeByID(self._resultId)
        point = place(row, chosen(self.ui.placeSelector)) or place(row, "center")
        self.ui.detailLabel.text = detail(row)
        if node is None:
            self._message.info(_("The result is no longer in the scene."))
        elif point is not None:
            jump(node, self._comparison.ownPlace(point))

    def _onPlot(self, *_args):
        chart = self._nodes.bars(self.tables.rows(), self._title)
        self._nodes.belongTo(slicer.mrmlScene.GetNodeByID(self._resultId))
        Layouts.show(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpPlotView)
        slicer.modules.plots.logic().ShowChartInLayout(chart)

    def _onTable(self, *_args):
        table = self._nodes.write(self.result, self._title)
        self._nodes.belongTo(slicer.mrmlScene.GetNodeByID(self._resultId))
        selection = slicer.app.applicationLogic().GetSelectionNode()
        selection.SetActiveTableID(table.GetID())
        slicer.app.applicationLogic().PropagateTableSelection()
        Layouts.show(slicer.vtkMRMLLayoutNode.SlicerLayoutFourUpTableView)

    def _onReport(self, *_args):
        qt.QDesktopServices.openUrl(qt.QUrl.fromLocalFile(self.result.report))

    def _onSave(self, *_args):
        folder = self._context.dialogs.askFolder(_("Folder for tables and report"))
        if not folder:
            return
        try:
            self._comparison.copyTo(folder)
        except OSError as error:
            self._message.error(InputError(error.strerror or str(error), file=folder, hint=_("choose another folder")))
            return
        self._message.info(_("Saved in {folder}.").format(folder=folder))

    def _discardFolder(self):
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.close()
