"""Where the engine (the Python package softseg) is, and how it is started."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path

_MODULE = Path(__file__).resolve().parents[1]


def folder():
    """Return the folder that holds the package: beside the module where it is installed, ``core`` in the source tree.

    Raises
    ------
    ImportError: it is in neither.
    """
    for place in (_MODULE, _MODULE.parent / "core"):
        if (place / "softseg" / "__init__.py").is_file():
            return place
    raise ImportError(f"the package softseg is neither in {_MODULE} nor in {_MODULE.parent / 'core'}")


def makeImportable():
    """Put the engine on the path of this Python unless it is there already."""
    if importlib.util.find_spec("softseg") is None:
        sys.path.insert(0, str(folder()))


def pythonExecutable():
    """Return the program that runs Python with the application's packages."""
    return shutil.which("PythonSlicer") or sys.executable
