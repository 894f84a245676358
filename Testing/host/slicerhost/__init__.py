"""A stand-in for the Qt half of 3D Slicer: the modules ``qt``, ``ctk`` and the parts of ``slicer`` that the wheel
slicer-core lacks, on PySide6. See README.md beside this package for what it does not imitate.

``install()`` first; after it, module code runs as in the application.
"""

from __future__ import annotations

import sys

_installed = False


def install() -> None:
    """Put ``qt``, ``ctk`` and the missing parts of ``slicer`` where ``import`` finds them; a second call does nothing.

    An application (``slicer.app``) and an empty scene (``slicer.mrmlScene``) exist afterwards.
    """
    global _installed
    if _installed:
        return
    _installed = True
    from slicerhost import properties

    properties.install()
    from slicerhost import qtmodule

    sys.modules["qt"] = qtmodule.make()
    from slicerhost import ctkwidgets

    sys.modules["ctk"] = ctkwidgets.make()
    from slicerhost import slicermodules

    slicermodules.install()
