"""What ``softseg predict`` and ``softseg collapse`` are asked. This is the one list of prediction's options."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from softseg.errors import InputError
from softseg.requests.request import Request, argument, device_option, option, out_option

OVERLAP = 0.5
"""Part of a window that its neighbours cover too, by default (our default)."""

CONTENT_STEP = 8
"""The box of content begins at a multiple of this many voxels (our default): a rim of background around a brain."""

Blend = Literal["probabilities", "logits"]

BLENDS = get_args(Blend)
"""What may be averaged where windows overlap; the first by default."""

MAP_TYPES = ("float32", "uint8")
"""Number types of soft maps: 0..1, or round(255 x probability); the first by default."""

PRECISIONS = ("auto", "float32", "bfloat16", "float16")
"""Names of the number types that networks compute in."""

BACKENDS = ("auto", "torch", "onnx", "openvino")
"""Names of the libraries that run networks; ``auto``: PyTorch where it is installed, else ONNX Runtime."""

REPEATS = ("tta", "dropout")
"""How a scan is predicted several times."""

MOST_REPEATS = 1000

_ENTITY = re.compile(r"[A-Za-z]+-[A-Za-z0-9+]+")

DEFAULT_MODEL = "head-any"
"""The shipped model that is taken where a command names none."""

LAYOUTS = ("folders", "flat", "bids")
"""How results are laid out: a folder per case, all in one folder, or as BIDS derivatives; the first by default."""

AUTO, MADE, NO_MASK = "auto", "made", "none"
"""Words for where a mask comes from; anything else is a file or folder."""


@dataclass(frozen=True)
class PredictRequest(Request):
    """Segment scans with a model.

    Attributes
    ----------
    model: a model folder or the name of a shipped model; several joined by commas: their mean is stored (they must be
        of one tree, the same channels and the same crop).
    inputs: files and folders, see :mod:`softseg.prediction.inputs`.
    series: number or UID of the series that is meant in folders of DICOM slices; the only one by default.
    out: the output folder; each case has a folder of its own in it (:mod:`softseg.requests.manifest`).
    cut: levels, ``"leaves"`` or files of node ids; the leaves by default.
    nodes: ids or names of nodes whose soft maps are written.
    confidence: 0.5..1: also write, per voxel, the deepest node of at least this probability.
    guarantee: instead: the largest fraction of wrong labels on a new person (``softseg guarantee``); the level
        follows from it.
    guarantee_confidence: probability with which that holds.
    uncertainty: ``"tta:N"`` or ``"dropout:N"``: N predictions, and how much they differ.
    branches: ids or names of inner nodes, or ``all``, for which the uncertainty of their decision is mapped.
    calibrated: whether a model's calibration (``softseg calibrate``) is applied, where it has one.
    outliers: whether the model's outlier score is stored too, with a mask and outliers marked in the label maps;
        refused by models without a score (``softseg outliers fit``).
    mask: of the part of the scans that the model was trained on: ``"auto"`` (made by the model that this one needs,
        unless the scan is stripped already), ``"made"`` (made in any case), ``"none"`` (stripped already), or a file of
        probabilities or of two values, or a folder of such; any grid.
    postprocess: cleaning steps, ``keep-largest:NODE``, ``fill-holes:LEAF``, ``remove-small:NODE:ML``; none by default.
    map_type: of soft maps: ``"float32"`` (0..1) or ``"uint8"`` (round(255 x probability)).
    overlap: of neighbouring windows, 0 <= overlap < 1.
    precision: of the network's arithmetic; what the model's plan says by default.
    blend: ``"probabilities"`` or ``"logits"``: what is averaged where windows overlap, with a softmax head.
    fast: whether an ensemble's best single network predicts alone; of a model of nnU-Net, one fold without mirroring.
    mirror: whether each network also predicts the scan with left and right swapped, and the mean of both is taken.
    tree: for models of other tools (:mod:`softseg.prediction.foreign`), the label tree whose leaves their outputs are:
        a file or the name of a shipped tree; what the model says by default.
    nnunet: whether the model must be one of nnU-Net, which is found out without it too.
    bundle: whether the model must be a MONAI bundle made by others, which is found out without it too.
    trust_code: whether code in such a bundle may run: expressions and callables of its configuration, TorchScript.
    structures: ids or names of nodes: label maps, soft maps and tables hold these and what is below them alone; all
        else is background. The soft parcellation stays whole.
    preview: also write a picture (PNG) of the labels on the scan in three planes.
    report: also write a page (HTML) that says what was found, with what, how much, and how sure.
    statistics: also write volumes, certainty and intensities of every structure as CSV and JSON.
    layout: ``"folders"``: a folder per case; ``"flat"``: files called by the case in one folder; ``"bids"``: BIDS
        derivatives.
    stack: whether, with layout ``"bids"``, soft maps (of the leaves where no nodes are named) are one 4D image.
    suffix: of the images of a BIDS dataset that are the channels, in the model's order (``T1w``); by the names of the
        model's channels by default.
    entities: that images of a BIDS dataset must have, such as ``ses-01``; of one key any.
    overwrite: predict again what is complete already.
    device: ``"auto"``, ``"cpu"`` or ``"cuda:N"``; with ONNX Runtime also ``"directml"`` or ``"coreml"``.
    backend: the library that runs the network: ``"auto"``, ``"torch"``, ``"onnx"`` or ``"openvino"``.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("predict",)

    model: str = argument(
        "MODEL", f"A model folder or shipped model; several joined by commas. [default: {DEFAULT_MODEL}]"
    )
    inputs: tuple[str, ...] = argument(
        "IMAGE",
        "Scans, or folders of scans; several channels of one scan joined by commas.",
        several=True,
        optional=True,
    )
    out: Path = out_option("Folder for the results, one folder per scan.")
    series: str | None = option(
        "--series", "The series to read from a DICOM folder.", metavar="NUMBER|UID", default=None
    )
    cut: tuple[str, ...] = option(
        "--cut",
        "Labels at this cut; may be repeated. [default: the leaves]",
        metavar="LEVEL|FILE",
        several=True,
        default=(),
    )
    nodes: tuple[str, ...] = option(
        "--nodes",
        "Also write the soft map of this node; may be repeated.",
        metavar="ID",
        several=True,
        listed=True,
        default=(),
    )
    confidence: float | None = option(
        "--confidence",
        "Also label with the deepest node whose probability is at least C, 0.5 to 1.",
        metavar="C",
        kind=float,
        low=0.5,
        high=1,
        default=None,
    )
    guarantee: float | None = option(
        "--guarantee",
        "Label as deep as possible with at most this fraction of wrong labels on a new person.",
        metavar="ALPHA",
        kind=float,
        low=0,
        high=1,
        below=True,
        default=None,
    )
    guarantee_confidence: float = option(
        "--guarantee-confidence",
        "Probability with which the guarantee holds.",
        metavar="C",
        kind=float,
        low=0,
        high=1,
        below=True,
        default=0.9,
    )
    uncertainty: str | None = option(
        "--uncertainty", "Also estimate the uncertainty.", metavar="tta:N|dropout:N", default=None
    )
    branches: tuple[str, ...] = option(
        "--branches",
        "Also map the uncertainty of the decision at this node; may be repeated.",
        metavar="ID|all",
        several=True,
        listed=True,
        default=(),
    )
    calibrated: bool = option(
        "--no-calibration", "Do not apply the model's calibration.", kind=bool, negated=True, default=True
    )
    outliers: bool = option(
        "--outliers", "Also map the outlier score (voxels of no trained class).", kind=bool, default=False
    )
    mask: str = option(
        "--mask",
        "Region to segment: predicted by the mask model unless the scan is skull-stripped "
        "(auto), always predicted, none, or a file or folder of masks.",
        metavar="auto|made|none|FILE",
        default=AUTO,
    )
    postprocess: tuple[str, ...] = option(
        "--postprocess",
        "Clean the probabilities: keep-largest:NODE, fill-holes:LEAF or remove-small:NODE:ML; may be repeated.",
        metavar="STEP:NODE",
        several=True,
        default=(),
    )
    map_type: str = option("--map-type", "Number type of soft maps.", choices=MAP_TYPES, default=MAP_TYPES[0])
    overlap: float = option(
        "--overlap",
        "Overlap of neighbouring windows, 0 to below 1.",
        metavar="FRACTION",
        kind=float,
        low=0,
        high=1,
        below=True,
        default=OVERLAP,
    )
    precision: str | None = option(
        "--precision", "Precision of the network's arithmetic. [default: the model's]", choices=PRECISIONS, default=None
    )
    blend: Blend = option(
        "--blend",
        "Average probabilities or logits where windows overlap.",
        choices=BLENDS,
        default=BLENDS[0],
    )
    fast: bool = option(
        "--fast", "Use only the best network of an ensemble: faster, slightly less accurate.", kind=bool, default=False
    )
    mirror: bool = option(
        "--mirror",
        "Average with the prediction of the mirrored scan: slower, slightly more accurate.",
        kind=bool,
        default=False,
    )
    structures: tuple[str, ...] = option(
        "--structures",
        "Write only this structure, all else as background; may be repeated.",
        metavar="ID",
        several=True,
        listed=True,
        default=(),
    )
    preview: bool = option("--preview", "Also write a picture of the labels on the scan.", kind=bool, default=False)
    report: bool = option("--report", "Also write a page about the result (HTML).", kind=bool, default=False)
    statistics: bool = option(
        "--statistics", "Also write volumes and intensities (CSV, JSON).", kind=bool, default=False
    )
    layout: str = option(
        "--layout",
        "A folder per scan, all files in one folder, or BIDS derivatives.",
        choices=LAYOUTS,
        default=LAYOUTS[0],
    )
    stack: bool = option(
        "--stack",
        "Write soft maps, of the leaves without --nodes, as one 4D image; with --layout bids.",
        kind=bool,
        default=False,
    )
    suffix: tuple[str, ...] = option(
        "--suffix",
        "Of images of a BIDS dataset; one per channel. [default: the names of the model's channels]",
        metavar="T1w",
        several=True,
        listed=True,
        default=(),
    )
    entities: tuple[str, ...] = option(
        "--entity",
        "Take images of a BIDS dataset with this; may be repeated.",
        metavar="KEY-VALUE",
        several=True,
        default=(),
    )
    tree: str | None = option(
        "--tree", "Label tree for a model of another tool (nnU-Net, MONAI).", metavar="TREE", default=None
    )
    nnunet: bool = option(
        "--nnunet", "MODEL is a model folder of nnU-Net (found out without this, too).", kind=bool, default=False
    )
    bundle: bool = option(
        "--bundle", "MODEL is a MONAI bundle made by others (found out without this, too).", kind=bool, default=False
    )
    trust_code: bool = option(
        "--trust-code", "Run code in a MONAI bundle; only if you trust where it comes from.", kind=bool, default=False
    )
    overwrite: bool = option("--overwrite", "Predict complete cases again.", kind=bool, default=False)
    device: str = device_option()
    backend: str = option(
        "--backend",
        "Library that runs the network. [default: PyTorch where it is installed, else ONNX Runtime]",
        choices=BACKENDS,
        default=BACKENDS[0],
    )

    def check(self) -> None:
        """Check the form of what has one."""
        if self.guarantee is not None and self.confidence is not None:
            raise InputError("give either --confidence or --guarantee", field="--confidence/--guarantee")
        if self.structures and (self.guarantee is not None or self.confidence is not None):
            raise InputError(
                "answers of mixed depth are of the whole tree",
                field="--structures",
                hint="leave out --structures, or --confidence and --guarantee",
            )
        if self.layout == "bids" and self.map_type != MAP_TYPES[0]:
            raise InputError(
                f"soft maps of BIDS hold probabilities from 0 to 1, not {self.map_type}", field="--map-type"
            )
        if self.stack and self.layout != "bids":
            raise InputError("is for --layout bids, whose sidecars name the maps", field="--stack")
        for entity in self.entities:
            if _ENTITY.fullmatch(entity) is None:
                raise InputError(f"expected KEY-VALUE, got {entity!r}", field="--entity", hint="for example ses-01")
        if self.uncertainty is not None:
            if self.mirror:
                raise InputError("each prediction is of one scan; tta:N mirrors every other one", field="--mirror")
            repeats(self.uncertainty)


