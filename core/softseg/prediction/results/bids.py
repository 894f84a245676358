"""BIDS derivatives (BIDS 1.10): names, folders, sidecars and the description of the dataset."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import softseg
from softseg.errors import InputError
from softseg.files import read_json_object, write_beside
from softseg.prediction.bids_inputs import DESCRIPTION_FILE, ENTITIES, BidsName, dataset_of
from softseg.prediction.inputs import CaseInput
from softseg.prediction.record import is_of, read_record
from softseg.prediction.results.flat import FlatPlace
from softseg.prediction.results.place import split_ending
from softseg.requests.manifest import LABELS, MASK, NODE, NODES, OUTLIERS, SOFT, OutputFile
from softseg.requests.names import folded

if TYPE_CHECKING:
    from softseg.tree import LabelTree

VERSION = "1.10.0"
"""Of BIDS, whose rules are followed."""

PIPELINE = "softseg"
IGNORED = (
    "results.json",
    "*.csv",
    "*.ctbl",
    "*.soft.npz",
    "*_prediction.json",
    "*_statistics.json",
    "*_preview.png",
    "*_report.html",
    "*_map.nii.gz",
    "*_map.json",
)
"""What stands in ``.bidsignore``: files that BIDS has no names for."""

_README = """# Soft segmentations

Derivatives written by `softseg predict --layout bids`. `dataset_description.json` names the version, the models and the
dataset of the scans; the sidecar of each file names its sources and its model.

| file | content |
|---|---|
| `*_dseg.nii.gz`, `*_dseg.tsv` | label map of structures; names and colors of its values |
| `*_label-<structure>_probseg.nii.gz` | probability of one structure, 0 to 1 |
| `*_seg-<tree>_probseg.nii.gz` | probabilities of several structures; `LabelMap` in the sidecar names them in order |
| `*_probseg.soft.npz` | probabilities of all structures, from which `softseg collapse` writes all maps again |
| `*_volumes.csv` | volumes of all structures |

The segmentations come from a model and were not edited by hand. They are for research, not for clinical decisions.
Weights have licences of their own: see the card of the model that a sidecar names.
"""

_DATATYPES = frozenset({"anat", "func", "dwi", "fmap", "perf", "pet", "micr", "mrs"})
_DROPPED = ("desc", "label", "seg", "res", "den", "part")


@dataclass(frozen=True)
class BidsPlace(FlatPlace):
    """A case among BIDS derivatives.

    Attributes
    ----------
    entities: of its source, with a space.
    tree: the name of the tree, as a label of BIDS.
    nodes: labels of the tree's nodes, by id.
    sources: its images, as BIDS URIs or paths.
    made_by: name of the model.
    """

    entities: Mapping[str, str] = field(default_factory=dict)
    tree: str = ""
    nodes: Mapping[str, str] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    made_by: str = ""

    @property
    def color_table(self) -> str:
        """Tables of names and colours are ``dseg.tsv``."""
        return ".tsv"

    def called(self, file: OutputFile) -> OutputFile:
        """Return a file by its name in BIDS: ``<source>_space-orig_seg-<tree>_dseg.nii.gz`` and the like."""
        own, ending = split_ending(file.path)
        role = file.role.removesuffix(" colors").removesuffix(" table")
        more: dict[str, str] = {"seg": self.tree}
        suffix, desc = own, ""
        if role == SOFT:
            suffix = "probseg"
        elif role == LABELS:
            cut = own.removeprefix("labels_")
            more["seg"] += "" if cut == "leaves" else as_label(cut, cut)
            suffix = "dseg"
        elif role == "answers":
            suffix, desc = "dseg", "confidence" + file.of.replace(".", "p")
        elif role == NODE:
            more["label"] = self.nodes[file.of]
            suffix = "probseg"
        elif role == NODES:
            suffix = "probseg"
        elif role == MASK:
            more, suffix, desc = {}, "probseg", "scanmask"
        elif role == OUTLIERS:
            suffix, desc = "mask", "outliers"
        elif ending == ".nii.gz":
            suffix, desc = "map", as_label(own, own)
        desc = self.entities.get("desc", "") + desc
        entities = {**self.entities, **more, **({"desc": desc} if desc else {})}
        return OutputFile(file.role, f"{stem_of(entities)}_{suffix}{ending}", file.of)

    def sidecar(self, file: OutputFile, holds: Sequence[str] = ()) -> dict[str, Any] | None:
        """Return an image's metadata: its sources, its description, its grid and the labels of its maps."""
        what = {
            LABELS: "Label map of structures; the table beside it names the values",
            "answers": "Label map of mixed depth: in every voxel the deepest structure of at least this probability",
            NODE: "Probability of a structure, 0 to 1",
            NODES: "Probabilities of structures, 0 to 1, one after another; LabelMap names them",
            MASK: "Probability that a voxel is of the part of the scan that was segmented, 0 to 1",
            OUTLIERS: "Voxels that the model knows nothing like",
        }.get(file.role, "Doubt of the segmentation")
        sidecar: dict[str, Any] = {"Description": f"{what} (model {self.made_by})", "Sources": list(self.sources)}
        if self.entities["space"] == "orig":
            sidecar["SpatialReference"] = "orig"
        if file.path.endswith(("_dseg.nii.gz", "_probseg.nii.gz", "_mask.nii.gz")):
            sidecar["Manual"] = False
        if holds:
            sidecar["LabelMap"] = [self.nodes[node] for node in holds]
            sidecar["NodeIds"] = list(holds)
        if file.role == OUTLIERS:
            sidecar["Type"] = "ROI"
        if file.role == LABELS:
            sidecar["node_id"] = {"Description": "Id of the structure in the label tree"}
            sidecar["node_path"] = {
                "Description": "Names of the structures above it, from the root of the label tree down"
            }
        return sidecar


