"""Which folder a case's results go to: every case has its own, finds it again, and never takes that of another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.prediction.inputs import CaseInput
from softseg.prediction.outputs import SOFT_FILE, VOLUMES_FILE
from softseg.prediction.record import RECORD_FILE, images_of, read_record, same_content
from softseg.prediction.results.bids import bids_places, require_own_dataset
from softseg.prediction.results.flat import flat_places
from softseg.prediction.results.place import CasePlace
from softseg.requests.manifest import RESULTS_FILE, absolute
from softseg.requests.names import file_names, folded, marked_file_name
from softseg.tree import LabelTree

OWN_FILES = (RESULTS_FILE, VOLUMES_FILE)
"""Names in an output folder that no case may have."""


def case_places(
    out: Path, cases: Sequence[CaseInput], layout: str, tree: LabelTree, model: str
) -> Mapping[str, CasePlace]:
    """Return where every case lies, by the case's name.

    Parameters
    ----------
    out: the output folder; it may be missing.
    cases: of different names.
    layout: ``"folders"``, ``"flat"`` or ``"bids"``.
    tree: that is predicted; its names are a part of those of BIDS.
    model: name of the model.

    Raises
    ------
    InputError: as :func:`case_folders`; or two cases have one name in BIDS, or ``out`` is a dataset of others.
    """
    if layout == "bids":
        require_own_dataset(out)
        return bids_places(out, cases, tree, model)
    if layout == "flat":
        return flat_places(out, cases)
    return {name: CasePlace(folder) for name, folder in case_folders(out, cases).items()}


def case_folders(out: Path, cases: Sequence[CaseInput]) -> dict[str, Path]:
    """Return the folder of every case, by the case's name.

    A case that has a folder in ``out`` already keeps it, whatever the folder is called. Any other gets one of its own
    name, and where that belongs to another case, one of its name and a mark of its files.

    Parameters
    ----------
    out: the output folder; it may be missing.
    cases: of different names.

    Raises
    ------
    InputError: something that is no prediction stands where a folder is to be, or an image lies in its case's folder.
    """
    names = file_names((case.name for case in cases), OWN_FILES)
    there = {folded(path.name): path for path in sorted(out.iterdir())} if out.is_dir() else {}
    records = {path: read_record(path / RECORD_FILE) for path in there.values() if path.is_dir()}
    owners = {images_of(record): path for path, record in records.items() if record}
    chosen: dict[str, Path] = {}
    for case in cases:
        own = owners.get(absolute(case.images)) or owners.get(tuple(str(image.resolve()) for image in case.images))
        if own is not None and own not in chosen.values():
            chosen[case.name] = own
    for case in cases:
        if case.name not in chosen:
            taken = {folded(path.name) for path in chosen.values()}
            chosen[case.name] = out / _free_name(case, names[case.name], there, records, taken)
        _require_replaceable(chosen[case.name], case)
    return {case.name: chosen[case.name] for case in cases}


def _free_name(
    case: CaseInput,
    name: str,
    there: Mapping[str, Path],
    records: Mapping[Path, Mapping[str, Any]],
    taken: set[str],
) -> str:
    """Return the case's name, or that with a mark where another case has the folder of this name."""
    path = there.get(folded(name))
    if folded(name) not in taken:
        if path is None or not path.is_dir() or not (path / SOFT_FILE).is_file():
            return name  # free, empty, or something that is in the way
        if same_content(records[path], case.images):
            return path.name
    return marked_file_name(case.name, "\n".join(absolute(case.images)))


def _require_replaceable(folder: Path, case: CaseInput) -> None:
    """Make sure that nothing but an older prediction would be replaced."""
    for image in case.images:
        if folder.resolve() in image.resolve().parents:
            raise InputError("this image lies in the folder that its own prediction would replace", file=image)
    older = folder.is_dir() and ((folder / SOFT_FILE).is_file() or not any(folder.iterdir()))
    if folder.exists() and not older:
        raise InputError(
            "exists already and is not an older prediction", file=folder, hint="choose another output folder"
        )
