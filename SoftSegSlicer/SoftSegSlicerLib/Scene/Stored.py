"""Values that a scene keeps as text, read with a check: a scene is a file, and files can be damaged.

What decides where a result lies or what its voxels mean is refused where it is damaged (an InputError). What only
decides how things look is passed over for a default, and the application's log says so in one line.
"""

import base64
import logging
import math
import zlib

from softseg.errors import InputError
from softseg.texts import parse_json

MOST_TEXT = 4 * 2**20
"""Characters of a label tree, a cut or an attribute; a tree of 10,000 structures with codes has fewer."""
_AGAIN = "load the result's file again"
_told: set = set()


def required(node, name, fits, default=None):
    """Return the value of a JSON attribute, ``default`` where there is none.

    Parameters
    ----------
    node: the MRML node.
    name: of the attribute.
    fits: says whether a value can be right.

    Raises
    ------
    InputError: the attribute is damaged.
    """
    text = node.GetAttribute(name)
    if not text:
        return default
    try:
        value = parsed(text)
    except ValueError as error:
        raise damaged(node, name) from error
    if not fits(value):
        raise damaged(node, name)
    return value


def optional(node, name, fits, default):
    """Return the value of a JSON attribute, ``default`` where there is none or it is damaged, which the log says."""
    try:
        return required(node, name, fits, default)
    except InputError as error:
        tell(error)
        return default


def damaged(node, name):
    """Return the error that says which attribute of which node is damaged."""
    return InputError(f"the attribute {name} is damaged", file=_nameOf(node), hint=_AGAIN)


def tell(error):
    """Write an error into the application's log as one line, once."""
    text = str(error)
    if text not in _told:
        _told.add(text)
        logging.error(text)


def parsed(text):
    """Return what a JSON text of the scene says.

    Raises
    ------
    ValueError: it is larger than :data:`MOST_TEXT`, no JSON, nested too deeply, or holds texts that are no Unicode.
    """
    if len(text) > MOST_TEXT:
        raise ValueError("the text is too large")
    return parse_json(text)


def packed(text):
    """Return text without the characters that a .seg.nrrd file uses to separate tags."""
    return base64.urlsafe_b64encode(zlib.compress(text.encode())).decode()


def unpacked(text):
    """Return what :func:`packed` was given.

    Raises
    ------
    ValueError: it is damaged, or larger than :data:`MOST_TEXT`; no more than that is ever unpacked.
    """
    if len(text) > MOST_TEXT:
        raise ValueError("the text is too large")
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(base64.urlsafe_b64decode(text), MOST_TEXT)
    except zlib.error as error:
        raise ValueError(str(error)) from error
    if not unpacker.eof:
        raise ValueError("the text is cut off, or too large")
    return content.decode()


# -- what values look like --------------------------------------------------------------------------------------------


def isShare(value):
    """Whether this is a number from 0 to 1."""
    return isNumber(value) and 0 <= value <= 1


def isNumber(value):
    """Whether this is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e300


def isMatrix(value):
    """Whether these are the 16 numbers of a matrix ``(4, 4)`` that can be inverted."""
    if not isinstance(value, list) or len(value) != 16 or not all(map(isNumber, value)):
        return False
    a, b, c = value[0:3], value[4:7], value[8:11]
    volume = sum(a[n] * (b[n - 2] * c[n - 1] - b[n - 1] * c[n - 2]) for n in range(3))
    last = sum(abs(found - expected) for found, expected in zip(value[12:], (0, 0, 0, 1), strict=True))
    return math.isfinite(volume) and volume != 0 and last < 1e-6


def areTexts(value):
    """Whether this is a list of texts."""
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _nameOf(node):
    return f"'{node.GetName() or node.GetID()}' in the scene"
