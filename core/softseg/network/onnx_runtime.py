"""ONNX Runtime: graphs on the CPU, and on GPUs through its execution providers for CUDA, DirectML and Core ML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.extras import installing
from softseg.network.graph_session import REWRITE, version_of
from softseg.system import PROVIDERS, Processor, raise_out_of_memory, threads_each
from softseg.types import FloatArray

OLDEST = (1, 21)
"""Version of ONNX Runtime; earlier ones seek the weights of a graph that is given as bytes in the working folder."""

_CPU = "CPUExecutionProvider"

_OPTIONS: Mapping[str, Mapping[str, str]] = {
    "cuda": {"use_tf32": "0"},  # ten bits of mantissa are not float32
    "coreml": {"ModelFormat": "MLProgram", "AllowLowPrecisionAccumulationOnGPU": "0"},
}


@dataclass(frozen=True, eq=False)
class OnnxRuntimeSession:
    """A graph that ONNX Runtime runs, in float32.

    Attributes
    ----------
    session: of ONNX Runtime.
    content: the graph.
    file: where it is, with its weights beside it.
    """

    session: Any
    content: bytes
    file: Path

    @property
    def name(self) -> str:
        """Name of the library."""
        return "onnx"

    @property
    def notes(self) -> Mapping[str, str]:
        """Metadata of the file."""
        found: Mapping[str, str] = self.session.get_modelmeta().custom_metadata_map
        return found

    @property
    def outputs(self) -> frozenset[str]:
        """Names of the graph's outputs."""
        return frozenset(each.name for each in self.session.get_outputs())

    def run(self, output: str, batch: FloatArray) -> FloatArray:
        """Return one output; see :class:`~softseg.network.graph_session.GraphSession`."""
        try:
            found: FloatArray = self.session.run([output], {"image": batch}, _only_what_is_wanted())[0]
        except Exception as error:  # the library's own, which are of no common type
            raise_out_of_memory(RuntimeError(str(error)))
            raise RuntimeError(f"ONNX Runtime failed: {' '.join(str(error).split())}") from error
        return found

    def on(self, device: Processor, precision: str) -> OnnxRuntimeSession:  # noqa: ARG002 - there is float32 alone
        """Return a session on a device; see :class:`~softseg.network.graph_session.GraphSession`."""
        return session_of(self.content, self.file, device)


def session_of(content: bytes, file: Path, device: Processor | None = None) -> OnnxRuntimeSession:
    """Return ONNX Runtime's session of a graph. Its threads sleep while they wait: other programs need the cores.

    Parameters
    ----------
    content: the graph.
    file: where it is or will be, with its weights beside it.
    device: where it runs; the CPU by default.

    Raises
    ------
    InputError: it is damaged, the weights are not what it expects, or the device does not take it.
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
    if device is None or device.type == "cpu":
        try:
            session = onnxruntime.InferenceSession(content, options, providers=[_CPU])
        except Exception as error:  # the library's own, which are of no common type
            raise_out_of_memory(RuntimeError(str(error)), file)
            raise InputError("is damaged, or belongs to other weights", file=file, hint=REWRITE) from error
        return OnnxRuntimeSession(session, content, file)
    return OnnxRuntimeSession(_with_provider(onnxruntime, content, options, device), content, file)


def _with_provider(onnxruntime: Any, content: bytes, options: Any, device: Processor) -> Any:
    provider = PROVIDERS[device.type]
    named = {"device_id": str(device.index)} if device.type in ("cuda", "directml") else {}
    if device.type == "directml":  # it reuses no memory between runs
        options.enable_mem_pattern = False
    reason = "there is no such device"
    try:
        session = onnxruntime.InferenceSession(
            content,
            options,
            providers=[(provider, {**_OPTIONS.get(device.type, {}), **named}), _CPU],
            enable_fallback=0,  # it would print about it
        )
        if session.get_providers()[0] == provider:
            return session
    except Exception as error:  # noqa: BLE001 - the library's own, which are of no common type
        reason = " ".join(str(error).split())[:200]
    raise InputError(f"ONNX Runtime's {provider} does not run here: {reason}", field="device", hint="use --device cpu")


def _only_what_is_wanted() -> Any:
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options
