"""A page of the module's tabs: what does not fit scrolls inside of it, so that the tabs stay in sight."""

import qt

__all__ = ["ScrollPage"]


class ScrollPage(qt.QObject):
    """Puts a panel into a scroll area that is never narrower than the panel.

    Parameters
    ----------
    panel: the panel's widget.

    Attributes
    ----------
    area: the QScrollArea.
    """

    def __init__(self, panel):
        self.area = qt.QScrollArea()
        qt.QObject.__init__(self, self.area)
        self.area.frameShape = qt.QFrame.NoFrame
        self.area.horizontalScrollBarPolicy = qt.Qt.ScrollBarAlwaysOff
        self.area.widgetResizable = True
        self._panel = panel
        self.area.setWidget(panel)
        panel.installEventFilter(self)
        self._widen()

    def eventFilter(self, _watched, event):
        """Follow the panel's layout."""
        if event.type() == qt.QEvent.LayoutRequest:
            self._widen()
        return False

    def _widen(self):
        bar = self.area.verticalScrollBar().sizeHint
        width = self._panel.minimumSizeHint.width() + bar.width()
        if self.area.minimumWidth != width:
            self.area.minimumWidth = width
