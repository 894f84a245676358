"""The one module of a folder that nnU-Net searches for trainers (variable ``nnUNet_extTrainer``)."""

from softseg.nnunet.trainers import (
    nnUNetTrainerGeneralizedWassersteinDice,
    nnUNetTrainerTreeCrossEntropyDice,
    nnUNetTrainerTreeCrossEntropyTreeDice,
    nnUNetTrainerTreeWasserstein,
    nnUNetTrainerTreeWassersteinDice,
)

__all__ = [
    "nnUNetTrainerGeneralizedWassersteinDice",
    "nnUNetTrainerTreeCrossEntropyDice",
    "nnUNetTrainerTreeCrossEntropyTreeDice",
    "nnUNetTrainerTreeWasserstein",
    "nnUNetTrainerTreeWassersteinDice",
]