@dataclass(frozen=True)
class CollapseRequest(Request):
    """Make a label map, or one node's soft map, of a stored soft parcellation: give one of cut, node and confidence.

    Attributes
    ----------
    soft: a ``.soft.npz`` file.
    out: the image to write; beside a label map that ends in .nii.gz goes a colour table (.ctbl) of the same name.
    cut: a level, ``"leaves"`` or a file of node ids. The label of a voxel is the node of the largest *summed*
        probability.
    node: id or name of a node.
    confidence: 0.5..1: in each voxel the deepest node of at least this probability (ours); beside it go a colour table
        and a table (.csv) of how much was answered with each node.
    map_type: of a node's map: ``"float32"`` (0..1) or ``"uint8"`` (round(255 x probability)).
    corrected: whether corrections are seen, where there are any; else what the model itself said.
    """

    COMMAND: ClassVar[tuple[str, ...]] = ("collapse",)

    soft: Path = argument("SOFT", "A soft parcellation (.soft.npz).", kind=Path)
    out: Path = out_option("The image to write: LABELS.nii.gz or MAP.nii.gz.")
    cut: str | None = option("--cut", "Write labels at this cut.", metavar="LEVEL|FILE", default=None)
    node: str | None = option("--node", "Write this node's soft map.", metavar="ID", default=None)
    confidence: float | None = option(
        "--confidence",
        "Label with the deepest node whose probability is at least C (0.5..1).",
        metavar="C",
        kind=float,
        low=0.5,
        high=1,
        default=None,
    )
    map_type: str = option("--map-type", "Number type of soft maps.", choices=MAP_TYPES, default=MAP_TYPES[0])
    corrected: bool = option("--without-corrections", "Leave out corrections.", kind=bool, negated=True, default=True)

    def check(self) -> None:
        """One of three is given."""
        if sum(given is not None for given in (self.cut, self.node, self.confidence)) != 1:
            raise InputError("give either --cut, --node or --confidence", field="--cut/--node/--confidence")


def repeats(text: str) -> tuple[str, int]:
    """Return kind and number of the predictions that ``tta:N`` or ``dropout:N`` asks for.

    Raises
    ------
    InputError: it is neither, or N is not a number from 2 to 1000.
    """
    kind, _, count = text.partition(":")
    if kind not in REPEATS or not (count.isascii() and count.isdigit()) or not 2 <= int(count) <= MOST_REPEATS:
        raise InputError(
            f"expected tta:N or dropout:N with N from 2 to {MOST_REPEATS}, got {text!r}",
            field="uncertainty",
            hint="for example tta:8",
        )
    return kind, int(count)
