"""A model folder of nnU-Net 2, ``dataset.json``, ``plans.json`` and a checkpoint in each fold; read without it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softseg.data.importers.description import names_by_number
from softseg.errors import InputError
from softseg.files import read_json_object, require_inside
from softseg.nnunet.outputs import TreeChannels
from softseg.nnunet.recognition import FILES, is_model, models_in
from softseg.nnunet.training_labels import TREE_FILE
from softseg.tree import LabelTree

CHECKPOINT = "checkpoint_final.pth"
_CHUNK = 1 << 22


@dataclass(frozen=True)
class NnUNetFolder:
    """A trained configuration.

    Attributes
    ----------
    path: the folder, ``TRAINER__PLANS__CONFIGURATION``.
    description: the contents of ``dataset.json``.
    plans: the contents of ``plans.json``.
    checkpoints: the file of each fold; the mean of their logits is what nnU-Net predicts.
    channels: names of the input images, in order.
    outputs: what comes out, on a tree.
    """

    path: Path
    description: dict[str, Any]
    plans: dict[str, Any]
    checkpoints: tuple[Path, ...]
    channels: tuple[str, ...]
    outputs: TreeChannels

    @staticmethod
    def load(path: Path, tree: LabelTree | None = None) -> NnUNetFolder:
        """Read a model folder; nothing in it is executed.

        Parameters
        ----------
        path: the folder, or one above that holds a single one.
        tree: a tree that a person names; see :meth:`Outputs.of`.

        Raises
        ------
        InputError: it is none, holds several, has no finished fold, or its labels do not fit the tree.
        """
        folder = _one_model(path)
        for name in (*FILES, TREE_FILE):
            require_inside(folder / name, folder)
        description = read_json_object(folder / "dataset.json")
        plans = read_json_object(folder / "plans.json")
        folds = sorted(folder.glob("fold_*"), key=lambda fold: fold.name)
        finished = [fold / CHECKPOINT for fold in folds if (fold / CHECKPOINT).is_file()]
        numbered = [file for file in finished if file.parent.name != "fold_all"]
        if not finished:
            raise InputError(
                f"no fold holds {CHECKPOINT}",
                file=folder,
                hint="is the training finished? nnU-Net writes it at the end",
            )
        field = "channel_names" if "channel_names" in description else "modality"
        channels = names_by_number(description, field, folder / "dataset.json")
        name = str(plans.get("dataset_name") or folder.parent.name)
        outputs = TreeChannels.of(description, folder / "dataset.json", name, tree)
        return NnUNetFolder(folder, description, plans, tuple(numbered or finished), tuple(channels), outputs)

    @property
    def name(self) -> str:
        """Name of the model: dataset, trainer, plans and configuration."""
        return f"{self.plans.get('dataset_name', self.path.parent.name)} {self.path.name}"

    def digest(self, checkpoints: tuple[Path, ...]) -> str:
        """Return a digest of plans, description, tree and the checkpoints that predict."""
        digest = hashlib.sha256()
        tree = self.path / TREE_FILE
        for file in (*(self.path / name for name in FILES), *([tree] if tree.is_file() else []), *checkpoints):
            with file.open("rb") as stream:
                while chunk := stream.read(_CHUNK):
                    digest.update(chunk)
        digest.update(repr(self.outputs.tree.to_json()).encode())
        return digest.hexdigest()[:32]


def _one_model(path: Path) -> Path:
    if not path.is_dir():
        raise InputError("no such model folder", file=path)
    if is_model(path):
        return path
    inside = models_in(path)
    if len(inside) == 1:
        return inside[0]
    if inside:
        raise InputError(
            f"holds {len(inside)} models of nnU-Net",
            file=path,
            hint=f"name one of them: {', '.join(found.name for found in inside)}",
        )
    missing = next((name for name in FILES if not (path / name).is_file()), "fold_0")
    raise InputError(f"is no model folder of nnU-Net: it lacks {missing}", file=path)
