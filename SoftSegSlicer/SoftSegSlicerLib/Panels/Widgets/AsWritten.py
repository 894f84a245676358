"""Texts that come from files, shown as they are written: Qt takes anything that looks like HTML for HTML."""

import html

import qt

__all__ = ["asWritten", "showAsWritten"]


def asWritten(text) -> str:
    """Return what to give a tool tip or a message box, so that it shows this text and no HTML that is in it."""
    text = str(text)
    if "<" not in text:
        return text
    return "<qt>" + html.escape(text).replace("\n", "<br/>") + "</qt>"


def showAsWritten(label) -> None:
    """Let a label show its texts as they are written, unless it was made for rich text."""
    if label.textFormat == qt.Qt.AutoText:
        label.textFormat = qt.Qt.PlainText
