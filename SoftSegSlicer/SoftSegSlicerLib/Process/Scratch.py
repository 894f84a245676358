"""Temporary files of the module, with one owner. Needs no Qt."""

from __future__ import annotations

import os

from softseg.files import ScratchFolder


def newFolder():
    """Return a new folder in the application's folder for temporary files: ``path``, ``close()``, or a with block.

    It is private to the user and goes with the object. What was left because the application was killed is removed
    when the next folder is made.
    """
    import slicer

    application = getattr(slicer, "app", None)  # there is none in scripts that use the libraries alone
    return ScratchFolder(None if application is None else os.path.join(application.temporaryPath, "SoftSeg", "scratch"))
