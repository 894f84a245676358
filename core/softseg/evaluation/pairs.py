"""Which prediction belongs to which reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from softseg.data.cubes import file_of, split_address
from softseg.errors import InputError
from softseg.evaluation.case_names import case_name, common_name, files_of_cases, names_of
from softseg.evaluation.pairing import Names, listed, pair_names
from softseg.evaluation.sources import SOFT_SUFFIX, Reference
from softseg.headers import is_dicom_folder, is_dicom_scan, is_dicom_segmentation, is_image_file

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
    unlabelled: value of unlabelled voxels in the reference's label maps, if there is one.
    group: what it is counted with, such as a site; empty for nothing.
    """

    case: str
    prediction: Path
    reference: Reference
    mask: Path | None = None
    image: Path | None = None
    unlabelled: int | None = None
    group: str = ""


@dataclass(frozen=True)
class Pairs:
    """The cases of an evaluation, and what has no partner.

    Attributes
    ----------
    cases: what is evaluated.
    predictions, references: names of those that have no partner.
    """

    cases: tuple[Pair, ...]
    predictions: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class _NamedFile:
    names: Names
    reference: Reference
    mask: Path | None = None
    image: Path | None = None
    unlabelled: int | None = None


_Place: TypeAlias = "str | PathLike[str]"


def pair_up(
    predictions: Sequence[_Place],
    references: Sequence[Reference],
    tree: LabelTree,
    events: Events,
    images: Sequence[_Place] = (),
) -> Pairs:
    """Pair predictions with references by their names (:mod:`softseg.evaluation.pairing`).

    A folder of case folders or of files stands for what is in it; a DATA.json among the references stands for its
    cases. ``OUT/1003/soft.soft.npz``, ``OUT/1003`` and ``1003.nii.gz`` are all ``1003``; a prediction also goes by the
    file that it was made from, and a file named for its kind only (``1003/seg.nii.gz``) by its folder. One prediction
    and one reference are a pair whatever their names. What has no partner is named in a warning.

    Raises
    ------
    InputError: nothing was given, nothing pairs up, or a name could mean several; both sides are named.
    """
    predicted = [found for path in predictions for found in _expanded(Path(path))]
    known = _all_references(references, tree)
    if not predicted or not known:
        raise InputError(f"no {'references' if predicted else 'predictions'} were given")
    names = names_of(predicted, made_from=True)
    goes_by = [item.names for item in known]
    if len(predicted) == len(known) == 1:
        names = [Names(case_name(predicted[0]), names[0].all)]
        chosen: tuple[tuple[int, int], ...] = ((0, 0),)
        left: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    else:
        found = pair_names(names, goes_by, ("predictions", "references"))
        chosen = found.pairs
        left = (
            tuple(names[place].shown for place in found.first_left),
            tuple(goes_by[place].shown for place in found.second_left),
        )
        _require_pairs(chosen, *left)
    for text in _said(*left):
        events.warning(text)
    cases = [
        Pair(names[one].shown, predicted[one], item.reference, item.mask, item.image, item.unlabelled)
        for one, item in ((one, known[other]) for one, other in chosen)
    ]
    scans = _images([Path(image) for image in images], [names[one] for one, _ in chosen], events)
    cases = [pair if scan is None else replace(pair, image=scan) for pair, scan in zip(cases, scans, strict=True)]
    return Pairs(tuple(_with_different_names(cases)), *left)


def _require_pairs(chosen: Sequence[object], predictions: Sequence[str], references: Sequence[str]) -> None:
    if not chosen:
        raise InputError(
            f"no prediction has the name of a reference: predictions {listed(predictions)}; references "
            f"{listed(references)}",
            hint="name them alike, or pair them with --pairs",
        )


def _said(predictions: Sequence[str], references: Sequence[str]) -> list[str]:
    """Return a line for each side about what is not evaluated."""
    sides = (("prediction", "reference", predictions), ("reference", "prediction", references))
    return [
        f"{len(names)} {one}{'s' if len(names) > 1 else ''} without a {other}, not judged: {listed(names)}"
        for one, other, names in sides
        if names
    ]


