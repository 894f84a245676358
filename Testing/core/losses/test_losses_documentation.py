"""docs/losses.md does what it says: its code is run, and what is trained there learns."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from softseg.losses import convention

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "losses.md").read_text(encoding="utf-8")
ARGUMENTS, PYTORCH, MONAI = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def run(code: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # small networks: more threads only wait for each other
    try:
        with torch.random.fork_rng():
            exec(compile(code, f"docs/losses.md, {name}", "exec"), found)  # noqa: S102 - the page's own code
    finally:
        torch.set_num_threads(threads)
    return found


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the first example leaves: the file of the tree, in the current folder."""
    monkeypatch.chdir(tmp_path)
    return run(ARGUMENTS, "what goes in")


def test_what_goes_in(head: dict[str, Any]) -> None:
    assert [leaf.id for leaf in head["tree"].leaves] == ["background", "grey matter", "white matter"]
    assert head["labels"].flatten().tolist() == [0, 1, 2, 4]
    assert head["logits"].grad.any()
    assert head["value"] > 0
    assert head["distance"] > 0


def test_pytorch_alone_learns_soft_labels() -> None:
    found = run(PYTORCH, "plain PyTorch")
    history = found["history"]
    assert np.mean(history[-10:]) < np.mean(history[:5]) / 5
    image, covered = found["discs"](20)
    with torch.no_grad():
        predicted = found["network"].eval()(image)
    assert float((predicted - covered).abs().mean()) < 0.05
    edge = (covered > 0.2) & (covered < 0.8)
    assert 0.2 < float(predicted[edge].mean()) < 0.8


def test_monai_learns_label_maps_with_a_tree(head: dict[str, Any]) -> None:
    found = run(MONAI, "MONAI")
    epochs = found["epochs"]
    assert epochs[-1] < epochs[0] / 2
    truth = found["case"]["label"][0]
    sure = truth != 9
    assert np.mean(found["found"][sure] == truth[sure]) > 0.9
    for value in (2, 3):
        assert np.mean(found["found"][truth == value] == value) > 0.7
    assert head["tree"].leaves == found["tree"].leaves


def test_the_numbers_are_those_of_the_code() -> None:
    assert f"whole within {convention.WHOLE:g}, then rounded" in PAGE
    assert f"Up to {convention.TOLERANCE:g}" in PAGE
