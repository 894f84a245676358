"""What a result holds, without what differs from run to run: times, durations, temporary names."""

from __future__ import annotations

import hashlib
import re
import zipfile
from pathlib import Path

import world

_VOLATILE = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|[+-]\d\d:?\d\d)?"  # dates
    r'|"?\w*(seconds|minutes|changed_ns|time|elapsed|rate|memory)\w*"?\s*[:=]\s*"?[-\d.e+]+"?'  # durations
    r"|\d+(\.\d+)? ?(s|min|ms|MB|GB)\b"
)
_ROWS_WITH_TIMES = ("metrics.csv", "curves.csv", "log.txt", "results.csv")
_PICTURES = (".png", ".html", ".log", ".jsonl")


def fingerprint(path: Path) -> str:
    """Return a digest of a file's or folder's content; ``""`` where there is none."""
    if not path.exists():
        return ""
    if path.is_dir():
        parts = [
            f"{file.relative_to(path)}={fingerprint(file)}"
            for file in sorted(path.rglob("*"))
            if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
        ]
        return _digest("\n".join(parts).encode())
    if path.name.endswith(_PICTURES) or path.name in _ROWS_WITH_TIMES:
        return "there" if path.stat().st_size else "empty"
    if path.suffix in (".npz", ".pt"):
        return _archive(path)
    content = world.unpacked(path)
    try:
        return _digest(_VOLATILE.sub("", content.decode("utf-8")).encode())
    except UnicodeDecodeError:
        return _digest(content)


def _archive(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            parts = [f"{Path(info.filename).name}={info.CRC}" for info in archive.infolist() if _counts(info.filename)]
    except zipfile.BadZipFile:
        return "damaged"
    return _digest("\n".join(sorted(parts)).encode())


def _counts(member: str) -> bool:
    return not member.endswith(
        (".data/serialization_id", "version", "data.pkl", "meta.json", "header.json", "header.npy")
    )


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
