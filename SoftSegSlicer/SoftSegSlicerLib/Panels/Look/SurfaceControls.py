"""The button *Show 3D*: surfaces of the segments that are shown, made between what the user does."""

import time

import slicer
from slicer.i18n import tr as _

from ..Widgets.Stepwise import Stepwise

__all__ = ["SurfaceControls"]

_DRAW_SECONDS = 0.4


class SurfaceControls:
    """Ties the button to the surfaces of the segmentation that the Look panel shows.

    Parameters
    ----------
    button: a checkable button.
    logic: SoftSegSlicerLogic; surfaces that any of its acts leaves to be made are made here.
    attempt: runs an action and shows its error; returns what it returned.
    """

    def __init__(self, button, logic, attempt):
        self._button, self._logic, self._attempt = button, logic, attempt
        self._node, self._tag, self._work, self._drawn = None, None, {}, 0.0
        button.clicked.connect(lambda *_args: self._onClicked())
        logic.surfaces.onWanted = self.make
        self.show(None)

    def show(self, node):
        """Follow the surfaces of a segmentation with a label tree; None: of none."""
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = node
        if node is not None:
            event = slicer.vtkSegmentation.ContainedRepresentationNamesModified
            self._tag = node.AddObserver(event, lambda *_args: self._update())
        self._update()

    def make(self, node):
        """Make the surfaces that a segmentation lacks, a moment at a time."""
        steps = self._logic.surfaces.steps(node)
        if node.GetID() in self._work:
            self._work[node.GetID()].cancel()

        def onProgress(done, total):
            if node is self._node:
                self._button.text = _("Show 3D ({done} of {total})").format(done=done, total=total)
            if time.monotonic() - self._drawn > _DRAW_SECONDS:
                self._drawn = time.monotonic()
                self._logic.surfaces.draw(node)

        def onDone():
            self._work.pop(node.GetID(), None)
            self._logic.surfaces.draw(node)
            self._update()

        self._drawn = time.monotonic()
        self._work[node.GetID()] = Stepwise(steps, onProgress, onDone, lambda _error: onDone())

    def stop(self):
        """Let go of the scene."""
        for work in self._work.values():
            work.cancel()
        self._work.clear()
        self._logic.surfaces.onWanted = None
        self.show(None)

    def _onClicked(self):
        node, on = self._node, self._button.checked
        if node is not None:
            self._attempt(lambda: self._logic.surfaces.show(node, on))
        self._update()

    def _update(self):
        self._button.enabled = self._node is not None
        self._button.checked = self._node is not None and self._logic.surfaces.areShown(self._node)
        if self._node is None or self._node.GetID() not in self._work:
            self._button.text = _("Show 3D")
