"""What stands where a file is expected: links, pipes, devices, folders, nothing; and names that are no plain text.

A place mutation takes the path of a file and a ``random.Random``, changes what is there, and returns the path by which
a command is to name it.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

Place = Callable[[Path, random.Random], Path]


def link_loop(path: Path, rng: random.Random) -> Path:
    """Two links to each other, or one to itself."""
    path.unlink()
    other = path if rng.random() < 0.5 else path.with_name("loop")
    path.symlink_to(other.name)
    if other is not path:
        other.symlink_to(path.name)
    return path


def link_to_device(path: Path, rng: random.Random) -> Path:
    """A link to a device that has no end or nothing in it."""
    path.unlink()
    path.symlink_to(rng.choice(("/dev/zero", "/dev/null", "/dev/urandom", "/dev/full", "/dev/tty")))
    return path


def link_out(path: Path, rng: random.Random) -> Path:
    """A link to a file elsewhere, or to nowhere."""
    path.unlink()
    path.symlink_to(rng.choice(("/etc/passwd", "/proc/self/mem", "/proc/self/environ", "../../nowhere")))
    return path


def pipe(path: Path, _rng: random.Random) -> Path:
    """A pipe that nobody writes to."""
    path.unlink()
    os.mkfifo(path)
    return path


def folder(path: Path, rng: random.Random) -> Path:
    """A folder of the file's name, empty or with something in it."""
    content = path.read_bytes()
    path.unlink()
    path.mkdir()
    if rng.random() < 0.5:
        (path / path.name).write_bytes(content)
    return path


def gone(path: Path, _rng: random.Random) -> Path:
    """Nothing."""
    path.unlink()
    return path


def loop_beside(path: Path, _rng: random.Random) -> Path:
    """A link beside the file to the folder that it is in."""
    (path.parent / "loop").symlink_to(".")
    return path


PLACES: tuple[Place, ...] = (link_loop, link_to_device, link_out, pipe, folder, gone, loop_beside)


def odd_name(path: Path, rng: random.Random) -> Path:
    """The file under a name that is long, or no plain text; what its name ends with stays."""
    first, dot, ending = path.name.partition(".")
    stem = rng.choice(
        (
            os.fsdecode(b"odd\xe9\xff"),
            os.fsdecode(b"odd\xed\xa0\x80"),
            "odd" + "x" * (255 - 3 - len(dot + ending)),
            "odd" + "é" * 100,
            "odd " + first,
            "odd'\"$HOME`id`%s%n",
            "odd\n\r\t",
            "odd\u202e\u200f",
            "odd\U0001f9e0",
            "odd*?[a]",
            "odd#1;2&3",
            "odd..",
        )
    )
    target = path.with_name(f"{stem}{dot}{ending}")
    shutil.move(path, target)
    return target
