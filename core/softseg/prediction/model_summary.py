"""What a person must know before using a model folder, read without torch: tree, channels, card, expectations."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

from softseg import extras
from softseg.bundle_text import unescaped
from softseg.bundles.recognition import is_bundle_folder
from softseg.ensemble_file import FILE, EnsembleFile
from softseg.errors import InputError
from softseg.files import read_json_object, require_inside
from softseg.needs import Needs
from softseg.network.ensemble_outliers import DISAGREEMENT
from softseg.network.fitted_outliers import stored_score
from softseg.nnunet.recognition import is_nnunet_folder
from softseg.prediction.scan_checks import Expected
from softseg.resources import named_model
from softseg.soft.guarantee import FILE as GUARANTEE_FILE
from softseg.soft.guarantee import Guarantee
from softseg.texts import read_text
from softseg.tree import LabelTree

_FILES = ("configs/metadata.json", "models/model.pt", "tree.json")
CARD = "README.md"
"""The model card."""

_OTHERS = {
    "dataset.json": "an nnU-Net folder without a trained fold",
    "plans.json": "an nnU-Net folder without a trained fold",
    "network_description.json": "a model for MONAI Label",
    "Prediction.yml": "a KonfAI app",
    "app.json": "a KonfAI app",
}
_NOT_OURS = "choose the folder 'model' of a training run, or a folder with configs, models and tree.json"


@dataclass(frozen=True)
class ModelSummary:
    """A model folder, without its network.

    Attributes
    ----------
    path: the folder.
    name: of the model.
    channels: names of its input images, in order.
    tree: what it segments.
    expected: what it, and each member of an ensemble, was trained on.
    description, licence, intended_use, limitations: sentences of its card; may be empty.
    scores: numbers of its card by name.
    card: the whole card (Markdown); empty if the folder has none.
    outlier_score: name of the outlier score that was fitted to it; empty if there is none.
    calibrated: whether its probabilities were calibrated; of an ensemble their mean, or those of each member.
    cubes: the channels that are cubes of many bands, read from files of their own (:mod:`softseg.data.cubes`).
    members: names of the models whose mean it is; empty for a single model.
    guarantee: wrong answers of people, from which a bound for a new person follows; None where it carries none.
    needs: the model that makes the mask of its scans, if it needs one.
    without_torch: whether it, or each of its members, carries its network for ONNX Runtime.
    """

    path: Path
    name: str
    channels: tuple[str, ...]
    tree: LabelTree
    expected: tuple[Expected, ...]
    description: str
    licence: str
    intended_use: str
    limitations: str
    scores: dict[str, float]
    card: str
    outlier_score: str = ""
    calibrated: bool = False
    cubes: tuple[str, ...] = ()
    members: tuple[str, ...] = ()
    guarantee: Guarantee | None = None
    needs: Needs | None = None
    without_torch: bool = False

    @property
    def score_needs_torch(self) -> bool:
        """Whether its outlier score is computed by PyTorch alone; that of the members' disagreement is not."""
        return self.outlier_score not in ("", DISAGREEMENT)

    @staticmethod
    def load(model: str | PathLike[str]) -> ModelSummary:
        """Read a model folder, a training run that holds one in ``model``, or the shipped model of this name.

        Raises
        ------
        InputError: there is none, it is a model of another product, or a file is missing or damaged.
        """
        named = named_model(model)
        if is_nnunet_folder(named):
            return _of_nnunet(named)
        if is_bundle_folder(named):
            return _of_bundle(named)
        folder = _folder_of(model)
        ensemble = EnsembleFile.load(folder)
        if ensemble is not None:
            return _of_ensemble(ensemble)
        file = folder / "configs" / "metadata.json"
        metadata = read_json_object(file)
        own = unescaped(metadata.get("softseg"))
        if not isinstance(own, dict):
            raise InputError("is a MONAI bundle, but not a model of softseg", file=folder, hint=_NOT_OURS)
        try:
            channels = tuple(str(name) for name in own["plan"]["channels"])
            expected = Expected.of_plan(own["plan"])
            cubes = tuple(str(name) for name in own["plan"].get("bands") or {})
        except (KeyError, TypeError, AttributeError) as error:
            raise InputError("the plan is not valid", file=file, field="softseg.plan") from error
        tree = LabelTree.load(folder / "tree.json")
        details = own.get("details") or {}
        return ModelSummary(
            folder,
            str(metadata.get("name") or folder.name),
            channels,
            tree,
            (expected,),
            str(details.get("description") or metadata.get("description") or ""),
            str(details.get("licence") or metadata.get("license") or ""),
            str(details.get("intended_use") or metadata.get("intended_use") or ""),
            str(details.get("limitations") or ""),
            {str(name): float(value) for name, value in (details.get("scores") or {}).items()},
            _card(folder),
            stored_score(folder),
            (folder / "calibration.json").is_file(),
            cubes,
            needs=Needs.from_json(own.get("needs"), file, "softseg.needs"),
            guarantee=_guarantee(folder),
            without_torch=(folder / "models" / "model.onnx").is_file(),
        )


