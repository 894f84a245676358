"""Work in small pieces between what the user does, so that the window never waits for it."""

import time

import qt

from softseg.errors import SoftSegError

__all__ = ["Stepwise"]

PIECE_SECONDS = 0.05


class Stepwise:
    """Goes through a generator of ``(done, total)`` a moment at a time, beginning after the present event.

    Parameters
    ----------
    steps: the generator.
    onProgress: called with done and total.
    onDone: called without arguments after the last step; its errors go to ``onError`` too.
    onError: called with the error that ended it.
    errors: classes of errors that are told; others are defects.
    """

    def __init__(self, steps, onProgress, onDone, onError, errors=(SoftSegError,)):
        self._errors = errors
        self._steps, self._onProgress, self._onDone, self._onError = steps, onProgress, onDone, onError
        self._ended = False
        qt.QTimer.singleShot(0, self._go)

    def cancel(self):
        """Stop, leaving nothing half-written; nothing is called any more."""
        self._ended = True
        self._steps.close()

    def _go(self):
        if self._ended:
            return
        until = time.monotonic() + PIECE_SECONDS
        try:
            for done, total in self._steps:
                self._onProgress(done, total)
                if self._ended:
                    return
                if time.monotonic() > until:
                    qt.QTimer.singleShot(0, self._go)
                    return
            self._ended = True
            self._onDone()
        except self._errors as error:
            self._ended = True
            self._onError(error)
