"""Files of weights: read without ever running code that may be in them, written so that a full disk is noticed."""

from __future__ import annotations

import pickle
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softseg.errors import InputError
from softseg.files import require_file
from softseg.system import raise_out_of_memory, require_memory

if TYPE_CHECKING:
    import torch

_LARGEST_NOTE = 16 << 20  # bytes of a member that holds no numbers: names and shapes, the version


def read_weights(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """Read a file of plain weights; pickled code in it is refused, never run.

    Raises
    ------
    InputError: the file is missing, damaged, or holds anything but plain values and tensors.
    """
    import torch

    require_file(path)
    _require_plain_size(path)
    try:
        state = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(
            "holds pickled Python objects where plain weights belong; refused, nothing of it was run",
            file=path,
            hint="get the weights from a source you trust as a plain state dict",
        ) from error
    except Exception as error:  # whatever the library makes of damage
        raise_out_of_memory(error, path)
        raise InputError("is damaged or not a file of weights", file=path) from error
    if not isinstance(state, dict):
        raise InputError(f"expected named weights, got {type(state).__name__}", file=path)
    return state


def _require_plain_size(path: Path) -> None:
    """Refuse an archive that would unpack to more than the file: weights are stored unpacked."""
    size = path.stat().st_size
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            sizes = {info.filename: info.file_size for info in archive.infolist()}
            unpacked = sum(info.file_size for info in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, struct.error) as error:
        raise InputError("is damaged or not a file of weights", file=path) from error
    if any(count > _LARGEST_NOTE for name, count in sizes.items() if "/data/" not in name):
        raise InputError("is damaged or not a file of weights", file=path)
    if unpacked > size:
        raise InputError(
            f"is damaged or not a file of weights: {size} bytes that unpack to {unpacked}",
            file=path,
            hint="get the weights from a source you trust as a plain state dict",
        )
    require_memory(size, "the weights", path)


def write_weights(state: dict[str, Any], path: Path) -> None:
    """Write plain values and tensors to ``path``; :func:`read_weights` reads them back.

    Raises
    ------
    OSError: the disk is full or the folder cannot be written (given a path instead of an open file, torch would raise
        an unspecific error).
    """
    import torch

    try:
        with path.open("wb") as file:
            torch.save(state, file)
    except RuntimeError as error:  # torch's error when its archive cannot be closed, after the system's own
        system = error.__context__
        if isinstance(system, OSError):
            raise OSError(system.errno, system.strerror, str(path)) from error
        raise
