"""Preprocessed cases on disk, opened as memory maps, so that a patch costs only the voxels it touches."""

from __future__ import annotations

import errno
import hashlib
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from softseg.data.case import Case
from softseg.data.corrected import only_corrected
from softseg.data.cubes import file_of, read_channel
from softseg.data.cubes.cube import turn
from softseg.data.dataset import Dataset
from softseg.data.labelled import LABELLED, PAINTED, is_scribbled, least_fraction, painted_part
from softseg.data.labels import class_count, read_labels, read_mask
from softseg.data.plan import Plan
from softseg.data.points import runs_of_equals, sample_points
from softseg.data.preprocess import Box, plan_grid, preprocess_images
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import read_json_object, require_file, settle, write_folder_beside
from softseg.headers import is_scan, state_of
from softseg.image import Geometry, Image, reorient, say_notes
from softseg.requests.names import file_name
from softseg.soft import fuse_raters
from softseg.soft.labels import SoftLabels
from softseg.soft.resample import resample_image, resample_labels
from softseg.types import BoolArray, FloatArray

COMPLETE = 1e-3
"""Probabilities that sum to 1 up to this count as a full distribution and are left as they are."""

_FORMAT = 10


@dataclass(frozen=True, eq=False)
class PreparedCase:
    """One case on the plan's grid; arrays are read-only memory maps.

    Attributes
    ----------
    id: the case.
    image: float32 ``[inputs, k, j, i]`` (``plan.input_slices``).
    labels: the target; where the plan draws raters at random, their mean, which patches are placed and networks are
        validated by.
    mask: bool ``(k, j, i)``, where labels are valid; everywhere when None.
    geometry: grid of these arrays.
    source_geometry: grid of the files.
    raters: every rater's labels where the plan draws them at random, else one item, ``labels``.
    points: int32 ``[n, 3]`` sample voxels ``(k, j, i)``, by class and in random order within one.
    point_classes: by class index, which of them are of that class.
    class_voxels: by class index, the number of voxels where it has the largest probability.
    complete: whether every voxel is a full distribution over leaves.
    scribbles: whether only a part is labelled, the rest is unknown.
    weighted: whether the probabilities of a voxel sum to its weight (:mod:`softseg.data.corrected`); samples are then
        those of the corrected voxels.
    """

    id: str
    image: FloatArray
    labels: SoftLabels
    mask: BoolArray | None
    geometry: Geometry
    source_geometry: Geometry
    raters: tuple[SoftLabels, ...]
    points: npt.NDArray[np.int32]
    point_classes: dict[int, slice]
    class_voxels: dict[int, int]
    complete: bool
    scribbles: bool = False
    weighted: bool = False

    @property
    def truth(self) -> SoftLabels:
        """What a network may be evaluated by: the labels, of a corrected result those of the corrected voxels."""
        return only_corrected(self.labels) if self.weighted else self.labels

    @property
    def least(self) -> float:
        """The labelled fraction from which a voxel of a patch counts."""
        return PAINTED if self.scribbles else LABELLED


