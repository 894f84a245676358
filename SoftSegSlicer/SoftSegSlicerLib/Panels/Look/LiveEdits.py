"""Corrections while somebody still edits: taken a moment after the last change of the segments."""

import qt
import slicer

__all__ = ["LiveEdits"]

_MILLISECONDS = 400


class LiveEdits:
    """Follows the segments of one segmentation.

    Parameters
    ----------
    edited: called with the segmentation, a moment after its segments have changed, whoever did it.
    """

    def __init__(self, edited):
        self._edited = edited
        self._node, self._tags = None, []
        self._timer = qt.QTimer()
        self._timer.interval = _MILLISECONDS
        self._timer.timeout.connect(self._onTimeout)

    def follow(self, node):
        """Follow a segmentation, ``None`` for none."""
        if node is self._node:
            return
        self.stop()
        self._node = node
        if node is not None:
            events = slicer.vtkSegmentation
            self._tags = [
                node.AddObserver(event, self._onChanged)
                for event in (
                    events.SourceRepresentationModified,
                    events.ContainedRepresentationNamesModified,
                    events.SegmentRemoved,
                )
            ]

    def stop(self):
        """Follow nothing."""
        self._timer.stop()
        if self._node is not None:
            for tag in self._tags:
                self._node.RemoveObserver(tag)
        self._node, self._tags = None, []

    def _onChanged(self, *_args):
        self._timer.start()

    def _onTimeout(self):
        self._timer.stop()
        if self._node is not None and self._node.GetScene() is not None:
            self._edited(self._node)
