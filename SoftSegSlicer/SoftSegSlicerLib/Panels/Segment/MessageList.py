"""Several sentences one below the other: warnings while something runs, and how it ended."""

from __future__ import annotations

import html

from SoftSegSlicerLib.Panels.Widgets.MessageLine import isDark, sentence

_SIGNS = {"info": "\u2713", "warning": "\u26a0", "error": "\u2715"}
_COLORS = {
    "info": ("#1b6e2d", "#7bd88f"),
    "warning": ("#8a5300", "#ffc864"),
    "error": ("#b3261e", "#ff8a80"),
}
MOST = 12
"""How many are shown; of more, the latest."""


class MessageList:
    """A label that is there only while it has something to say.

    Parameters
    ----------
    label: a QLabel with word wrap and rich text.
    """

    def __init__(self, label):
        self._label = label
        self._messages = []
        self.redraw()

    @property
    def messages(self):
        """What is said, as (kind, text), oldest first."""
        return tuple(self._messages)

    def add(self, kind, message):
        """Say one thing more; ``kind`` is info, warning or error, ``message`` a text or an exception."""
        text = (message if isinstance(message, str) else sentence(message)).strip()
        if text and text[-1] not in ".?!":
            text += "."
        if (kind, text) not in self._messages:
            self._messages.append((kind, text))
            self.redraw()

    def info(self, text):
        """Add something that is good to know."""
        self.add("info", text)

    def clear(self):
        """Say nothing."""
        self._messages = []
        self.redraw()

    def redraw(self):
        """Show the same in the colours of the present palette."""
        dark = isDark(self._label)
        rows = []
        for kind, text in self._messages[-MOST:]:
            cell = f'<span style="color: {_COLORS[kind][dark]}">{html.escape(text)}</span>'
            sign = f'<span style="color: {_COLORS[kind][dark]}"><b>{_SIGNS[kind]}</b></span>'
            rows.append(
                f"<tr><td style='padding-right: 6px'>{sign}</td><td style='padding-bottom: 4px'>{cell}</td></tr>"
            )
        self._label.text = f"<table cellspacing='0'>{''.join(rows)}</table>" if rows else ""
        self._label.visible = bool(rows)
