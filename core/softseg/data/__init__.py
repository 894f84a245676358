"""Dataset description, plan, preprocessing, patches.

Each part is loaded on first use, so that reading labels for a comparison does not load torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from softseg.data.augmentation import AugmentationSpec, default_augmentation
    from softseg.data.case import Case
    from softseg.data.check import CaseSummary, check_dataset
    from softseg.data.dataset import Dataset
    from softseg.data.exporters import export_nnunet
    from softseg.data.importers import (
        import_bids,
        import_corrections,
        import_decathlon,
        import_folder,
        import_nnunet,
    )
    from softseg.data.plan import Crop, NetworkSpec, Normalization, Plan, Sampling
    from softseg.data.planning import Hardware, make_plan
    from softseg.data.preprocess import preprocess_images
    from softseg.data.sampler import Batch, PatchSampler
    from softseg.data.sizes import training_gb
    from softseg.data.store import CaseStore, PreparedCase

__all__ = [
    "AugmentationSpec",
    "Batch",
    "Case",
    "CaseStore",
    "CaseSummary",
    "Crop",
    "Dataset",
    "Hardware",
    "NetworkSpec",
    "Normalization",
    "PatchSampler",
    "Plan",
    "PreparedCase",
    "Sampling",
    "check_dataset",
    "default_augmentation",
    "export_nnunet",
    "import_bids",
    "import_corrections",
    "import_decathlon",
    "import_folder",
    "import_nnunet",
    "make_plan",
    "preprocess_images",
    "training_gb",
]

_HOME = {
    "AugmentationSpec": "augmentation",
    "Batch": "sampler",
    "Case": "dataset",
    "CaseStore": "store",
    "CaseSummary": "check",
    "Crop": "plan",
    "Dataset": "dataset",
    "Hardware": "planning",
    "NetworkSpec": "plan",
    "Normalization": "plan",
    "PatchSampler": "sampler",
    "Plan": "plan",
    "PreparedCase": "store",
    "Sampling": "plan",
    "check_dataset": "check",
    "default_augmentation": "augmentation",
    "export_nnunet": "exporters",
    "import_bids": "importers",
    "import_corrections": "importers",
    "import_decathlon": "importers",
    "import_folder": "importers",
    "import_nnunet": "importers",
    "make_plan": "planning",
    "preprocess_images": "preprocess",
    "training_gb": "sizes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'softseg.data' has no attribute {name!r}")
    return getattr(import_module(f"softseg.data.{_HOME[name]}"), name)
