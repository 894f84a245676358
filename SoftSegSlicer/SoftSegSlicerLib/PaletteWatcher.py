"""Tells when the application goes from light to dark or back, so that coloured texts are written again."""

import qt


class PaletteWatcher(qt.QObject):
    """Watches one widget.

    Parameters
    ----------
    widget: the widget whose palette counts.
    callback: called without arguments after a change.
    """

    def __init__(self, widget, callback):
        qt.QObject.__init__(self)
        self._widget, self._callback = widget, callback
        widget.installEventFilter(self)

    def eventFilter(self, _watched, event):
        """Look at an event and let it pass."""
        if event.type() == qt.QEvent.PaletteChange:
            qt.QTimer.singleShot(0, self._tell)
        return False

    def cleanup(self):
        """Stop watching."""
        self._widget.removeEventFilter(self)
        self._callback = None

    def _tell(self):
        if self._callback is not None:
            self._callback()
