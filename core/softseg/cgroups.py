"""What a container or a batch system allows this process: the limits of its control groups, versions 1 and 2.

A process lies in a group within groups, and every one of them may have a limit: all are looked at.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

ROOT = Path("/")
"""Where ``proc`` and the mounts of the groups lie."""

_NO_LIMIT = 2**60
"""Version 1 writes a number near 2**63 where there is no limit."""


@dataclass(frozen=True)
class MemoryLimit:
    """The limit of one group and what of it is left, in bytes, not below 0."""

    total: int
    free: int


def memory_limits() -> list[MemoryLimit]:
    """Return every limit of memory that holds for this process; none outside Linux.

    What a group has cached of files counts as free, since the kernel takes it back before anything fails.
    """
    found = []
    for group, version in _groups("memory"):
        names = ("memory.max", "memory.high") if version == 2 else ("memory.limit_in_bytes",)
        limits = [limit for name in names if (limit := _number(group / name)) is not None and limit < _NO_LIMIT]
        if not limits:
            continue
        used = _number(group / ("memory.current" if version == 2 else "memory.usage_in_bytes")) or 0
        cached = _statistic(group / "memory.stat", "inactive_file" if version == 2 else "total_inactive_file")
        found.append(MemoryLimit(min(limits), max(0, min(limits) - max(0, used - cached))))
    return found


def core_limits() -> list[float]:
    """Return every limit of processor time that holds for this process, in cores; none outside Linux."""
    found = []
    for group, version in _groups("cpu"):
        if version == 2:
            words = _text(group / "cpu.max").split()
            quota, period = (words[0], words[1]) if len(words) == 2 else ("max", "")
        else:
            quota, period = _text(group / "cpu.cfs_quota_us"), _text(group / "cpu.cfs_period_us")
        if quota.isdigit() and period.isdigit() and int(quota) > 0 and int(period) > 0:
            found.append(int(quota) / int(period))
    return found


def _groups(controller: str) -> Iterator[tuple[Path, int]]:
    """Yield the folders of this process's group and of all groups around it, with the version."""
    mounts = list(_mounts())
    for line in _text(ROOT / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, place = rest.partition(":")
        version = 2 if number == "0" and not controllers else 1
        if version == 1 and controller not in controllers.split(","):
            continue
        for mount in mounts:
            if mount.version == version and (version == 2 or controller in mount.options):
                for folder in mount.folders(PurePosixPath(place)):
                    yield folder, version
                break


@dataclass(frozen=True)
class _Mount:
    """Where groups are seen: ``root`` is the group that lies at ``point``."""

    version: int
    root: PurePosixPath
    point: Path
    options: tuple[str, ...]

    def folders(self, place: PurePosixPath) -> Iterator[Path]:
        """Yield the folder of the group ``place`` and those around it; of groups that are not seen here, the top."""
        try:
            inner = place.relative_to(self.root)
        except ValueError:  # in another container's view
            inner = PurePosixPath()
        if ".." in inner.parts:
            inner = PurePosixPath()
        for part in (inner, *inner.parents):
            folder = self.point / part
            if folder.is_dir():
                yield folder


def _mounts() -> Iterator[_Mount]:
    for line in _text(ROOT / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        if len(fields) < 5 or len(kind) < 1 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        options = tuple(kind[2].split(",")) if len(kind) > 2 else ()
        root, point = (_unescaped(field) for field in fields[3:5])
        yield _Mount(2 if kind[0] == "cgroup2" else 1, PurePosixPath(root), ROOT / point.lstrip("/"), options)


def _unescaped(field: str) -> str:
    for code, sign in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        field = field.replace(code, sign)
    return field


def _text(file: Path) -> str:
    try:
        return os.fsdecode(file.read_bytes()).strip()
    except OSError:
        return ""


def _number(file: Path) -> int | None:
    text = _text(file)
    return int(text) if text.isdigit() else None


def _statistic(file: Path, name: str) -> int:
    for line in _text(file).splitlines():
        key, _, value = line.partition(" ")
        if key == name and value.strip().isdigit():
            return int(value)
    return 0