def _of_nnunet(path: Path) -> ModelSummary:
    """Return what a model folder of nnU-Net says; nothing of nnU-Net is needed for that."""
    try:
        from softseg.nnunet.folder import NnUNetFolder
    except ModuleNotFoundError as error:
        raise extras.missing(error.name or "") from error
    found = NnUNetFolder.load(path)
    said = found.description
    folds = len(found.checkpoints)
    card = [
        f"# {found.name}",
        "",
        f"A model of nnU-Net: {folds} fold{'s' * (folds != 1)}, {len(found.outputs.tree.leaves)} leaves of the tree "
        f"{found.outputs.tree.name!r}. Predicting needs the package nnunetv2.",
        "",
        *(f"- {key}: {said[key]}" for key in ("description", "reference", "licence", "license") if said.get(key)),
        "",
    ]
    return ModelSummary(
        found.path,
        found.name,
        found.channels,
        found.outputs.tree,
        (),
        description=str(said.get("description") or "A model of nnU-Net"),
        licence=str(said.get("licence") or said.get("license") or ""),
        intended_use="",
        limitations="",
        scores={},
        card="\n".join(card),
    )


def _of_bundle(path: Path) -> ModelSummary:
    """Return what a MONAI bundle of others says; nothing of MONAI is needed for that."""
    try:
        from softseg.bundles.folder import BundleFolder
    except ModuleNotFoundError as error:
        raise extras.missing(error.name or "") from error
    found = BundleFolder.load(path)
    said = {key: str(value) for key, value in found.metadata.items() if isinstance(value, str) and value}
    tree = found.outputs.tree
    card = [
        f"# {found.name}",
        "",
        f"A MONAI bundle, version {said.get('version', 'not stated')}: {len(tree.leaves)} leaves of the tree "
        f"{tree.name!r}. Predicting needs the packages torch and monai.",
        "",
        *(
            f"- {key}: {said[key]}"
            for key in ("task", "description", "authors", "data_source", "license")
            if key in said
        ),
        "",
    ]
    return ModelSummary(
        found.path,
        found.name,
        found.channels,
        tree,
        (),
        description=said.get("description", "A MONAI bundle"),
        licence=said.get("license", ""),
        intended_use=said.get("intended_use", ""),
        limitations="",
        scores={},
        card="\n".join(card),
    )


def _of_ensemble(ensemble: EnsembleFile) -> ModelSummary:
    members = [ModelSummary.load(member) for member in ensemble.folders]
    details = ensemble.details
    return replace(
        members[0],
        expected=tuple(dict.fromkeys(one for member in members for one in member.expected)),
        path=ensemble.folder,
        name=ensemble.name,
        description=str(details.get("description") or ""),
        licence=str(details.get("licence") or ""),
        intended_use=str(details.get("intended_use") or members[0].intended_use),
        limitations=str(details.get("limitations") or ""),
        scores={str(name): float(value) for name, value in (details.get("scores") or {}).items()},
        card=_card(ensemble.folder),
        outlier_score=stored_score(ensemble.folder),
        guarantee=_guarantee(ensemble.folder),
        calibrated=(ensemble.folder / "calibration.json").is_file() or all(member.calibrated for member in members),
        members=tuple(member.name for member in members),
        without_torch=all(member.without_torch for member in members),
        needs=ensemble.needs or next((member.needs for member in members if member.needs is not None), None),
    )


def _card(folder: Path) -> str:
    file = folder / CARD
    return read_text(file, "a model card") if file.is_file() and file.stat().st_size else ""


def _guarantee(folder: Path) -> Guarantee | None:
    file = folder / GUARANTEE_FILE
    return Guarantee.load(file) if file.is_file() else None


def _folder_of(model: str | PathLike[str]) -> Path:
    path = named_model(model)
    if not path.is_dir():
        raise InputError("no such model folder", file=path)
    if (path / FILE).is_file():
        for name in (CARD, "calibration.json", "outliers.json", GUARANTEE_FILE):
            require_inside(path / name, path)
        return path
    if not (path / "configs").is_dir() and (path / "model" / "configs").is_dir():
        path = path / "model"
    missing = [name for name in _FILES if not (path / name).is_file()]
    if not missing:
        for name in (*_FILES, CARD, "outliers.json", GUARANTEE_FILE):
            require_inside(path / name, path)
        return path
    for name, product in _OTHERS.items():
        if (path / name).exists():
            raise InputError(f"is {product}, not a model of softseg", file=path, hint=_NOT_OURS)
    if len(missing) == len(_FILES):
        hint = "let the training write its model first" if (path / "checkpoints").is_dir() else _NOT_OURS
        raise InputError("holds no model", file=path, hint=hint)
    raise InputError(f"the model folder lacks {missing[0]}", file=path, hint=_NOT_OURS)