def bids_places(out: Path, cases: Sequence[CaseInput], tree: LabelTree, model: str) -> dict[str, BidsPlace]:
    """Return the place of every case among the derivatives, by the case's name.

    Parameters
    ----------
    out: root of the derivatives; it may be missing.
    cases: of different names; images whose names are no BIDS get a subject that is called as the case.
    tree: that names are made of.
    model: that predicts.

    Raises
    ------
    InputError: two cases have one name in BIDS.
    """
    named = {case.name: _source(case) for case in cases}
    alike = Counter(folded(_key(name.entities)) for name in named.values())
    tree_label = as_label(tree.name or "labels", tree.name)
    nodes = labels_of(node.id for node in tree.nodes)
    places: dict[str, BidsPlace] = {}
    taken: dict[str, str] = {}
    for case in cases:
        name = named[case.name]
        entities = {**name.entities, "space": name.entities.get("space", "orig")}
        datatype = case.images[0].absolute().parent.name if case.images else "anat"
        parts = [f"sub-{entities['sub']}", *([f"ses-{entities['ses']}"] if "ses" in entities else [])]
        folder = out.joinpath(*parts, datatype if datatype in _DATATYPES else "anat")
        sources = tuple(_uri(image) for image in case.images)
        place = BidsPlace(folder, "", entities, tree_label, nodes, sources, model)
        own = read_record(place.record)
        if alike[folded(_key(name.entities))] > 1 or (own and not is_of(own, case.images)):
            place = BidsPlace(
                folder, "", {**entities, "desc": as_label(name.suffix, name.suffix)}, tree_label, nodes, sources, model
            )
        key = folded(str(place.record))
        if key in taken:
            raise InputError(
                f"{taken[key]} and {case.name} have one name in BIDS: {place.record.name}", field="--layout"
            )
        taken[key] = case.name
        places[case.name] = place
    return places


def require_own_dataset(out: Path) -> None:
    """Refuse to write into a dataset that is not ours.

    Raises
    ------
    InputError: it is raw data, or another pipeline's.
    """
    file = out / DESCRIPTION_FILE
    if not file.is_file():
        return
    made = read_json_object(file).get("GeneratedBy")
    first = made[0] if isinstance(made, list) and made and isinstance(made[0], Mapping) else {}
    if first.get("Name") != PIPELINE:
        raise InputError(
            "this is a BIDS dataset that softseg has not made",
            file=out,
            field="--out",
            hint=f"give a folder of its own, such as {out / 'derivatives' / PIPELINE}",
        )


