r"""One rule from any text to a file name: of a case's folder, a node's map, a cut, a variant of a study.

Ordinary names stay as they are: ``sub-01_T1w``, ``left-hippocampus``, ``T1``. Everything else is made readable and gets
a mark that depends on the text alone: ``scan (1)`` becomes ``scan-1~`` and ten hexadecimal digits. No ordinary name
holds ``~``, so two different texts never have one name.

A name stays as it is if it has 1 to 120 bytes of letters, digits and ``_ . + = -``, composed (NFC), does not begin with
``.`` or ``-`` or end with ``.``, and no part before its first dot is a device of Windows (``CON``, ``nul``, ``COM1``).
With every prefix and ending that SoftSeg adds it stays below the 255 bytes that file systems take, also as UTF-16 and
decomposed (NFD).

File systems of Windows and macOS take ``T1`` and ``t1`` for one name. Which of them has to give way cannot be seen from
one text, so names that lie in one folder come from :func:`file_names`: every member of a colliding group gets its mark,
whatever the order.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping

LONGEST_BYTES = 120
"""Bytes of a name in UTF-8, mark included."""

MARK = "~"
"""Between a readable name and the digits that tell it from others."""

_DIGITS = 10
_UNNAMED = "unnamed"
_OTHER = re.compile(r"[^\w.+=-]+")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{number}" for port in ("com", "lpt") for number in "0123456789¹²³"]
)


def file_name(text: str) -> str:
    """Return the file name, without an ending, that stands for ``text``: different texts, different names.

    Names may still differ by nothing but upper and lower case; see :func:`file_names` for those of one folder.
    """
    return text if _is_plain(text) else marked_file_name(text, text)


def marked_file_name(text: str, identity: str, digits: int = _DIGITS) -> str:
    """Return a readable name of ``text`` with the mark of what it stands for.

    Parameters
    ----------
    text: what people read.
    identity: what tells it from others of the same text, such as the path of a scan.
    digits: of the mark, hexadecimal, up to 64.
    """
    mark = MARK + hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()[:digits]
    room = LONGEST_BYTES - len(mark)
    cut = _readable(text).encode("utf-8")[:room].decode("utf-8", "ignore").rstrip(".-")
    return (cut or _UNNAMED) + mark


def file_names(texts: Iterable[str] | Mapping[str, str], taken: Iterable[str] = ()) -> dict[str, str]:
    """Return the file name of every text, for files of one folder, safe where upper and lower case are one.

    Where names would be one for some file system, each of them gets its mark: no order and no further text that does
    not collide changes a name.

    Parameters
    ----------
    texts: of the files of one folder; the same text twice is the same file. Where texts may repeat, a mapping to them
        from what tells the files apart, such as their paths.
    taken: names that something else in the folder has.

    Returns
    -------
    The name of every text, or of every key of the mapping.
    """
    read = dict(texts) if isinstance(texts, Mapping) else {text: text for text in texts}
    names = {key: file_name(text) for key, text in read.items()}
    occupied = {folded(name) for name in taken}
    for digits in (_DIGITS, 2 * _DIGITS, 64):  # two marks of ten digits are one once in 10^12 pairs that read alike
        counts = Counter(map(folded, names.values()))
        clashing = [key for key, name in names.items() if counts[folded(name)] > 1 or folded(name) in occupied]
        names.update((key, marked_file_name(read[key], key, digits)) for key in clashing)
    return names


def folded(name: str) -> str:
    """Return what is equal for two names that any file system might take for one."""
    once = unicodedata.normalize("NFKC", name).casefold().upper()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", once).casefold())


def _is_plain(text: str) -> bool:
    return (
        0 < len(text) <= LONGEST_BYTES
        and _OTHER.search(text) is None
        and text[0] not in ".-"
        and text[-1] != "."
        and not _is_device(text)
        and unicodedata.normalize("NFC", text) == text
        and len(text.encode("utf-8")) <= LONGEST_BYTES
    )


def _is_device(name: str) -> bool:
    """Whether Windows takes the name for a device: the part before the first dot counts."""
    return folded(name.partition(".")[0].rstrip()) in _FOLDED_DEVICES


def _readable(text: str) -> str:
    """Return the letters and digits of a text, composed, and ``-`` for whatever stands between them."""
    kept = _OTHER.sub("-", unicodedata.normalize("NFC", text)).rstrip("-").lstrip(".-")
    return f"_{kept}" if _is_device(kept) else kept


_FOLDED_DEVICES = frozenset(map(folded, _DEVICES))
