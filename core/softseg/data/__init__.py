"""Dataset description, plan, preprocessing, patches."""

from softseg.data.augmentation import AugmentationSpec, default_augmentation
from softseg.data.dataset import Case, Dataset
from softseg.data.plan import Crop, NetworkSpec, Normalization, Plan, Sampling
from softseg.data.planning import Machine, make_plan
from softseg.data.preprocess import preprocess_images
from softseg.data.sampler import Batch, PatchSampler
from softseg.data.store import CaseStore, PreparedCase

__all__ = [
    "AugmentationSpec",
    "Batch",
    "Case",
    "CaseStore",
    "Crop",
    "Dataset",
    "Machine",
    "NetworkSpec",
    "Normalization",
    "PatchSampler",
    "Plan",
    "PreparedCase",
    "Sampling",
    "default_augmentation",
    "make_plan",
    "preprocess_images",
]
