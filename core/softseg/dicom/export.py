"""``softseg export-seg``: a stored soft parcellation as a DICOM Segmentation of the series it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from softseg.dicom.codes import description_of
from softseg.dicom.writing import Segments, fractional, labelled
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import write_beside
from softseg.geometry import Geometry
from softseg.headers import Header, is_dicom_scan, read_header, split_series, with_series
from softseg.requests.export_seg import ExportSegRequest
from softseg.soft.parcellation import SoftParcellation
from softseg.soft.turns import Turn, axis_turn, describe, turned
from softseg.straight import is_sheared
from softseg.tree import Cut, Node

GRID_MM = 0.01
"""The voxels of result and series lie within this of each other."""


@dataclass(frozen=True, eq=False)
class _Export:
    """What is written: the result at a cut, on the voxels of a series."""

    stored: SoftParcellation
    cut: Cut
    source: Header
    turn: Turn

    @property
    def nodes(self) -> list[tuple[Node, int]]:
        """The nodes of the cut with their label values, without background."""
        background = self.stored.tree.background
        named = zip(self.cut.nodes, self.cut.values, strict=True)
        return [(node, value) for node, value in named if background is None or node.id != background.id]

    def labels(self) -> npt.NDArray[np.uint16]:
        """Return the label map ``(k, j, i)`` of the series; 0 where it is background."""
        found = turned(self.stored.labels(self.cut), self.turn)
        background = self.stored.tree.background
        inside = [value for _, value in self.nodes]
        return found if background is None else np.where(np.isin(found, inside), found, np.uint16(0))

    def steps(self, node: Node) -> npt.NDArray[np.uint8]:
        """Return a node's probability, uint8 ``(k, j, i)`` of the series in steps of 1/255."""
        return np.asarray(np.rint(turned(self.stored.probability(node.id), self.turn) * np.float32(255)), np.uint8)


def run_export_seg(request: ExportSegRequest, events: Events | None = None) -> Path:
    """Write the DICOM Segmentation.

    Raises
    ------
    InputError: the result lies on other voxels than the series, the series is no DICOM or makes no volume, or nothing
        but background was found.
    ModuleNotFoundError: ``highdicom`` is not installed.
    """
    events = Events() if events is None else events
    events.stage("export DICOM segmentation")
    import highdicom  # noqa: F401 - before anything is read, so that a missing package is reported at once

    stored = SoftParcellation.load(request.soft)
    if not request.corrected:
        stored = stored.predicted
    source = _series(request)
    turn = _same_voxels(stored.geometry, source, request)
    job = _Export(stored, stored.tree.cut_from(request.cut), source, turn)
    events.check()
    found = _fractional(job, events) if request.type == "fractional" else _labelled(job, request)
    with write_beside(request.out) as temporary:
        found.save_as(temporary)
    count = sum(int(segment.SegmentNumber) > 0 for segment in found.SegmentSequence)
    events.log(f"{count} segments in {found.NumberOfFrames} frames; {len(job.nodes) - count} nodes have no voxel")
    events.result("DICOM segmentation", request.out)
    return request.out


def _series(request: ExportSegRequest) -> Header:
    path = Path(request.source)
    if request.series is not None and split_series(path)[1] is None:
        path = with_series(path, request.series)
    if not is_dicom_scan(path):
        what = "expected a folder of DICOM slices" if split_series(path)[0].exists() else "no such folder"
        raise InputError(what, file=path, field="--source", hint="give the series that the result was made from")
    return read_header(path)


def _same_voxels(grid: Geometry, source: Header, request: ExportSegRequest) -> Turn:
    """Return how the result's array becomes one of the series, whose slices it must lie on."""
    own = Geometry.from_affine(source.size, source.affine)
    if is_sheared(own):
        raise InputError(
            "its slices are sheared (a gantry tilt?): the result lies on a straight grid, not on them",
            file=source.file,
            field="--source",
        )
    turn = axis_turn(grid, own)
    if turn is None or _apart_mm(grid, own, turn) > GRID_MM:
        raise InputError(
            f"lies on other voxels than the series: {describe(grid)}, not {describe(own)}",
            file=request.soft,
            field="--source",
            hint="give the series that the result was made from",
        )
    return turn


def _apart_mm(grid: Geometry, own: Geometry, turn: Turn) -> float:
    """Return how far corners of both grids lie apart that are the same voxels."""
    numbers = np.arange(np.prod(grid.shape)).reshape(grid.shape)
    ends = tuple(slice(None, None, max(1, n - 1)) for n in own.shape)
    same = np.stack(np.unravel_index(turned(numbers, turn)[ends].ravel(), grid.shape))
    here = np.array(np.meshgrid(*[range(0, n, max(1, n - 1)) for n in own.shape], indexing="ij")).reshape(3, -1)
    places = [
        (one.ijk_to_lps() @ np.vstack([index[::-1], np.ones(index.shape[1])]))[:3]
        for one, index in ((grid, same), (own, here))
    ]
    return float(np.abs(places[0] - places[1]).max())


def _labelled(job: _Export, request: ExportSegRequest) -> Segments:
    labels = job.labels()
    present = set(np.unique(labels).tolist())
    nodes = _found([(node, value) for node, value in job.nodes if value in present], request)
    if request.type == "labelmap":
        if any(value == 0 for _, value in nodes):
            raise InputError("a node has the label value 0, which is background in DICOM", file=request.soft)
        nodes = sorted(nodes, key=lambda named: named[1])
        numbers = {value: value for _, value in nodes}
    else:
        numbers = {value: number for number, (_, value) in enumerate(nodes, 1)}
        table = np.zeros(1 + max(present), np.uint16)
        for value, number in numbers.items():
            table[value] = number
        labels = table[labels]
    described = [
        description_of(node, numbers[value], job.stored.model, bool(job.stored.corrections)) for node, value in nodes
    ]
    return labelled(job.source, labels, request.type, described, job.stored.model)


def _fractional(job: _Export, events: Events) -> Segments:
    """Write probabilities; a first pass finds the slices that each node lies in."""
    nodes: list[Node] = []
    slices: list[npt.NDArray[np.bool_]] = []
    for done, (node, _) in enumerate(job.nodes):
        events.check()
        events.progress(done, 2 * len(job.nodes))
        there = np.asarray(job.steps(node).any(axis=(1, 2)), np.bool_)
        if there.any():
            nodes.append(node)
            slices.append(there)
    if not nodes:
        raise InputError("holds nothing but background", file=job.source.file)
    described = [
        description_of(node, number, job.stored.model, bool(job.stored.corrections))
        for number, node in enumerate(nodes, 1)
    ]

    def steps(number: int) -> npt.NDArray[np.uint8]:
        events.check()
        events.progress(len(job.nodes) + number, 2 * len(job.nodes))
        return job.steps(nodes[number - 1])

    return fractional(job.source, np.stack(slices, axis=1), steps, described, job.stored.model)


def _found(nodes: list[tuple[Node, int]], request: ExportSegRequest) -> list[tuple[Node, int]]:
    if not nodes:
        raise InputError("holds nothing but background", file=request.soft)
    return nodes
