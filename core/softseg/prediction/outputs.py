"""What is written for a case, and the writers of its label maps, soft maps and volumes."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from softseg.errors import InputError
from softseg.files import write_beside, write_together
from softseg.headers.nifti_writer import write_nifti_stack
from softseg.image import Image, write_image
from softseg.prediction.structures import kept_below, node_named, require_finer_cut, without_others
from softseg.requests.names import file_names, folded
from softseg.requests.predict import MAP_TYPES, PredictRequest
from softseg.spreadsheets import write_rows
from softseg.tree import Node

if TYPE_CHECKING:
    from softseg.prediction.case import Prediction
    from softseg.prediction.spread import DecisionMaps
    from softseg.soft.outliers import StoredOutliers
    from softseg.soft.parcellation import NodeVolume, SoftParcellation
    from softseg.tree import Cut, LabelTree

SOFT_FILE = "soft.soft.npz"
VOLUMES_FILE = "volumes.csv"
OUTLIERS_FILE = "outliers.nii.gz"
MASK_FILE = "mask.nii.gz"
OUTLIER = "outlier"
"""Id of what belongs to no trained class, in colour tables."""

MapType = Literal["float32", "uint8"]

CutSpec = int | str | PathLike[str]
"""A level, ``"leaves"``, or a file of node ids."""

VOLUME_COLUMNS = ("id", "name", "level", "soft_ml", "hard_ml", "certainty")
INTERVAL_COLUMNS = ("soft_ml_low", "soft_ml_high")


@dataclass(frozen=True)
class NamedCut:
    """A cut and the distinctive part of its files' names.

    Attributes
    ----------
    name: for people: ``leaves``, ``level3``, or the stem of the file that lists its nodes.
    cut: its nodes.
    file_name: that its files carry.
    """

    name: str
    cut: Cut
    file_name: str

    @staticmethod
    def several(tree: LabelTree, specs: Sequence[CutSpec]) -> tuple[NamedCut, ...]:
        """Return the cuts that a user names.

        Raises
        ------
        InputError: no such level or file, its nodes are not a cut of the tree, or one is named twice.
        """
        cuts = [tree.cut_from(spec) for spec in specs]
        names = [_cut_name(spec) for spec in specs]
        keys = [_cut_key(spec) for spec in specs]
        if len(set(keys)) < len(keys):
            raise InputError(f"two cuts of one name: {', '.join(names)}", field="cut", hint="name each cut once")
        answers = [name for name in names if folded(name).startswith("confidence")]  # those of --confidence
        files = file_names(dict(zip(keys, names, strict=True)), answers)
        return tuple(NamedCut(name, cut, files[key]) for name, cut, key in zip(names, cuts, keys, strict=True))


def _cut_name(spec: CutSpec) -> str:
    """Return what people call a cut."""
    key = _cut_key(spec)
    return key if key == "leaves" or _is_level(spec) else Path(key).stem


def _cut_key(spec: CutSpec) -> str:
    """Return what identifies a cut: a file's path, not its name."""
    text = fspath(spec) if isinstance(spec, PathLike) else str(spec)
    return f"level{int(text)}" if _is_level(spec) else text if text == "leaves" else str(Path(text).resolve())


def _is_level(spec: CutSpec) -> bool:
    return isinstance(spec, int) or (isinstance(spec, str) and spec.isascii() and spec.isdigit())


