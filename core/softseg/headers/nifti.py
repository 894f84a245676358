"""NIfTI-1 and NIfTI-2 (one file or header and image, plain or gzip'ed) and Analyze 7.5, either byte order."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.headers.forms import CODES, Forms, qform_matrix
from softseg.headers.header import DAMAGED, Header, three
from softseg.headers.packed import first_bytes, read_bands, read_numbers, require_finite

NUMBERS = {
    2: "u1",
    4: "i2",
    8: "i4",
    16: "f4",
    64: "f8",
    256: "i1",
    512: "u2",
    768: "u4",
    1024: "i8",
    1280: "u8",
}
"""NIfTI's code of each type of number that is read."""

COLOURS = {128: "RGB", 2304: "RGBA"}

_REFUSED = {
    1: "single bits",
    32: "complex numbers (complex64)",
    1536: "128-bit floats",
    1792: "complex numbers (complex128)",
    2048: "complex numbers (complex256)",
}
_ENDINGS = (".hdr", ".img", ".hdr.gz", ".img.gz")
_LARGEST = float(np.finfo(np.float32).max)
_FIELDS_1 = "dim 8h 40;datatype h 70;pixdim 8f 76;vox_offset f 108;scaling 2f 112;units B 123;codes 2h 252"
_FIELDS_1 += ";quaternion 3f 256;offset 3f 268;sform 12f 280"
_FIELDS_2 = "dim 8q 16;datatype h 12;pixdim 8d 104;vox_offset q 168;scaling 2d 176;units i 500;codes 2i 344"
_FIELDS_2 += ";quaternion 3d 352;offset 3d 376;sform 12d 400"


@dataclass(frozen=True)
class _Raw:
    """The fields of a header as they are in the file."""

    version: str
    order: str
    single: bool
    fields: dict[str, tuple[Any, ...]]

    def one(self, name: str) -> Any:
        return self.fields[name][0]


def is_nifti_pair(file: Path) -> bool:
    """Whether this is the header, or lies beside the header, of a NIfTI or Analyze pair (not of ENVI, a text)."""
    if not file.name.lower().endswith(_ENDINGS):
        return False
    try:
        header = _header_file(file)
        return header is not None and _order(first_bytes(header, 348)) is not None
    except InputError:
        return False


def read_nifti(file: Path) -> Header:
    """Read a header.

    Raises
    ------
    InputError: it is damaged, places its voxels nowhere, or its numbers are of a type that is not read; it is named.
    """
    pair = file.name.lower().endswith(_ENDINGS)
    header_file = _header_file(file) if pair else file
    if header_file is None:
        raise InputError("there is no header beside this file", file=file, hint=f"expected {_bare(file)}.hdr")
    raw = _parse(first_bytes(header_file, 540), file, pair)
    image_file = _image_file(file) if pair else file
    if image_file is None:
        raise InputError("there is no image beside this header", file=file, hint=f"expected {_bare(file)}.img")
    size, bands = _size(raw, file)
    code, colours = int(raw.one("datatype")), COLOURS.get(int(raw.one("datatype")), "")
    if code not in NUMBERS and not colours:
        what = _REFUSED.get(code)
        raise InputError(
            f"holds {what}, which are no image" if what else f"holds numbers of NIfTI's unknown type {code}",
            file=file,
            field="datatype",
            hint="give the magnitude as real numbers" if what and "complex" in what else None,
        )
    if colours and bands > 1:
        raise InputError(f"holds {colours} colours with a further axis", file=file, field="datatype")
    number = np.dtype("u1" if colours else raw.order + NUMBERS[code])
    notes: list[str] = []
    forms = _forms(raw, file, notes)
    offset = _offset(raw, pair, file)
    scaling = None if colours else _scaling(raw)
    bands = len(colours) or bands
    return Header(
        file,
        raw.version,
        size,
        bands,
        number,
        forms.affine,
        partial(_load, image_file, number, size, bands, offset, scaling, bool(colours)),
        colours,
        scaling,
        forms.chosen != "none",
        forms,
        tuple(notes),
        bands_apart=None if colours else partial(_each, image_file, number, (bands, *size[::-1]), offset, scaling),
    )


