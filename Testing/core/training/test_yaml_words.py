"""YAML's old truth values stay words, so that the option ``on`` of a loss can be written as people write it."""

from __future__ import annotations

import pytest
import yaml

from softseg.training.recipe import Recipe, recipe_names
from softseg.yaml_text import load_yaml


def test_words_are_no_truth_values():
    values = load_yaml("{on: off, yes: no, n: y, a: true, b: False}")
    assert values == {"on": "off", "yes": "no", "n": "y", "a": True, "b": False}


def test_everything_else_is_read_as_before():
    for name in recipe_names():
        text = Recipe.load(name).to_yaml()
        assert load_yaml(text) == yaml.safe_load(text)


def test_a_recipe_may_say_on_what_dice_works(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("{name: a, explanation: b, losses: [{name: dice, on: probabilities}]}")
    recipe = Recipe.load(file)
    assert recipe.losses == [{"name": "dice", "on": "probabilities"}]
    assert Recipe.from_dict(load_yaml(recipe.to_yaml())) == recipe
    changed = Recipe.load("softseg", ["losses=[{name: dice, on: probabilities}]", "sparse=yes"])
    assert changed.losses == [{"name": "dice", "on": "probabilities"}]
    assert changed.sparse is True


def test_nothing_but_plain_values_is_made():
    with pytest.raises(yaml.YAMLError):
        load_yaml("!!python/object/apply:os.getcwd []")
