"""Corrected results and the scans they were predicted from, to train the model that made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from softseg.data.case import SOFT_SUFFIX
from softseg.data.corrected import require_tree
from softseg.data.dataset import Dataset
from softseg.data.importers.files import listed
from softseg.data.importers.people import Choices, Fractions, with_people
from softseg.data.writing import write_dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import exists
from softseg.requests.manifest import RESULTS_FILE, SOFT, Manifest
from softseg.soft.parcellation import SoftParcellation

ALL_TRAIN: Fractions = (1.0, 0.0, 0.0)


@dataclass(frozen=True, eq=False)
class _CorrectedResult:
    """A corrected result: its file, the files of its scan, its name and what it holds."""

    file: Path
    images: tuple[Path, ...]
    name: str
    result: SoftParcellation


def import_corrections(
    source: str | PathLike[str] | Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    images: Sequence[str] | None = None,
    channel: str | None = None,
    original: str | PathLike[str] | None = None,
    opinion_weight: float | None = None,
    people: str | PathLike[str] | None = None,
    splits: str | PathLike[str] | None = None,
    fold: int | None = None,
    fractions: Fractions = ALL_TRAIN,
    events: Events | None = None,
) -> Path:
    """Describe corrected results as a dataset; uncorrected results are left out, with a warning.

    Parameters
    ----------
    source: results (``.soft.npz``), folders of cases, or output folders of ``softseg predict``.
    out: DATA.json.
    images: the scan of each result, channels joined by commas; by default from ``results.json``.
    channel: names of the channels, joined by commas; those of ``original``, or ``image``, by default.
    original: DATA.json of the model's own training, whose cases are mixed in: those to train on so that nothing is
        forgotten, the others to evaluate by. People who have a corrected scan do not evaluate.
    opinion_weight: weight of an uncorrected voxel, 0..0.9.
    people, splits, fold, fractions: who is who and which split; all corrected results train by default.
    events: receives what was found and what was left out.

    Raises
    ------
    InputError: no result was corrected, one is damaged or of another tree, its scan is not known or not there.
    """
    events = Events() if events is None else events
    sources = [Path(source)] if isinstance(source, (str, PathLike)) else [Path(each) for each in source]
    found = _corrected(_results(sources, images), events)
    mixed = None if original is None else Dataset.load(original)
    channels = _channels(channel, mixed, found)
    tree = found[0].result.tree if mixed is None else mixed.tree
    for each in found:
        require_tree(each.result.tree, tree, each.file)
    entries = _entries(found, channels, opinion_weight)
    own = _with_own_groups(entries, mixed)
    cases = with_people(own, Choices(people, splits, fold, fractions), events)
    cases += _others(cases, mixed, events)
    total = sum(len(each.result.corrections) for each in found)
    events.log(f"{total} corrections in {len(found)} results")
    return write_dataset(out, Path(out).stem, channels, tree, cases)


def _results(sources: Sequence[Path], images: Sequence[str] | None) -> list[tuple[Path, tuple[Path, ...], str]]:
    """Return file, scan and name of every result."""
    if images is not None:
        if len(images) != len(sources):
            raise InputError(f"{len(images)} scans for {len(sources)} results", field="--images", hint="one for each")
        scans = [tuple(Path(part).absolute() for part in text.split(",")) for text in images]
        files = [_only_result(path) if path.is_dir() else path for path in sources]
        return [(file.absolute(), scan, _name(file)) for file, scan in zip(files, scans, strict=True)]
    return [each for path in sources for each in _from_manifest(path.absolute())]


def _from_manifest(path: Path) -> list[tuple[Path, tuple[Path, ...], str]]:
    """Return the entry of ``results.json`` for a result, a case's folder or an output folder."""
    if not exists(path):
        raise InputError("no such file or folder", file=path)
    folders = [path, path.parent, path.parent.parent]
    place = next((folder for folder in folders if (folder / RESULTS_FILE).is_file()), None)
    cases = [] if place is None else [case for case in Manifest.read(place).cases if case.state != "failed"]
    known = [(case.file(SOFT).absolute(), tuple(map(Path, case.images)), case.case) for case in cases]
    wanted = [each for each in known if path in (each[0], each[0].parent, each[0].parent.parent)]
    if not wanted:
        raise InputError(
            f"no {RESULTS_FILE} names the scan of this result",
            file=path,
            hint="name the scan with --images, one for each result",
        )
    return wanted


