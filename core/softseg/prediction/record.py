"""What made a prediction: written beside it, and compared before a case is predicted again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import softseg
from softseg.data.cubes import file_of
from softseg.headers import state_of
from softseg.requests.manifest import OutputFile, absolute, files_from_json, files_to_json

if TYPE_CHECKING:
    from softseg.network import Model

RECORD_FILE = "prediction.json"

_DECISIVE = ("model", "settings")
_WHOLE = (
    ".nii",
    ".nii.gz",
    ".nrrd",
    ".mha",
    ".mgh",
    ".mgz",
    ".mgh.gz",
    ".npz",
    ".npy",
    ".mat",
    ".tif",
    ".tiff",
    ".png",
)
_CHUNK = 1 << 22


@dataclass(frozen=True)
class Identity:
    """What identifies an image.

    Attributes
    ----------
    path: absolute (before format 2 with links followed).
    bytes: size of the file, or of all files of a folder of slices; None where it cannot be asked.
    changed_ns: time of the last change, likewise.
    sha256: of the file's content; empty where one file does not hold the whole image, or it is not known.
    """

    path: str
    bytes: int | None = None
    changed_ns: int | None = None
    sha256: str = ""

    @staticmethod
    def of(path: Path, content: bool = False) -> Identity:
        """Return the identity of an image, with its content where that is asked for."""
        try:
            size, changed = state_of(file_of(path))
            return Identity(absolute([path])[0], size, changed, _sha256(file_of(path)) if content else "")
        except OSError:
            return Identity(absolute([path])[0])

    @staticmethod
    def from_json(values: Any) -> Identity | None:
        """Return the identity that a record holds, None if it is none."""
        if not isinstance(values, Mapping) or "path" not in values:
            return None
        size, changed = values.get("bytes"), values.get("changed_ns")
        return Identity(str(values["path"]), size, changed, str(values.get("sha256", "")))

    def has_content_of(self, file: Path) -> bool:
        """Whether a file holds what this image held; only content counts, not its place."""
        now = Identity.of(file)
        return bool(self.sha256) and now.bytes == self.bytes and Identity.of(file, content=True).sha256 == self.sha256

    def is_still(self, file: Path) -> bool:
        """Whether a file is this image: unchanged at its place, or of the same content."""
        now = Identity.of(file)
        here = self.path in (now.path, str(file.resolve()))
        same = here and (now.bytes, now.changed_ns) == (self.bytes, self.changed_ns)
        return same or self.has_content_of(file)


def _sha256(file: Path) -> str:
    if not file.name.lower().endswith(_WHOLE) or file.is_dir():
        return ""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def record_of(name: str, digest: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return what decides, beside its images, how the prediction of a case looks, as plain values.

    Parameters
    ----------
    name, digest: of the model, see :func:`model_digest`.
    settings: values that JSON can hold.
    """
    return {
        "format_version": 2,
        "software": f"softseg {softseg.__version__}",
        "model": {"name": name, "digest": digest},
        "settings": dict(settings),
    }


def model_digest(model: Model) -> str:
    """Return a digest of everything of a model that a prediction depends on; the same whatever runs its network."""
    if model.onnx is not None:
        return model.onnx.digest
    digest = hashlib.sha256(repr(model.network).encode())
    digest.update(model.plan.model_dump_json().encode())
    digest.update(json.dumps(model.tree.to_json(), sort_keys=True).encode())
    digest.update(repr(model.head).encode())
    for name, value in model.network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:32]


def read_record(file: Path) -> dict[str, Any]:
    """Return the record of a case; empty where there is none."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_made_by(file: Path, record: Mapping[str, Any], images: Sequence[Path]) -> bool:
    """Whether a case's record is of a complete prediction of the same images by the same model and settings."""
    found = read_record(file)
    if not found or any(found.get(key) != record[key] for key in _DECISIVE):
        return False
    known = [Identity.from_json(image) for image in found.get("images", ())]
    return len(known) == len(images) and all(
        image is not None and image.is_still(file) for image, file in zip(known, images, strict=True)
    )


def is_of(record: Mapping[str, Any], images: Sequence[Path]) -> bool:
    """Whether a record is of these images, by their places."""
    own = images_of(record)
    return bool(own) and own in (absolute(images), tuple(str(image.resolve()) for image in images))


def images_of(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the places of the images that a record is of."""
    images = record.get("images", ())
    return tuple(str(image.get("path", "")) for image in images if isinstance(image, Mapping))


def same_content(record: Mapping[str, Any], images: Sequence[Path]) -> bool:
    """Whether a record is of files of the same content that were moved or written again."""
    known = [Identity.from_json(image) for image in record.get("images", ())]
    if len(known) != len(images) or any(image is None or not image.sha256 for image in known):
        return False
    return all(image is not None and image.has_content_of(file) for image, file in zip(known, images, strict=True))


def files_of(file: Path) -> tuple[OutputFile, ...]:
    """Return the files listed in a case's record; none where it lists none (before format 2)."""
    return files_from_json(read_record(file).get("files"))


def write_record(
    file: Path, record: Mapping[str, Any], case: str, images: Sequence[Path], files: Sequence[OutputFile]
) -> None:
    """Write the record of a case that is not complete yet: what made it, of what, and which files there are."""
    content = {
        **record,
        "case": case,
        "images": [asdict(Identity.of(image, content=True)) for image in images],
        "files": files_to_json(files),
    }
    # pure ASCII: names of files need not be valid text
    file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
