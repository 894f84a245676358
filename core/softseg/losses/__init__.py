"""Losses, all with one calling convention, ``loss(predicted, target, mask=None)`` (:mod:`softseg.losses.convention`).

Formulas and examples are in ``docs/losses.md``.
"""

from softseg.losses.adaptive_wing import AdaptiveWingLoss
from softseg.losses.calibration_error import CalibrationErrorLoss
from softseg.losses.compound import build_loss
from softseg.losses.cross_entropy import CrossEntropyLoss
from softseg.losses.dice import DiceLoss
from softseg.losses.generalized_wasserstein_dice import GeneralizedWassersteinDiceLoss
from softseg.losses.tree_cross_entropy import TreeCrossEntropyLoss
from softseg.losses.tree_dice import TreeDiceLoss
from softseg.losses.tree_wasserstein import TreeWassersteinLoss
from softseg.losses.wasserstein_cross_entropy import WassersteinCrossEntropyLoss

__all__ = [
    "AdaptiveWingLoss",
    "CalibrationErrorLoss",
    "CrossEntropyLoss",
    "DiceLoss",
    "GeneralizedWassersteinDiceLoss",
    "TreeCrossEntropyLoss",
    "TreeDiceLoss",
    "TreeWassersteinLoss",
    "WassersteinCrossEntropyLoss",
    "build_loss",
]