def _only_result(folder: Path) -> Path:
    files = sorted(folder.glob(f"*{SOFT_SUFFIX}"))
    if len(files) != 1:
        raise InputError(f"expected one file *{SOFT_SUFFIX}, got {len(files)}", file=folder, hint="name the file")
    return files[0]


def _name(file: Path) -> str:
    name = file.name.removesuffix(SOFT_SUFFIX)
    return file.parent.name if name in ("", "soft") else name


def _corrected(results: Sequence[tuple[Path, tuple[Path, ...], str]], events: Events) -> list[_CorrectedResult]:
    found, without = [], []
    for file, scan, name in results:
        events.check()
        result = SoftParcellation.load(file)
        if not result.corrections:
            without.append(name)
            continue
        missing = next((image for image in scan if not exists(image)), None)
        if missing is not None:
            raise InputError(f"the scan of {name!r} is not there", file=missing, hint="name it with --images")
        found.append(_CorrectedResult(file, scan, name, result))
    if not found:
        raise InputError(
            f"no corrections in {listed(without)}",
            file=results[0][0],
            hint="correct a result first: the model cannot learn from its own predictions",
        )
    if without:
        events.warning(f"{listed(without)} without corrections; left out")
    return found


def _channels(channel: str | None, mixed: Dataset | None, found: Sequence[_CorrectedResult]) -> list[str]:
    names = ["image"] if mixed is None else list(mixed.channels)
    if channel is not None:
        names = [part.strip() for part in channel.split(",")]
    for each in found:
        if len(each.images) != len(names):
            raise InputError(
                f"has {len(each.images)} channels where {', '.join(names)} are expected",
                file=each.images[0],
                field="--channel",
                hint="name the channels of the model in its order, joined by commas",
            )
    return names


def _entries(found: Sequence[_CorrectedResult], channels: Sequence[str], weight: float | None) -> list[dict[str, Any]]:
    """Return the cases, each with an id of its own."""
    taken: set[str] = set()
    entries = []
    for each in found:
        name, number = each.name, 1
        while name in taken:
            number += 1
            name = f"{each.name}-{number}"
        taken.add(name)
        entry = {"id": name, "images": dict(zip(channels, each.images, strict=True)), "labels": each.file}
        entries.append(entry if weight is None else {**entry, "opinion_weight": weight})
    return entries


def _with_own_groups(entries: list[dict[str, Any]], mixed: Dataset | None) -> list[dict[str, Any]]:
    """Return the cases with each scan's person from the original dataset, and ids that are free there."""
    if mixed is None:
        return entries
    person = {tuple(case.images[name].resolve() for name in mixed.channels): case.group for case in mixed.cases}
    taken = {case.id for case in mixed.cases}
    out = []
    for entry in entries:
        group = person.get(tuple(Path(image).resolve() for image in entry["images"].values()))
        name = entry["id"]
        while name in taken:
            name += "-corrected"
        taken.add(name)
        out.append({**entry, "id": name, "group": entry["id"] if group is None else group})
    return out


def _others(cases: Sequence[Mapping[str, Any]], mixed: Dataset | None, events: Events) -> list[dict[str, Any]]:
    """Return the cases of the original dataset, without those of people whose corrected scans are in another split."""
    if mixed is None:
        return []
    splits = {case["group"]: case["split"] for case in cases}
    left = [case for case in mixed.cases if splits.get(case.group, case.split) != case.split]
    if left:
        events.warning(f"{listed(case.id for case in left)}: of people who have corrected scans now; left out")
    return [
        {key: value for key, value in vars(case).items() if value is not None}
        for case in mixed.cases
        if case not in left
    ]
