"""OpenVINO: graphs on the CPU, without PyTorch, in float32 or, where the processor has AMX tiles, in bfloat16."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from softseg.errors import InputError
from softseg.extras import command_for
from softseg.network.graph_session import REWRITE, version_of
from softseg.system import Processor, raise_out_of_memory, threads_each
from softseg.types import FloatArray

OLDEST = "2025.0"
"""Version of OpenVINO; earlier ones do not know the shapes of weights that are stored as float16."""

_HINTS = {"float32": "f32", "bfloat16": "bf16"}


@dataclass(frozen=True, eq=False)
class OpenVinoSession:
    """A graph that OpenVINO runs, compiled for each output when that is first asked for.

    Attributes
    ----------
    core: of OpenVINO.
    model: the graph with its weights.
    precision: of the arithmetic, ``"float32"`` or ``"bfloat16"``; outputs are float32.
    """

    core: Any
    model: Any
    precision: str = "float32"
    _requests: dict[str, Any] = field(default_factory=dict, repr=False)

    @staticmethod
    def read(file: Path) -> OpenVinoSession:
        """Read a graph; its weights lie beside it.

        Raises
        ------
        InputError: it is damaged, or the weights are not what it expects.
        """
        import openvino

        if version_of(openvino.__version__) < version_of(OLDEST):
            raise InputError(
                f"OpenVINO {openvino.__version__} is too old: {OLDEST} or newer reads the weights beside a graph",
                file=file,
                hint=command_for("openvino"),
            )
        core = openvino.Core()
        try:
            model = core.read_model(str(file))
        except Exception as error:  # the library's own, which are of no common type
            raise_out_of_memory(RuntimeError(str(error)), file)
            raise InputError("is damaged, or belongs to other weights", file=file, hint=REWRITE) from error
        return OpenVinoSession(core, model)

    @property
    def name(self) -> str:
        """Name of the library."""
        return "openvino"

    @property
    def notes(self) -> Mapping[str, str]:
        """Metadata of the file."""
        found = self.model.get_rt_info()
        notes = _plain(found["framework"]) if "framework" in found else {}
        return {name: str(_plain(value)) for name, value in notes.items()}

    @property
    def outputs(self) -> frozenset[str]:
        """Names of the graph's outputs."""
        return frozenset(output.get_any_name() for output in self.model.outputs)

    def run(self, output: str, batch: FloatArray) -> FloatArray:
        """Return one output; see :class:`~softseg.network.graph_session.GraphSession`."""
        try:
            if output not in self._requests:
                self._requests[output] = self._compiled(output).create_infer_request()
            found: FloatArray = self._requests[output].infer({"image": batch}, share_inputs=True)[0]
        except Exception as error:  # the library's own, which are of no common type
            raise_out_of_memory(RuntimeError(str(error)))
            raise RuntimeError(f"OpenVINO failed: {' '.join(str(error).split())}") from error
        return found

    def on(self, device: Processor, precision: str) -> OpenVinoSession:  # noqa: ARG002 - there is the CPU alone
        """Return a session that computes in a number type; see :class:`~softseg.network.graph_session.GraphSession`."""
        return OpenVinoSession(self.core, self.model, precision)

    def _compiled(self, output: str) -> Any:
        import openvino

        wanted = next(each for each in self.model.outputs if each.get_any_name() == output)
        settings = {
            "INFERENCE_PRECISION_HINT": _HINTS[self.precision],
            "INFERENCE_NUM_THREADS": threads_each(1),
            "NUM_STREAMS": "1",
            "ENABLE_CPU_PINNING": False,  # other programs use the cores, too
        }
        return self.core.compile_model(openvino.Model([wanted], self.model.get_parameters(), output), "CPU", settings)


def _plain(value: Any) -> Any:
    """Return a value out of OpenVINO's own container, in which some versions wrap it."""
    return getattr(value, "value", value)
