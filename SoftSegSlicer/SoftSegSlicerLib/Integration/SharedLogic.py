"""The one logic of the application, for whatever comes from outside the module's window: files, menus, statistics."""

import slicer

from ..SoftSegSlicerLogic import SoftSegSlicerLogic

_held = {}


def sharedLogic():
    """Return the SoftSegSlicerLogic that the application shares, made when it is first asked for."""
    if "logic" not in _held:
        logic = _held["logic"] = SoftSegSlicerLogic()
        scene = slicer.mrmlScene
        _held["scene"] = scene
        _held["tags"] = [
            scene.AddObserver(scene.EndCloseEvent, lambda *_arguments: logic.forget()),
            scene.AddObserver(scene.EndImportEvent, lambda *_arguments: logic.folding.showMissing()),
        ]
    return _held["logic"]


def dropSharedLogic():
    """Let go of it, as when the module is unloaded; the next who asks gets a new one."""
    if "logic" in _held:
        for tag in _held["tags"]:
            _held["scene"].RemoveObserver(tag)
        _held.clear()


def moduleWindow():
    """Return the module's widget, None while nobody has opened the module."""
    return getattr(slicer.modules, "SoftSegSlicerWidget", None)
