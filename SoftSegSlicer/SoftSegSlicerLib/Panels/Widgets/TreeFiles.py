"""Asking for files of label trees, in every format of the engine."""

from pathlib import Path

from slicer.i18n import tr as _

from softseg.tree import LabelTree

__all__ = ["SAVE_FORMATS", "askOpenTree", "askSaveTree", "askTreeFile"]

OPEN_PATTERNS = "*.json *.txt *.csv *.tsv *.ctbl *.label *.lbl *.lut"

SAVE_FORMATS = {
    "json": "*.json",
    "csv": "*.csv",
    "text": "*.txt",
    "slicer-csv": "*_colors.csv",
    "ctbl": "*.ctbl",
    "freesurfer": "*LUT.txt",
    "itk-snap": "*.label",
    "dseg": "*.tsv",
}
"""From each format of softseg.tree.FORMATS to the names of its files."""


def formatTitle(name: str) -> str:
    """Return what people call a format."""
    return {
        "json": _("Label tree, complete"),
        "csv": _("Table with a column for each level"),
        "text": _("Indented text"),
        "slicer-csv": _("Slicer color table with terminology"),
        "ctbl": _("Slicer color table"),
        "freesurfer": _("FreeSurfer look-up table"),
        "itk-snap": _("ITK-SNAP label description"),
        "dseg": _("BIDS segmentation labels"),
    }[name]


def askOpenTree(dialogs) -> LabelTree | None:
    """Ask for a file and return its tree, ``None`` where the user thought better of it (InputError: no tree)."""
    path = askTreeFile(dialogs)
    return LabelTree.load(path) if path else None


def askTreeFile(dialogs) -> str:
    """Ask for the file of a tree; empty where the user thought better of it."""
    filters = [_("Label trees ({patterns})").format(patterns=OPEN_PATTERNS), _("All files (*)")]
    return dialogs.askOpenFile(_("Open a label tree"), ";;".join(filters))


def askSaveTree(dialogs, tree: LabelTree) -> str:
    """Ask where to write a tree; empty where the user thought better of it. The file's ending tells the format."""
    filters = ";;".join(f"{formatTitle(name)} ({pattern})" for name, pattern in SAVE_FORMATS.items())
    path = dialogs.askSaveFile(_("Save the label tree"), f"{tree.name or 'tree'}.json", filters)
    return f"{path}.json" if path and not Path(path).suffix else path
