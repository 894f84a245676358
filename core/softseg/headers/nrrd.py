"""NRRD (``.nrrd``, ``.nhdr``): spaces, units, directions, centerings, and numbers in every encoding of the format."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.files import is_file
from softseg.headers.forms import Affine, Forms
from softseg.headers.header import DAMAGED, Header, three
from softseg.headers.packed import require_finite
from softseg.headers.parts import beside, is_pattern, numbered, read_parts

_SIZE_OF_HEADER = 64 << 20
_LPS = np.diag([-1.0, -1.0, 1.0])  # from LPS to RAS
_SPACES = {
    "right-anterior-superior": np.eye(3),
    "ras": np.eye(3),
    "left-anterior-superior": np.diag([-1.0, 1.0, 1.0]),
    "las": np.diag([-1.0, 1.0, 1.0]),
    "left-posterior-superior": _LPS,
    "lps": _LPS,
}
_UNITS = {"mm": 1.0, "millimeter": 1.0, "cm": 10.0, "centimeter": 10.0, "m": 1000.0, "meter": 1000.0, "nm": 1e-6}
_UNITS |= {"um": 1e-3, "µm": 1e-3, "μm": 1e-3, "micron": 1e-3, "micrometer": 1e-3, "microns": 1e-3}
_PACKINGS = {"raw": "raw", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2", "hex": "hex"}
_PACKINGS |= {"txt": "text", "text": "text", "ascii": "text"}
_DOMAIN = ("domain", "space", "time", "???", "none")
_VECTOR = re.compile(r"none|\([^)]*\)")


@dataclass(frozen=True)
class _Text:
    """The lines of a header.

    Attributes
    ----------
    file: where it is.
    fields: by name in small letters without blanks.
    keys: key/value pairs.
    end: bytes before the numbers, where they follow.
    listed: names of files that follow ``data file: LIST``.
    """

    file: Path
    fields: dict[str, str]
    keys: dict[str, str]
    end: int
    listed: tuple[str, ...]

    def words(self, name: str, count: int) -> list[str] | None:
        """Return the words of a field of one word per axis; None where it is missing or does not fit."""
        found = [a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', self.fields.get(name, ""))]
        if name in ("units", "labels", "spaceunits"):
            found = re.findall(r'"([^"]*)"', self.fields.get(name, "")) or found
        return found if len(found) == count else None


def read_nrrd(file: Path) -> Header:
    """Read a header.

    Raises
    ------
    InputError: it is damaged, lacks a field, holds complex numbers or names a file that is not beside it.
    """
    text = _read_text(file)
    try:
        dimension = int(text.fields["dimension"])
        sizes = [int(word) for word in text.fields["sizes"].split()]
        number = _number(text)
    except (KeyError, ValueError) as error:
        raise InputError(f"cannot be read as an image: its header lacks a sound {error}", file=file) from error
    if not 1 <= dimension <= 16 or len(sizes) != dimension or min(sizes) < 1:
        raise InputError(f"expected {dimension} axes with voxels, got {sizes}", file=file, field="sizes")
    kinds = [kind.lower() for kind in text.words("kinds", dimension) or ["domain"] * dimension]
    directions = _vectors(text, "spacedirections", dimension)
    if any("complex" in kind for kind in kinds):
        raise InputError("holds complex numbers, which are no image", file=file, field="kinds")
    inside = [n for n in range(dimension) if kinds[n] in _DOMAIN and (directions is None or directions[n] is not None)]
    spatial = [n for n in inside if kinds[n] != "time"][:3] or inside[:1]
    others = [n for n in range(dimension) if n not in spatial]
    grid = tuple(sizes[n] for n in spatial)
    size, bands = three((*grid, *[1] * (3 - len(grid)), *[sizes[n] for n in others]), file)
    affine, forms, known, notes = _place(text, directions, spatial, dimension)
    order = [dimension - 1 - n for n in (*others[::-1], *spatial[::-1])]
    colours = next(({"rgb-color": "RGB", "rgba-color": "RGBA"}[kind] for kind in kinds if kind.startswith("rgb")), "")
    shape = (bands, *size[::-1])
    load = partial(_load, text, number, tuple(sizes[::-1]), tuple(order), shape)
    return Header(
        file,
        "NRRD",
        size,
        bands,
        number,
        affine,
        load,
        colours,
        None,
        known,
        forms,
        notes,
        {**text.fields, **text.keys},
    )


def _read_text(file: Path) -> _Text:
    try:
        with file.open("rb") as stream:
            content = stream.read(1 << 16)
            while len(content) < _SIZE_OF_HEADER and not re.search(rb"\r?\n\r?\n", content):
                more = stream.read(1 << 16)
                content += more
                if not more:
                    break
    except OSError as error:
        raise InputError(DAMAGED, file=file) from error
    if not content.startswith(b"NRRD0"):
        raise InputError("cannot be read as an image: damaged or another format than NRRD", file=file)
    blank = re.search(rb"\r?\n\r?\n", content)
    end = blank.end() if blank else len(content)
    lines = content[: blank.start() if blank else end].decode("utf-8", "replace").splitlines()[1:]
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    listed: list[str] = []
    for line in lines:
        key, equals, value = line.partition(":=")
        name, colon, rest = line.partition(":")
        if line.startswith("#"):
            continue
        if equals and len(key) < len(name) + 1:
            keys[key.strip()] = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], value.strip())
        elif colon and not listed and fields.get("datafile", "").split()[:1] != ["LIST"]:
            fields[name.strip().lower().replace(" ", "")] = rest.strip()
        elif line.strip():
            listed.append(line.strip())
    return _Text(file, fields, keys, end, tuple(listed))


def _number(text: _Text) -> np.dtype[Any]:
    name = " ".join(text.fields["type"].lower().split())
    plain = re.sub(r"\b(signed|int) ?", "", name.replace("unsigned ", "u").replace("long long", "longlong")).strip()
    known = {"": "i4", "u": "u4", "uint": "u4", "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2"}
    known |= {"longlong": "i8", "ulonglong": "u8", "float": "f4", "double": "f8", "ulonglong int": "u8"}
    fixed = re.fullmatch(r"(u?)int(8|16|32|64)(_t)?", name)
    code = f"{'u' if fixed[1] else 'i'}{int(fixed[2]) // 8}" if fixed else known[plain]
    big = text.fields.get("endian", "little").lower() == "big"
    return np.dtype((">" if big else "<") + code)


def _vectors(text: _Text, name: str, count: int) -> list[npt.NDArray[np.float64] | None] | None:
    """Return one vector of three numbers per axis, None for an axis without; None where the field is missing."""
    if name not in text.fields:
        return None
    found = _VECTOR.findall(text.fields[name].lower())
    if len(found) != count:
        raise InputError(f"expected {count} vectors, got {text.fields[name]!r}", file=text.file, field=name)
    vectors: list[npt.NDArray[np.float64] | None] = []
    for word in found:
        try:
            numbers = None if word == "none" else [float(part) for part in word.strip("()").split(",")]
        except ValueError as error:
            raise InputError(f"expected numbers, got {word!r}", file=text.file, field=name) from error
        if numbers is None or np.isnan(numbers).all():
            vectors.append(None)
        else:
            vectors.append(np.array([*numbers, 0.0, 0.0][:3]))
    return vectors


def _place(
    text: _Text, directions: list[npt.NDArray[np.float64] | None] | None, spatial: list[int], dimension: int
) -> tuple[Affine, Forms | None, bool, tuple[str, ...]]:
    """Return the matrix to RAS mm, forms that claim nothing, whether sides are known, and oddities."""
    space = text.fields.get("space", "").lower().removesuffix("-time")
    space = space[:3] if space in ("rast", "last", "lpst") else space
    axes, origin = np.eye(3), np.zeros(3)
    if directions is None:
        for place, axis in enumerate(spatial):
            axes[:, place] *= _spacing(text, axis, dimension)
            origin[place] = _first(text, axis, dimension)
    else:
        for place, axis in enumerate(spatial):
            vector = directions[axis]
            axes[:, place] = axes[:, place] if vector is None else vector
        axes[:, len(spatial) :] = _upright(axes[:, : len(spatial)])
        given = _vectors(text, "spaceorigin", 1) or [None]
        origin = np.zeros(3) if given[0] is None else np.nan_to_num(given[0])
    scale, notes = _scale(text, spatial, dimension, directions is not None)
    turn = _SPACES.get(space, _LPS)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = scale * (turn @ axes), scale * (turn @ origin)
    if space in _SPACES and directions is not None:
        return matrix, None, True, notes
    lengths = np.diag(axes) * scale
    if directions is None and not origin.any() and (lengths > 0).all():
        return matrix, Forms(pixdim=(float(lengths[0]), float(lengths[1]), float(lengths[2]))), False, notes
    return matrix, None, False, notes


def _upright(axes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the axes (length 1) that complete one or two axes to three."""
    if axes.shape[1] == 3:
        return np.zeros((3, 0))
    left, _, _ = np.linalg.svd(axes)
    found = left[:, axes.shape[1] :]
    for column in range(found.shape[1]):
        sign = np.sign(found[np.abs(found[:, column]).argmax(), column])
        found[:, column] *= sign or 1.0
    return np.asarray(found)


