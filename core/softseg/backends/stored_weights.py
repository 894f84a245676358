"""Weights of an ONNX graph that stay in a file of PyTorch's: the graph names their bytes instead of holding them."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from softseg.network.weights import read_weights

_LOCAL_HEADER = 30  # bytes of a member's own header in a zip archive, before its name
_LEAST = 64  # bytes; shorter weights stay in the graph


def name_stored_weights(graph: Any, prefix: str, file: Path) -> None:
    """Let a graph take its weights from the bytes of a file of weights beside it, wherever these hold them.

    Weights stored as float16, or with their axes in another order (channels last), get the operators that bring them
    into the form that the graph had them in. What the file does not hold as such stays in the graph.

    Parameters
    ----------
    graph: ONNX's; changed. Its weights are float32, under their names in the file, each with ``prefix``.
    prefix: of names in the graph.
    file: weights as :func:`softseg.network.write_weights` writes them.
    """
    import onnx

    places = _places(file)
    state = read_weights(file)
    before = []
    for weight in graph.initializer:
        stored = state.get(weight.name.removeprefix(prefix))
        if not isinstance(stored, Tensor) or tuple(stored.shape) != tuple(weight.dims):
            continue
        offset = places.get(_bytes_of(stored))
        order = _order(stored)
        if offset is None or stored.nbytes < _LEAST or not stored.permute(order).is_contiguous():
            continue
        name = weight.name
        steps: list[tuple[str, dict[str, Any]]] = []
        if stored.dtype != torch.float32:
            steps.append(("Cast", {"to": onnx.TensorProto.FLOAT}))
        if order != list(range(stored.ndim)):
            steps.append(("Transpose", {"perm": [order.index(axis) for axis in range(stored.ndim)]}))
        names = [f"{name}.{step}" for step in range(len(steps))] + [name]
        for step, (operator, attributes) in enumerate(steps):
            before.append(onnx.helper.make_node(operator, [names[step]], [names[step + 1]], **attributes))
        weight.Clear()
        weight.name = names[0]
        weight.dims.extend(stored.shape[axis] for axis in order)
        weight.data_type = onnx.helper.np_dtype_to_tensor_dtype(stored.numpy().dtype)
        weight.data_location = onnx.TensorProto.EXTERNAL
        for key, value in (("location", file.name), ("offset", offset), ("length", stored.nbytes)):
            entry = weight.external_data.add()
            entry.key, entry.value = key, str(value)
    nodes = [*before, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _order(tensor: Tensor) -> list[int]:
    """Return the axes of a tensor in the order in which they are stored, the slowest first."""
    strides: tuple[int, ...] = tensor.stride()
    return sorted(range(tensor.ndim), key=lambda axis: (-strides[axis], axis))


def _places(file: Path) -> dict[bytes, int]:
    """Return where the bytes of each stored tensor begin in the file."""
    found = {}
    with zipfile.ZipFile(file) as archive, file.open("rb") as stream:
        for member in archive.infolist():
            if "/data/" in member.filename and member.compress_type == zipfile.ZIP_STORED:
                stream.seek(member.header_offset)
                name, extra = struct.unpack("<26xHH", stream.read(_LOCAL_HEADER))
                offset = member.header_offset + _LOCAL_HEADER + name + extra
                stream.seek(offset)
                found[stream.read(member.file_size)] = offset
    return found


def _bytes_of(tensor: Tensor) -> bytes:
    whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.untyped_storage())
    return whole.numpy().tobytes()