def _with_different_names(cases: Sequence[Pair]) -> list[Pair]:
    """Return the cases with names of their own: those of one name get numbers."""
    names = [pair.case for pair in cases]
    taken, result = set(names), []
    for place, pair in enumerate(cases):
        name, number = pair.case, 2
        if name in names[:place]:
            while (name := f"{pair.case} ({number})") in taken:
                number += 1
        taken.add(name)
        result.append(replace(pair, case=name))
    return result


# -- what is given -----------------------------------------------------------------------------------------------------


def _is_result(path: Path) -> bool:
    name = path.name.lower()
    if name.startswith("."):
        return False
    if path.is_dir():
        return is_dicom_folder(path)
    return name.endswith(SOFT_SUFFIX) or is_image_file(path) or is_dicom_segmentation(path)


def _expanded(path: Path) -> list[Path]:
    if split_address(path)[1] is not None and file_of(path).is_file():
        return [path]
    if is_dicom_scan(path):
        return [path]
    if not path.exists():
        raise InputError("no such file or folder", file=path)
    if path.is_dir() and (found := files_of_cases(path)):
        return found
    if not path.is_dir() or any(path.glob(f"*{SOFT_SUFFIX}")):
        # several soft parcellations in one folder are several cases; one is the folder of its case
        parcellations = sorted(path.glob(f"*{SOFT_SUFFIX}")) if path.is_dir() else []
        return parcellations if len(parcellations) > 1 else [path]
    folders = sorted(folder for folder in path.iterdir() if folder.is_dir() and any(folder.glob(f"*{SOFT_SUFFIX}")))
    files = sorted(file for file in path.iterdir() if _is_result(file))
    if not folders and not files:
        raise InputError("the folder holds neither predicted cases nor label maps", file=path)
    return folders or files


def _all_references(references: Sequence[Reference], tree: LabelTree) -> list[_NamedFile]:
    """Return the references that are given, each with what it goes by."""
    found: list[_NamedFile] = []
    files: list[Path] = []
    for reference in references:
        if isinstance(reference, Mapping):
            found.append(_NamedFile(common_name([Path(path) for path in reference.values()]), reference))
        elif not isinstance(reference, (str, PathLike)):
            found.append(_NamedFile(common_name([Path(path) for path in reference]), reference))
        elif Path(reference).name.lower().endswith(".json"):
            found += _dataset_cases(Path(reference), tree)
        else:
            files += _expanded(Path(reference))
    return found + [_NamedFile(names, file) for names, file in zip(names_of(files), files, strict=True)]


def _dataset_cases(path: Path, tree: LabelTree) -> list[_NamedFile]:
    from softseg.data.dataset import Dataset

    dataset = Dataset.load(path, tree)
    return [
        _NamedFile(Names(case.id), case.labels, case.mask, next(iter(case.images.values()), None), case.unlabelled)
        for case in dataset.cases
    ]


def _images(images: Sequence[Path], cases: Sequence[Names], events: Events) -> list[Path | None]:
    """Return the scan of each case, None where none has its name."""
    if not images:
        return [None] * len(cases)
    files = [found for image in images for found in _expanded(image)]
    if len(files) == len(cases) == 1:
        return [files[0]]
    found = pair_names(cases, names_of(files), ("cases", "images"))
    if not found.pairs:
        raise InputError(
            f"no image has the name of a case: images {listed([case_name(file) for file in files])}; cases "
            f"{listed([case.shown for case in cases])}",
            hint="name them alike, or leave the images out",
        )
    if found.first_left:
        events.warning(f"shown without a scan: {listed([cases[place].shown for place in found.first_left])}")
    scans: list[Path | None] = [None] * len(cases)
    for one, other in found.pairs:
        scans[one] = files[other]
    return scans
