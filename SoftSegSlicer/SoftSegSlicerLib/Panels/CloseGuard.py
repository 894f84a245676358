"""Asking before the application closes while a training runs."""

import qt

__all__ = ["CloseGuard"]


class CloseGuard(qt.QWidget):
    """Watches the main window; it closes unless the question is answered with "do not".

    Parameters
    ----------
    window: the main window.
    mayClose: called without arguments when the window is asked to close; returns whether it may.
    """

    def __init__(self, window, mayClose):
        qt.QWidget.__init__(self)
        self._window, self._mayClose = window, mayClose
        window.installEventFilter(self)

    def eventFilter(self, _watched, event):
        """Ask when the window is about to close."""
        if event.type() == qt.QEvent.Close and not self._mayClose():
            event.ignore()
            return True
        return False

    def release(self):
        """Stop watching."""
        self._window.removeEventFilter(self)
        self.deleteLater()
