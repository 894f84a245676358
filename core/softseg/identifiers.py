"""What may be the id or the name of a node, a channel, a case or a person, wherever it comes from."""

from __future__ import annotations

LONGEST = 255
"""Characters."""


def identifier(text: str) -> str:
    """Return the text if it can be an identifier: something that people read on one line and programs compare.

    It may hold any sign that prints. It is no path, file name or expression: file names come from
    :func:`softseg.requests.names.file_name`, and what goes into other programs' files is escaped there.

    Raises
    ------
    ValueError: no text, empty, longer than 255 characters, blanks around it, or a sign that does not print (line ends,
        control codes, changes of writing direction, halves of surrogate pairs).
    """
    if not isinstance(text, str) or not text or text != text.strip() or not text.isprintable():
        raise ValueError(f"expected text on one line without blanks around it, got {ascii_if_odd(text)}")
    if len(text) > LONGEST:
        raise ValueError(f"expected at most {LONGEST} characters, got {len(text)}")
    return text


def ascii_if_odd(value: object) -> str:
    """Return a short form of a value for a message."""
    shown = repr(value)
    return shown if len(shown) <= 80 else f"{shown[:60]} ... {shown[-10:]}"
