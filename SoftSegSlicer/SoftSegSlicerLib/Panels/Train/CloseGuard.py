"""Asking, before the application closes, what becomes of a training that runs."""

import qt

__all__ = ["CloseGuard"]


class CloseGuard(qt.QWidget):
    """Watches the main window: asks first, and acts only when the window really closes.

    The application asks a question of its own (whether to save the scene), which can be answered with "do not close".
    So the event is handed on from here, and what it became is looked at.

    Parameters
    ----------
    window: the main window.
    ask: called without arguments when the window is asked to close; returns what is to be done should it close, a
        callable, or None for nothing.
    """

    def __init__(self, window, ask):
        qt.QWidget.__init__(self)
        self._window, self._ask, self._asking = window, ask, False
        window.installEventFilter(self)

    def eventFilter(self, watched, event):
        """Ask, let the window and other filters decide, and do what was asked for if they let it close."""
        if event.type() != qt.QEvent.Close or self._asking:
            return False
        self._asking = True
        try:
            act = self._ask()
            if act is None:
                return False
            qt.QCoreApplication.sendEvent(watched, event)
            if event.isAccepted():
                act()
        finally:
            self._asking = False
        return True

    def release(self):
        """Stop watching."""
        self._window.removeEventFilter(self)
        self.deleteLater()
