"""The examples (``>>>``) in the docstrings of the public API give what they show."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = (
    "softseg.geometry",
    "softseg.losses.adaptive_wing",
    "softseg.losses.compound",
    "softseg.losses.cross_entropy",
    "softseg.losses.dice",
    "softseg.losses.tree_wasserstein",
    "softseg.prediction.in_memory",
    "softseg.soft.parcellation",
    "softseg.tree.base",
    "softseg.tree.edits",
    "softseg.tree.labeltree",
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_a_module_give_what_they_show(name: str) -> None:
    module = importlib.import_module(name)
    examples = [each for each in doctest.DocTestFinder().find(module) if each.examples]
    assert examples, f"{name} has no example"
    report: list[str] = []
    runner = doctest.DocTestRunner()
    for example in examples:
        runner.run(example, out=report.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(report)