def _parse(content: bytes, file: Path, pair: bool) -> _Raw:
    order = _order(content)
    if order is None:
        raise InputError("cannot be read as an image: damaged, truncated or another format", file=file)
    two = struct.unpack(order + "i", content[:4])[0] == 540
    if len(content) < (540 if two else 348):
        raise InputError(DAMAGED, file=file)
    magic = content[4:8] if two else content[344:348]
    known = magic[:1] == b"n" and magic[1:2] in b"+i" and magic[2:3] in (b"2" if two else b"1")
    if not known and (two or not pair):
        raise InputError(
            "cannot be read as an image: damaged or another format (its header lacks NIfTI's sign)", file=file
        )
    fields = {}
    for entry in (_FIELDS_2 if two else _FIELDS_1).split(";"):
        name, kind, place = entry.split()
        fields[name] = struct.unpack_from(order + kind, content, int(place))
    version = "NIfTI-2" if two else "NIfTI-1" if known else "Analyze"
    if known and (magic[1:2] == b"i") != pair:
        other = "a pair of header and image" if not pair else "one file"
        raise InputError(f"its header says that it belongs to {other}", file=file, field="magic")
    return _Raw(version, order, magic[1:2] == b"+", fields)


def _order(content: bytes) -> str | None:
    """Return the byte order, None where this is no header."""
    for order in "<>":
        if len(content) >= 4 and struct.unpack(order + "i", content[:4])[0] in (348, 540):
            return order
    return None


def _size(raw: _Raw, file: Path) -> tuple[tuple[int, int, int], int]:
    count, *sizes = raw.fields["dim"]
    if not 1 <= count <= 7 or any(n < 1 for n in sizes[:count]):
        raise InputError(f"expected 1 to 7 axes with voxels, got {[count, *sizes]}", file=file, field="dim")
    return three(tuple(int(n) for n in sizes[:count]), file)


def _offset(raw: _Raw, pair: bool, file: Path) -> int:
    value = float(raw.one("vox_offset"))
    least = 0 if pair else 544 if raw.version == "NIfTI-2" else 352
    if not math.isfinite(value) or value != int(value) or value < 0:
        raise InputError(f"expected a number of bytes, got {value}", file=file, field="vox_offset")
    return max(int(value), least)


def _scaling(raw: _Raw) -> tuple[float, float] | None:
    """Return slope and intercept; a slope of 0, NaN or infinity means none (NIfTI's definition)."""
    slope, intercept = (float(n) for n in raw.fields["scaling"])
    if raw.version == "Analyze":
        intercept = 0.0  # SPM keeps a slope there, other programs nothing
    if not math.isfinite(slope) or slope == 0:
        return None
    intercept = intercept if math.isfinite(intercept) else 0.0
    return None if (slope, intercept) == (1.0, 0.0) else (slope, intercept)


def _single(number: Any) -> float:
    """Return a number of a header; beyond what NIfTI-1 can hold (NIfTI-2 has doubles) it is infinite."""
    return math.copysign(math.inf, number) if abs(number) > _LARGEST else float(number)


def _forms(raw: _Raw, file: Path, notes: list[str]) -> Forms:
    """Return both forms with sound voxel lengths, and note what was odd about them."""
    fields = raw.fields
    lengths = [_single(n) for n in fields["pixdim"][1:4]]
    axes = [float(abs(n)) if math.isfinite(n) and n != 0 else 1.0 for n in lengths]
    units = int(fields["units"][0]) & 7
    if raw.version == "Analyze":
        notes.append("it is an Analyze file, whose header does not say how it lies in space")
        return Forms(pixdim=(axes[0], axes[1], axes[2]), units=2)
    qform_code, sform_code = (int(n) for n in fields["codes"])
    sform_written, qform_written = (code if abs(code) < 1 << 15 else 0 for code in (sform_code, qform_code))
    forms = Forms(
        sform_written,
        tuple(_single(n) for n in fields["sform"]),
        qform_written,
        tuple(_single(n) for n in fields["quaternion"]),  # type: ignore[arg-type]
        tuple(_single(n) for n in fields["offset"]),  # type: ignore[arg-type]
        -1.0 if float(fields["pixdim"][0]) < 0 else 1.0,
        (axes[0], axes[1], axes[2]),
        units if units in (0, 1, 2, 3) else 0,
    )
    for name, code in (("sform_code", sform_code), ("qform_code", qform_code)):
        if code not in CODES:
            notes.append(f"its {name} {code} is none of NIfTI's (0 to 5) and counts as 0, as in nibabel")
    return _repaired(forms, lengths, file, notes)