def describe_dataset(out: Path, cases: Sequence[CaseInput], models: Sequence[str]) -> str:
    """Write ``dataset_description.json``, ``.bidsignore`` and a ``README.md``; return a remark on the folder's name.

    Raises
    ------
    InputError: they cannot be written.
    """
    roots = sorted({root for case in cases for image in case.images[:1] if (root := dataset_of(image)) is not None})
    file = out / DESCRIPTION_FILE
    older = read_json_object(file) if file.is_file() else {}
    links = {**older.get("DatasetLinks", {}), **{link_of(root): _place_of(root, out) for root in roots}}
    sources = [source for source in older.get("SourceDatasets", []) if isinstance(source, Mapping)]
    sources += [source for root in roots if (source := _said_of(root, out)) not in sources]
    version = softseg.__version__
    content: dict[str, Any] = {
        "Name": f"Soft segmentations by {' and '.join(models)}",
        "BIDSVersion": VERSION,
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": PIPELINE, "Version": version, "Description": f"Models: {', '.join(models)}"}],
    }
    if sources:
        content["SourceDatasets"] = sources
    if links:
        content["DatasetLinks"] = links
    with write_beside(file) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    with write_beside(out / ".bidsignore") as temporary:
        temporary.write_text("".join(f"{pattern}\n" for pattern in IGNORED), encoding="utf-8")
    if not any(out.glob("README*")):  # a person's own stays
        with write_beside(out / "README.md") as temporary:
            temporary.write_text(_README, encoding="utf-8")
    inside = any(root in out.absolute().parents for root in roots)
    if inside and PIPELINE not in out.absolute().name:
        return f"{out}: BIDS wants '{PIPELINE}' in the name of a folder of derivatives inside of the dataset"
    return ""


def labels_of(ids: Iterable[str]) -> dict[str, str]:
    """Return a label of BIDS (letters and digits) for every text; different ones whatever the file system."""
    every = list(ids)
    plain = {id_: as_label(id_, id_) for id_ in every}
    counts = Counter(folded(label) for label in plain.values())
    return {id_: label + (_mark(id_) if counts[folded(label)] > 1 else "") for id_, label in plain.items()}


def as_label(text: str, identity: str) -> str:
    """Return the letters and digits of a text, words run together: ``right-hippocampus`` is ``rightHippocampus``.

    What holds none, or signs that are no separators, gets a mark of ``identity``.
    """
    words = re.findall(r"[A-Za-z0-9]+", text)
    label = "".join(word if number == 0 else word[:1].upper() + word[1:] for number, word in enumerate(words))
    return label if label and not re.search(r"[^A-Za-z0-9 _.\-]", text) else label + _mark(identity)


def stem_of(entities: Mapping[str, str]) -> str:
    """Return entities as in a name, in the order of BIDS."""
    known = [key for key in ENTITIES if key in entities]
    others = [key for key in entities if key not in ENTITIES]
    return "_".join(f"{key}-{entities[key]}" for key in (*known[:1], *others, *known[1:]))


def link_of(root: Path) -> str:
    """Return what a source dataset is called in BIDS URIs."""
    return "raw" if not root.name else as_label(root.name, str(root))


def _mark(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]


def _source(case: CaseInput) -> BidsName:
    """Return the entities of the name of a case's first image; else a subject of the case's name."""
    name = BidsName.of(case.images[0]) if case.images else None
    if name is None:
        return BidsName({"sub": as_label(case.name, case.name)}, "image")
    return BidsName({key: value for key, value in name.entities.items() if key not in _DROPPED}, name.suffix)


def _key(entities: Mapping[str, str]) -> str:
    return "_".join(f"{key}-{value}" for key, value in entities.items())


def _uri(image: Path) -> str:
    """Return where an image is: a BIDS URI in its dataset, else its name alone."""
    root = dataset_of(image)
    return image.name if root is None else f"bids:{link_of(root)}:{image.absolute().relative_to(root).as_posix()}"


def _place_of(root: Path, out: Path) -> str:
    """Return a dataset as a path from the derivatives where these lie in it, else as a URI."""
    whole = out.absolute()
    return Path(os.path.relpath(root, whole)).as_posix() if root in whole.parents else root.as_uri()


def _said_of(root: Path, out: Path) -> dict[str, str]:
    try:
        doi = read_json_object(root / DESCRIPTION_FILE).get("DatasetDOI")
    except InputError:
        doi = None
    if isinstance(doi, str) and doi:
        return {"DOI": doi}
    return {"URL": _place_of(root, out)}
