"""Which files make up which case: what people name on the command line becomes a list of cases.

A model of one channel takes files and folders of files. A model of several channels takes, for each case, the files
joined by commas in the model's channel order (``flair.nii.gz,t1.nii.gz``), or folders in which each file's name ends in
its channel: by number (``case_0000.nii.gz``, as nnU-Net) or by name (``case_FLAIR.nii.gz``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

from softseg.data.cubes import CHANNEL_SUFFIXES, channel_files, file_of
from softseg.errors import InputError

MAX_LISTED = 5
"""How many names a message lists."""


@dataclass(frozen=True)
class CaseInput:
    """One case to predict.

    Attributes
    ----------
    name: names the case's output folder.
    images: one file per channel, in the model's order.
    problem: why the case cannot be predicted, ``None`` if nothing is known to be wrong.
    """

    name: str
    images: tuple[Path, ...]
    problem: InputError | None = None


def find_cases(inputs: Sequence[str | PathLike[str]], channels: Sequence[str]) -> list[CaseInput]:
    """Return the cases that ``inputs`` (files, files joined by commas, folders) name for a model with ``channels``.

    Cases of one name get their folder's name in front (``sub-1_T1w``, ``sub-2_T1w``).

    Raises
    ------
    InputError: nothing is given, a folder holds no image, the number of files does not fit the number of channels, or
        two cases have one name.
    """
    cases: list[CaseInput] = []
    for given in inputs:
        text = fspath(given)
        path = Path(text)
        if path.is_dir():
            cases += _in_folder(path, channels)
        elif path.exists() or "," not in text:
            cases.append(_of_files([path], channels))
        else:
            cases.append(_of_files([Path(part.strip()) for part in text.split(",") if part.strip()], channels))
    if not cases:
        raise InputError("no image was given", field="IMAGE")
    return _distinct(cases)


def stem(path: Path) -> str:
    """Return the file name without its image ending (``scan.nii.gz`` and ``scan.npz:cube`` -> ``scan``)."""
    file = file_of(path)
    for suffix in CHANNEL_SUFFIXES:
        if file.name.lower().endswith(suffix):
            return file.name[: -len(suffix)]
    return file.stem


def _of_files(files: list[Path], channels: Sequence[str]) -> CaseInput:
    if len(files) != len(channels):
        raise InputError(
            f"the model needs {len(channels)} channel{'s' * (len(channels) > 1)} ({', '.join(channels)}), "
            f"got {len(files)} file{'s' * (len(files) != 1)}",
            file=",".join(map(str, files)),
            field="channels",
            hint="join the files of one case by commas, in this order" if len(channels) > 1 else None,
        )
    name = stem(files[0])
    if len(files) > 1:
        base, channel = _split_channel(name, channels)
        name = base if channel is not None else name
    return CaseInput(name, tuple(files))


def _in_folder(folder: Path, channels: Sequence[str]) -> list[CaseInput]:
    there = [f for f in sorted(folder.iterdir()) if f.is_file() and not f.name.startswith(".")]
    files = channel_files(there)
    if not files:
        raise InputError(f"no image ({', '.join(CHANNEL_SUFFIXES)}) in this folder", file=folder)
    parts = [_split_channel(stem(file), channels) for file in files]
    if len(channels) == 1:
        numbered = all(channel is not None for _, channel in parts)
        names = [base if numbered else stem(file) for file, (base, _) in zip(files, parts, strict=True)]
        return [CaseInput(name, (file,)) for name, file in zip(names, files, strict=True)]
    groups: dict[str, dict[int, Path]] = {}
    strangers = []
    for file, (base, channel) in zip(files, parts, strict=True):
        if channel is None:
            strangers.append(file.name)
        elif channel in groups.setdefault(base, {}):
            raise InputError(f"two files for channel {channels[channel]} of case {base}", file=file, field="channels")
        else:
            groups[base][channel] = file
    if strangers:
        raise InputError(
            f"file names must end in the channel ({_endings(channels)}); not so: {_listed(strangers)}",
            file=folder,
            field="channels",
        )
    return [_grouped(folder, base, found, channels) for base, found in groups.items()]


def _grouped(folder: Path, base: str, found: dict[int, Path], channels: Sequence[str]) -> CaseInput:
    missing = [channel for number, channel in enumerate(channels) if number not in found]
    problem = None
    if missing:
        problem = InputError(
            f"no file for this channel of case {base}",
            file=folder,
            field=f"channel {', '.join(missing)}",
            hint=f"names end in {_endings(channels)}",
        )
    return CaseInput(base, tuple(found[number] for number in sorted(found)), problem)


def _split_channel(name: str, channels: Sequence[str]) -> tuple[str, int | None]:
    """Return the case's name and the channel's position for ``case_0001`` and ``case_FLAIR``."""
    base, _, ending = name.rpartition("_")
    if base and len(ending) == 4 and ending.isdigit() and int(ending) < len(channels):
        return base, int(ending)
    for number, channel in enumerate(channels):
        tail = f"_{channel}".casefold()
        if name.casefold().endswith(tail) and len(name) > len(tail):
            return name[: -len(tail)], number
    return name, None


def _distinct(cases: list[CaseInput]) -> list[CaseInput]:
    counts = Counter(case.name for case in cases)
    named = [
        replace(case, name=f"{case.images[0].resolve().parent.name}_{case.name}") if counts[case.name] > 1 else case
        for case in cases
    ]
    repeated = [name for name, count in Counter(case.name for case in named).items() if count > 1]
    if repeated:
        raise InputError(
            f"several cases would be written to one folder: {_listed(repeated)}",
            field="IMAGE",
            hint="give each image once, and images of one name in separate commands",
        )
    return named


def _endings(channels: Sequence[str]) -> str:
    return ", ".join(f"_{number:04d} or _{channel}" for number, channel in enumerate(channels))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_LISTED])
    return shown if len(names) <= MAX_LISTED else f"{shown} and {len(names) - MAX_LISTED} more"
