"""Asks what becomes of voxels that segments contradict each other about."""

from slicer.i18n import tr as _

from ...Exchange.LabelItems import FIRST, REFUSE, ContradictionError
from .MessageLine import sentence
from .Stepwise import Stepwise

__all__ = ["AskingStepwise", "mayTakeFirst", "withOverlaps"]


def mayTakeFirst(error, dialogs):
    """Whether this is an error about contradicting segments, and people let the first of them have the voxels."""
    if not isinstance(error, ContradictionError):
        return False
    question = _("{what} Give these voxels to the first of them in the list?")
    return dialogs.confirm(question.format(what=sentence(error.plain)), _("Segments contradict each other"))


def withOverlaps(dialogs, action):
    """Return ``action(REFUSE)``, or ``action(FIRST)`` where segments contradict each other and people want that."""
    try:
        return action(REFUSE)
    except ContradictionError as error:
        if not mayTakeFirst(error, dialogs):
            raise
    return action(FIRST)


class AskingStepwise:
    """Work in small steps that begins again where segments contradict each other and the first shall win.

    Parameters
    ----------
    dialogs: asks people.
    start: called with REFUSE or FIRST; returns the steps.
    onProgress, onDone, onError: as for :class:`Panels.Widgets.Stepwise.Stepwise`.
    """

    def __init__(self, dialogs, start, onProgress, onDone, onError):
        self._dialogs, self._start = dialogs, start
        self._onProgress, self._onDone, self._onError = onProgress, onDone, onError
        self._work = self._begin(REFUSE)

    def cancel(self):
        """Stop; nothing is called any more."""
        self._work.cancel()

    def _begin(self, overlaps):
        return Stepwise(self._start(overlaps), self._onProgress, self._onDone, self._failed)

    def _failed(self, error):
        if mayTakeFirst(error, self._dialogs):
            self._work = self._begin(FIRST)
        else:
            self._onError(error)
