"""The tree of a panel above the settings that belong to it, or in a window of its own that is as high as the screen."""

import qt
import slicer

__all__ = ["TreeWindow"]

TREE_SHARE, TREE_HEIGHT, LEAST_BELOW = 0.62, 260, 60
"""The part with the tree gets this share of the height, or these pixels where what is below keeps at least its own."""
TREE_LEAST, SLACK = 160, 60
"""With this much height the tree is usable; by fewer pixels than this nothing moves below it."""
WINDOW_WIDTH, MARGIN = 420, 30
ROOM_BESIDE_VIEWS = 1600
"""Width of a main window in which the tree has room beside the views; in a narrower one it floats over them."""


class TreeWindow(qt.QObject):
    """Divides a panel's height between tree and settings, and moves the tree into a dock window and back.

    Parameters
    ----------
    splitter: the part with the tree, and a QScrollArea with the settings.
    button: checkable; on while the part has its own window.
    title: of the window.
    """

    def __init__(self, splitter, button, title):
        qt.QObject.__init__(self, splitter)
        self._splitter, self._button, self._title = splitter, button, title
        self._part, self._below = splitter.widget(0), splitter.widget(1)
        self._window, self._dragged = None, False
        splitter.setCollapsible(1, True)
        self._bottom = None
        splitter.setStretchFactor(0, 1)
        splitter.setStretchFactor(1, 0)
        splitter.splitterMoved.connect(self._onDragged)
        splitter.installEventFilter(self)
        self._below.widget().installEventFilter(self)
        button.icon = button.style().standardIcon(qt.QStyle.SP_TitleBarNormalButton)
        button.toggled.connect(self._onToggled)

    @property
    def window(self):
        """The dock window; None where the tree is in the panel."""
        return self._window

    def putBack(self, *_args):
        """Close the window; the tree is in the panel again."""
        window, self._window = self._window, None
        if window is None:
            return
        window.removeEventFilter(self)
        self._splitter.insertWidget(0, self._part)
        self._splitter.setStretchFactor(0, 1)
        self._part.show()
        self._share()
        self._button.checked = False
        window.hide()
        window.deleteLater()

    def eventFilter(self, watched, event):
        """Divide the height again when it changes; put the tree back when its window is closed."""
        kind = event.type()
        if kind == qt.QEvent.Close and self._window is not None and watched is not self._splitter:
            qt.QTimer.singleShot(0, self.putBack)
        elif kind in (qt.QEvent.Resize, qt.QEvent.LayoutRequest) and not self._dragged:
            qt.QTimer.singleShot(0, self._share)
        return False

    def _share(self):
        """Give the settings what they ask for, as far as that leaves the tree the height that it should have."""
        total = self._splitter.height - self._splitter.handleWidth
        if self._window is not None or self._dragged or total <= 0:
            return
        wished = self._below.widget().sizeHint.height()
        tree = max(total - wished, round(TREE_SHARE * total), min(total - LEAST_BELOW, TREE_HEIGHT))
        tree = self._settled(tree, total)
        if list(self._splitter.sizes()) != [tree, total - tree]:
            self._splitter.setSizes([tree, total - tree])

    def _settled(self, tree, total):
        """Return the height of the tree that leaves what stands below it where it is, where that is nearly as good.

        A line of text above the tree or below the panel must not move buttons that somebody is about to click.
        """
        above = self._splitter.y
        if self._bottom is not None and abs(self._bottom - above - tree) <= SLACK:
            same = self._bottom - above
            if TREE_LEAST <= same <= total - LEAST_BELOW:
                return same
        self._bottom = above + tree
        return tree

    def _onDragged(self, *_args):
        self._dragged = True

    def _onToggled(self, on):
        if on and self._window is None:
            self._takeOut()
        elif not on:
            self.putBack()

    def _takeOut(self):
        main = slicer.util.mainWindow()
        window = self._window = qt.QDockWidget(self._title, main)
        window.objectName = f"SoftSeg {self._title}"
        window.setWidget(self._part)
        window.installEventFilter(self)
        if main is None:
            window.resize(WINDOW_WIDTH, 2 * WINDOW_WIDTH)
        else:
            main.addDockWidget(qt.Qt.RightDockWidgetArea, window)
            self._place(window, main)
        self._part.show()
        window.show()

    def _place(self, window, main):
        """Put the window beside the views, or over their right edge where they have no room to give."""
        frame = main.geometry
        if frame.width() >= ROOM_BESIDE_VIEWS:
            main.resizeDocks([window], [WINDOW_WIDTH], qt.Qt.Horizontal)
            return
        window.floating = True
        window.resize(WINDOW_WIDTH, max(300, frame.height() - 2 * MARGIN))
        window.move(frame.right() - WINDOW_WIDTH - MARGIN, frame.top() + MARGIN)
