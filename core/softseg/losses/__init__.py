"""Losses, all with one calling convention: ``loss(logits, target, mask=None)``; formulas in ``docs/losses.md``."""

from softseg.losses.adaptive_wing import AdaptiveWingLoss
from softseg.losses.compound import build_loss
from softseg.losses.tree_cross_entropy import TreeCrossEntropyLoss
from softseg.losses.tree_wasserstein import TreeWassersteinLoss
from softseg.losses.wasserstein_cross_entropy import WassersteinCrossEntropyLoss

__all__ = [
    "AdaptiveWingLoss",
    "TreeCrossEntropyLoss",
    "TreeWassersteinLoss",
    "WassersteinCrossEntropyLoss",
    "build_loss",
]
