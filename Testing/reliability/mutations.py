"""How a valid file is damaged: bytes, headers, texts, structured values, archives; one random source chooses all.

A mutation takes the file's bytes and a ``random.Random`` and returns other bytes. :func:`mutations_for` says which fit
a file by its name.
"""

from __future__ import annotations

import gzip
import io
import json
import random
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

ODD_TEXTS = (
    "",
    " ",
    "../../x",
    "/etc/passwd",
    "a" * 5000,
    "CON",
    "x\x00y",
    "\ud800".encode("utf-16", "surrogatepass").decode("utf-16", "replace"),
    "$__import__('os').system('true')",
    "=1+1",
    "nan",
    "{{ 7 * 7 }}",
    "\u202e gnp.exe",
    "<b>bold</b>",
    "\ud800",
    "a\udcffb",
    "\ufeff",
)
ODD_NUMBERS = (0, -1, 1, 2**31, 2**63, -(2**63), 10**40, 10**5000, 1e308, -1e-308, 0.5, float("nan"), float("inf"))
ODD_LINES = (
    "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b]\n",
    "!!python/object/apply:os.system ['true']\n",
    "when: 2001-99-99\n",
    "<<: *nowhere\n",
    "\t- tab\n",
    "? [complex, key]\n: value\n",
    "key: value\nkey: value\n",
    "%YAML 9.9\n---\n",
    "--- a\n--- b\n",
    "x: 1_0:60:60.5\n",
    "[" * 3000,
    "{" * 3000,
    "- " * 3000,
    '{"a":' * 2000,
)


def mutations_for(name: str) -> list[Mutation]:
    """Return the mutations that make sense for a file of this name; general ones always do."""
    lower = name.lower()
    found: list[Mutation] = list(BYTES)
    if lower.endswith((".json", ".yaml", ".yml")):
        found += [*STRUCTURED, *TEXTS] * 2
    elif lower.endswith((".txt", ".csv", ".tsv", ".ctbl", ".label", ".hdr", ".mhd", ".nhdr")):
        found += [*TEXTS] * 3
    if lower.endswith((".nii", ".nii.gz")):
        found += [nifti_field] * 12 + [inside_gzip] * 3
    if lower.endswith((".nrrd", ".nhdr", ".mha", ".mhd")):
        found += [header_line] * 12
    if lower.endswith((".npz", ".pt", ".pth")):
        found += [archive_member] * 12
    return found


# --- bytes -------------------------------------------------------------------------------------------------------


def flip_bytes(content: bytes, rng: random.Random) -> bytes:
    """Change a few bytes anywhere."""
    changed = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def flip_early_bytes(content: bytes, rng: random.Random) -> bytes:
    """Change a few of the first bytes, where headers are."""
    changed = bytearray(content or b"\0")
    for _ in range(rng.choice((1, 2, 4))):
        changed[rng.randrange(min(len(changed), 400))] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(changed)