@dataclass(frozen=True)
class Wanted:
    """What is written for each case beside the soft parcellation and the volumes.

    Attributes
    ----------
    cuts: label maps, each with its colour table.
    nodes: ids of nodes whose soft maps are written.
    map_type: ``"float32"``: probabilities 0..1; ``"uint8"``: round(255 x probability).
    confidence: level at which a label map of mixed depth is written, if one is wanted.
    branches: ids of inner nodes for which the uncertainty of their decision is mapped.
    kept: ids of the nodes that label maps and tables hold alone, None for all.
    preview, report, statistics: whether a picture, a page and a table with intensities are written.
    stacked: ids of the nodes whose probability maps are one image of four axes; none: there is no such image.
    """

    cuts: tuple[NamedCut, ...]
    nodes: tuple[str, ...] = ()
    map_type: MapType = "float32"
    confidence: float | None = None
    branches: tuple[str, ...] = ()
    kept: frozenset[str] | None = None
    preview: bool = False
    report: bool = False
    statistics: bool = False
    stacked: tuple[str, ...] = ()

    @staticmethod
    def of(tree: LabelTree, request: PredictRequest) -> Wanted:
        """Return what a request wants, checked against the tree; without cuts, the leaves.

        Raises
        ------
        InputError: a cut or node is not of this tree, a cut is named twice, a branch has nothing to decide, or a cut or
            node is not within the structures that are asked for.
        """
        cuts = NamedCut.several(tree, request.cut or ["leaves"])
        nodes = tuple(dict.fromkeys(node_named(tree, node, "--nodes").id for node in request.nodes))
        kept = kept_below(tree, request.structures)
        if kept is not None:
            for named in cuts:
                require_finer_cut(named.cut, kept, named.name)
            strange = [node for node in nodes if node not in kept]
            if strange:
                raise InputError(f"'{strange[0]}' is in none of --structures", field="--nodes")
        stacked = nodes or tuple(leaf.id for leaf in tree.leaves if kept is None or leaf.id in kept)
        return Wanted(
            cuts,
            () if request.stack else nodes,
            map_type_of(request.map_type),
            request.confidence,
            branches_of(tree, request.branches),
            kept,
            request.preview,
            request.report,
            request.statistics,
            stacked if request.stack else (),
        )

    def decisive(self) -> dict[str, Any]:
        """Return what of this decides about a case's files, as plain values."""
        found: dict[str, Any] = {
            "cuts": {named.file_name: [node.id for node in named.cut.nodes] for named in self.cuts},
            "nodes": list(self.nodes),
            "confidence": self.confidence,
        }
        if self.kept is not None:
            found["structures"] = sorted(self.kept)
        if self.stacked:
            found["stacked"] = list(self.stacked)
        more = [name for name in ("preview", "report", "statistics") if getattr(self, name)]
        return {**found, "more": more} if more else found


def branches_of(tree: LabelTree, names: Sequence[str]) -> tuple[str, ...]:
    """Return the ids of inner nodes; the one name ``all`` stands for every node with a decision to make."""
    if list(names) == ["all"] and "all" not in tree:
        return tuple(node.id for node in tree.inner_nodes if len(tree.children(node.id)) > 1)
    ids = dict.fromkeys(tree.find(name).id for name in names)
    for id_ in ids:
        if len(tree.children(id_)) < 2:
            raise InputError(
                f"node '{id_}' has {len(tree.children(id_))} children, so nothing is decided there",
                field="branches",
                hint="name nodes with two or more children, or all",
            )
    return tuple(ids)


def map_type_of(name: str) -> MapType:
    """Return the map type of this name.

    Raises
    ------
    InputError: there is none.
    """
    if name not in MAP_TYPES:
        raise InputError(f"expected {' or '.join(MAP_TYPES)}, got {name!r}", field="map type")
    return "uint8" if name == "uint8" else "float32"


def node_file_names(tree: LabelTree) -> dict[str, str]:
    """Return what files of a node carry, by its id; it depends on the tree alone, not on which nodes are asked for."""
    return file_names(node.id for node in tree.nodes)


def write_labels(
    parcellation: SoftParcellation,
    cut: Cut,
    path: Path,
    table: str = ".ctbl",
    kept: Collection[str] | None = None,
) -> Path:
    """Write the label map at a cut and beside it the table of its names and colours.

    Where an outlier score is stored, outliers have :attr:`SoftParcellation.outlier_value`.

    Parameters
    ----------
    parcellation: what was predicted.
    cut: of its tree.
    path: the label map, a name that ends in ``.nii.gz``.
    table: ``".ctbl"``, which 3D Slicer reads with it, or ``".tsv"``, as BIDS has it.
    kept: ids of the nodes that are written; others become 0, the background.
    """
    marked = parcellation.outliers is not None
    tree, labels = cut.to_tree(), parcellation.labels(cut, outliers=marked)
    if kept is not None:
        tree, labels = without_others(cut, labels, kept, parcellation.outlier_value if marked else 0)
    if marked and parcellation.outlier_value:
        tree = tree.add(_outlier_node(tree, parcellation.outlier_value))
    with write_together(path) as place:
        write_image(Image(labels, parcellation.geometry), place / path.name)
        tree.save(place / (path.name.removesuffix(".nii.gz") + table))
    return path


