"""A step that cannot fit is refused before it starts, with what to lower."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from softseg import system
from softseg.backends.memory import learning_memory
from softseg.data import Dataset
from softseg.errors import OutOfMemoryError
from softseg.events import Events, ListSink
from softseg.network import build_network
from softseg.training import Recipe, step_memory, train


@pytest.fixture
def network() -> torch.nn.Module:
    from softseg.data import NetworkSpec

    return build_network(NetworkSpec(name="DynUNet", options={"filters": [4, 8, 16]}), 1, 5, 3)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_estimate_grows_with_patch_and_batch_and_holds_what_learning_keeps(
    network: torch.nn.Module, dtype: torch.dtype
) -> None:
    def of(side: int, batch: int) -> int:
        return learning_memory(network, 1, (side,) * 3, 3, dtype, batch)

    kept = []
    packed = torch.autograd.graph.saved_tensors_hooks(lambda value: kept.append(value) or value, lambda value: value)
    with packed:
        network.train()(torch.zeros(2, 1, 32, 32, 32))
    saved = sum({value.data_ptr(): value.nbytes for value in kept}.values())
    least = saved if dtype == torch.float32 else saved // 2
    assert least <= of(32, 2) < 4 * least
    assert of(32, 1) < of(32, 2) < of(64, 2)
    assert of(64, 2) == pytest.approx(8 * of(32, 2), rel=0.1)


def test_a_step_that_cannot_fit_is_refused_before_cases_are_prepared(
    balls: Dataset, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(step_memory, "memory", lambda _device: system.Memory(1 << 30, 300_000))
    sink = ListSink()
    recipe = Recipe.load("soft-tree", [*tiny, "batch_size=2"])
    with pytest.raises(OutOfMemoryError, match=r"a step with 2 patches of 16 x 16 x 16 voxels takes .* GB") as error:
        train(balls, recipe, tmp_path / "run", device="cpu", events=Events(sink))
    assert error.value.exit_code == 3
    assert "batch_size=1" in str(error.value)
    assert "patch_size" in str(error.value)
    estimate = next(event for event in sink.events if event["event"] == "estimate")
    assert estimate["memory"] > estimate["memory_free"] == 300_000
    assert not (tmp_path / "run" / "cache").exists()
    assert not (tmp_path / "run" / "recipe.yaml").exists()
