"""ONNX Runtime: networks on the CPU, without PyTorch.

``models/model.onnx`` is the graph alone; its weights are those of ``models/model.pt``, which it names. Its input is
``image`` ``[B, channels, *spatial]``. Its outputs are ``raw`` ``[B, out_channels, *spatial]`` and, where the head is a
softmax, ``shares`` ``[B, *spatial, C]``, the distribution over the leaves, channels last. B and the spatial axes are
free.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from softseg.errors import InputError
from softseg.extras import installing
from softseg.files import require_inside
from softseg.network.heads import LEAST_DIVISOR, Head
from softseg.system import raise_out_of_memory, threads_each
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.backends.base import Kind, Region
    from softseg.data.plan import Plan
    from softseg.tree import LabelTree

ONNX_FILE = "models/model.onnx"
WEIGHTS_FILE = "models/model.pt"

FORMAT_VERSION = 1
"""Version of what softseg keeps in the file's metadata; newer ones are refused."""

PACKAGES = ("onnx", "onnxruntime")
"""What writes and checks the file; ``onnxruntime`` alone reads it."""

OLDEST = (1, 21)
"""Version of ONNX Runtime; earlier ones seek the weights of a graph that is given as bytes in the working folder."""

_HINT = "write it again with softseg export MODEL --onnx, where PyTorch is installed"


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A network that ONNX Runtime runs, in float32, with as many threads as this process may keep busy.

    Attributes
    ----------
    session: of ONNX Runtime.
    head: what its outputs mean.
    dimensions: 2 runs slices.
    digest: of the model, see :func:`softseg.prediction.record.model_digest`.
    weights: bytes of the weights in float32.
    voxel: bytes that a pass takes for each voxel of a window, at its peak.
    """

    session: Any
    head: Head
    dimensions: int
    digest: str
    weights: int
    voxel: float

    @property
    def name(self) -> str:
        """Name of the library."""
        return "onnx"

    @staticmethod
    def load(folder: Path, plan: Plan, tree: LabelTree, head: Head) -> OnnxNetwork:
        """Read the network of a model folder.

        Raises
        ------
        InputError: there is none, it is damaged, or belongs to other weights, another plan or another tree.
        """
        file = folder / ONNX_FILE
        if not file.is_file():
            raise InputError(
                "the model folder has no network for ONNX Runtime",
                file=file,
                hint=f"{_HINT.replace('again ', '')}, or predict with --backend torch",
            )
        require_inside(file, folder)
        session = session_of(file.read_bytes(), file)
        known = session.get_modelmeta().custom_metadata_map
        if known.get("softseg.format_version") != str(FORMAT_VERSION):
            raise InputError("is of another version, or was not written by softseg", file=file, hint=_HINT)
        if known.get("softseg.described") != described(plan, tree, head):
            raise InputError("belongs to another plan or label tree", file=file, hint=_HINT)
        if known.get("softseg.weights") != weights_digest(folder / WEIGHTS_FILE):
            raise InputError(f"belongs to other weights than {WEIGHTS_FILE}", file=file, hint=_HINT)
        try:
            weights, voxel = int(known["softseg.weight_bytes"]), float(known["softseg.voxel_bytes"])
            digest = known["softseg.digest"]
        except (KeyError, ValueError) as error:
            raise InputError("lacks what softseg notes in it", file=file, hint=_HINT) from error
        wanted = {"raw"} if head.name == "normrelu" else {"raw", "shares"}
        if {each.name for each in session.get_outputs()} != wanted:
            raise InputError(f"its outputs are not {' and '.join(sorted(wanted))}", file=file, hint=_HINT)
        return OnnxNetwork(session, head, plan.dimensions, digest, weights, voxel)

    def run(self, windows: Sequence[FloatArray], kind: Kind) -> list[OnnxOutputs]:
        """Run the network; see :class:`~softseg.backends.Backend`."""
        batch = np.stack(windows)
        if self.dimensions == 2:
            batch = batch[:, :, 0]
        found = self._values(np.ascontiguousarray(batch, np.float32), kind)
        if kind == "logits":
            found = _logits(found, self.head)
        return [OnnxOutputs(window) for window in (found[:, None] if self.dimensions == 2 else found)]

    def memory(self, channels: int, window: Sequence[int], batch: int, gradient: bool = False) -> int:
        """Return about how many bytes a pass takes; see :class:`~softseg.backends.Backend`."""
        if gradient:
            raise ValueError("ONNX Runtime computes no gradients")
        voxels = batch * math.prod(window)
        return self.weights + round(voxels * (self.voxel + 4 * channels + 4 * self.head.out_channels))

    def _values(self, batch: FloatArray, kind: Kind) -> FloatArray:
        """Return an output of the graph, channels last."""
        wanted = "shares" if kind == "shares" else "raw"
        try:
            found: FloatArray = self.session.run([wanted], {"image": batch}, _only_what_is_wanted())[0]
        except Exception as error:  # the library's own, which are of no common type
            raise_out_of_memory(RuntimeError(str(error)))
            raise RuntimeError(f"ONNX Runtime failed: {' '.join(str(error).split())}") from error
        return found if wanted == "shares" else np.moveaxis(found, 1, -1)


@dataclass(frozen=True, eq=False)
class OnnxOutputs:
    """What was asked for, of one window: ``values`` ``(k, j, i, channels)``."""

    values: FloatArray

    def part(self, part: Region) -> FloatArray:
        """Return a part; see :class:`~softseg.backends.Outputs`."""
        return np.array(self.values[part], np.float32, order="C")


def described(plan: Plan, tree: LabelTree, head: Head) -> str:
    """Return a digest of what a network is used with: that of its file must be the same."""
    parts = [plan.model_dump_json(), json.dumps(tree.to_json(), sort_keys=True), repr(head)]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def weights_digest(file: Path) -> str:
    """Return the digest of a file of weights."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def session_of(content: bytes, file: Path) -> Any:
    """Return ONNX Runtime's session of a graph. Its threads sleep while they wait: other programs need the cores.

    Parameters
    ----------
    content: the graph.
    file: where it is or will be, with its weights beside it.

    Raises
    ------
    InputError: it is damaged, or the weights are not what it expects.
    """
    import onnxruntime

    if version_of(onnxruntime.__version__) < OLDEST:
        wanted = f"onnxruntime>={'.'.join(map(str, OLDEST))}"
        raise InputError(
            f"ONNX Runtime {onnxruntime.__version__} is too old: it does not find the weights beside a graph",
            file=file,
            hint=installing(wanted),
        )
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads_each(1)
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(file.parent))
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's own, which are of no common type
        raise_out_of_memory(RuntimeError(str(error)), file)
        raise InputError("is damaged, or belongs to other weights", file=file, hint=_HINT) from error


def version_of(text: str) -> tuple[int, int]:
    """Return the first two numbers of a version."""
    first, second, *_ = [*re.findall(r"\d+", text), "0", "0"]
    return int(first), int(second)


def _only_what_is_wanted() -> Any:
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options


def _logits(raw: FloatArray, head: Head) -> FloatArray:
    """Return the logits of the leaves ``(..., C)`` for raw outputs; see :meth:`softseg.network.Head.logits`."""
    if head.name != "godin":
        return raw
    doubt = 1 / (1 + np.exp(-raw[..., head.classes :]))
    return np.asarray(raw[..., : head.classes] / np.maximum(doubt, np.float32(LEAST_DIVISOR)), np.float32)
