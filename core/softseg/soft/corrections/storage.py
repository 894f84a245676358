"""Corrections in the file of a soft parcellation: nodes and voxels, without the resulting distributions.

These follow from the model's prediction and are computed again when the file is read. A scribble takes about 1 KB.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.errors import InputError
from softseg.soft.corrections.constraints import allowed_leaves
from softseg.soft.corrections.correction import Correction, utc_text
from softseg.soft.corrections.runs import Runs
from softseg.system import require_memory
from softseg.tree import LabelTree

RUN_ARRAYS = ("correction_gaps", "correction_lengths")
"""Voxels between a run of voxels and the one before it, and voxels of the run; one correction after the other."""

_BYTES_PER_VOXEL = 100  # index, count and first entry of a corrected voxel, before and after, and a few leaves

Arrays = Mapping[str, npt.NDArray[Any]]


def header_entries(corrections: Sequence[Correction]) -> list[dict[str, Any]]:
    """Return the corrections of a header, the oldest first."""
    return [
        {
            "id": correction.id,
            "node": correction.node_id,
            "is": correction.is_node,
            "author": correction.author,
            "time": correction.time,
            "runs": int(correction.runs.starts.size),
        }
        for correction in corrections
    ]


def run_arrays(corrections: Sequence[Correction]) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays that hold the voxels of corrections."""
    small = all(math.prod(correction.runs.shape) < 1 << 32 for correction in corrections)
    gaps, lengths = [], []
    for correction in corrections:
        runs = correction.runs
        ends = runs.starts + runs.lengths
        gaps.append(runs.starts - np.append(0, ends[:-1]))
        lengths.append(runs.lengths)
    kind = np.uint32 if small else np.uint64
    return dict(zip(RUN_ARRAYS, (np.concatenate(part).astype(kind) for part in (gaps, lengths)), strict=True))


def read_corrections(
    header: Mapping[str, Any], arrays: Arrays, tree: LabelTree, shape: tuple[int, int, int], file: Path
) -> list[Correction]:
    """Return the corrections of a file, the oldest first.

    Parameters
    ----------
    header: of the file.
    arrays: those of the file.
    tree: the file's.
    shape: ``(k, j, i)`` of its grid.
    file: named in messages.

    Raises
    ------
    InputError: a correction is not valid; the message names it.
    OutOfMemoryError: the corrected voxels need more memory than is free.
    """
    entries = header.get("corrections", [])
    if not isinstance(entries, list):
        raise InputError(f"expected a list of corrections, got {entries!r:.60}", file=file, field="corrections")
    gaps, lengths = _runs(arrays, entries, file)
    most = min(int(lengths.sum()), math.prod(shape))
    require_memory(_BYTES_PER_VOXEL * most, f"{most} corrected voxels", file, "corrections")
    out: list[Correction] = []
    first = 0
    for number, entry in enumerate(entries):
        field = f"corrections[{number}]"
        try:
            runs = slice(first, first + _whole(entry["runs"]))
            first = runs.stop
            correction = _correction(entry, gaps[runs], lengths[runs], shape)
            allowed_leaves(correction.node_id, correction.is_node, tree)
        except KeyError as error:
            raise InputError(f"it lacks {error}", file=file, field=field) from error
        except InputError as error:
            raise InputError(
                error.message, file=file, field=f"{field}, {error.field}" if error.field else field
            ) from error
        except (TypeError, ValueError, AttributeError) as error:
            raise InputError(f"not a sound correction: {error}", file=file, field=field) from error
        if any(other.id == correction.id for other in out):
            raise InputError(f"the id {correction.id!r} is there twice", file=file, field=field)
        out.append(correction)
    if first != gaps.size:
        raise InputError(
            f"holds {gaps.size} runs of voxels, but the header counts {first}", file=file, field=RUN_ARRAYS[0]
        )
    return out


def _runs(arrays: Arrays, entries: list[Any], file: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    if not entries and not any(name in arrays for name in RUN_ARRAYS):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    for name in RUN_ARRAYS:
        if name not in arrays:
            raise InputError("is missing, though the header lists corrections", file=file, field=name)
        if arrays[name].ndim != 1 or arrays[name].dtype not in (np.uint32, np.uint64):
            raise InputError("expected a row of uint32 or uint64", file=file, field=name)
        if arrays[name].size and int(arrays[name].max()) >= 1 << 48:
            raise InputError(f"a run of {int(arrays[name].max())} voxels is impossible", file=file, field=name)
    gaps, lengths = (arrays[name].astype(np.int64) for name in RUN_ARRAYS)
    if gaps.size != lengths.size:
        raise InputError(f"expected {gaps.size} lengths of runs, got {lengths.size}", file=file, field=RUN_ARRAYS[1])
    return gaps, lengths


def _correction(
    entry: Mapping[str, Any],
    gaps: npt.NDArray[np.int64],
    lengths: npt.NDArray[np.int64],
    shape: tuple[int, int, int],
) -> Correction:
    texts = [entry[key] for key in ("id", "node", "author", "time")]
    if not all(isinstance(text, str) for text in texts) or not isinstance(entry["is"], bool):
        raise ValueError("expected texts for id, node, author and time, and true or false for 'is'")
    if not gaps.size or gaps.size != entry["runs"]:
        raise ValueError(f"expected {entry['runs']} runs of voxels, got {gaps.size}")
    starts = np.cumsum(gaps) + np.cumsum(lengths) - lengths
    id_, node, author, time = texts
    return Correction(id_, node, entry["is"], author, utc_text(time), Runs(starts, lengths, shape))


def _whole(value: Any) -> int:
    if type(value) is not int or value < 1:
        raise ValueError(f"expected a number of runs, got {value!r}")
    return value