class CaseStore:
    """A folder of preprocessed cases.

    A case is prepared again only when its files, the tree or the preprocessing part of the plan changed; several
    plans and datasets may share a folder.

    Parameters
    ----------
    dataset, plan: what to prepare and how.
    folder: where to keep it.
    """

    def __init__(self, dataset: Dataset, plan: Plan, folder: str | PathLike[str]) -> None:
        self.dataset, self.plan, self.folder = dataset, plan, Path(folder)
        self._open: dict[str, PreparedCase] = {}

    def prepare(self, events: Events | None = None, case_ids: Sequence[str] | None = None) -> None:
        """Prepare all cases, or those named, that are not there yet.

        Raises
        ------
        InputError: a file of a case is wrong; file and field are named.
        CancelledError: the user asked to stop; finished cases stay.
        """
        events = Events() if events is None else events
        settle(self.folder)  # a kill after the last case leaves nothing to write, which would do so
        cases = [self.dataset.case(name) for name in case_ids] if case_ids is not None else list(self.dataset.cases)
        events.stage("prepare", total=len(cases))
        for done, case in enumerate(cases):
            folder = self._path(case)
            if not folder.is_dir():
                self._prepare_case(case, events)
            elif not _is_intact(folder):
                events.warning(f"case {case.id}: what was prepared in {folder} is damaged; it is prepared again")
                self._prepare_case(case, events)
            events.progress(done + 1, len(cases))

    def load(self, case_id: str) -> PreparedCase:
        """Open a case; it is prepared now if that was not done before.

        Raises
        ------
        InputError: there is no such case, or a file of it is wrong.
        """
        if case_id not in self._open:
            case = self.dataset.case(case_id)
            folder = self._path(case)
            if not (folder / "case.json").is_file():
                self._prepare_case(case, Events())
            try:
                self._open[case_id] = _open_case(case_id, folder, class_count(self.dataset.tree))
            except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
                _raise_if_too_many_files(error)
                hint = "delete this folder; it is made again"
                raise InputError("what was prepared of this case is damaged", file=folder, hint=hint) from error
        return self._open[case_id]

    def _path(self, case: Case) -> Path:
        tree = json.dumps(self.dataset.tree.to_json(), sort_keys=True)
        parts: list[Any] = [_FORMAT, self.plan.preprocessing_key(), hashlib.sha256(tree.encode()).hexdigest()]
        parts.append(case.unlabelled if case.corrected is None else [case.opinion_weight, case.groups])
        if _draws_raters(self.plan, case):
            parts.append("mean")
        for field, path in case.files():
            if not is_scan(file_of(path)):
                require_file(file_of(path), f"{case.id}: {field}")
            parts.append([field, str(path), *state_of(file_of(path))])
        key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        return self.folder / f"{file_name(case.id)}-{key}"

    def _prepare_case(self, case: Case, events: Events) -> None:
        plan = self.plan
        files = [case.images[channel] for channel in plan.channels]
        images = [read_channel(file) for file in files]
        array, grid = preprocess_images(images, plan, files)
        turned = [turn(image, plan.orientation) for image in images]
        _, box = plan_grid(turned, plan)
        source = turned[0].geometry.cropped(
            (box[0].start, box[1].start, box[2].start),
            (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start),
        )

        scribbles = is_scribbled(case, self.dataset)

        def take(image: Image) -> npt.NDArray[Any]:
            array = reorient(image, plan.orientation).array
            return array if scribbles else np.ascontiguousarray(array[box])

        def warn(text: str) -> None:
            events.warning(f"case {case.id}: {text}")

        for image, file in zip(images, files, strict=True):
            say_notes(image.notes, file, warn)
        events.check()
        raters = read_labels(case, self.dataset, images[0].geometry, take, warn)
        if plan.raters != "random" and len(raters) > 1:
            raters = [fuse_raters(raters, plan.raters)]
        mask = None
        if case.mask is not None:
            valid = read_mask(case.mask, images[0].geometry, take)
            raters = [
                replace(labels, probabilities=labels.probabilities * valid) for labels in raters
            ]  # else they would blend in
            if not scribbles:
                mask = resample_image(Image(valid.astype(np.float32), source), grid).array >= 0.5
        if scribbles:
            raters = _inside(raters, box, warn)
        events.check()
        fine = [resample_labels(labels, source, grid) for labels in raters]
        if scribbles:
            fine = [painted_part(labels, least_fraction(source, grid)) for labels in fine]
        if _draws_raters(plan, case):
            fine.append(fuse_raters(fine, "mean"))
        _write_case(
            self._path(case),
            array,
            [_sorted_slots(labels) for labels in fine],
            mask,
            grid,
            images[0].geometry,
            len(self.dataset.tree.leaves),
            scribbles,
            case.corrected is not None,
        )


def _draws_raters(plan: Plan, case: Case) -> bool:
    """Whether one of several raters is drawn for each patch."""
    return plan.raters == "random" and isinstance(case.labels, list) and len(case.labels) > 1


def _inside(raters: Sequence[SoftLabels], box: Box, warn: Callable[[str], None]) -> list[SoftLabels]:
    """Return scribbles inside the crop and report how many lie outside."""
    cropped = [labels.cropped(box) for labels in raters]
    painted = sum(int((labels.total() > 0).sum()) for labels in raters)
    lost = painted - sum(int((labels.total() > 0).sum()) for labels in cropped)
    if lost:
        warn(
            f"{lost} of {painted} labelled voxels lie outside the part of the image that is used (plan.crop), "
            "they take no part"
        )
    return cropped


def _save(path: Path, array: npt.NDArray[Any]) -> None:
    """Write an ``.npy`` file with ordinary writes, so that a full disk is reported as such."""
    array = np.ascontiguousarray(array)
    with path.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, np.lib.format.header_data_from_array_1_0(array))
        stream.write(array.data)


