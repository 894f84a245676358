"""Counting the volumes of a result between what the user does, so that the window does not wait for it."""

from SoftSegSlicerLib.Panels.Widgets.Stepwise import Stepwise

__all__ = ["VolumeCount"]


class VolumeCount:
    """Counts for one segmentation at a time.

    Parameters
    ----------
    logic: SoftSegSlicerLogic.
    """

    def __init__(self, logic):
        self._logic, self._work = logic, None

    def start(self, segmentationNode, onDone):
        """Begin, instead of what was counted before; ``onDone()`` is called when the volumes are known."""
        self.stop()
        steps = self._steps(segmentationNode)
        self._work = Stepwise(steps, _ignore, onDone, lambda _error: onDone())  # who needs the volumes says why not

    def stop(self):
        """Count no further."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()

    def _steps(self, segmentationNode):
        if segmentationNode.GetScene() is not None:
            yield from self._logic.volumes.count(segmentationNode)


def _ignore(*_args):
    """Take a step that nobody shows."""
