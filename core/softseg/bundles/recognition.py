"""What a MONAI bundle of others looks like; standard library alone, so that every folder can be asked."""

from __future__ import annotations

import json
from pathlib import Path

METADATA = "configs/metadata.json"
CONFIGURATIONS = ("configs/inference.json", "configs/inference.yaml", "configs/inference.yml")
STATE, SCRIPT = "models/model.pt", "models/model.ts"
_OURS = ("ensemble.json", "tree.json")


def is_bundle_folder(path: Path) -> bool:
    """Whether a folder is a MONAI bundle that predicts, and none of ours, which are bundles too."""
    if is_ours(path) or not (path / METADATA).is_file():
        return False
    if configuration_of(path) is None or not any((path / name).is_file() for name in (STATE, SCRIPT)):
        return False
    try:
        metadata = json.loads((path / METADATA).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(metadata, dict) and "softseg" not in metadata


def is_ours(path: Path) -> bool:
    """Whether a folder is a model of softseg."""
    return any((path / name).is_file() for name in _OURS)


def configuration_of(path: Path) -> Path | None:
    """Return the configuration by which a bundle predicts; None where it has none."""
    return next((path / name for name in CONFIGURATIONS if (path / name).is_file()), None)
