"""Presses, drags and releases of the mouse in the slice views, before the views use them themselves."""

import qt
import slicer

__all__ = ["SliceClicks"]

_BEFORE_THE_VIEWS = 10.0


class SliceClicks:
    """Follows the left button through the slice views while it is started.

    Parameters
    ----------
    pressed, dragged, released: called with the position (RAS, mm in the world) and the name of the slice view.
    cancelled: called without arguments when Escape is pressed over a view.
    """

    def __init__(self, pressed, dragged, released, cancelled):
        self._calls = {
            "LeftButtonPressEvent": pressed,
            "MouseMoveEvent": dragged,
            "LeftButtonReleaseEvent": released,
        }
        self._cancelled = cancelled
        self._observed = []
        self._down = None

    @property
    def started(self):
        """Whether the views are followed."""
        return bool(self._observed)

    def start(self):
        """Begin to follow all slice views there are."""
        if self._observed:
            return
        manager = slicer.app.layoutManager()
        for name in manager.sliceViewNames():
            view = manager.sliceWidget(name).sliceView()
            view.setViewCursor(qt.QCursor(qt.Qt.CrossCursor))
            interactor = view.interactor()
            tags = [
                interactor.AddObserver(event, self._on(event, name, interactor), _BEFORE_THE_VIEWS)
                for event in (*self._calls, "KeyPressEvent")
            ]
            self._observed.append((view, interactor, tags))

    def stop(self):
        """Follow no longer; the views have their mouse back."""
        for view, interactor, tags in self._observed:
            for tag in tags:
                interactor.RemoveObserver(tag)
            view.unsetViewCursor()
        self._observed, self._down = [], None

    def _on(self, event, name, interactor):
        def call(_caller, _event):
            if event == "KeyPressEvent":
                if interactor.GetKeySym() == "Escape":
                    self._cancelled()
                return
            free = not (interactor.GetShiftKey() or interactor.GetControlKey() or interactor.GetAltKey())
            if event == "LeftButtonPressEvent" and free:
                self._down = name
            elif self._down != name:
                return
            if event == "LeftButtonReleaseEvent":
                self._down = None
            self._keep(interactor)
            self._calls[event](_rasOf(name, interactor), name)

        return call

    def _keep(self, interactor):
        """Let nobody else see the event."""
        for _view, each, tags in self._observed:
            if each is interactor:
                for tag in tags:
                    interactor.GetCommand(tag).SetAbortFlag(1)


def _rasOf(name, interactor):
    node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
    x, y = interactor.GetEventPosition()
    return tuple(node.GetXYToRAS().MultiplyPoint((x, y, 0.0, 1.0))[:3])
