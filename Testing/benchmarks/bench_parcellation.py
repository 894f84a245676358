"""The stored soft parcellation of a head at 1 mm, 134 structures: how large, and how fast it answers.

Peer: the dense float32 array that people keep today, summed over a node's leaves with numpy. The head is real labels
blurred by 1.2 mm where the project's data is present, else a phantom of as many leaves and voxels.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from measure import Line, interleaved, timed
from scipy.ndimage import distance_transform_edt, find_objects, gaussian_filter

from softseg.image import Geometry, read_image
from softseg.resources import label_tree_path
from softseg.soft.correcting import ball
from softseg.soft.parcellation import SoftParcellation
from softseg.soft.slabs import Slab
from softseg.tree import Cut, LabelTree

SUITE = "parcellation"
BLUR_MM = 1.2
TARGETS = {"file": 10e6, "open": 0.3, "labels": 60e-3, "map": 25e-3}


def run(quick: bool) -> list[Line]:
    """Measure one head; ``quick`` takes every second voxel."""
    head = _head(quick)
    rounds = 3 if quick else 15
    with tempfile.TemporaryDirectory() as folder:
        file = head.save(Path(folder) / "head.soft.npz")
        size = file.stat().st_size
        opened = _seconds(lambda: SoftParcellation.load(file), rounds)
    boundary = int((head.counts > 1).sum())
    note = f"{boundary / 1e6:.2f} million voxels of more than one leaf, grid {' x '.join(map(str, head.geometry.size))}"
    dense_bytes = 4 * len(head.tree.leaves) * int(np.prod(head.geometry.shape))
    lines = [
        Line(SUITE, "file", size / 1e6, TARGETS["file"] / 1e6, "MB", "limit", 1.0, note),
        Line(SUITE, "file against the dense array", size / 1e6, dense_bytes / 1e6, "MB", "dense float32", None, note),
        Line(SUITE, "open", opened * 1e3, TARGETS["open"] * 1e3, "ms", "limit", 1.0),
        Line(SUITE, "sorting at the first question", _first(head) * 1e3, 1000.0, "ms", "limit", 1.0, "once; ours"),
    ]
    lines += [_limit(head, f"labels at level {level}", level, rounds) for level in range(1, head.tree.depth + 1)]
    for node in _nodes(head.tree):
        seconds = _seconds(lambda node=node: _unasked(head).probability(node), rounds)
        lines.append(Line(SUITE, f"map of '{node}'", seconds * 1e3, TARGETS["map"] * 1e3, "ms", "limit", 1.0))
    entropy = _seconds(lambda: _unasked(head).entropy(3), rounds)
    volumes = _seconds(lambda: _unasked(head).volumes(3), rounds)
    lines.append(Line(SUITE, "entropy at level 3", entropy * 1e3, 100.0, "ms", "limit", 1.0, "bound is ours"))
    sure = _seconds(lambda: _unasked(head).confident_labels(0.9), rounds)
    lines.append(Line(SUITE, "as deep as 0.9 sure", sure * 1e3, 500.0, "ms", "limit", 1.0, "bound is ours"))
    lines.append(Line(SUITE, "volumes at level 3", volumes * 1e3, 100.0, "ms", "limit", 1.0, "bound is ours"))
    return lines + _against_dense(head, rounds) + _corrections(head, rounds)


def _limit(head: SoftParcellation, name: str, level: int, rounds: int) -> Line:
    seconds = _seconds(lambda: _unasked(head).labels(level), rounds)
    note = f"{len(head.tree.cut_at(level).nodes)} nodes"
    return Line(SUITE, name, seconds * 1e3, TARGETS["labels"] * 1e3, "ms", "limit", 1.0, note)


def _against_dense(head: SoftParcellation, rounds: int) -> list[Line]:
    """Compare on as many rows as a dense array of 1 GB holds."""
    shape = head.geometry.shape
    rows = max(1, min(shape[0], int(1e9) // (4 * len(head.tree.leaves) * shape[1] * shape[2])))
    first = (shape[0] - rows) // 2
    dense = np.concatenate(
        [slab.values for slab in _slabs(*_labels(_quick_of(head)), head.tree, first, first + rows)], 1
    )
    geometry = Geometry((shape[2], shape[1], rows), head.geometry.spacing, (0.0, 0.0, 0.0))
    part = SoftParcellation.from_dense(dense, head.tree, geometry)
    cut = head.tree.cut_at(3)
    starts = np.flatnonzero(np.diff(cut.position_of_leaf, prepend=-1))
    node = head.tree.leaf_slice(_nodes(head.tree)[0])
    values = np.array(cut.values, np.uint16)
    labels = interleaved(
        lambda: _unasked(part).labels(cut),
        lambda: values[np.add.reduceat(dense, starts, axis=0).argmax(axis=0)],
        min(rounds, 5),
    )
    first = _nodes(head.tree)[0]
    maps = interleaved(lambda: _unasked(part).probability(first), lambda: dense[node].sum(axis=0), min(rounds, 5))
    note = f"{rows} middle rows: dense {dense.nbytes / 1e6:.0f} MB"
    return [
        Line(SUITE, "labels at level 3, part", labels.ours * 1e3, labels.peer * 1e3, "ms", "dense float32", 1.0, note),
        Line(SUITE, "map of a node, part", maps.ours * 1e3, maps.peer * 1e3, "ms", "dense float32", 1.0, note),
    ]


def _corrections(head: SoftParcellation, rounds: int) -> list[Line]:
    """Measure a stroke of 10,000 voxels until labels, a map and the volumes follow; the peer encodes the head again."""
    cut = head.tree.cut_at(3)
    strokes = [_stroke(head, number) for number in range(20)]
    corrected = head
    for node, voxels in strokes[:-1]:
        corrected = corrected.corrected(node, voxels)
    node, voxels = strokes[-1]
    seconds = _median_stroke(corrected, cut, node, voxels, rounds)
    again = timed(lambda: _seen(_encoded_again(corrected, node, voxels), cut, node))[0]
    last = corrected.corrected(node, voxels)
    undone = _seconds(lambda: _seen(last.without(last.corrections[-1]), cut, node), rounds)
    with tempfile.TemporaryDirectory() as folder:
        files = [part.save(Path(folder) / f"{number}.soft.npz") for number, part in enumerate((head, last))]
        sizes = [file.stat().st_size for file in files]
        opened = _seconds(lambda: SoftParcellation.load(files[1]), rounds)
    note = f"{int(voxels.sum())} voxels after 19 other strokes: corrected, labels, a map, volumes of level 3"
    return [
        Line(SUITE, "a scribble is everywhere", seconds * 1e3, 200.0, "ms", "limit", 1.0, note),
        Line(SUITE, "a stroke, not the head again", seconds * 1e3, again * 1e3, "ms", "full re-encode", 0.1, note),
        Line(SUITE, "a stroke taken back", undone * 1e3, 200.0, "ms", "limit", 1.0, note),
        Line(SUITE, "open with 20 strokes", opened * 1e3, 1000.0, "ms", "limit", 1.0, "bound is ours"),
        Line(SUITE, "file growth by 20 strokes", 100 * (sizes[1] / sizes[0] - 1), 1.0, "%", "limit", 1.0),
    ]


def _median_stroke(head: SoftParcellation, cut: Cut, node: str, voxels: np.ndarray, rounds: int) -> float:
    """Return the seconds of a stroke on what is on the screen already."""

    def stroke() -> float:
        _seen(head, cut, node)
        return timed(lambda: _seen(head.corrected(node, voxels), cut, node))[0]

    return float(np.median([stroke() for _ in range(rounds)]))


def _unasked(head: SoftParcellation) -> SoftParcellation:
    """Return the head, which has to work out again what it was asked before."""
    head.sums.cache.clear()
    return head


def _stroke(head: SoftParcellation, number: int) -> tuple[str, np.ndarray]:
    """Return a ball of 10,000 voxels on a border, and the second most probable node of level 3 there."""
    cut = head.tree.cut_at(3)
    places = np.argwhere(head.entropy(cut) > 0.3)
    k, j, i = (int(at) for at in places[np.random.default_rng(number).integers(len(places))])
    radius = (10_000 * 0.75 / np.pi * np.prod(head.geometry.spacing)) ** (1 / 3)
    return head.suggestions(cut, (k, j, i))[0].node_id, ball(head.geometry, (k, j, i), float(radius))


def _seen(head: SoftParcellation, cut: Cut, node: str) -> None:
    """Ask for what is on the screen."""
    head.labels(cut)
    head.probability(node)
    head.volumes(cut)


def _encoded_again(head: SoftParcellation, node: str, voxels: np.ndarray) -> SoftParcellation:
    """Condition the dense distribution and encode all of it, row by row."""
    inside = head.tree.leaf_slice(node)

    def slabs() -> Iterator[Slab]:
        first = 0
        stops = np.cumsum(head.counts.sum(axis=(1, 2), dtype=np.int64))
        for row, counts in enumerate(head.counts):
            stop = int(stops[row])
            flat = np.zeros((len(head.tree.leaves), counts.size), np.float32)
            flat[head.leaves[first:stop], np.repeat(np.arange(counts.size), counts.reshape(-1))] = head.shares[
                first:stop
            ] / np.float32(255)
            first = stop
            dense = np.zeros((len(head.tree.leaves), *head.geometry.shape[1:]), np.float32)
            dense[head.background] = 1
            dense[:, head.box[1], head.box[2]] = flat.reshape(-1, *counts.shape)
            said = voxels[head.start[0] + row]
            given = dense[:, said]
            given[: inside.start], given[inside.stop :] = 0, 0
            dense[:, said] = given / np.maximum(given.sum(axis=0), 1e-6)
            yield Slab.full(dense[:, None], head.start[0] + row)

    return SoftParcellation.from_slabs(slabs(), head.tree, head.geometry)


def _nodes(tree: LabelTree) -> list[str]:
    """Return a node of each kind: the largest inner node below the anatomy, a middle one, a leaf."""
    inner = sorted(tree.inner_nodes, key=lambda node: -len(tree.leaves_under(node.id)))
    return [inner[2].id, inner[len(inner) // 2].id, tree.leaves[-1].id]


def _seconds(call: object, rounds: int) -> float:
    return interleaved(call, lambda: None, rounds).ours


def _first(head: SoftParcellation) -> float:
    fresh = SoftParcellation(head.tree, head.geometry, head.start, head.counts, head.leaves, head.shares)
    return timed(lambda: fresh.sums)[0]


def _quick_of(head: SoftParcellation) -> bool:
    return head.geometry.spacing[0] > 1.5


# -- the head ---------------------------------------------------------------------------------------------------------


@cache
def _head(quick: bool) -> SoftParcellation:
    tree = LabelTree.load(label_tree_path("brain-134"))
    labels, geometry = _labels(quick)
    return SoftParcellation.from_slabs(_slabs(labels, geometry, tree, 0, labels.shape[0]), tree, geometry, "blurred")


@cache
def _labels(quick: bool) -> tuple[np.ndarray, Geometry]:
    """Return label values ``(k, j, i)`` and their grid."""
    default = Path(__file__).resolve().parents[3] / "shared" / "data"
    files = sorted((Path(os.environ.get("SOFTSEG_TEST_DATA", default)) / "brain" / "labels").glob("*.nii.gz"))
    if files:
        image = read_image(files[0])
        labels, spacing = np.asarray(image.array).astype(np.int32), image.geometry.spacing
    else:
        labels, spacing = _phantom(), (1.0, 1.0, 1.0)
    step = 2 if quick else 1
    labels = labels[::step, ::step, ::step]
    k, j, i = labels.shape
    return labels, Geometry((i, j, k), tuple(step * mm for mm in spacing), (0.0, 0.0, 0.0))


def _phantom() -> np.ndarray:
    """Return an ellipsoid head of 134 Voronoi cells: as many structures and about as much surface as a real one."""
    tree = LabelTree.load(label_tree_path("brain-134"))
    values = [leaf.value for leaf in tree.leaves if leaf.value]
    generator = np.random.default_rng(0)
    shape = (182, 218, 182)
    grid = np.stack(np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij"))
    inside = (grid**2).sum(axis=0) < 0.72
    seeds = np.zeros(shape, np.int32)
    places = generator.choice(np.flatnonzero(inside), len(values), replace=False)
    seeds.reshape(-1)[places] = values
    nearest = distance_transform_edt(seeds == 0, return_distances=False, return_indices=True)
    return np.where(inside, seeds[tuple(nearest)], 0)


def _slabs(labels: np.ndarray, geometry: Geometry, tree: LabelTree, first: int, stop: int) -> Iterator[Slab]:
    """Yield the distribution that blurring gives, rows ``first`` to ``stop``, eight rows at a time."""
    indices = tree.to_class_indices(labels)
    sigma = [BLUR_MM / mm for mm in geometry.spacing[::-1]]
    halo = int(np.ceil(4 * max(sigma))) + 1
    blurred = []
    for leaf, box in enumerate(find_objects(indices.astype(np.int32) + 1, max_label=len(tree.leaves))):
        if box is not None:
            wide = tuple(
                slice(max(0, s.start - halo), min(n, s.stop + halo)) for s, n in zip(box, labels.shape, strict=True)
            )
            blurred.append(
                (leaf, wide, gaussian_filter((indices[wide] == leaf).astype(np.float32), sigma, mode="nearest"))
            )
    for row in range(first, stop, 8):
        upto = min(row + 8, stop)
        values = np.zeros((len(tree.leaves), upto - row, *labels.shape[1:]), np.float32)
        for leaf, (k, j, i), probability in blurred:
            start, end = max(row, k.start), min(upto, k.stop)
            if start < end:
                values[leaf, start - row : end - row, j, i] = probability[start - k.start : end - k.start]
        values /= np.maximum(values.sum(axis=0), 1e-6)
        yield Slab.full(values, row)
