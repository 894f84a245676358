"""What a model folder of nnU-Net 2 looks like; standard library alone, so that every folder can be asked."""

from __future__ import annotations

from pathlib import Path

FILES = ("dataset.json", "plans.json")
"""Files of a model folder beside its folds."""


def is_nnunet_folder(path: Path) -> bool:
    """Whether a folder is a model of nnU-Net 2, or holds such folders (one for each trainer and configuration)."""
    return path.is_dir() and (is_model(path) or bool(models_in(path)))


def is_model(path: Path) -> bool:
    """Whether a folder holds a plan, a description and folds."""
    return all((path / name).is_file() for name in FILES) and any(path.glob("fold_*"))


def models_in(path: Path) -> list[Path]:
    """Return the model folders directly in a folder, sorted."""
    return sorted(found.parent for found in path.glob("*/plans.json") if is_model(found.parent))
