"""ENVI: a text header (``scene.hdr``) that describes a file of numbers (``scene``, ``scene.dat``, ``scene.img``).

Read are real numbers in the three interleaves (bsq, bil, bip), both byte orders, with a header offset, and wavelengths
in nanometres, micrometres or millimetres. The size in the header is checked against the size of the file.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.texts import MAX_BYTES

DATA_SUFFIXES = (".dat", ".img", ".raw", ".bsq", ".bil", ".bip")
"""Endings of the file of numbers; it may also have none, or stand before the header's (``scene.dat.hdr``)."""

_TYPES = {1: "u1", 2: "i2", 3: "i4", 4: "f4", 5: "f8", 12: "u2", 13: "u4", 14: "i8", 15: "u8"}
_UNITS = {"nanometers": 1.0, "nm": 1.0, "micrometers": 1e3, "um": 1e3, "microns": 1e3, "millimeters": 1e6, "mm": 1e6}
_ORDERS = {
    "bsq": ("bands", "lines", "samples"),
    "bil": ("lines", "bands", "samples"),
    "bip": ("lines", "samples", "bands"),
}
_FIELD = re.compile(r"^\s*([^={}\n]+?)\s*=\s*(\{[^}]*\}|[^\n]*)", re.MULTILINE)


@dataclass(frozen=True)
class EnviHeader:
    """The fields of an ENVI header.

    Attributes
    ----------
    file: the header.
    samples, lines, bands: columns, rows, bands.
    dtype: of the numbers, with byte order.
    interleave: ``bsq``, ``bil`` or ``bip``.
    offset: bytes before the first number.
    wavelengths: of the bands in nm, None where it has none.
    """

    file: Path
    samples: int
    lines: int
    bands: int
    dtype: np.dtype[Any]
    interleave: str
    offset: int
    wavelengths: tuple[float, ...] | None

    @staticmethod
    def read(file: Path) -> EnviHeader:
        """Read a header.

        Raises
        ------
        InputError: it is no ENVI header, lacks a field, or holds something unknown; the field is named.
        """
        if file.stat().st_size > MAX_BYTES:
            raise InputError("too large for an ENVI header", file=file)
        text = file.read_text(encoding="latin-1")
        if not text.lstrip().startswith("ENVI"):
            raise InputError("is not an ENVI header: its first word is not ENVI", file=file)
        fields = {key.strip().lower(): value.strip() for key, value in _FIELD.findall(text)}
        interleave = _text(fields, "interleave", file).lower()
        if interleave not in _ORDERS:
            raise InputError(f"expected bsq, bil or bip, got {interleave!r}", file=file, field="interleave")
        code = _number(fields, "data type", file)
        if code not in _TYPES:
            known = ", ".join(f"{number} ({np.dtype(name).name})" for number, name in _TYPES.items())
            raise InputError(f"{code} is not read; known are {known}", file=file, field="data type")
        order = _number(fields, "byte order", file, default=0)
        if order not in (0, 1):
            raise InputError(
                f"expected 0 (little-endian) or 1 (big-endian), got {order}", file=file, field="byte order"
            )
        sizes = {name: _number(fields, name, file) for name in ("samples", "lines", "bands")}
        for name, size in sizes.items():
            if size < 1:
                raise InputError(f"expected a positive number, got {size}", file=file, field=name)
        offset = _number(fields, "header offset", file, default=0)
        if offset < 0:
            raise InputError(f"expected 0 or more bytes, got {offset}", file=file, field="header offset")
        dtype = np.dtype(("<", ">")[order] + _TYPES[code])
        return EnviHeader(
            file=file,
            dtype=dtype,
            interleave=interleave,
            offset=offset,
            wavelengths=_wavelengths(fields, sizes["bands"], file),
            **sizes,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the numbers as they lie in the file."""
        sizes = {"samples": self.samples, "lines": self.lines, "bands": self.bands}
        first, second, third = (sizes[name] for name in _ORDERS[self.interleave])
        return first, second, third


def read_envi(path: Path) -> tuple[npt.NDArray[Any], tuple[float, ...] | None]:
    """Return the numbers ``[bands, lines, samples]`` and the bands' wavelengths in nm, None if unknown.

    Parameters
    ----------
    path: the header or the file of numbers; the other one lies beside it under the same name.

    Raises
    ------
    InputError: a file is missing, the header cannot be understood, or the file's length does not match the header.
    """
    header_file, data_file = _pair(path)
    header = EnviHeader.read(header_file)
    expected = header.offset + int(np.prod(header.shape, dtype=object)) * header.dtype.itemsize
    size = data_file.stat().st_size
    if size != expected:
        by = f"{header.samples} x {header.lines} x {header.bands} x {header.dtype.itemsize} bytes"
        offset = f" + {header.offset} bytes" if header.offset else ""
        raise InputError(
            f"is {'shorter' if size < expected else 'longer'} than declared: {size} bytes, expected {expected}  "
            f"({by}{offset})",
            file=data_file,
            hint=f"is it damaged, or are samples, lines, bands, data type or offset wrong in {header_file.name}?",
        )
    numbers = np.fromfile(data_file, header.dtype, offset=header.offset).reshape(header.shape)
    axes = [_ORDERS[header.interleave].index(name) for name in ("bands", "lines", "samples")]
    return numbers.transpose(axes), header.wavelengths


def is_envi(file: Path) -> bool:
    """Whether this is an ENVI header or, by its ending, a file of numbers."""
    return file.name.lower().endswith((".hdr", *DATA_SUFFIXES))


def _pair(path: Path) -> tuple[Path, Path]:
    """Return header and file of numbers."""
    if not path.name.lower().endswith(".hdr"):
        for header in _headers_of(path):
            if header.is_file():
                return header, path
        raise InputError(
            "there is no header beside this file",
            file=path,
            hint=f"expected {path.stem}.hdr (NIfTI, Analyze, ENVI) or {path.name}.hdr",
        )
    bare = path.with_name(path.name[: -len(".hdr")])
    candidates = [bare, *(bare.with_name(bare.name + ending) for suffix in DATA_SUFFIXES for ending in _cases(suffix))]
    for candidate in candidates:
        if candidate.is_file():
            return path, candidate
    raise InputError(
        "there is no file of numbers beside this header",
        file=path,
        hint=f"expected {bare.name} or {bare.name} with an ending such as {', '.join(DATA_SUFFIXES)}",
    )


def _headers_of(file: Path) -> list[Path]:
    return [file.with_name(name + ending) for name in (file.name, file.stem) for ending in (".hdr", ".HDR")]


def _cases(suffix: str) -> tuple[str, str]:
    return suffix, suffix.upper()


def _text(fields: dict[str, str], name: str, file: Path) -> str:
    if name not in fields:
        raise InputError("is missing", file=file, field=name)
    return fields[name]


def _number(fields: dict[str, str], name: str, file: Path, default: int | None = None) -> int:
    if default is not None and name not in fields:
        return default
    text = _text(fields, name, file)
    try:
        return int(text)
    except ValueError as error:
        raise InputError(f"expected a whole number, got {text!r}", file=file, field=name) from error


def _wavelengths(fields: dict[str, str], bands: int, file: Path) -> tuple[float, ...] | None:
    text = fields.get("wavelength")
    unit = _UNITS.get(fields.get("wavelength units", "nanometers").lower())
    if text is None or unit is None:  # an index or a wavenumber is no wavelength
        return None
    try:
        values = tuple(float(part) * unit for part in text.strip("{} \n").split(",") if part.strip())
    except ValueError as error:
        raise InputError(f"expected numbers, got {text[:60]!r}", file=file, field="wavelength") from error
    if len(values) != bands:
        raise InputError(f"lists {len(values)} wavelengths for {bands} bands", file=file, field="wavelength")
    return values