def _repaired(forms: Forms, lengths: list[float], file: Path, notes: list[str]) -> Forms:
    coded = {"sform": forms.sform_code in CODES[1:], "qform": forms.qform_code in CODES[1:]}
    sound = {"sform": forms.sform_affine is not None, "qform": forms.qform_affine is not None}
    broken = [name for name in coded if coded[name] and not sound[name]]
    if broken and not any(sound.values()):
        raise InputError(
            f"its {' and '.join(broken)} {'places' if len(broken) == 1 else 'place'} the voxels nowhere",
            file=file,
            field=broken[0],
            hint="set the right form, for example with nibabel or fslorient",
        )
    notes += [f"its {name} is no place in space and counts for nothing" for name in broken]
    odd = ", ".join(f"{mm:g}" for mm in lengths)
    if not all(math.isfinite(mm) and mm > 0 for mm in lengths):
        if forms.chosen == "sform":
            notes.append(f"its voxel lengths (pixdim {odd}) are not positive; the sform holds")
        else:
            taken = ", ".join(f"{mm:g}" for mm in forms.pixdim)
            notes.append(f"its voxel lengths (pixdim {odd}) are not positive and are taken as {taken}")
    return _without(forms, broken)


def _without(forms: Forms, broken: list[str]) -> Forms:
    """Return the forms with those that are no place in space taken out, so that no output repeats them."""
    values = dict(vars(forms))
    finite = all(math.isfinite(n) for n in forms.sform)
    if "sform" in broken or not finite:
        values.update(sform_code=0, sform=(0.0,) * 12)
    readable = qform_matrix(forms.quaternion, forms.offset, forms.qfac, forms.pixdim)
    if "qform" in broken or readable is None or not np.isfinite(readable).all():
        values.update(qform_code=0, quaternion=(0.0,) * 3, offset=(0.0,) * 3)
    return Forms(**values)


def _load(
    file: Path,
    number: np.dtype[Any],
    size: tuple[int, int, int],
    bands: int,
    offset: int,
    scaling: tuple[float, float] | None,
    colours: bool,
) -> npt.NDArray[Any]:
    """Return ``[bands, k, j, i]``; colours lie voxel by voxel."""
    grid = size[::-1]
    shape = (*grid, bands) if colours else (bands, *grid)
    array = read_numbers(file, number, shape, offset)
    require_finite(array, file)
    if colours:
        return np.ascontiguousarray(np.moveaxis(array, -1, 0))
    return array if scaling is None else scaled(array, *scaling)


def _each(
    file: Path, number: np.dtype[Any], shape: tuple[int, ...], offset: int, scaling: tuple[float, float] | None
) -> Iterator[npt.NDArray[Any]]:
    """Yield the bands, ``[k, j, i]`` each."""
    for band in read_bands(file, number, shape, offset):
        require_finite(band, file)
        yield band if scaling is None else scaled(band[None], *scaling)[0]


def scaled(array: npt.NDArray[Any], slope: float, intercept: float) -> npt.NDArray[Any]:
    """Return ``slope * array + intercept``: float32 of whole numbers up to 16 bits and of float32, else float64."""
    small = array.dtype.itemsize <= 2 or array.dtype == np.float32
    out = np.empty(array.shape, np.float32 if small else np.float64)
    for source, target in zip(array, out, strict=True):
        for row, place in zip(source, target, strict=True):
            place[...] = row.astype(np.float64) * slope + intercept
    return out


def _bare(file: Path) -> str:
    """Return the name that header and image have in common."""
    name = file.name
    for ending in sorted(_ENDINGS, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _header_file(file: Path) -> Path | None:
    return file if ".hdr" in file.name[-7:].lower() else _beside(file, ".hdr")


def _image_file(file: Path) -> Path | None:
    return file if ".img" in file.name[-7:].lower() else _beside(file, ".img")


def _beside(file: Path, ending: str) -> Path | None:
    names = [_bare(file) + each for each in (ending, ending + ".gz", ending.upper(), ending.upper() + ".GZ")]
    return next((found for name in names if (found := file.with_name(name)).is_file()), None)
