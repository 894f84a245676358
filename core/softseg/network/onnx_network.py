"""Networks as graphs of ONNX: run by ONNX Runtime or OpenVINO, without PyTorch.

``models/model.onnx`` is the graph alone; its weights are those of ``models/model.pt``, which it names. Its input is
``image`` ``[B, channels, *spatial]``. Its outputs are ``raw`` ``[B, out_channels, *spatial]`` and, where the head is a
softmax, ``shares`` ``[B, *spatial, C]``, the distribution over the leaves, channels last. B and the spatial axes are
free.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from softseg.data.network_options import window_multiple
from softseg.errors import InputError
from softseg.events import Events
from softseg.files import require_inside
from softseg.network.graph_session import ONNX_FILE, REWRITE, WEIGHTS_FILE, GraphSession
from softseg.network.heads import LEAST_DIVISOR, Head
from softseg.network.onnx_runtime import session_of
from softseg.network.openvino_session import OpenVinoSession
from softseg.system import PROVIDERS, Processor, graph_device, threads_each
from softseg.types import FloatArray

if TYPE_CHECKING:
    from softseg.backends.base import Kind, Region
    from softseg.data.plan import Plan
    from softseg.tree import LabelTree

FORMAT_VERSION = 1
"""Version of what softseg keeps in the file's metadata; newer ones are refused."""

PACKAGES = ("onnx", "onnxruntime")
"""What writes and checks the file; ``onnxruntime`` or ``openvino`` alone reads it."""

DEVICE_DIFFERENCE = 2e-3
"""A device whose probabilities differ more than this from the CPU's is not used."""

_TITLES = {"onnx": "ONNX Runtime", "openvino": "OpenVINO"}


