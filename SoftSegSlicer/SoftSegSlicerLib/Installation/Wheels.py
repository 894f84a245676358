"""A folder of wheels that stands in for the package index, for computers without internet."""

from __future__ import annotations

import os

import slicer
from slicer.i18n import tr as _

from softseg.errors import InputError

VARIABLE, SETTING = "SOFTSEG_WHEELS", "SoftSegSlicer/WheelsFolder"


def wheelsFolder():
    """Return the folder named by the environment variable or the setting; empty where there is none.

    Raises
    ------
    InputError: the folder is not there.
    """
    folder = os.environ.get(VARIABLE) or slicer.app.userSettings().value(SETTING) or ""
    if folder and not os.path.isdir(folder):
        raise InputError(
            _("there is no such folder of wheels"),
            file=folder,
            field=VARIABLE if os.environ.get(VARIABLE) else SETTING,
            hint=_("fill it with 'pip download' (docs/installation.md), or remove the setting"),
        )
    return folder


def pipArguments(folder):
    """Return the options with which pip takes everything from a folder of wheels; none for the package index."""
    return ["--no-index", "--find-links", folder] if folder else []
