"""Dataset description, plan, preprocessing, patches."""

from softseg.data.augmentation import AugmentationSpec, default_augmentation
from softseg.data.check import CaseSummary, check_dataset
from softseg.data.dataset import Case, Dataset
from softseg.data.importers import import_bids, import_decathlon, import_folder, import_nnunet
from softseg.data.plan import Crop, NetworkSpec, Normalization, Plan, Sampling
from softseg.data.planning import Machine, make_plan, training_gb
from softseg.data.preprocess import preprocess_images
from softseg.data.sampler import Batch, PatchSampler
from softseg.data.store import CaseStore, PreparedCase

__all__ = [
    "AugmentationSpec",
    "Batch",
    "Case",
    "CaseStore",
    "CaseSummary",
    "Crop",
    "Dataset",
    "Machine",
    "NetworkSpec",
    "Normalization",
    "PatchSampler",
    "Plan",
    "PreparedCase",
    "Sampling",
    "check_dataset",
    "default_augmentation",
    "import_bids",
    "import_decathlon",
    "import_folder",
    "import_nnunet",
    "make_plan",
    "preprocess_images",
    "training_gb",
]
