"""Which licences of weights have to be agreed to."""

from __future__ import annotations

import pytest

from softseg.prediction.licences import is_permissive
from softseg.prediction.model_summary import ModelSummary


@pytest.mark.parametrize(
    "licence",
    ["", "Apache-2.0", "Apache-2.0 (the data is CC BY-NC)", "MIT", "BSD-3-Clause", "CC0", "CC BY 4.0", "CC-BY-4.0"],
)
def test_these_ask_for_nothing_but_a_name(licence: str) -> None:
    assert is_permissive(licence)


@pytest.mark.parametrize(
    "licence",
    [
        "CC BY-NC",
        "CC-BY-NC-SA-4.0",
        "CC BY-SA 4.0",
        "CC BY-ND",
        "GPL-3.0",
        "LGPL",
        "for academic use",
        "ask the author",
    ],
)
def test_these_have_to_be_agreed_to(licence: str) -> None:
    assert not is_permissive(licence)


def test_the_shipped_weights() -> None:
    assert not is_permissive(ModelSummary.load("brain-134").licence)
    assert is_permissive(ModelSummary.load("cord-gm-soft").licence)
