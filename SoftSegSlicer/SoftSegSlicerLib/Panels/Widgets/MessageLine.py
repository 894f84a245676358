"""The line of a panel that says what went wrong, or what was done."""

import qt

from softseg.errors import SoftSegError

__all__ = ["MessageLine", "isDark", "sentence"]


def sentence(error: Exception) -> str:
    """Return an error as sentences for people: what is wrong, where, and what to do."""
    if not isinstance(error, SoftSegError):
        return f"{type(error).__name__}: {error}"
    where = ": ".join(part for part in (error.file, error.field) if part)
    text = f"{where}: {error.message}" if where else error.message
    parts = [text] if error.hint is None else [text, error.hint]
    return " ".join(part[:1].upper() + part[1:].rstrip(".") + "." for part in parts)


def isDark(widget) -> bool:
    """Whether the widget's palette is light text on a dark ground."""
    palette = widget.palette
    return palette.color(qt.QPalette.Window).lightness() < palette.color(qt.QPalette.WindowText).lightness()


class MessageLine:
    """A label that is there only while it has something to say.

    Parameters
    ----------
    label: the QLabel.
    """

    def __init__(self, label):
        self._label = label
        self._label.visible = False

    @property
    def text(self) -> str:
        """What is said now; empty where nothing is."""
        return self._label.text

    def error(self, error: Exception | str) -> None:
        """Say what is wrong."""
        color = "#ff8a80" if isDark(self._label) else "#b3261e"
        self._say(error if isinstance(error, str) else sentence(error), f"color: {color};")

    def errors(self, errors) -> None:
        """Say all that is wrong, one after the other."""
        self.error(" ".join(sentence(error) for error in errors))

    def info(self, text: str) -> None:
        """Say what was done."""
        self._say(text, "")

    def clear(self) -> None:
        """Say nothing."""
        self._say("", "")

    def _say(self, text: str, style: str) -> None:
        self._label.styleSheet = style
        self._label.text = text
        self._label.visible = bool(text)
