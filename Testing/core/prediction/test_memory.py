"""Too little memory: windows get smaller, and where even that does not help the command says so with exit code 3."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prediction_kit import Intensity, grid, make_model, make_plan, two_leaves

from softseg.backends.memory import network_memory
from softseg.data import NetworkSpec
from softseg.data.network_options import window_multiple
from softseg.errors import OutOfMemoryError
from softseg.events import Events, ListSink
from softseg.network import Head, Model, ModelFolder, build_network
from softseg.prediction import predict_case
from softseg.prediction.head_work import UsualNetwork
from softseg.prediction.window_grid import halved

CORE = Path(__file__).resolve().parents[3] / "core"

LIMITED = """
import contextlib, io, resource, sys
from pathlib import Path
from softseg.commands import application
from softseg.prediction import batch, case, streaming
import torch
torch.set_num_threads(1)
command = sys.argv[2:]
with contextlib.redirect_stdout(io.StringIO()):
    assert application.run(command) == 0  # so that nothing is loaded below the limit
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + int(float(sys.argv[1]) * 1e6),) * 2)
sys.exit(application.run(command))
"""


def test_windows_are_halved_across_their_longest_side_down_to_what_the_network_takes() -> None:
    seen = [(64, 96, 64)]
    while (smaller := halved(seen[-1], (16, 16, 16))) is not None:
        seen.append(smaller)
    assert seen[1:4] == [(64, 48, 64), (32, 48, 64), (32, 48, 32)]
    assert seen[-1] == (32, 32, 32)
    assert halved((1, 128, 100), (1, 4, 4)) == (1, 64, 100)
    assert halved((1, 8, 8), (1, 4, 4)) is None


@pytest.mark.parametrize(
    ("name", "options", "dimensions", "expected"),
    [
        ("DynUNet", {"filters": [4, 8, 8]}, 3, (4, 4, 4)),
        ("DynUNet", {"filters": [4, 8, 8], "strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]]}, 3, (2, 4, 4)),
        ("UNet", {"channels": [4, 8, 8, 8]}, 3, (8, 8, 8)),
        ("SegResNet", {"init_filters": 8}, 3, (8, 8, 8)),
        ("DynUNet", {"filters": [4, 8, 8]}, 2, (1, 4, 4)),
        ("FlexibleUNet", {}, 2, (1, 32, 32)),
    ],
)
def test_networks_take_the_smallest_window(
    name: str, options: dict[str, Any], dimensions: int, expected: tuple[int, int, int]
) -> None:
    spec = NetworkSpec(name=name, options=options)
    multiple = window_multiple(spec, dimensions)
    assert multiple == expected
    least = [2 * side for side in multiple[3 - dimensions :]]
    network = build_network(spec, 1, 3, dimensions).eval()
    assert network(torch.zeros(1, 1, *least)).shape[2:] == tuple(least)


def small_steps(network: torch.nn.Module) -> Model:
    """Return a model whose plan says that windows come in multiples of 4 voxels."""
    model = make_model(network)
    return replace(model, plan=make_plan(network={"name": "DynUNet", "options": {"filters": [4, 8, 8]}}))


class Greedy(Intensity):
    """Finds no memory for windows above a size."""

    most = 16 * 16 * 8

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        if batch.device.type != "meta" and batch[0, 0].numel() > self.most:
            raise torch.OutOfMemoryError(f"no memory for {tuple(batch.shape)}")
        return super().forward(batch)


def test_too_large_windows_are_halved_with_a_warning(scan: Callable[..., Path]) -> None:
    sink = ListSink()
    plenty = predict_case(make_model(), [scan()], nodes=["ball"])
    found = predict_case(small_steps(Greedy()), [scan()], nodes=["ball"], events=Events(sink))
    warnings = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert len(warnings) == 1
    assert "going on with windows of 8 x 16 x 16 voxels instead of 16 x 16 x 16" in warnings[0]
    np.testing.assert_allclose(found.node_maps["ball"].array, plenty.node_maps["ball"].array, atol=1e-4)


def test_where_the_smallest_windows_are_too_large_it_ends_with_a_hint(scan: Callable[..., Path]) -> None:
    network = Greedy()
    network.most = 0
    with pytest.raises(OutOfMemoryError, match=r"even with windows of 8 x 8 x 8 voxels.*; crop the image") as caught:
        predict_case(small_steps(network), [scan()])
    assert caught.value.exit_code == 3


def test_memory_of_a_network_grows_with_its_window_and_is_not_taken() -> None:
    network = build_network(NetworkSpec(options={"filters": [8, 16, 16]}), 1, 20, 3).eval()
    state = {name: value.clone() for name, value in network.state_dict().items()}
    small, large = (network_memory(network, 1, (side,) * 3, 3, torch.float32) for side in (32, 64))
    assert 6 < large / small < 9
    assert large > 64**3 * (20 + 8) * 4
    half = network_memory(network, 1, (64,) * 3, 3, torch.bfloat16)
    assert half == pytest.approx(large / 2, rel=0.05)
    for name, value in network.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, state[name])


def test_counting_memory_does_not_load_the_compiler() -> None:
    """It takes half a second, and leaves a folder among the temporary files."""
    code = (
        "import sys, torch\nfrom softseg.backends.memory import network_memory\n"
        "assert network_memory(torch.nn.Conv3d(1, 2, 3, padding=1), 1, (8, 8, 8), 3, torch.float32) > 0\n"
        "print('torch._dynamo' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"


def test_estimates_come_before_the_first_window(scan: Callable[..., Path]) -> None:
    sink = ListSink()
    predict_case(make_model(), [scan()], events=Events(sink))
    kinds = [event["event"] for event in sink.events]
    estimates = [event for event in sink.events if event["event"] == "estimate"]
    assert kinds.index("estimate") < kinds.index("progress")
    assert estimates[0]["memory"] > 1e8
    assert "GB of memory will be needed" in estimates[0]["text"]
    assert len(estimates) == 2
    assert estimates[1]["seconds"] > 0


@pytest.mark.skipif(sys.platform != "linux", reason="limits of address space are Linux's")
def test_a_real_limit_of_memory(scan: Callable[..., Path], tmp_path: Path) -> None:
    """With some memory the command goes on with smaller windows, with less it ends with code 3."""
    spec = NetworkSpec(options={"filters": [8, 8, 8]})
    plan = make_plan(network=spec, patch_size=(64, 64, 64), spacing=(1.0, 1.0, 1.0))
    network = build_network(spec, 1, 2, 3)
    folder = ModelFolder.save(
        tmp_path / "model", network, plan, two_leaves(), "head: softmax\n", head=Head("softmax", 2)
    )
    image = scan(geometry=grid(np.eye(3), (1.0, 1.0, 1.0), (64, 64, 64)))

    def limited(megabytes: float) -> tuple[int, list[str], str]:
        command = ["predict", str(folder), str(image), "--out", str(tmp_path / "out"), "--overwrite"]
        command += ["--device", "cpu", "--events", "json", "--precision", "float32", "--overlap", "0"]
        environment = {"PYTHONPATH": str(CORE), "OMP_NUM_THREADS": "1", "PATH": "", "MALLOC_ARENA_MAX": "1"}
        answer = subprocess.run(
            [sys.executable, "-c", LIMITED, str(megabytes), *command],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        events = [json.loads(line) for line in answer.stdout.splitlines()]
        return answer.returncode, [e["text"] for e in events if e["event"] == "warning"], answer.stderr

    for megabytes in (20, 30, 40, 50, 60):  # what the allocator still holds differs from run to run
        code, warnings, said = limited(megabytes)
        assert code in (0, 3), said
        if code == 0:
            break
    assert code == 0, said
    assert "memory is short" in warnings[0]
    assert "instead of 64 x 64 x 64" in warnings[0]
    code, _, said = limited(4)
    assert code == 3, said
    assert "even with windows of 8 x 8 x 8 voxels" in said
    assert "crop the image, close other programs" in said


def test_the_usual_network_is_estimated_as_it_is() -> None:
    """What ``softseg doctor`` says of a head, without PyTorch."""
    with torch.device("meta"):
        network = build_network(NetworkSpec(), 1, 135, 3)
    expected = network_memory(network, 1, (64, 64, 64), 3, torch.float32)
    assert UsualNetwork().memory(1, (64, 64, 64), 1) == pytest.approx(expected, rel=0.05)
