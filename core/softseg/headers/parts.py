"""The file or files of numbers that a header names: regular files beside it, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.files import is_file, what_stands_there
from softseg.headers.header import DAMAGED
from softseg.headers.packed import read_numbers

MAX_PARTS = 100_000
_NUMBER = re.compile(r"%0?\d*d")


def beside(header: Path, name: str) -> Path:
    """Return the file that a header names.

    Raises
    ------
    InputError: it is not the plain name of a regular file in the header's folder.
    """
    file = header.parent / name
    if not name or re.search(r"[/\\\0]", name) or name in (".", "..") or re.match(r"[A-Za-z]:", name):
        raise InputError(
            f"names {name!r} as its file of numbers, which does not lie beside it",
            file=header,
            hint="put the file into the header's folder and name it without a folder",
        )
    if not is_file(file):
        raise InputError(f"the file of numbers it names, {name}: {what_stands_there(file)}", file=header)
    return file


def numbered(header: Path, text: str) -> list[Path]:
    """Return the files of a pattern with first and last number and step, such as ``slice%03d.raw 1 20 1``.

    Raises
    ------
    InputError: this is no pattern, or a file is missing.
    """
    pattern, *numbers = text.split()
    try:
        first, last, step = (int(n) for n in (*numbers[:2], numbers[2] if len(numbers) > 2 else 1))
        count = (last - first) // step + 1
        if len(_NUMBER.findall(pattern)) != 1 or pattern.count("%") != 1 or not 0 < count <= MAX_PARTS:
            raise ValueError(text)
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"cannot read the list of files {text!r}", file=header) from error
    return [beside(header, pattern % number) for number in range(first, first + count * step, step)]


def is_pattern(text: str) -> bool:
    """Whether a header names its files by a pattern."""
    return len(text.split()) >= 3 and "%" in text.split()[0]


def read_parts(
    header: Path,
    files: Sequence[Path],
    number: np.dtype[Any],
    shape: tuple[int, ...],
    *,
    packing: str,
    start: int | None = 0,
    lines: int = 0,
    skip: int = 0,
) -> npt.NDArray[Any]:
    """Return numbers that lie in one file or, in equal parts, in several.

    Parameters
    ----------
    header: what messages name.
    files: in order.
    number, shape: of all numbers.
    packing: ``"raw"``, ``"gzip"``, ``"zlib"``, ``"bzip2"`` or ``"text"``.
    start: bytes of each file before the numbers; None: they are the file's last.
    lines: further lines of each file that are passed.
    skip: bytes that are passed, after unpacking.

    Raises
    ------
    InputError: a file is damaged or shorter than its header declares, or the numbers cannot be parted equally.
    """
    total = int(np.prod(shape, dtype=object))
    if not files or total % len(files):
        raise InputError(f"names {len(files)} files for {total} values", file=header)
    each = total // len(files)
    found = []
    for file in files:
        begin = file.stat().st_size - each * number.itemsize if start is None else start
        if begin < 0:
            raise InputError(DAMAGED, file=file)
        begin = _after_lines(file, begin, lines)
        if packing in ("text", "hex"):
            found.append(_from_text(file, begin, number, each, packing == "hex"))
        else:
            found.append(read_numbers(file, number, (each,), skip, packing, begin))
    return (found[0] if len(found) == 1 else np.concatenate(found)).reshape(shape)


def _after_lines(file: Path, begin: int, lines: int) -> int:
    if not lines:
        return begin
    with file.open("rb") as stream:
        stream.seek(begin)
        for _ in range(lines):
            stream.readline()
        return stream.tell()


def _from_text(file: Path, begin: int, number: np.dtype[Any], count: int, hexadecimal: bool) -> npt.NDArray[Any]:
    with file.open("rb") as stream:
        stream.seek(begin)
        content = stream.read()
    try:
        if hexadecimal:
            array = np.frombuffer(bytes.fromhex(content.decode("ascii")), number).astype(number.newbyteorder("="))
        else:
            words = content.replace(b",", b" ").split()[:count]
            array = np.array([float(word) if number.kind == "f" else int(word) for word in words]).astype(
                number.newbyteorder("=")
            )
    except (ValueError, OverflowError) as error:
        raise InputError(DAMAGED, file=file) from error
    if array.size < count:
        raise InputError(DAMAGED, file=file)
    return array[:count]