def _spacing(text: _Text, axis: int, dimension: int) -> float:
    words = text.words("spacings", dimension)
    value = float("nan") if words is None else _real(words[axis])
    if not np.isfinite(value):
        low, high = _bound(text, "axismins", axis, dimension), _bound(text, "axismaxs", axis, dimension)
        steps = int(text.fields["sizes"].split()[axis]) - (1 if _is_node(text, axis, dimension) else 0)
        value = (high - low) / max(1, steps)
    return float(value) if np.isfinite(value) else 1.0


def _first(text: _Text, axis: int, dimension: int) -> float:
    """Return where the first sample lies: at the axis' minimum (node), or half a sample after it (cell)."""
    low = _bound(text, "axismins", axis, dimension)
    if not np.isfinite(low):
        return 0.0
    return low if _is_node(text, axis, dimension) else low + _spacing(text, axis, dimension) / 2


def _bound(text: _Text, name: str, axis: int, dimension: int) -> float:
    words = text.words(name, dimension)
    return float("nan") if words is None else _real(words[axis])


def _is_node(text: _Text, axis: int, dimension: int) -> bool:
    words = text.words("centerings", dimension) or text.words("centers", dimension)
    return words is not None and words[axis].lower() == "node"


def _real(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        return float("nan")


def _scale(text: _Text, spatial: list[int], dimension: int, spaced: bool) -> tuple[float, tuple[str, ...]]:
    """Return the length of a unit in mm."""
    words = None
    if spaced and "spaceunits" in text.fields:
        words = re.findall(r'"([^"]*)"', text.fields["spaceunits"]) or text.fields["spaceunits"].split()
    elif not spaced:
        all_words = text.words("units", dimension)
        words = None if all_words is None else [all_words[n] for n in spatial]
    named = {word.strip().lower() for word in words or [] if word.strip().lower() not in ("", "???", "none")}
    known = {_UNITS[word] for word in named if word in _UNITS}
    if len(known) > 1:
        raise InputError(f"its axes have different units: {', '.join(sorted(named))}", file=text.file, field="units")
    strange = sorted(word for word in named if word not in _UNITS)
    notes = (f"its unit {strange[0]!r} is unknown and taken as mm",) if strange else ()
    return (next(iter(known)) if known else 1.0), notes


def _load(
    text: _Text,
    number: np.dtype[Any],
    stored: tuple[int, ...],
    order: tuple[int, ...],
    shape: tuple[int, ...],
) -> npt.NDArray[Any]:
    """Return ``[bands, k, j, i]``."""
    fields, file = text.fields, text.file
    encoding = fields.get("encoding", "raw").lower()
    if encoding not in _PACKINGS:
        raise InputError(f"the encoding {encoding!r} is unknown", file=file, field="encoding")
    named = fields.get("datafile")
    if named is None:
        files, start = [file], text.end
    else:
        files, start = _files(text, named), 0
    skip = int(fields.get("byteskip", 0))
    whole = read_parts(
        file,
        files,
        number,
        stored,
        packing=_PACKINGS[encoding],
        start=None if skip == -1 else start,
        lines=int(fields.get("lineskip", 0)),
        skip=max(0, skip),
    )
    array = np.ascontiguousarray(whole.transpose(order)).reshape(shape)
    require_finite(array, file)
    return array


def _files(text: _Text, named: str) -> list[Path]:
    if named.split()[:1] == ["LIST"]:
        return [beside(text.file, name) for name in text.listed]
    if is_pattern(named) and not is_file(text.file.parent / named):
        return numbered(text.file, named)
    return [beside(text.file, named)]
