"""Numbers joined by commas in one option."""

from __future__ import annotations

from softseg.errors import InputError


def numbers(text: str, count: str, option: str, example: str) -> tuple[float, ...]:
    """Return two or three numbers from text such as ``2,98``."""
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if len(found) != {"two": 2, "three": 3}[count]:
        raise InputError(f"expected {count} numbers such as {example}, got {text!r}", field=option)
    return found
