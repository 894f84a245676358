"""Device and precision by name."""

from __future__ import annotations

import pytest
import torch

from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.prediction import devices


def test_auto_is_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    sink = ListSink()
    assert devices.resolve_device("auto", Events(sink)) == torch.device("cpu")
    assert sink.events[0]["text"].startswith("device: cpu (")
    assert sink.events[0]["text"].endswith("no CUDA device found")


def test_a_missing_cuda_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(
        InputError, match="cuda was asked for, but this machine offers 0 CUDA devices; use --device auto"
    ):
        devices.resolve_device("cuda")


@pytest.mark.parametrize("name", ["gpu", "mps", "cpu:x"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected auto, cpu or cuda:N"):
        devices.resolve_device(name)


def test_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert devices.resolve_precision("bfloat16", cpu) == torch.bfloat16
    for tiles, expected in ((True, torch.bfloat16), (False, torch.float32)):
        monkeypatch.setattr(devices, "cpu_has_bfloat16_tiles", lambda tiles=tiles: tiles)
        assert devices.resolve_precision("auto", cpu) == expected
    with pytest.raises(InputError, match="precision: float16 is for GPUs"):
        devices.resolve_precision("float16", cpu)
