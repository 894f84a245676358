"""What files and folders of cases go by."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

from softseg.data.cubes import CHANNEL_SUFFIXES, file_of
from softseg.data.segments import SEGMENT_SUFFIXES
from softseg.errors import InputError
from softseg.evaluation.pairing import Names, says_kind_only
from softseg.evaluation.sources import SOFT_SUFFIX
from softseg.files import read_json_object
from softseg.headers import DICOM_SUFFIXES, dicom_stem, is_dicom_folder
from softseg.image import IMAGE_SUFFIXES
from softseg.requests.manifest import RECORD, RESULTS_FILE, SOFT, Manifest, WrittenCase
from softseg.texts import require_text_name

_DEPTH = 4
"""How many folders above a file may name its case, where the file's name does not."""


def case_name(path: Path) -> str:
    """Return the name of a case from its file or folder.

    Raises
    ------
    InputError: the name, or that of a folder in ``path``, is not UTF-8.
    """
    require_text_name(path)
    name = file_of(path).name
    if name.endswith(SOFT_SUFFIX):
        stem = name[: -len(SOFT_SUFFIX)]
        return path.absolute().parent.name if stem in ("soft", "") else stem
    if is_dicom_folder(file_of(path)):
        return dicom_stem(file_of(path))
    for suffix in (*SEGMENT_SUFFIXES, *CHANNEL_SUFFIXES, *IMAGE_SUFFIXES, *DICOM_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def common_name(files: Sequence[Path]) -> Names:
    """Return what several files of one case go by: what their names begin with alike, or their folder."""
    if not files:
        return Names("reference")
    own = [case_name(file) for file in files]
    alike = _common_words(own)
    folder = files[0].absolute().parent.name
    names = [name for name in (alike, folder, *own) if name and not says_kind_only(name)]
    return Names(names[0], tuple(names[1:])) if names else Names(own[0])


def names_of(paths: Sequence[Path], made_from: bool = False) -> list[Names]:
    """Return what files and folders go by.

    A file goes by its name, or by a folder above it where its own name tells the kind only or several have the same.
    With ``made_from`` first by the case and last by the images that the command that predicted it wrote down.
    """
    own = [case_name(path) for path in paths]
    unsaid = [place for place, name in enumerate(own) if says_kind_only(name) or own.count(name) > 1]
    folders = _folders([paths[place] for place in unsaid])
    result = []
    for place, (path, name) in enumerate(zip(paths, own, strict=True)):
        found = [folders[unsaid.index(place)], name] if place in unsaid and folders else [name]
        if made_from:
            case, images = _recorded(path)
            found = [*case, *found, *images]
        result.append(Names(found[0], tuple(found[1:])))
    return result


def _folders(paths: Sequence[Path]) -> list[str]:
    """Return the names of the nearest folders above that are all different; none where no level has such."""
    for level in range(_DEPTH):
        above = [path.absolute().parents for path in paths]
        names = [parents[level].name if level < len(parents) else "" for parents in above]
        if len(set(names)) == len(names) and all(names) and not any(map(says_kind_only, names)):
            return names
    return []


def _recorded(path: Path) -> tuple[list[str], list[str]]:
    """Return the case and the names of its images of a prediction from ``results.json`` and ``prediction.json``."""
    folder = path.absolute() if path.is_dir() else path.absolute().parent
    case: list[str] = []
    images: list[str] = []
    for entry in (found for place in (folder, *list(folder.parents)[:_DEPTH]) for found in _manifest(place)):
        if entry.folder is None or entry.folder.absolute() != folder:
            continue
        if not _is_shared(entry) or path.name in {file.path for file in entry.files}:
            case = [entry.case]
            images += entry.images
    images += [str(image.get("path", "")) for image in _objects(folder / "prediction.json", "images")]
    names = [case_name(Path(image)) for image in images if image]
    return [name for name in case if name], [name for name in names if not says_kind_only(name)]


def files_of_cases(folder: Path) -> list[Path]:
    """Return the soft parcellations of cases that have no folder of their own, as an output folder's manifest says."""
    return [
        entry.folder / file.path
        for entry in _manifest(folder)
        for file in entry.files
        if entry.folder is not None and _is_shared(entry) and file.role == SOFT and (entry.folder / file.path).is_file()
    ]


def _is_shared(entry: WrittenCase) -> bool:
    """Whether other cases may lie in the folder of a case."""
    return any(file.role == RECORD for file in entry.files)


def _manifest(folder: Path) -> tuple[WrittenCase, ...]:
    """Return the cases that a command predicted into a folder; empty where there are none."""
    try:
        return Manifest.read(folder).cases if (folder / RESULTS_FILE).is_file() else ()
    except (InputError, OSError):
        return ()


def _objects(file: Path, key: str) -> list[dict[str, Any]]:
    """Return the objects of a list in a record; none where there is no record of ours."""
    try:
        found = read_json_object(file).get(key) if file.is_file() else None
    except (InputError, OSError):
        return []
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _common_words(names: Sequence[str]) -> str:
    """Return the words that all names begin with: ``ann_t1`` for ``ann_t1-r1`` and ``ann_t1-r2``."""
    parts = [re.findall(r"[ _.\-]*[^ _.\-]+", name) for name in names]
    return "".join(words[0] for words in takewhile(lambda words: len(set(words)) == 1, zip(*parts, strict=False)))
