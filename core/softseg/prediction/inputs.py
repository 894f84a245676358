"""Which files make up which case: what people name on the command line becomes a list of cases.

A folder with ``dataset_description.json`` is a BIDS dataset: :mod:`softseg.prediction.bids_inputs` decides which of its
images are cases. A folder of DICOM slices is one scan, called by the folder's name; a folder of such folders holds one
case in each. A series of a folder is named as ``FOLDER:3``, by number or UID, or by ``series`` for all folders.

A model of one channel takes files and folders of files. A model of several channels takes, for each case, the files
joined by commas in the model's channel order (``flair.nii.gz,t1.nii.gz``; a name that holds a comma stands in double
quotes), or folders in which each file's name ends in its channel: by number (``case_0000.nii.gz``, as nnU-Net) or by
name (``case_FLAIR.nii.gz``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike, fspath
from pathlib import Path

from softseg.data.cubes import CHANNEL_SUFFIXES, channel_files, file_of
from softseg.errors import InputError
from softseg.files import is_folder
from softseg.headers import dicom_stem, is_dicom_folder, is_dicom_image, split_series, with_series
from softseg.prediction.bids_inputs import DESCRIPTION_FILE, BidsChoice, bids_cases, is_bids_dataset
from softseg.requests.lists import split_list
from softseg.requests.manifest import absolute
from softseg.texts import require_text_name

MAX_LISTED = 5
"""How many names a message lists."""


@dataclass(frozen=True)
class CaseInput:
    """One case to predict.

    Attributes
    ----------
    name: for people; no two cases of a list have one. Its folder: :mod:`softseg.prediction.places`.
    images: one file per channel, in the model's order.
    problem: why the case cannot be predicted, ``None`` if nothing is known to be wrong.
    """

    name: str
    images: tuple[Path, ...]
    problem: InputError | None = None


def find_cases(
    inputs: Sequence[str | PathLike[str]],
    channels: Sequence[str],
    series: str | None = None,
    bids: BidsChoice | None = None,
) -> list[CaseInput]:
    """Return the cases that ``inputs`` (files, files joined by commas, folders) name for a model with ``channels``.

    Cases of one name get the names of their folders in front, as many as needed (``sub-1_T1w``,
    ``sub-2_T1w``).

    Parameters
    ----------
    inputs: what was named.
    channels: of the model.
    series: number or UID of the series that is meant in folders of DICOM slices; the only one by default.
    bids: which images of BIDS datasets are meant.

    Raises
    ------
    InputError: nothing is given, a folder holds no image, the number of files does not fit the number of channels, one
        case is given twice, or a name is not UTF-8; or a folder of DICOM slices holds several series, which are listed.
    """
    cases: list[CaseInput] = []
    choice = BidsChoice() if bids is None else bids
    if choice != BidsChoice() and not any(is_bids_dataset(Path(fspath(given))) for given in inputs):
        raise InputError(f"no BIDS dataset was given: none holds {DESCRIPTION_FILE}", field="--suffix/--entity")
    for given in inputs:
        text = fspath(given)
        path = Path(text)
        if is_dicom_folder(path):
            cases.append(_of_files([path], channels, series))
        elif path.is_dir() and is_bids_dataset(path):
            cases += [CaseInput(*case) for case in bids_cases(path, channels, choice)]
        elif path.is_dir():
            cases += _in_folder(path, channels, series)
        elif path.exists() or "," not in text:
            cases.append(_of_files([path], channels, series))
        else:
            cases.append(_of_files([Path(part) for part in split_list(text)], channels, series))
    if not cases:
        raise InputError("no image was given", field="IMAGE")
    for case in cases:
        for image in absolute(case.images):
            require_text_name(image)
    return _distinct(cases)


def stem(path: Path) -> str:
    """Return the file name without its image ending (``scan.nii.gz`` and ``scan.npz:cube`` -> ``scan``)."""
    file = file_of(path)
    for suffix in CHANNEL_SUFFIXES:
        if file.name.lower().endswith(suffix) and not is_folder(file):
            return file.name[: -len(suffix)]
    return dicom_stem(file) if is_folder(file) or is_dicom_image(file) else file.stem


def _of_files(files: list[Path], channels: Sequence[str], series: str | None = None) -> CaseInput:
    if len(files) != len(channels):
        raise InputError(
            f"the model needs {len(channels)} channel{'s' * (len(channels) > 1)} ({', '.join(channels)}), "
            f"got {len(files)} file{'s' * (len(files) != 1)}",
            file=",".join(map(str, files)),
            field="channels",
            hint="join the files of one case by commas, in this order" if len(channels) > 1 else None,
        )
    files = [_series_of(file, series) for file in files]
    name = stem(files[0])
    if len(files) > 1:
        base, channel = _split_channel(name, channels)
        name = base if channel is not None else name
    return CaseInput(name, tuple(files))


def _series_of(path: Path, series: str | None) -> Path:
    """Return the address of the series that is meant in a folder of DICOM slices; another path as it is."""
    folder, named = split_series(path)
    if not is_dicom_folder(folder):
        return path
    from softseg.headers.dicom_series import choose_series, list_series

    choose_series(list_series(folder)[0], named or series, folder)
    return path if named or series is None else with_series(folder, series)


def _in_folder(folder: Path, channels: Sequence[str], series: str | None = None) -> list[CaseInput]:
    there = [f for f in sorted(folder.iterdir()) if not f.name.startswith(".")]
    files = channel_files([f for f in there if f.is_file()])
    if not files:
        files = [_series_of(f, series) for f in there if is_dicom_folder(f)]
    if not files:
        raise InputError(f"no image ({', '.join(CHANNEL_SUFFIXES)}, DICOM) in this folder", file=folder)
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
    """Return the cases with unique names."""
    given = Counter(absolute(case.images) for case in cases)
    twice = [case for case in cases if given[absolute(case.images)] > 1]
    if twice:
        raise InputError(
            f"given twice: {_listed(list(dict.fromkeys(case.name for case in twice)))}",
            field="IMAGE",
            hint="give each image once",
        )
    names = [case.name for case in cases]
    for depth in range(1, 1 + max(len(Path(absolute(case.images)[0]).parents) for case in cases)):
        counts = Counter(names)
        if len(counts) == len(names):
            break
        names = [
            _with_folders(case, depth) if counts[name] > 1 else name for name, case in zip(names, cases, strict=True)
        ]
    counts = Counter(names)  # scan.nii beside scan.nii.gz: their whole paths are unique
    paths = [absolute(case.images)[0] if counts[name] > 1 else name for name, case in zip(names, cases, strict=True)]
    return [replace(case, name=name) for name, case in zip(paths, cases, strict=True)]


def _with_folders(case: CaseInput, depth: int) -> str:
    """Return a case's name with those of the folders that its first file lies in."""
    folders = [parent.name for parent in Path(absolute(case.images)[0]).parents[:depth] if parent.name]
    return "_".join([*reversed(folders), case.name])


def _endings(channels: Sequence[str]) -> str:
    return ", ".join(f"_{number:04d} or _{channel}" for number, channel in enumerate(channels))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:MAX_LISTED])
    return shown if len(names) <= MAX_LISTED else f"{shown} and {len(names) - MAX_LISTED} more"
