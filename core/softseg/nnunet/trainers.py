"""Trainers of nnU-Net 2 with our losses; everything but the loss is nnU-Net's.

``nnUNetv2_train DATASET CONFIGURATION FOLD -tr nnUNetTrainerTreeWassersteinDice``. The label tree stands in
``dataset.json`` under ``softseg_tree``, or in ``softseg_tree.json`` beside it; ``softseg data export --nnunet`` writes
it there. Deep supervision weighs the resolutions as nnU-Net does. Weights between the terms of a loss are our defaults.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.paths import nnUNet_raw
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import nn

from softseg.nnunet.loss import LossOnChannels
from softseg.nnunet.training_labels import TREE_FILE, TrainingLabels, training_tree

Part = Mapping[str, Any]

WASSERSTEIN: Part = {"name": "wasserstein-cross-entropy"}
TREE_CROSS_ENTROPY: Part = {"name": "tree-cross-entropy"}


class nnUNetTrainerTree(nnUNetTrainer):  # type: ignore[misc]  # noqa: N801 - nnU-Net's own way to write it
    """The base of trainers with a loss over a label tree.

    The tree is written into the model's folder as ``softseg_tree.json``, where ``softseg predict`` finds it.
    """

    def parts(self) -> Sequence[Part]:
        """Return the loss as in a recipe."""
        raise NotImplementedError

    def _build_loss(self) -> nn.Module:
        tree = training_tree(self.dataset_json, self._folders())
        labels = TrainingLabels.of(self.dataset_json, tree, self._folders()[0] / "dataset.json")
        loss = LossOnChannels(labels, self.parts()).to(self.device)
        if self.output_folder_base is not None and self.local_rank == 0:
            tree.save(Path(self.output_folder_base) / TREE_FILE)
        if not self.enable_deep_supervision:
            return loss
        weights = 0.5 ** np.arange(len(self._get_deep_supervision_scales()))
        weights[-1] = 1e-6 if self.is_ddp and not self._do_i_compile() else 0
        wrapped: nn.Module = DeepSupervisionWrapper(loss, weights / weights.sum())
        return wrapped

    def _folders(self) -> list[Path]:
        """Return where ``dataset.json`` lies: the folders of preprocessed and of raw data."""
        raw = Path(str(nnUNet_raw)) / self.plans_manager.dataset_name if nnUNet_raw.is_set() else None
        return [Path(self.preprocessed_dataset_folder_base), *([] if raw is None else [raw])]

    def _dice(self, name: str = "dice") -> Part:
        """Return Dice, over the batch where nnU-Net's plans say so; the background is left out."""
        return {"name": name, "batch": bool(self.configuration_manager.batch_dice)}


class nnUNetTrainerTreeWassersteinDice(nnUNetTrainerTree):  # noqa: N801
    """Cross-entropy, the exact Wasserstein distance along the tree, and Dice of the leaves, 1 : 1 : 1."""

    def parts(self) -> Sequence[Part]:
        """Return the loss as in a recipe."""
        return [WASSERSTEIN, self._dice()]


class nnUNetTrainerTreeWasserstein(nnUNetTrainerTree):  # noqa: N801
    """Cross-entropy and the exact Wasserstein distance along the tree, 1 : 1 (Wang et al., arXiv 2507.15777)."""

    def parts(self) -> Sequence[Part]:
        """Return the loss as in a recipe."""
        return [WASSERSTEIN]


class nnUNetTrainerTreeCrossEntropyDice(nnUNetTrainerTree):  # noqa: N801
    """Cross-entropy at every level of the tree, and Dice of the leaves, 1 : 1."""

    def parts(self) -> Sequence[Part]:
        """Return the loss as in a recipe."""
        return [TREE_CROSS_ENTROPY, self._dice()]


class nnUNetTrainerTreeCrossEntropyTreeDice(nnUNetTrainerTree):  # noqa: N801
    """Cross-entropy and Dice, both at every level of the tree, 1 : 1; coarse labels take part in both."""

    def parts(self) -> Sequence[Part]:
        """Return the loss as in a recipe."""
        return [TREE_CROSS_ENTROPY, self._dice("tree-dice")]


class nnUNetTrainerGeneralizedWassersteinDice(nnUNetTrainerTree):  # noqa: N801
    """Cross-entropy and the generalised Wasserstein Dice loss (Fidon et al. 2017) along the tree, 1 : 1."""

    def parts(self) -> Sequence[Part]:
        """Return the loss as in a recipe."""
        return [{"name": "cross-entropy"}, {"name": "generalized-wasserstein-dice"}]
