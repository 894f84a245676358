"""What the TIFF reader passes over in silence: pages and rows that a truncated file no longer has."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

_PLACES = {273: 279, 324: 325}  # tags of where strips or tiles begin: tags of how many bytes they have
_INTEGERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}  # TIFF's field types that hold offsets and counts


def is_whole(file: Path) -> bool:
    """Whether every page that a TIFF (or BigTIFF) announces, and everything the pages point to, lies in the file."""
    size = file.stat().st_size
    try:
        with file.open("rb") as stream:
            order = {b"II": "<", b"MM": ">"}[stream.read(2)]
            big = struct.unpack(f"{order}H", stream.read(2))[0] == 43
            if big:
                stream.seek(8)
            place = _one(stream, f"{order}{'Q' if big else 'I'}")
            seen: set[int] = set()
            while place and place not in seen:
                seen.add(place)
                end, place = _page(stream, place, order, big)
                if end > size:
                    return False
            return bool(seen)
    except (struct.error, KeyError, OverflowError, MemoryError):
        return False


def _page(stream: BinaryIO, place: int, order: str, big: bool) -> tuple[int, int]:
    """Return where the last strip or tile of the page at ``place`` ends, and where the next page is (0: none)."""
    stream.seek(place)
    count = _one(stream, f"{order}{'Q' if big else 'H'}")
    width, inline = (20, 8) if big else (12, 4)
    entries = stream.read(count * width)
    following = _one(stream, f"{order}{'Q' if big else 'I'}")
    fields: dict[int, list[int]] = {}
    for start in range(0, count * width, width):
        tag, kind = struct.unpack_from(f"{order}HH", entries, start)
        if tag not in (*_PLACES, *_PLACES.values()):
            continue
        (items,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", entries, start + 4)
        layout = f"{order}{items}{_INTEGERS[kind]}"
        if struct.calcsize(layout) <= inline:
            fields[tag] = list(struct.unpack_from(layout, entries, start + width - inline))
        else:
            stream.seek(struct.unpack_from(f"{order}{'Q' if big else 'I'}", entries, start + width - inline)[0])
            fields[tag] = list(struct.unpack(layout, stream.read(struct.calcsize(layout))))
    ends = [
        first + length
        for begin, lengths in _PLACES.items()
        for first, length in zip(fields.get(begin, []), fields.get(lengths, []), strict=False)
    ]
    return max(ends, default=0), following


def _one(stream: BinaryIO, layout: str) -> int:
    return int(struct.unpack(layout, stream.read(struct.calcsize(layout)))[0])
