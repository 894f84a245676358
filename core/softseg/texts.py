"""Text and JSON that people hand in: every reader of such files begins here.

UTF-8 with or without a byte order mark, and UTF-16 or UTF-32 with one, as Windows' programs write them; line ends of
any system become line feeds. Values have at most :data:`MAX_DEPTH` levels, so that nothing that walks through them
runs out of stack, and hold only text that can be written again.
"""

from __future__ import annotations

import codecs
import json
import os
import sys
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.errors import InputError

MAX_BYTES = 64 * 2**20
"""Larger files are no text that people wrote or exported."""

MAX_DEPTH = 64
"""Lists and objects inside each other, in JSON and YAML."""


_LARGEST = int(sys.float_info.max)


class TooDeepError(ValueError):
    """Lists and objects lie inside each other deeper than :data:`MAX_DEPTH`."""

    def __init__(self) -> None:
        super().__init__(f"nested too deeply (more than {MAX_DEPTH} levels)")


_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def read_text(path: str | PathLike[str], what: str = "a text file") -> str:
    """Return the text of a file without its byte order mark, with line feeds alone.

    Parameters
    ----------
    path: the file.
    what: what it should be, for messages.

    Raises
    ------
    InputError: missing, a folder, not readable, empty, larger than 64 MiB, not text, or in an unknown encoding.
    """
    file = Path(path)
    try:
        if file.is_dir():
            raise InputError(f"expected {what}, got a folder", file=file)
        if file.exists() and not file.is_file():
            raise InputError(f"expected {what}, got a device or a pipe", file=file)
        if file.stat().st_size > MAX_BYTES:
            raise InputError(f"too large for {what}", file=file)
        data = file.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", file=file) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=file) from error
    text = _decoded(data, file)
    if not text.strip():
        raise InputError("the file is empty", file=file)
    if "\0" in text or not any(sign < "\x80" for sign in text):
        raise InputError("not a text file", file=file)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def as_text(name: str) -> str:
    r"""Return the name of a file as text that can be written: bytes of it that are no UTF-8 become ``\xff``."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def require_text_name(path: str | PathLike[str]) -> None:
    """Refuse a file that tables and records could not name.

    Raises
    ------
    InputError: its name, or that of a folder in ``path``, is not UTF-8.
    """
    name = os.fspath(path)
    if as_text(name) != name:
        raise InputError(
            "the name is not UTF-8, so results cannot hold it", file=as_text(name), hint="rename the file or folder"
        )


def read_json(path: str | PathLike[str]) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    InputError: as :func:`read_text`, or it is not JSON (the line is named), or :func:`check_values` refuses it.
    """
    text = read_text(path, "a JSON file")
    try:
        return parse_json(text)
    except json.JSONDecodeError as error:
        raise InputError(f"is not valid JSON: {error.msg}", file=path, field=f"line {error.lineno}") from error
    except ValueError as error:
        raise InputError(f"is not valid JSON: {error}", file=path) from error


def parse_json(text: str, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Return the content of a JSON text; ``pairs`` makes its objects, see :func:`json.loads`.

    Raises
    ------
    ValueError: it is not JSON, or :func:`check_values` refuses it.
    """
    try:
        value = json.loads(text, object_pairs_hook=pairs)
    except RecursionError as error:
        raise TooDeepError from error
    check_values(value)
    return value


def check_values(value: Any) -> None:
    """Refuse values that would surprise whoever works with them, whatever they stand for.

    Raises
    ------
    ValueError: lists and mappings inside each other more than :data:`MAX_DEPTH` deep, a text that is no Unicode
        (half of a surrogate pair), or an integer that no floating-point number can stand for (over 308 digits).
    """
    level, depth = [value], 0
    while level:
        inner: list[Any] = []
        for item in level:
            if depth >= MAX_DEPTH and isinstance(item, (dict, list, tuple)):
                raise TooDeepError
            if isinstance(item, dict):
                inner += [*item.keys(), *item.values()]
            elif isinstance(item, (list, tuple)):
                inner += item
            elif isinstance(item, str) and not item.isascii():
                _check_text(item)
            elif isinstance(item, int) and abs(item) > _LARGEST:
                raise ValueError(f"{_place_of(item, value)}an integer is beyond {sys.float_info.max:.2g}")
        level, depth = inner, depth + 1


def _place_of(wanted: object, value: Any) -> str:
    """Return where an object stands in a value, for messages: ``options.filters[2]: ``."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, (list, tuple)) else ()
    for key, item in pairs:
        name = f"[{key}]" if not isinstance(value, dict) else f".{key}"
        if item is wanted:
            return f"{name.removeprefix('.')}: "
        if below := _place_of(wanted, item):
            return f"{name}{'' if below.startswith('[') else '.'}{below}".removeprefix(".")
    return ""


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ValueError(f"the text {ascii(text)[:80]} is not Unicode") from None


def _decoded(data: bytes, file: Path) -> str:
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        shown = "UTF-8" if encoding.startswith("utf-8") else encoding.upper()
        raise InputError(f"not {shown} text", file=file, field=f"line {line}", hint="save it as UTF-8") from error