@dataclass(frozen=True, eq=False)
class OnnxNetwork:
    """A network whose graph a library runs, with as many threads as this process may keep busy.

    Attributes
    ----------
    session: what runs the graph.
    head: what its outputs mean.
    dimensions: 2 runs slices.
    digest: of the model, see :func:`softseg.prediction.record.model_digest`.
    weights: bytes of the weights in float32.
    voxel: bytes that a pass takes for each voxel of a window, at its peak.
    tried: ``[channels, k, j, i]`` of the window on which another device is compared with the CPU.
    """

    session: GraphSession
    head: Head
    dimensions: int
    digest: str
    weights: int
    voxel: float
    tried: tuple[int, ...] = ()
    _elsewhere: dict[tuple[str, str], OnnxNetwork] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Name of the library."""
        return self.session.name

    @staticmethod
    def load(folder: Path, plan: Plan, tree: LabelTree, head: Head, library: str = "onnx") -> OnnxNetwork:
        """Read the network of a model folder, to be run on the CPU in float32.

        Parameters
        ----------
        folder: the model folder.
        plan, tree, head: what the network is used with.
        library: ``"onnx"`` (ONNX Runtime) or ``"openvino"``.

        Raises
        ------
        InputError: there is none, it is damaged, or belongs to other weights, another plan or another tree.
        """
        file = folder / ONNX_FILE
        if not file.is_file():
            raise InputError(
                f"the model folder has no network for {_TITLES[library]}",
                file=file,
                hint=f"{REWRITE.replace('again ', '')}, or predict with --backend torch",
            )
        require_inside(file, folder)
        session: GraphSession
        session = OpenVinoSession.read(file) if library == "openvino" else session_of(file.read_bytes(), file)
        known = session.notes
        if known.get("softseg.format_version") != str(FORMAT_VERSION):
            raise InputError("is of another version, or was not written by softseg", file=file, hint=REWRITE)
        if known.get("softseg.described") != described(plan, tree, head):
            raise InputError("belongs to another plan or label tree", file=file, hint=REWRITE)
        if known.get("softseg.weights") != weights_digest(folder / WEIGHTS_FILE):
            raise InputError(f"belongs to other weights than {WEIGHTS_FILE}", file=file, hint=REWRITE)
        try:
            weights, voxel = int(known["softseg.weight_bytes"]), float(known["softseg.voxel_bytes"])
            digest = known["softseg.digest"]
        except (KeyError, ValueError) as error:
            raise InputError("lacks what softseg notes in it", file=file, hint=REWRITE) from error
        wanted = {"raw"} if head.name == "normrelu" else {"raw", "shares"}
        if session.outputs != wanted:
            raise InputError(f"its outputs are not {' and '.join(sorted(wanted))}", file=file, hint=REWRITE)
        sides = [2 * side for side in window_multiple(plan.network, plan.dimensions)]
        tried = (plan.inputs, *(sides if plan.dimensions == 3 else (1, *sides[-2:])))
        return OnnxNetwork(session, head, plan.dimensions, digest, weights, voxel, tried)

    def device(self, name: str, events: Events | None = None) -> Processor:
        """Return where this network runs: a GPU where the library has one that answers as the CPU does, else the CPU.

        Parameters
        ----------
        name: as for ``--device``; ``"auto"`` goes on with the CPU, and says why, where a GPU does not do.
        events: receives the choice.

        Raises
        ------
        InputError: there is no such device, or it does not answer as the CPU does.
        """
        chosen = graph_device(name, self.name)
        if chosen.type != "cpu":
            try:
                self.on(chosen, "float32")
            except InputError as error:
                if name != "auto":
                    raise
                if events is not None:  # Core ML comes with every package for Macs: nobody has asked for it
                    say = events.log if chosen.type == "coreml" else events.warning
                    say(f"{error.message}; computing on the CPU instead")
                chosen = Processor()
        if events is not None:
            how = f"{threads_each(1)} threads" if chosen.type == "cpu" else PROVIDERS[chosen.type]
            events.log(f"device: {chosen}, {_TITLES[self.name]} ({how})")
        return chosen

    def on(self, device: Processor, precision: str) -> OnnxNetwork:
        """Return this network on a device, computing in a number type; it is made once.

        Raises
        ------
        InputError: the device does not take the network, or does not answer as the CPU does.
        """
        if (device.type, precision) == ("cpu", "float32"):
            return self
        key = str(device), precision
        if key not in self._elsewhere:
            other = replace(self, session=self.session.on(device, precision), _elsewhere={})
            if device.type != "cpu":
                self._require_same(other, device)
            self._elsewhere[key] = other
        return self._elsewhere[key]

    def _require_same(self, other: OnnxNetwork, device: Processor) -> None:
        """Compare with the same network on another device: low precision, and errors of drivers, are not ours."""
        kind: Kind = "raw" if self.head.name == "normrelu" else "shares"
        window = np.random.default_rng(0).normal(size=self.tried).astype(np.float32)
        whole = (slice(None), slice(None), slice(None))
        provider = PROVIDERS[device.type]
        try:
            expected, found = (each.run([window], kind)[0].part(whole) for each in (self, other))
        except RuntimeError as error:
            raise InputError(f"{provider}: {error}", field="device", hint="use --device cpu") from error
        scale = max(1.0, float(np.abs(expected).max())) if kind == "raw" else 1.0
        difference = float(np.abs(found - expected).max()) / scale
        if not difference <= DEVICE_DIFFERENCE:
            raise InputError(
                f"ONNX Runtime's {provider} is not used: its probabilities differ by {difference:.2g} from the CPU's, "
                f"{DEVICE_DIFFERENCE:g} is allowed",
                field="device",
                hint="use --device cpu",
            )

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
            raise ValueError("a graph computes no gradients")
        voxels = batch * math.prod(window)
        outputs = 2 if self.name == "openvino" else 1  # it keeps its own, and returns a copy
        return self.weights + round(voxels * (self.voxel + 4 * channels + 4 * outputs * self.head.out_channels))

    def _values(self, batch: FloatArray, kind: Kind) -> FloatArray:
        """Return an output of the graph, channels last."""
        wanted = "shares" if kind == "shares" else "raw"
        found = self.session.run(wanted, batch)
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


def _logits(raw: FloatArray, head: Head) -> FloatArray:
    """Return the logits of the leaves ``(..., C)`` for raw outputs; see :meth:`softseg.network.Head.logits`."""
    if head.name != "godin":
        return raw
    doubt = 1 / (1 + np.exp(-raw[..., head.classes :]))
    return np.asarray(raw[..., : head.classes] / np.maximum(doubt, np.float32(LEAST_DIVISOR)), np.float32)