def _outlier_node(tree: LabelTree, value: int) -> Node:
    name = OUTLIER
    while name in {node.id for node in tree.nodes}:
        name += "-"
    return Node(name, "Outlier", tree.root.id, value=value, color=(128, 128, 128))


def write_outliers(parcellation: SoftParcellation, outliers: StoredOutliers, path: Path) -> Path:
    """Write where the outlier score is beyond its threshold: uint8, 1 there and 0 elsewhere."""
    return write_image(Image(outliers.mask().astype(np.uint8), parcellation.geometry), path)


def write_decision(parcellation: SoftParcellation, node: str, path: Path) -> Path:
    """Write the uncertainty of the decision at a node: uint8, 255 is complete uncertainty among its children."""
    return write_image(as_map(Image(parcellation.branch_entropy(node), parcellation.geometry), "uint8"), path)


def write_information(decisions: DecisionMaps, node: str, path: Path) -> Path:
    """Write how much the predictions disagree about the decision at a node: uint8, 255 is complete disagreement."""
    return write_image(decisions.on_target(node), path)


def as_map(image: Image, map_type: MapType) -> Image:
    """Return a soft map in the number type it is stored in; ``uint8`` holds round(255 x probability)."""
    if map_type == "float32":
        return Image(image.array.astype(np.float32, copy=False), image.geometry)
    return Image(np.rint(np.clip(image.array, 0, 1) * 255).astype(np.uint8), image.geometry)


def write_stack(prediction: Prediction, nodes: Sequence[str], path: Path) -> Path:
    """Write the probability maps of nodes as one image of four axes, float32, in this order along the fourth.

    Maps that were not predicted as such are those of the soft parcellation.
    """
    found, given = prediction.parcellation, prediction.node_maps
    grid = found.geometry
    with write_beside(path) as temporary:
        maps = (given[node].array if node in given else found.probability(node) for node in nodes)
        write_nifti_stack(maps, len(nodes), grid.shape, grid.written_forms, temporary)
    return path


def volume_rows(volumes: Sequence[NodeVolume]) -> list[dict[str, str | int | float]]:
    """Return one row per tree node, in tree order: id, name, level (depth), soft and hard volume in ml, certainty.

    The soft volume is the summed probability times the voxel volume; the hard one counts the voxels that the node wins
    among the nodes of the cut at its depth; the certainty is its mean probability in these, empty where it wins none.
    Where there were several predictions, ``soft_ml_low`` and ``soft_ml_high`` are the ends of the interval of its soft
    volume.
    """
    return [
        {
            "id": volume.id,
            "name": volume.name,
            "level": volume.depth,
            "soft_ml": round(volume.soft_ml, 6),
            "hard_ml": round(volume.hard_ml, 6),
            "certainty": "" if math.isnan(volume.certainty) else round(volume.certainty, 4),
            **{name: round(value, 6) for name, value in _interval(volume) if not math.isnan(value)},
        }
        for volume in volumes
    ]


def _interval(volume: NodeVolume) -> list[tuple[str, float]]:
    return list(zip(INTERVAL_COLUMNS, (volume.soft_ml_low, volume.soft_ml_high), strict=True))


def write_volumes(cases: dict[str, list[dict[str, str | int | float]]], path: Path) -> Path:
    """Write the volumes of some cases as CSV; with a column ``case`` in front unless there is one unnamed case."""
    columns = list(VOLUME_COLUMNS) if list(cases) == [""] else ["case", *VOLUME_COLUMNS]
    columns += [name for name in INTERVAL_COLUMNS if any(name in row for rows in cases.values() for row in rows)]
    with write_beside(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        write_rows(stream, columns, ({"case": case, **row} for case, rows in cases.items() for row in rows))
    return path