def _sorted_slots(labels: SoftLabels) -> SoftLabels:
    """Return the labels with the largest probability of each voxel first, and without unused slots."""
    order = np.argsort(-labels.probabilities, axis=0, kind="stable")
    probabilities = np.take_along_axis(labels.probabilities, order, axis=0)
    used = max(1, int(np.count_nonzero(probabilities.any(axis=(1, 2, 3)))))
    indices = np.take_along_axis(labels.indices, order[:used], axis=0)
    return SoftLabels(indices, np.ascontiguousarray(probabilities[:used]), labels.classes)


def _complete(labels: SoftLabels, leaves: int) -> bool:
    """Whether all probabilities are of leaves and sum to 1 everywhere, but for rounding."""
    return bool(labels.total().min() >= 1 - COMPLETE and (labels.indices[labels.probabilities > 0] < leaves).all())


def _write_case(
    folder: Path,
    image: FloatArray,
    labels: Sequence[SoftLabels],
    mask: BoolArray | None,
    grid: Geometry,
    source: Geometry,
    leaves: int,
    scribbles: bool,
    weighted: bool,
) -> None:
    """Write a case; ``labels`` are those of the raters and at the end, if there are several, their mean."""
    points, classes, counts = sample_points(only_corrected(labels[-1]) if weighted else labels[-1], mask)
    with write_folder_beside(folder, durable=False) as temporary:  # made again where it is lost or damaged
        _save(temporary / "image.npy", image)
        for position, item in enumerate(labels):
            _save(temporary / f"indices-{position}.npy", item.indices)
            _save(temporary / f"shares-{position}.npy", item.probabilities)
        if mask is not None:
            _save(temporary / "mask.npy", mask)
        _save(temporary / "points.npy", points)
        _save(temporary / "point_classes.npy", classes)
        content = {
            "raters": max(1, len(labels) - 1),
            "geometry": grid.to_json(),
            "source_geometry": source.to_json(),
            "complete": all(_complete(item, leaves) for item in labels),
            "strokes": scribbles,
            "weighted": weighted,
            "class_voxels": {str(name): count for name, count in counts.items()},
            "crc32": {file.name: _crc32(file) for file in sorted(temporary.glob("*.npy"))},
        }
        (temporary / "case.json").write_text(json.dumps(content), encoding="utf-8")


def _crc32(file: Path) -> int:
    checksum = 0
    with file.open("rb") as stream:
        while block := stream.read(1 << 20):
            checksum = zlib.crc32(block, checksum)
    return checksum


def _is_intact(folder: Path) -> bool:
    """Whether a prepared case is what was written.

    Raises
    ------
    OSError: too many files are open.
    """
    try:
        checksums = read_json_object(folder / "case.json")["crc32"]
        names = {file.name for file in folder.glob("*.npy") if file.is_file()}  # no pipe without a writer
        return names == set(checksums) and all(_crc32(folder / name) == checksums[name] for name in names)
    except (InputError, OSError, KeyError, TypeError) as error:
        _raise_if_too_many_files(error)
        return False


def _raise_if_too_many_files(error: Exception) -> None:
    """Raise the OSError behind a file that could not be read, if it is one: then nothing is known of the file."""
    for cause in (error, error.__cause__):
        if isinstance(cause, OSError) and cause.errno in (errno.EMFILE, errno.ENFILE):
            raise cause from None


def _open_case(case_id: str, folder: Path, classes: int) -> PreparedCase:
    content = read_json_object(folder / "case.json")
    labels = tuple(
        SoftLabels(
            np.load(folder / f"indices-{position}.npy", mmap_mode="r", allow_pickle=False),
            np.load(folder / f"shares-{position}.npy", mmap_mode="r", allow_pickle=False),
            classes,
        )
        for position in range(content["raters"] + (content["raters"] > 1))
    )
    mask_file = folder / "mask.npy"
    return PreparedCase(
        id=case_id,
        image=np.load(folder / "image.npy", mmap_mode="r", allow_pickle=False),
        labels=labels[-1],
        mask=np.load(mask_file, mmap_mode="r", allow_pickle=False) if mask_file.is_file() else None,
        geometry=Geometry.from_json(content["geometry"]),
        source_geometry=Geometry.from_json(content["source_geometry"]),
        raters=labels[: content["raters"]],
        points=np.load(folder / "points.npy", allow_pickle=False),
        point_classes=runs_of_equals(np.load(folder / "point_classes.npy", allow_pickle=False)),
        class_voxels={int(name): count for name, count in content["class_voxels"].items()},
        complete=content["complete"],
        scribbles=content["strokes"],
        weighted=content["weighted"],
    )
