"""Which prediction belongs to which reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from softseg.data.cubes import CHANNEL_SUFFIXES, file_of, split_address
from softseg.data.segments import SEGMENT_SUFFIXES
from softseg.errors import InputError
from softseg.evaluation.sources import SOFT_SUFFIX, Reference
from softseg.image import IMAGE_SUFFIXES

if TYPE_CHECKING:
    from softseg.events import Events
    from softseg.tree import LabelTree


@dataclass(frozen=True)
class Pair:
    """One case.

    Attributes
    ----------
    case: its name.
    prediction: file or case folder.
    reference: what it is compared with.
    mask: file of the voxels where the reference is valid, if not everywhere.
    image: the scan, for the pictures, if known.
    unlabelled: value of the reference's label maps that says nothing about a voxel, if there is one.
    """

    case: str
    prediction: Path
    reference: Reference
    mask: Path | None = None
    image: Path | None = None
    unlabelled: int | None = None


@dataclass(frozen=True)
class _Named:
    name: str
    reference: Reference
    mask: Path | None = None
    image: Path | None = None
    unlabelled: int | None = None


def pair_up(
    predictions: Sequence[str | PathLike[str]],
    references: Sequence[Reference],
    tree: LabelTree,
    events: Events,
    images: Sequence[str | PathLike[str]] = (),
) -> list[Pair]:
    """Pair predictions with references by name where every prediction finds its name, else by order.

    A folder of case folders or of files stands for what is in it; a DATA.json among the references stands for its
    cases. The name of ``OUT/1003/soft.soft.npz`` and of ``OUT/1003`` is ``1003``, like that of ``1003.nii.gz``.

    Raises
    ------
    InputError: nothing was given, names and numbers do not match, or a name comes twice.
    """
    predicted = [found for path in predictions for found in _expanded(Path(path))]
    known = [found for reference in references for found in _references(reference, tree)]
    if not predicted or not known:
        raise InputError(f"no {'references' if predicted else 'predictions'} were given")
    names = [case_name(path) for path in predicted]
    repeated = next((name for name in names if names.count(name) > 1), None)
    by_name = {item.name: item for item in known}
    if repeated is None and len(by_name) == len(known) and set(names) <= set(by_name):
        chosen = [by_name[name] for name in names]
    elif len(predicted) == len(known):
        chosen = known
        if len(predicted) > 1:
            events.log("paired predictions and references by order, because their names differ")
        if repeated is not None:
            names = [item.name if len(by_name) == len(known) else f"case {n}" for n, item in enumerate(known, 1)]
    else:
        raise InputError(
            f"cannot pair {len(predicted)} predictions with {len(known)} references: neither names nor numbers agree",
            hint=f"the first names are '{names[0]}' and '{known[0].name}'; name them alike or give equally many",
        )
    scans = _images([Path(image) for image in images], names)
    return [
        Pair(name, path, item.reference, item.mask, scan or item.image, item.unlabelled)
        for name, path, item, scan in zip(names, predicted, chosen, scans, strict=True)
    ]


def case_name(path: Path) -> str:
    """Return the name of a case from its file or folder."""
    name = file_of(path).name
    if name.endswith(SOFT_SUFFIX):
        stem = name[: -len(SOFT_SUFFIX)]
        return path.absolute().parent.name if stem in ("soft", "") else stem
    for suffix in (*SEGMENT_SUFFIXES, *CHANNEL_SUFFIXES):
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def _is_result(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith((SOFT_SUFFIX, *IMAGE_SUFFIXES))


def _expanded(path: Path) -> list[Path]:
    if split_address(path)[1] is not None and file_of(path).is_file():
        return [path]
    if not path.exists():
        raise InputError("no such file or folder", file=path)
    if not path.is_dir() or any(path.glob(f"*{SOFT_SUFFIX}")):
        # several soft parcellations in one folder are several cases; one is the folder of its case
        parcellations = sorted(path.glob(f"*{SOFT_SUFFIX}")) if path.is_dir() else []
        return parcellations if len(parcellations) > 1 else [path]
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and any(folder.glob(f"*{SOFT_SUFFIX}")))
    files = sorted(file for file in path.iterdir() if _is_result(file))
    if not folders and not files:
        raise InputError("the folder holds neither predicted cases nor label maps", file=path)
    return folders or files


def _references(reference: Reference, tree: LabelTree) -> list[_Named]:
    if isinstance(reference, Mapping):
        first = next(iter(reference.values()), None)
        return [_Named("reference" if first is None else case_name(Path(first)), reference)]
    if not isinstance(reference, (str, PathLike)):
        return [_Named(case_name(Path(reference[0])) if reference else "reference", reference)]
    path = Path(reference)
    if path.name.lower().endswith(".json"):
        return _dataset_cases(path, tree)
    return [_Named(case_name(found), found) for found in _expanded(path)]


def _dataset_cases(path: Path, tree: LabelTree) -> list[_Named]:
    from softseg.data.dataset import Dataset

    dataset = Dataset.load(path, tree)
    return [
        _Named(case.id, case.labels, case.mask, next(iter(case.images.values()), None), case.unlabelled)
        for case in dataset.cases
    ]


def _images(images: Sequence[Path], names: Sequence[str]) -> list[Path | None]:
    if not images:
        return [None] * len(names)
    files = [found for image in images for found in _expanded(image)]
    by_name = {case_name(file): file for file in files}
    if set(names) <= set(by_name):
        return [by_name[name] for name in names]
    if len(files) == len(names):
        return list(files)
    raise InputError(f"got {len(files)} images for {len(names)} cases", hint="give one image per case, or none")
