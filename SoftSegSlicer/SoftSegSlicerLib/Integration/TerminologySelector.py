"""DICOM codes of a structure chosen in Slicer's own terminology browser, where the application has it."""

from types import SimpleNamespace

import qt
import slicer

from softseg.tree import Code, Terminology

from ..Scene.TerminologyEntry import terminologyText


def isThere():
    """Whether the application has the browser; else the codes are typed into the table."""
    return hasattr(slicer, "qSlicerTerminologyNavigatorWidget")


def askTerminology(terminology, title, parent=None):
    """Return the Terminology that is chosen, beginning with one or None; None: nothing was chosen."""
    browser = slicer.qSlicerTerminologyNavigatorWidget()
    browser.overrideSectionVisible = False  # name and colour have their own fields
    browser.setTerminologyEntry(entryOf(terminology))
    dialog = qt.QDialog(parent)
    dialog.objectName = "SoftSegTerminologyDialog"
    dialog.windowTitle = title
    layout = qt.QVBoxLayout(dialog)
    layout.addWidget(browser)
    buttons = qt.QDialogButtonBox()
    buttons.addButton(qt.QDialogButtonBox.Ok)
    buttons.addButton(qt.QDialogButtonBox.Cancel)
    layout.addWidget(buttons)
    buttons.accepted.connect(dialog.accept)
    buttons.rejected.connect(dialog.reject)
    browser.typeDoubleClicked.connect(dialog.accept)
    dialog.resize(900, 600)
    accepted = dialog.exec_() if hasattr(dialog, "exec_") else dialog.exec()
    entry = slicer.vtkSlicerTerminologyEntry()
    chosen = bool(accepted) and browser.terminologyEntry(entry)
    dialog.deleteLater()
    return terminologyOfEntry(entry) if chosen else None


def entryOf(terminology):
    """Return a Terminology, or that of a tissue for None, as vtkSlicerTerminologyEntry."""
    entry = slicer.vtkSlicerTerminologyEntry()
    text = terminologyText(SimpleNamespace(terminology=terminology))
    slicer.vtkSlicerTerminologiesModuleLogic().DeserializeTerminologyEntry(text, entry)
    return entry


def terminologyOfEntry(entry):
    """Return the Terminology of a vtkSlicerTerminologyEntry; None where it has no category or type."""
    category, type_ = _code(entry.GetCategoryObject()), _code(entry.GetTypeObject())
    if category is None or type_ is None:
        return None
    region = _code(entry.GetRegionObject())
    return Terminology(
        category,
        type_,
        type_modifier=_code(entry.GetTypeModifierObject()),
        region=region,
        region_modifier=None if region is None else _code(entry.GetRegionModifierObject()),
    )


def _code(coded):
    parts = None if coded is None else (coded.GetCodeValue(), coded.GetCodingSchemeDesignator(), coded.GetCodeMeaning())
    return Code(*parts) if parts is not None and all(parts) else None
