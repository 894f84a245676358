"""The model folder: a MONAI bundle with the label tree and the recipe, which training writes and prediction reads.

::

    MODEL/
      configs/metadata.json    MONAI's metadata; under "softseg" the plan, the head and versions
      configs/inference.json   for ``python -m monai.bundle run``; needs no code of this product
      models/model.pt          plain state dict, read with ``weights_only=True``
      tree.json                the label tree
      recipe.yaml              what it was trained with
      README.md                the model card
      models/model.onnx        the network without PyTorch, with the weights of model.pt; optional
      calibration.json         temperatures of the tree's levels; optional
      outliers.json            a fitted outlier score, with its estimates in models/outliers.pt; optional
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from softseg.bundle_text import unescaped
from softseg.data.plan import Plan
from softseg.ensemble_file import MEMBERS, EnsembleFile
from softseg.errors import InputError
from softseg.files import read_json_object, require_inside, settle
from softseg.needs import Needs
from softseg.network.fitted_outliers import FittedOutliers
from softseg.network.folder_files import FILES, FORMAT_VERSION, OPTIONAL
from softseg.network.heads import Head
from softseg.soft.calibration import FILE as CALIBRATION_FILE
from softseg.soft.calibration import Calibration
from softseg.texts import read_text
from softseg.tree import LabelTree

if TYPE_CHECKING:
    from torch import nn

    from softseg.network.joint import Joint
    from softseg.network.onnx_network import OnnxNetwork


@dataclass(frozen=True, eq=False)
class Model:
    """A trained network with everything that belongs to it.

    Attributes
    ----------
    network: PyTorch's, in evaluation mode, float32, on the CPU; there is none where ``onnx`` runs it.
    plan: how images are prepared for it.
    tree: what its output channels mean: the leaves, in tree order.
    head: how raw outputs become probabilities.
    recipe: the text of recipe.yaml.
    metadata: all of metadata.json.
    path: the folder.
    outliers: the outlier score that was fitted to it, if any.
    calibration: temperatures of the tree's levels, if any were found.
    ensemble: what it has together with the other members of the ensemble as whose member it was loaded, if any.
    needs: the model that makes the mask of its scans, if it needs one.
    onnx: the network as ONNX Runtime or OpenVINO runs it, where the model was loaded so.
    """

    network: nn.Module
    plan: Plan
    tree: LabelTree
    head: Head
    recipe: str
    metadata: dict[str, Any]
    path: Path
    outliers: FittedOutliers | None = None
    calibration: Calibration | None = None
    ensemble: Joint | None = None
    needs: Needs | None = None
    onnx: OnnxNetwork | None = None

    @property
    def name(self) -> str:
        """Name of the model."""
        return str(self.metadata.get("name") or self.path.name)

    @property
    def backend(self) -> str:
        """Name of the library that runs its network, ``"torch"``, ``"onnx"`` or ``"openvino"``."""
        return "torch" if self.onnx is None else self.onnx.name


class ModelFolder:
    """Writes and reads model folders."""

    @staticmethod
    def save(
        folder: str | PathLike[str],
        network: nn.Module,
        plan: Plan,
        tree: LabelTree,
        recipe: str,
        metadata: Mapping[str, Any] | None = None,
        *,
        head: Head | None = None,
        half: bool = False,
    ) -> Path:
        """Write a model folder; it appears only when complete and replaces an older one.

        Parameters
        ----------
        folder: the model folder.
        network: the trained network.
        plan, tree: what it was trained with.
        recipe: text of the recipe; its ``head`` decides the head where none is given.
        metadata: fields of the model card and MONAI's metadata: name, description, version, authors, data_source,
            licence, command, scores (by name), training (text), intended_use, limitations; and ``needs``
            (:mod:`softseg.needs`).
        head: how outputs become probabilities.
        half: store weights as float16, half the size; they are read back as float32.
        """
        from softseg.network.writing import write_model

        head = head_of(recipe, tree) if head is None else head
        return write_model(Path(folder), network, plan, tree, recipe, dict(metadata or {}), head, half)

    @staticmethod
    def load(path: str | PathLike[str], outliers: bool = True, backend: str = "torch") -> Model:
        """Read a model folder.

        Parameters
        ----------
        path: the folder.
        outliers: read its outlier score, if any; another one is fitted without it, so that a damaged one can be
            replaced.
        backend: the library that is to run the network, ``"torch"``, ``"onnx"`` or ``"openvino"``; the others load no
            PyTorch, and no outlier score of the model, which needs it.

        Raises
        ------
        InputError: the folder or a file of it is missing, was written by a newer version, holds pickled code where
            weights belong, or its parts do not fit together. The file is named; nothing of it is executed.
        """
        folder = Path(path)
        settle(folder if folder.is_dir() else folder.parent)
        _require_files(folder)
        metadata = read_json_object(folder / "configs" / "metadata.json")
        plan, head, needs = _own_part(metadata, folder / "configs" / "metadata.json")
        tree = LabelTree.load(folder / "tree.json")
        if head.classes != len(tree.leaves):
            raise InputError(
                f"has {len(tree.leaves)} leaves, the network was trained on {head.classes}", file=folder / "tree.json"
            )
        recipe = read_text(folder / "recipe.yaml")
        file = folder / CALIBRATION_FILE
        calibration = Calibration.load(file, tree) if file.exists() else None
        network: Any = None
        scored: FittedOutliers | None = None
        onnx: OnnxNetwork | None = None
        if backend != "torch":
            from softseg.network.onnx_network import OnnxNetwork

            onnx = OnnxNetwork.load(folder, plan, tree, head, backend)
        else:
            from softseg.network.states import built_network

            network = built_network(plan, head, folder / "models" / "model.pt", folder / "configs" / "metadata.json")
            scored = FittedOutliers.load(folder, head) if outliers else None
        return Model(network, plan, tree, head, recipe, metadata, folder, scored, calibration, needs=needs, onnx=onnx)


def head_of(recipe: str, tree: LabelTree) -> Head:
    """Return the head that the text of a recipe names, for the leaves of ``tree``."""
    from softseg.yaml_text import load_yaml

    head = (load_yaml(recipe) or {}).get("head", "softmax")
    name = head.get("name", "softmax") if isinstance(head, dict) else head
    return Head(name, len(tree.leaves), None if tree.background is None else tree.leaf_index(tree.background.id))


def _require_files(folder: Path) -> None:
    if not folder.is_dir():
        raise InputError("no such model folder", file=folder)
    ensemble = EnsembleFile.load(folder)
    if ensemble is not None:
        raise InputError(
            f"holds an ensemble of {len(ensemble.members)} models, where one model is needed",
            file=folder,
            hint=f"name one of its members: {', '.join(f'{MEMBERS}/{name}' for name in ensemble.members)}",
        )
    for name in FILES:
        if not (folder / name).is_file():
            raise InputError(f"the model folder lacks {name}", file=folder, hint="is it a model folder of softseg?")
    for name in (*FILES, *OPTIONAL):
        require_inside(folder / name, folder)


def _own_part(metadata: dict[str, Any], file: Path) -> tuple[Plan, Head, Needs | None]:
    own = unescaped(metadata.get("softseg"))
    if not isinstance(own, dict):
        raise InputError("expected an object", file=file, field="softseg", hint="is it a model folder of softseg?")
    version = own.get("format_version")
    if not isinstance(version, int) or version < 1:
        raise InputError(f"expected a positive integer, got {version!r}", file=file, field="softseg.format_version")
    if version > FORMAT_VERSION:
        raise InputError(
            f"was written by a newer version (format {version}, this is {FORMAT_VERSION})",
            file=file,
            field="softseg.format_version",
            hint="update softseg",
        )
    try:
        plan = Plan.model_validate(own["plan"])
        head = _head(own["head"])
    except (KeyError, TypeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"plan or head are not valid: {reason}", file=file, field="softseg") from error
    return plan, head, Needs.from_json(own.get("needs"), file, "softseg.needs")


def _head(own: Mapping[str, Any]) -> Head:
    classes, background = int(own["classes"]), own.get("background")
    if background is not None and (
        not isinstance(background, int) or isinstance(background, bool) or background not in range(classes)
    ):
        raise ValueError(f"head.background is {str(background)[:80]!r}, expected null or a leaf index below {classes}")
    return Head(own["name"], classes, background)
