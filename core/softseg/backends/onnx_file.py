"""Writing ``models/model.onnx``: the graph of a trained network, for ONNX Runtime, checked against PyTorch.

The weights are not written a second time: the graph names the bytes of ``models/model.pt``, which holds each tensor
unpacked, and brings them into float32 and the order that it needs when it is loaded.
"""

from __future__ import annotations

import copy
import io
import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from softseg.backends.memory import network_memory
from softseg.backends.stored_weights import name_stored_weights
from softseg.backends.torch_backend import TorchBackend
from softseg.data.network_options import window_multiple
from softseg.errors import InputError
from softseg.extras import missing
from softseg.files import write_beside
from softseg.network.graph_session import ONNX_FILE, WEIGHTS_FILE
from softseg.network.onnx_network import FORMAT_VERSION, PACKAGES, OnnxNetwork, described, weights_digest
from softseg.network.onnx_runtime import session_of
from softseg.system import installed

if TYPE_CHECKING:
    from softseg.network import Model

LARGEST_DIFFERENCE = 1e-3
"""A file whose probabilities differ more than this from PyTorch's is not written."""

OPSET = 17
"""Version of ONNX's operators: read by ONNX Runtime 1.12 and newer."""

_PREFIX = "network."  # of the names of weights in the graph


def missing_package() -> str | None:
    """Return the first package that is missing of those that write and check the file; None where all are there."""
    return next((package for package in PACKAGES if not installed(package)), None)


def write_onnx(model: Model, digest: str) -> float:
    """Write ``models/model.onnx`` into a model's folder, in place of an older one.

    Parameters
    ----------
    model: a loaded model.
    digest: what its predictions are known by, see :func:`softseg.prediction.record.model_digest`.

    Returns
    -------
    The largest difference between its probabilities and PyTorch's, in float32, on noise in windows of two sizes; for a
    NormReLU head between raw outputs, as part of the largest.

    Raises
    ------
    InputError: a package is missing, the network has no such graph, or the difference is above LARGEST_DIFFERENCE.
    """
    lacking = missing_package()
    if lacking is not None:
        raise missing(lacking)
    file, weights = model.path / ONNX_FILE, model.path / WEIGHTS_FILE
    both = _Both(copy.deepcopy(model.network).cpu().float(), model)
    graph = _graph(both, model)
    name_stored_weights(graph.graph, _PREFIX, weights)
    notes = {
        "format_version": str(FORMAT_VERSION),
        "described": described(model.plan, model.tree, model.head),
        "weights": weights_digest(weights),
        "digest": digest,
        "weight_bytes": str(4 * sum(value.numel() for value in both.network.state_dict().values())),
        "voxel_bytes": f"{_voxel_bytes(both.network, model):.1f}",
    }
    for name, text in notes.items():
        entry = graph.metadata_props.add()
        entry.key, entry.value = f"softseg.{name}", text
    content: bytes = graph.SerializeToString()
    difference = _difference(both.network, model, content)
    if not difference <= LARGEST_DIFFERENCE:
        raise InputError(
            f"its probabilities differ by {difference:.2g} from PyTorch's, {LARGEST_DIFFERENCE:g} is allowed",
            file=file,
            hint="predict with PyTorch",
        )
    with write_beside(file) as unfinished:
        unfinished.write_bytes(content)
    return difference


class _Both(nn.Module):
    """A network with all outputs of the file."""

    def __init__(self, network: nn.Module, model: Model) -> None:
        super().__init__()
        self.network, self.head = network, model.head
        self.eval()

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        raw: Tensor = self.network(image)
        if self.head.name == "normrelu":
            return raw
        return raw, torch.softmax(torch.movedim(self.head.logits(raw), 1, -1), -1)


def _graph(both: _Both, model: Model) -> Any:
    """Return the graph with its weights in it, under their names in the network, nothing of it folded."""
    import onnx

    names = "kji"[-model.plan.dimensions :]
    first = {0: "batch"} | {2 + axis: name for axis, name in enumerate(names)}
    last = {0: "batch"} | {1 + axis: name for axis, name in enumerate(names)}
    outputs = ["raw"] if model.head.name == "normrelu" else ["raw", "shares"]
    written = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                both,
                (torch.zeros((1, model.plan.inputs, *_window(model, 2))),),
                written,  # type: ignore[arg-type]
                dynamo=False,
                opset_version=OPSET,
                training=torch.onnx.TrainingMode.PRESERVE,
                do_constant_folding=False,
                input_names=["image"],
                output_names=outputs,
                dynamic_axes={"image": first, "raw": first, "shares": last},
            )
        except Exception as error:  # whatever the exporter makes of a layer that it does not know
            raise InputError(
                f"{model.plan.network.name} cannot be written as ONNX: {' '.join(str(error).split())[:200]}",
                file=model.path,
            ) from error
    return onnx.load_from_string(written.getvalue())


def _window(model: Model, times: int) -> list[int]:
    """Return the sides of a small window: twice what each must be a multiple of, the last one ``times`` that."""
    sides = [2 * side for side in window_multiple(model.plan.network, model.plan.dimensions)]
    return [*sides[-model.plan.dimensions : -1], sides[-1] // 2 * times]


def _voxel_bytes(network: nn.Module, model: Model) -> float:
    """Return the bytes that a pass takes for each voxel of a window, beside the weights."""
    plan = model.plan
    weights = sum(value.nbytes for value in network.state_dict().values())
    whole = network_memory(network, plan.inputs, plan.patch_kji, plan.dimensions, torch.float32)
    return float((whole - weights) / math.prod(plan.patch_kji))


def _difference(network: nn.Module, model: Model, content: bytes) -> float:
    """Return how far the file's answers are from PyTorch's."""
    head, dimensions = model.head, model.plan.dimensions
    file = model.path / ONNX_FILE
    onnx = OnnxNetwork(session_of(content, file), head, dimensions, "", 0, 0.0)
    peer = TorchBackend(network, head, dimensions, torch.device("cpu"), torch.float32)
    kind = "raw" if head.name == "normrelu" else "shares"
    noise = np.random.default_rng(0)
    largest = 0.0
    for batch, times in ((1, 2), (2, 3)):
        sides = _window(model, times)
        shape = (model.plan.inputs, *([1] if dimensions == 2 else []), *sides)
        windows = [noise.normal(size=shape).astype(np.float32) for _ in range(batch)]
        try:
            found, expected = (_answers(each, windows, kind) for each in (onnx, peer))
        except RuntimeError as error:
            raise InputError(f"the graph does not run: {error}", file=file, hint="predict with PyTorch") from error
        scale = max(1.0, float(np.abs(expected).max())) if kind == "raw" else 1.0
        largest = max(largest, float(np.abs(found - expected).max()) / scale)
    return largest


def _answers(backend: OnnxNetwork | TorchBackend, windows: Sequence[Any], kind: Any) -> Any:
    everything = (slice(None), slice(None), slice(None))
    return np.stack([outputs.part(everything) for outputs in backend.run(windows, kind)])
