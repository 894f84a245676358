"""What made a prediction: written beside it, and compared before a case is predicted again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import softseg
from softseg.data.cubes import file_of

if TYPE_CHECKING:
    from softseg.network import Model

RECORD_FILE = "prediction.json"

_DECISIVE = ("model", "settings", "images")


def record_of(name: str, digest: str, images: Sequence[Path], settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides how the prediction of a case looks, as plain values.

    Parameters
    ----------
    name, digest: of the model, see :func:`model_digest`.
    images: by place, size and time of the last change.
    settings: values that JSON can hold.
    """
    return {
        "format_version": 1,
        "software": f"softseg {softseg.__version__}",
        "model": {"name": name, "digest": digest},
        "settings": dict(settings),
        "images": [_image(path) for path in images],
    }


def model_digest(model: Model) -> str:
    """Return a digest of everything of a model that a prediction depends on."""
    digest = hashlib.sha256(repr(model.network).encode())
    digest.update(model.plan.model_dump_json().encode())
    digest.update(json.dumps(model.tree.to_json(), sort_keys=True).encode())
    digest.update(repr(model.head).encode())
    for name, value in model.network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def is_made_by(folder: Path, record: Mapping[str, Any]) -> bool:
    """Whether a case's folder holds a complete prediction of the same images by the same model and settings."""
    try:
        found = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and all(found.get(key) == record[key] for key in _DECISIVE)


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Write a record into a folder that is not complete yet."""
    (folder / RECORD_FILE).write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _image(path: Path) -> dict[str, Any]:
    try:
        state = file_of(path).stat()
    except OSError:
        return {"path": str(path.resolve())}
    return {"path": str(path.resolve()), "bytes": state.st_size, "changed_ns": state.st_mtime_ns}
