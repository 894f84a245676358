"""Checkpoints of nnU-Net, which are pickles, read without running anything of them."""

from __future__ import annotations

import importlib
import pathlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np

from softseg.errors import InputError
from softseg.system import raise_out_of_memory


def read_checkpoint(file: Path) -> dict[str, Any]:
    """Return a checkpoint: tensors and plain values, with the NumPy scalars of nnU-Net's log.

    Raises
    ------
    InputError: it is damaged, is no checkpoint of nnU-Net, or holds anything else, which is named.
    """
    import torch

    try:
        with torch.serialization.safe_globals(_allowed()):
            found = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        what = str(error).partition("GLOBAL ")[2].split(" ")[0].strip("`'\"") or "what is no weight"
        raise InputError(
            f"holds pickled code ({what}), which is not run",
            file=file,
            hint="save it again with weights and plain values alone",
        ) from error
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as error:
        raise_out_of_memory(error, file)
        raise InputError("is damaged, or no checkpoint", file=file) from error
    wanted = ("network_weights", "trainer_name", "init_args")
    missing = [key for key in wanted if key not in found] if isinstance(found, dict) else list(wanted)
    if missing:
        raise InputError(f"is no checkpoint of nnU-Net 2: it lacks {missing[0]}", file=file)
    return dict(found)


def _allowed() -> list[Any]:
    """Return the constructors of NumPy's numbers and of paths, by all names that they have had."""
    older = np.lib.NumpyVersion(np.__version__) < "2.0.0"
    made = importlib.import_module("numpy.core.multiarray" if older else "numpy._core.multiarray")
    names = [
        (getattr(made, name), f"{module}.multiarray.{name}")
        for module in ("numpy.core", "numpy._core")
        for name in ("scalar", "_reconstruct")
    ]
    kinds = ("Bool", "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float32", "Float64")
    return [
        *names,
        np.dtype,
        np.ndarray,
        *(type(np.dtype(kind.lower())) for kind in kinds),
        pathlib.PosixPath,
        pathlib.WindowsPath,
        pathlib.PurePosixPath,
        pathlib.PureWindowsPath,
    ]