def truncate(content: bytes, rng: random.Random) -> bytes:
    """Cut the end off."""
    return content[
        : rng.choice((0, 1, 2, 10, len(content) // 2, max(0, len(content) - 1), rng.randrange(len(content) + 1)))
    ]


def repeat_part(content: bytes, rng: random.Random) -> bytes:
    """Insert a copy of a part, or leave a part out."""
    if not content:
        return b"\0"
    first, last = sorted(rng.randrange(len(content)) for _ in range(2))
    part = content[first:last] * rng.choice((0, 2, 3))
    return content[:first] + part + content[last:]


def foreign_content(content: bytes, rng: random.Random) -> bytes:
    """Replace everything by something of another kind."""
    return rng.choice(
        (
            b"",
            b"\0" * 400,
            b"PK\x03\x04" + content[:100],
            b"\x1f\x8b\x08\x00" + content[:50],
            b"<html>404</html>",
            bytes(rng.randrange(256) for _ in range(rng.choice((10, 348, 1000)))),
            b"\xff\xfe" + "wide".encode("utf-16-le"),
            gzip.compress(content[:10_000]),
            b"\x80\x04c__builtin__\nprint\n(Vx\ntR.",
            b"\x00\x05\x16\x07" + b"\0" * 200,
        )
    )


def gzip_bomb(_content: bytes, rng: random.Random) -> bytes:
    """Return a small file that unpacks to a large one."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    block = b"\0" * (1 << 20)
    return b"".join(packer.compress(block) for _ in range(rng.choice((64, 512)))) + packer.flush()


BYTES: tuple[Mutation, ...] = (
    flip_bytes,
    flip_bytes,
    flip_early_bytes,
    flip_early_bytes,
    truncate,
    repeat_part,
    foreign_content,
    gzip_bomb,
)


# --- texts -------------------------------------------------------------------------------------------------------


def odd_line(content: bytes, rng: random.Random) -> bytes:
    """Insert a line that parsers stumble over."""
    lines = content.split(b"\n")
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(ODD_LINES).encode())
    return b"\n".join(lines)


def odd_word(content: bytes, rng: random.Random) -> bytes:
    """Replace one word by an odd text or number."""
    text = content.decode("utf-8", "replace")
    words = text.split(" ")
    odd = rng.choice((*ODD_TEXTS, *(_short(number) for number in ODD_NUMBERS)))
    words[rng.randrange(len(words))] = odd
    return " ".join(words).encode("utf-8", "replace")


def odd_field(content: bytes, rng: random.Random) -> bytes:
    """Replace, drop or repeat one field of one line, at whatever separates fields there."""
    lines = content.decode("utf-8", "replace").splitlines()
    if not lines:
        return b"\n"
    number = rng.randrange(len(lines))
    for separator in ("\t", ",", ";", "=", ":", " "):
        if separator in lines[number]:
            fields = lines[number].split(separator)
            at = rng.randrange(len(fields))
            choice = rng.randrange(3)
            if choice == 0:
                fields[at] = rng.choice((*ODD_TEXTS, *(_short(n) for n in ODD_NUMBERS)))
            elif choice == 1:
                del fields[at]
            else:
                fields.insert(at, fields[at])
            lines[number] = separator.join(fields)
            break
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def repeat_line(content: bytes, rng: random.Random) -> bytes:
    """Repeat, drop or swap lines."""
    lines = content.split(b"\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    choice = rng.randrange(3)
    if choice == 0:
        lines.insert(second, lines[first])
    elif choice == 1:
        del lines[first]
    else:
        lines[first], lines[second] = lines[second], lines[first]
    return b"\n".join(lines)


def other_encoding(content: bytes, rng: random.Random) -> bytes:
    """Write the same text in another encoding or with other line ends."""
    text = content.decode("utf-8", "replace")
    return rng.choice(
        (
            b"\xef\xbb\xbf" + content,
            text.encode("utf-16"),
            text.encode("utf-32"),
            content.replace(b"\n", b"\r\n"),
            content.replace(b"\n", b"\r"),
            content + b"\xe9\xff\n",
            content.replace(b" ", b"\xa0"),
        )
    )


TEXTS: tuple[Mutation, ...] = (odd_line, odd_word, odd_word, odd_field, odd_field, repeat_line, other_encoding)


# --- structured values -------------------------------------------------------------------------------------------


def odd_value(content: bytes, rng: random.Random) -> bytes:
    """Replace one value somewhere inside."""
    return _edited(content, rng, lambda holder, key: _set(holder, key, _odd(rng)))


def missing_key(content: bytes, rng: random.Random) -> bytes:
    """Leave one key or item out."""
    return _edited(content, rng, lambda holder, key: holder.__delitem__(key))


def unknown_key(content: bytes, rng: random.Random) -> bytes:
    """Add a key nobody asked for, or rename one."""

    def edit(holder: Any, key: Any) -> None:
        if isinstance(holder, dict):
            holder[rng.choice(ODD_TEXTS)] = holder.pop(key) if rng.random() < 0.5 else _odd(rng)
        else:
            holder.append(_odd(rng))

    return _edited(content, rng, edit)


def repeated_key(content: bytes, rng: random.Random) -> bytes:
    """Write one key twice, the second time with another value."""
    lines = content.decode("utf-8", "replace").replace(", ", ",\n").splitlines(keepends=True)
    keyed = [number for number, line in enumerate(lines) if re.match(r"""\s*(-\s+|\{\s*)?["\w.]+\s*:""", line)]
    if not keyed:
        return flip_bytes(content, rng)
    at = rng.choice(keyed)
    key, colon, _value = lines[at].partition(":")
    twin = f"{key.replace('{', ' ')}{colon} {rng.choice(('1', 'null', '[]', 'NaN', '-Infinity', '1e999'))}"
    lines.insert(at + 1, twin + (",\n" if lines[at].rstrip().endswith(",") else "\n"))
    return "".join(lines).encode("utf-8", "replace")


def deep_value(content: bytes, rng: random.Random) -> bytes:
    """Put lists or objects inside each other, deeper than any reader walks, in the place of one value."""
    mark = "fuzz-deep-value"
    levels = rng.choice((63, 70, 1000, 20_000))
    deep = rng.choice(("[" * levels + "]" * levels, '{"a": ' * levels + "1" + "}" * levels))
    edited = _edited(content, rng, lambda holder, key: _set(holder, key, mark))
    return edited.replace(f'"{mark}"'.encode(), deep.encode()).replace(mark.encode(), deep.encode())


def huge_integer(content: bytes, rng: random.Random) -> bytes:
    """Write an integer of many digits in the place of one value."""
    mark = "fuzz-huge-integer"
    digits = rng.choice(("-", "")) + "9" * rng.choice((19, 40, 400, 5000, 200_000))
    edited = _edited(content, rng, lambda holder, key: _set(holder, key, mark))
    return edited.replace(f'"{mark}"'.encode(), digits.encode()).replace(mark.encode(), digits.encode())


STRUCTURED: tuple[Mutation, ...] = (
    *(odd_value, odd_value, odd_value, missing_key, unknown_key, repeated_key, deep_value, huge_integer),
)


def _edited(content: bytes, rng: random.Random, edit: Callable[[Any, Any], None]) -> bytes:
    try:
        value, write = json.loads(content), _as_json
    except (ValueError, RecursionError):
        import yaml

        try:
            value, write = yaml.safe_load(content), _as_yaml
        except (yaml.YAMLError, ValueError, RecursionError):
            return flip_bytes(content, rng)
    places = list(_places(value))
    if not places:
        return flip_bytes(content, rng)
    edit(*rng.choice(places))
    return write(value)


def _as_json(value: Any) -> bytes:
    return json.dumps(value, default=str).encode("utf-8", "replace")


def _as_yaml(value: Any) -> bytes:
    import yaml

    return yaml.safe_dump(value, allow_unicode=True).encode("utf-8", "replace")


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        for key in list(value):
            yield value, key
            yield from _places(value[key])
    elif isinstance(value, list):
        for number in range(len(value)):
            yield value, number
            yield from _places(value[number])


def _set(holder: Any, key: Any, value: Any) -> None:
    holder[key] = value


def _odd(rng: random.Random) -> Any:
    numbers = [number for number in ODD_NUMBERS if not isinstance(number, int) or number < 10**50]
    deep: Any = 1
    for _ in range(60):
        deep = [deep]
    return rng.choice((*ODD_TEXTS, *numbers, None, True, [], {}, [[]], {"a": {}}, deep, [1] * 50))


def _short(number: float) -> str:
    try:
        return str(number)
    except ValueError:  # Python refuses to print integers of thousands of digits
        return "9" * 5000


# --- headers of images -------------------------------------------------------------------------------------------

_NIFTI_FIELDS = (
    (0, "i", 1),
    (40, "h", 8),
    (70, "h", 1),
    (72, "h", 1),
    (76, "f", 8),
    (108, "f", 1),
    (112, "f", 2),
    (123, "B", 1),
    (252, "h", 2),
    (256, "f", 6),
    (280, "f", 12),
    (344, "4s", 1),
)
_ODD_SHORTS = (0, 1, -1, 2, 3, 4, 5, 7, 8, 9, 16, 32, 64, 128, 512, 1024, 2304, 32767, -32768)
_ODD_FLOATS = (0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), -float("inf"), 1e6, 352.5, 2.0, -0.0)


def nifti_field(content: bytes, rng: random.Random) -> bytes:
    """Change one or two fields of a NIfTI-1 header."""
    packed = content[:2] == b"\x1f\x8b"
    try:
        header = bytearray(gzip.decompress(content) if packed else content)
    except (OSError, EOFError, zlib.error):
        return flip_bytes(content, rng)
    if len(header) < 352:
        return flip_bytes(content, rng)
    for _ in range(rng.choice((1, 1, 2))):
        start, kind, count = rng.choice(_NIFTI_FIELDS)
        size = struct.calcsize(kind)
        at = start + size * rng.randrange(count)
        header[at : at + size] = _packed(kind, rng)
    return gzip.compress(bytes(header), 1) if packed else bytes(header)


def _packed(kind: str, rng: random.Random) -> bytes:
    if kind == "f":
        return struct.pack("<f", rng.choice(_ODD_FLOATS))
    if kind == "h":
        return struct.pack("<h", rng.choice(_ODD_SHORTS))
    if kind == "i":
        return struct.pack("<i", rng.choice((0, 348, 540, -1, 1 << 30, 0x5C010000)))
    if kind == "B":
        return bytes([rng.randrange(256)])
    return rng.choice((b"ni1\0", b"n+1\0", b"n+2\0", b"\0\0\0\0", b"junk"))


def inside_gzip(content: bytes, rng: random.Random) -> bytes:
    """Damage what is inside and pack it again, so that the checksum is right."""
    try:
        return gzip.compress(rng.choice(BYTES[:6])(gzip.decompress(content), rng), 1)
    except (OSError, EOFError, zlib.error):
        return flip_bytes(content, rng)


_HEADER_LINES = (
    b"sizes: 100000 100000 100000",
    b"dimension: 99",
    b"type: block",
    b"encoding: hex",
    b"data file: /etc/passwd",
    b"data file: LIST",
    b"data file: ../../../../etc/hostname",
    b"space directions: none none none",
    b"space directions: (nan,0,0) (0,1,0) (0,0,1)",
    b"space: left-anterior-superior-time",
    b"comment:=" + b"x" * 2000,
    b"ElementDataFile = /etc/passwd",
    b"ElementDataFile = LIST",
    b"ElementDataFile = %03d.raw 1 99999 1",
    b"DimSize = 100000 100000 100000",
    b"NDims = 0",
    b"NDims = 99",
    b"ElementType = MET_NONE",
    b"ElementSpacing = 0 0 0",
    b"TransformMatrix = 0 0 0 0 0 0 0 0 0",
    b"CompressedDataSize = 99999999999",
    b"HeaderSize = -1",
)


def header_line(content: bytes, rng: random.Random) -> bytes:
    """Replace, add or damage a line of the text that stands before the voxels."""
    end = content.find(b"\n\n")
    end = content.find(b"ElementDataFile") if end < 0 else end
    head, rest = (content[:end], content[end:]) if end > 0 else (content, b"")
    lines = head.split(b"\n")
    number = rng.randrange(1, max(2, len(lines)))
    choice = rng.randrange(4)
    if choice == 0 and number < len(lines):
        lines[number] = rng.choice(_HEADER_LINES)
    elif choice == 1:
        lines.insert(number, rng.choice(_HEADER_LINES))
    elif choice == 2 and number < len(lines):
        lines[number] = odd_field(lines[number], rng).rstrip(b"\n")
    elif number < len(lines):
        del lines[number]
    return b"\n".join(lines) + rest


# --- archives ----------------------------------------------------------------------------------------------------


def archive_member(content: bytes, rng: random.Random) -> bytes:
    """Damage, drop, rename, repeat or inflate one member of a zip archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    except (zipfile.BadZipFile, OSError, EOFError, zlib.error, ValueError, NotImplementedError, RuntimeError):
        return flip_bytes(content, rng)
    if not members:
        return flip_bytes(content, rng)
    at = rng.randrange(len(members))
    name, data = members[at]
    choice = rng.randrange(8)
    if choice == 0:
        del members[at]
    elif choice == 1:
        members[at] = rng.choice(("../../" + name, "/" + name, name + "x", "", "a" * 300)), data
    elif choice == 2:
        members.append((name, flip_bytes(data, rng)))
    elif choice == 3:
        members[at] = name, _huge_array(data, rng)
    elif choice == 4:
        members[at] = name, b"\0" * (200 << 20)
    elif choice == 5 and name.endswith(".json"):
        members[at] = name, rng.choice(STRUCTURED)(data, rng)
    else:
        members[at] = (
            name,
            rng.choice((flip_bytes, flip_early_bytes, truncate, repeat_part, foreign_content))(data, rng),
        )
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for member, data in members:
            archive.writestr(zipfile.ZipInfo(member or "_"), data)
    return packed.getvalue()


def _huge_array(data: bytes, rng: random.Random) -> bytes:
    """Let a NumPy array declare another shape or type than it has."""
    if not data.startswith(b"\x93NUMPY"):
        return flip_bytes(data, rng)
    shape = rng.choice((b"(1500, 2000, 2000)", b"(9999999999,)", b"(-1,)", b"()", b"(0, 0, 0)", b"(3, 3)"))
    start, end = data.find(b"(", 10), data.find(b")", 10) + 1
    if start < 0 or end <= 0:
        return flip_bytes(data, rng)
    header = data[10:start] + shape + data[end : data.find(b"\n", 10) + 1]
    if rng.random() < 0.3:
        header = header.replace(b"|u1", rng.choice((b"|O", b"<f8", b"<U9", b"|V0"))).replace(b"<u2", b"|O")
    header = header.rstrip(b"\n ").ljust(117) + b"\n"
    return data[:8] + struct.pack("<H", len(header)) + header + data[data.find(b"\n", 10) + 1 :]
