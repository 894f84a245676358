"""Keys of a panel that the application's main window has uses of its own for."""

import qt

__all__ = ["PanelKeys"]


class PanelKeys(qt.QObject):
    """Runs actions on keys while the focus is inside a widget, before the main window's shortcuts see them.

    A shortcut of a panel for Ctrl+Z would be ambiguous, because the application's Edit menu has one: Qt then runs
    neither. Children that use a key themselves (a line edit its Ctrl+Z) keep it.

    Parameters
    ----------
    widget: the panel.
    actions: from key sequences in portable text ("Ctrl+Shift+Z") to callables.
    """

    def __init__(self, widget, actions):
        qt.QObject.__init__(self, widget)
        self._actions = {_combination(text): action for text, action in actions.items()}
        widget.installEventFilter(self)

    def eventFilter(self, _watched, event):
        """Claim the keys, and run their actions when they are pressed."""
        kind = event.type()
        if kind not in (qt.QEvent.ShortcutOverride, qt.QEvent.KeyPress):
            return False
        action = self._actions.get((_number(event.modifiers()), _number(event.key())))
        if action is None:
            return False
        if kind == qt.QEvent.KeyPress:
            action()
        event.accept()
        return True


def _combination(text):
    modifiers, key = 0, text
    for name, value in (
        ("Ctrl+", qt.Qt.ControlModifier),
        ("Shift+", qt.Qt.ShiftModifier),
    ):
        if name in key:
            modifiers |= _number(value)
            key = key.replace(name, "")
    return modifiers, _number(getattr(qt.Qt, f"Key_{key}"))


def _number(value):
    """PythonQt gives numbers, PySide enums."""
    return int(getattr(value, "value", value))
