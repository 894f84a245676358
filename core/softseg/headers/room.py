"""Whether a file declares more voxels than there is memory for, by its header alone."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from softseg.errors import InputError
from softseg.headers import IMAGE_SUFFIXES, read_header
from softseg.system import require_memory


def require_room(file: Path) -> None:
    """Refuse a volume that cannot be read as a whole; cubes of many bands, which need not be, and other files pass.

    Raises
    ------
    InputError: the header is damaged.
    OutOfMemoryError: it declares more voxels than there is memory for.
    """
    if file.name.lower().endswith(IMAGE_SUFFIXES) and file.is_file():
        header = read_header(file)
        if header.bands == 1:
            require_memory(header.bytes, "its voxels", file)


def require_room_for_each(files: Iterable[Path]) -> None:
    """Refuse, of many volumes, the first that is too large; what else is wrong with one is said when it is read.

    Raises
    ------
    OutOfMemoryError: a file declares more voxels than there is memory for.
    """
    for file in files:
        with suppress(InputError, OSError):
            require_room(file)
