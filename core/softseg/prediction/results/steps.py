"""Writes the files of a case, step by step, into its place."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from softseg.events import Events
from softseg.image import write_image
from softseg.prediction import outputs
from softseg.prediction.answers import file_stem, write_answers
from softseg.requests.manifest import LABELS, MASK, NODE, NODES, OUTLIERS, SOFT, VOLUMES, OutputFile

if TYPE_CHECKING:
    from softseg.prediction.case import Prediction
    from softseg.prediction.outputs import Wanted
    from softseg.prediction.results.place import CasePlace

Step = tuple[tuple[OutputFile, ...], Callable[[Path], object]]
"""Files that are written together, and the function that writes them, called with the path of the first."""


def write_case(
    place: CasePlace,
    prediction: Prediction,
    wanted: Wanted,
    events: Events,
    more: Iterable[Step] = (),
    finish: Callable[[Path, tuple[OutputFile, ...]], object] | None = None,
) -> tuple[OutputFile, ...]:
    """Write everything about one case into its place, where it appears only when complete; return its files.

    Parameters
    ----------
    place: the case's.
    prediction: what was found.
    wanted: which files beside the soft parcellation and the volumes.
    events: cancelling between two files.
    more: further steps, with names as in a folder of its own.
    finish: called last with the unfinished folder and all files.

    Raises
    ------
    InputError: the folder cannot be written, the disk is full, or something else of that name is in the way.
    CancelledError: cancelled; nothing is left.
    """
    written: list[OutputFile] = []
    with place.unfinished(events.warning) as unfinished:
        for own, write in (*_steps(prediction, wanted, place.color_table), *more):
            events.check()
            files = tuple(place.called(file) for file in own)
            write(unfinished / files[0].path)
            written += files
            written += _sidecars(place, unfinished, files, wanted.stacked)
        if finish is not None:
            finish(unfinished, tuple(written))
        events.check()
    return tuple(written)


def _sidecars(
    place: CasePlace, folder: Path, files: Iterable[OutputFile], stacked: Sequence[str]
) -> Iterator[OutputFile]:
    for file in files:
        holds = stacked if file.role == NODES else ()
        sidecar = place.sidecar(file, holds) if file.path.endswith(".nii.gz") else None
        if sidecar is not None:
            name = file.path.removesuffix(".nii.gz") + ".json"
            (folder / name).write_text(json.dumps(sidecar, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
            yield OutputFile("sidecar", name, file.of)


def _steps(prediction: Prediction, wanted: Wanted, table: str) -> Iterator[Step]:
    found, names = prediction.parcellation, outputs.node_file_names(prediction.parcellation.tree)
    yield (OutputFile(SOFT, outputs.SOFT_FILE),), found.save
    for named in wanted.cuts:
        files = _with_colors(LABELS, f"labels_{named.file_name}", named.name, table)
        yield files, partial(outputs.write_labels, found, named.cut, table=table, kept=wanted.kept)
    if wanted.confidence is not None:
        stem, level = file_stem(wanted.confidence), f"{wanted.confidence:g}"
        answers = OutputFile("answers table", f"{stem}.csv", level)
        yield (
            (*_with_colors("answers", stem, level, ".ctbl"), answers),
            partial(write_answers, found, wanted.confidence),
        )
    if found.outliers is not None:
        yield (OutputFile(OUTLIERS, outputs.OUTLIERS_FILE),), partial(outputs.write_outliers, found, found.outliers)
    if prediction.mask is not None:
        yield (OutputFile(MASK, outputs.MASK_FILE),), partial(write_image, prediction.mask)
    for node, image in () if wanted.stacked else prediction.node_maps.items():
        file = OutputFile(NODE, f"node_{names[node]}.nii.gz", node)
        yield (file,), partial(write_image, outputs.as_map(image, wanted.map_type))
    if wanted.stacked:
        yield (OutputFile(NODES, "nodes.nii.gz"),), partial(outputs.write_stack, prediction, wanted.stacked)
    for role, extra in (("entropy", prediction.entropy), ("mutual_information", prediction.mutual_information)):
        if extra is not None:
            yield (OutputFile(role, f"{role}.nii.gz"),), partial(write_image, extra)
    for node in wanted.branches:
        file = OutputFile("decision_entropy", f"decision_{names[node]}_entropy.nii.gz", node)
        yield (file,), partial(outputs.write_decision, found, node)
        if prediction.decisions is not None:
            file = OutputFile("decision_information", f"decision_{names[node]}_information.nii.gz", node)
            yield (file,), partial(outputs.write_information, prediction.decisions, node)
    kept = [volume for volume in prediction.volumes if wanted.kept is None or volume.id in wanted.kept]
    rows = outputs.volume_rows(kept)
    yield (OutputFile(VOLUMES, outputs.VOLUMES_FILE),), lambda path: outputs.write_volumes({"": rows}, path)


def _with_colors(role: str, stem: str, of: str, table: str) -> tuple[OutputFile, OutputFile]:
    return OutputFile(role, f"{stem}.nii.gz", of), OutputFile(f"{role} colors", f"{stem}{table}", of)
