"""An outlier score that was fitted to a model, and the two files of the model folder that keep it.

::

    MODEL/
      outliers.json         score, options, threshold, range of the 8-bit storage, how all of it was chosen
      models/outliers.pt    estimates (class means and covariance), for scores that have any
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import softseg
from softseg.errors import InputError
from softseg.files import read_json_object, write_together
from softseg.network.heads import Head
from softseg.network.weights import read_weights, write_weights

if TYPE_CHECKING:
    from torch import Tensor

    from softseg.network.outlier_scores import OutlierScore

OUTLIERS_FILE = "outliers.json"
ESTIMATES_FILE = "models/outliers.pt"
FORMAT_VERSION = 1
"""Version of ``outliers.json``; newer ones are refused."""


@dataclass(frozen=True, eq=False)
class FittedOutliers:
    """A score with everything that was chosen for one model.

    Attributes
    ----------
    score: its name.
    options: of the score, e.g. its temperature.
    tensors: its estimates by name.
    layer: name of the network's last layer, whose input are the features; None where the score needs none.
    threshold: voxels with a larger score are outliers.
    low, high: scores of the first and the last step of the 8-bit storage (:mod:`softseg.soft.outliers`).
    chosen: how the threshold was chosen, on which cases and how many voxels, as plain values.
    estimated: from which cases and how many voxels the estimates come, and what was fixed, as plain values.
    """

    score: str
    threshold: float
    low: float
    high: float
    options: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    layer: str | None = None
    chosen: Mapping[str, Any] = field(default_factory=dict)
    estimated: Mapping[str, Any] = field(default_factory=dict)

    def make(self, head: Head) -> OutlierScore:
        """Return the score, ready to be computed.

        Raises
        ------
        InputError: the head cannot have it, or options or estimates do not fit.
        """
        from softseg.network.outlier_scores import make_score

        return make_score(self.score, self.options, self.tensors, head)

    def to_json(self) -> dict[str, Any]:
        """Return everything but the estimates, as plain values."""
        return {
            "score": self.score,
            "options": dict(self.options),
            "layer": self.layer,
            "threshold": self.threshold,
            "low": self.low,
            "high": self.high,
            "chosen": dict(self.chosen),
            "estimated": dict(self.estimated),
        }

    def digest(self) -> str:
        """Return a digest of everything that a prediction depends on."""
        parts = {name: value for name, value in self.to_json().items() if name not in ("chosen", "estimated")}
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode())
        for name, tensor in sorted(self.tensors.items()):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()[:32]

    def save(self, folder: Path) -> None:
        """Write the files into a model folder, in place of an older score's."""
        store(folder, self.to_json(), self.tensors)

    @staticmethod
    def load(folder: Path, head: Head) -> FittedOutliers | None:
        """Read the files of a model folder; None where there are none.

        Raises
        ------
        InputError: a file is damaged, of a newer version or of another score, or the head cannot have the
            score; the file is named.
        """
        file, estimates = folder / OUTLIERS_FILE, folder / ESTIMATES_FILE
        if not file.is_file():
            return None
        content = read_json_object(file)
        check_version(content.get("format_version"), file)
        with named_as(file):
            return from_json(content, stored_estimates(content, estimates), head)


_HINT = "fit the score again with softseg outliers fit"


def stored_score(folder: Path) -> str:
    """Return the name of the score that a folder of a model, or of an ensemble, describes; empty where there is none.

    Raises
    ------
    InputError: the description cannot be read.
    """
    file = folder / OUTLIERS_FILE
    return str(read_json_object(file).get("score", "")) if file.is_file() else ""


@contextlib.contextmanager
def named_as(file: Path) -> Iterator[None]:
    """Turn what is wrong with a description into an :class:`InputError` that names its file."""
    try:
        yield
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, InputError) and error.file is not None:
            raise
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(getattr(error, "message", error))
        raise InputError(f"is not a sound outlier score: {reason}", file=file, hint=_HINT) from error


def stored_estimates(content: Mapping[str, Any], estimates: Path) -> Mapping[str, Tensor]:
    """Return the tensors that a description refers to, if any."""
    if content["estimates"] is None:
        return {}
    tensors = read_weights(estimates)
    if _digest(estimates) != content["estimates"]["sha256"]:
        raise InputError(f"is not the file that {OUTLIERS_FILE} refers to", file=estimates, hint=_HINT)
    return tensors


def store(folder: Path, content: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """Write a description and its tensors into a model folder, in place of older ones."""
    content = {
        "format_version": FORMAT_VERSION,
        "software_version": softseg.__version__,
        **content,
        "estimates": None,
    }
    with write_together(folder / OUTLIERS_FILE) as staged:
        if tensors:
            file = staged / ESTIMATES_FILE
            file.parent.mkdir(exist_ok=True)
            write_weights({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
            content["estimates"] = {"file": ESTIMATES_FILE, "sha256": _digest(file)}
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (staged / OUTLIERS_FILE).write_text(text + "\n", encoding="utf-8")
    if not tensors:
        (folder / ESTIMATES_FILE).unlink(missing_ok=True)


def range_of(content: Mapping[str, Any]) -> tuple[float, float, float]:
    """Return threshold, low and high of a description.

    Raises
    ------
    ValueError, KeyError: one is missing or not finite, or low is not below high.
    """
    threshold, low, high = (float(content[name]) for name in ("threshold", "low", "high"))
    if not all(math.isfinite(value) for value in (threshold, low, high)) or low >= high:
        raise ValueError(f"expected finite low < high, got {low}, {high} and the threshold {threshold}")
    return threshold, low, high


def from_json(content: Mapping[str, Any], tensors: Mapping[str, Tensor], head: Head) -> FittedOutliers:
    """Return the score of a description with its estimates.

    Raises
    ------
    KeyError, TypeError, AttributeError, ValueError: it is not sound.
    """
    threshold, low, high = range_of(content)
    layer = content["layer"]
    fitted = FittedOutliers(
        score=str(content["score"]),
        threshold=threshold,
        low=low,
        high=high,
        options=dict(content["options"]),
        tensors=tensors,
        layer=None if layer is None else str(layer),
        chosen=account(content["chosen"], "chosen"),
        estimated=account(content["estimated"], "estimated"),
    )
    if fitted.make(head).needs == "features" and fitted.layer is None:
        raise ValueError("it does not name the layer of the features")
    return fitted


_LISTS = ("cases", "held_out", "missing")


def account(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return a file's description of how a score was fitted, for display.

    Raises
    ------
    ValueError, TypeError: a list is no list of texts, or another value is no number.
    """
    account = dict(value)
    for key, found in account.items():
        if key in _LISTS:
            if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
                raise ValueError(f"expected a list of texts in {name}.{key}, got {str(found)[:80]!r}")
        elif key != "how" and (isinstance(found, bool) or not isinstance(found, (int, float))):
            raise ValueError(f"expected a number in {name}.{key}, got {str(found)[:80]!r}")
    return account


def check_version(version: Any, file: Path) -> None:
    """Raise :class:`InputError` unless a description has a version that this software reads."""
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise InputError(f"expected a positive integer, got {version!r}", file=file, field="format_version", hint=_HINT)
    if version > FORMAT_VERSION:
        raise InputError(
            f"was written by a newer version (format {version}, this is {FORMAT_VERSION})",
            file=file,
            field="format_version",
            hint="update softseg",
        )


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
