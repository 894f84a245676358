from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from softseg.errors import InputError
from softseg.losses import build_loss
from softseg.training import Recipe, recipe_explanations, recipe_names
from softseg.tree import LabelTree, Node

NAMES = (
    "ce-dice",
    "head-any",
    "soft-tree",
    "softseg",
    "sparse",
    "tree-ce",
    "tree-wasserstein",
    "tree-wasserstein-dice",
)


def test_the_shipped_recipes_are_there_and_explained_to_people() -> None:
    assert recipe_names() == NAMES
    assert all(len(text) > 80 for text in recipe_explanations().values())


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_builds_its_loss_and_survives_a_round_trip(name: str, tmp_path: Path) -> None:
    recipe = Recipe.load(name)
    nodes = [Node(id="r", name="r", parent=None)] + [
        Node(id=c, name=c, parent="r", value=n) for n, c in enumerate("abc")
    ]
    loss = build_loss(recipe.losses, LabelTree(nodes))
    assert loss.on == ("probabilities" if recipe.head.name == "normrelu" else "logits")
    assert Recipe.load(recipe.save(tmp_path / "recipe.yaml")) == recipe


def test_softseg_sets_its_three_switches_together() -> None:
    recipe = Recipe.load("softseg")
    assert (recipe.head.name, recipe.targets, [loss["name"] for loss in recipe.losses]) == (
        "normrelu",
        "soft",
        ["adaptive-wing"],
    )


def test_an_old_key_is_read_as_its_new_name(tmp_path: Path) -> None:
    assert Recipe.load("softseg", ["corrected_share=0.25"]).corrected_fraction == 0.25
    file = Recipe.load("softseg").save(tmp_path / "recipe.yaml")
    file.write_text(file.read_text().replace("corrected_fraction: 0.5", "corrected_share: 0.75"))
    assert Recipe.load(file).corrected_fraction == 0.75
    assert "corrected_share" not in Recipe.load(file).to_yaml()


def test_sets_change_single_values() -> None:
    changes = [
        "optimizer.learning_rate=1e-4",
        "losses.0.weight=2",
        "minutes=90",
        "sparse=true",
        "head=softmax",
        "plan.network.options.filters=[8, 16]",
        "augmentation.noise=0.5",
        "validation.patience=3",
    ]
    recipe = Recipe.load("soft-tree", changes)
    assert recipe.optimizer.learning_rate == 1e-4
    assert recipe.losses[0]["weight"] == 2
    assert (recipe.minutes, recipe.sparse, recipe.head.name) == (90, True, "softmax")
    assert recipe.plan == {"network.options.filters": [8, 16]}
    assert recipe.augmentation == {"noise": 0.5}
    assert recipe.validation.patience == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("optimizer.lr=1", r"softseg: optimizer.lr: unknown recipe key; the keys here are name, learning_rate"),
        ("stps=3", r"softseg: stps: unknown recipe key; the keys here are name, explanation"),
        ("steps=many", r"steps: .*valid integer.*got 'many'"),
        ("steps=0", r"steps: .*greater than or equal to 1"),
        ("losses.4.weight=1", r"--set losses.4.weight: expected a position 0..0, got '4'"),
        ("steps.more=1", r"--set steps.more: 'steps' has no keys below it"),
        ("steps", r"--set: expected key=value, got 'steps'"),
        ("steps=[", r"--set steps: the value is not YAML"),
        ("targets=hard", r"targets: .*'soft' or 'crisp'"),
        ("validation.metric=dice/leafs", r"validation.metric: expected dice or soft_dice, then /leaves or /level N"),
        ("validation.metric=Dice/leaves", r"softseg: validation.metric: .*, got 'Dice/leaves'"),
        ("validation.metric=dice/level 0", r"validation.metric: expected dice or soft_dice"),
        ("validation.metric=dice", r"validation.metric: expected dice or soft_dice"),
        ("validation.metric=f1/leaves", r"validation.metric: .* \(f1 is for recipes with sparse: true\), got"),
        ("validation.metric=3", r"validation.metric: .*valid string, got 3"),
    ],
)
def test_wrong_changes_are_named(change: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Recipe.load("softseg", [change])


@pytest.mark.parametrize("metric", ["dice/leaves", "soft_dice/level 3", "dice/level 12"])
def test_scores_that_there_may_be_are_taken(metric: str) -> None:
    recipe = Recipe.load("tree-ce", [f"validation.metric={metric}"])
    assert (recipe.validation.metric, Recipe.from_dict(recipe.model_dump())) == (metric, recipe)
    sparse = Recipe.load("sparse", ["validation.metric=accuracy/level 2"])
    assert sparse.validation.metric == "accuracy/level 2"
    with pytest.raises(InputError, match=r"validation.metric: expected dice, soft_dice, accuracy or f1, then"):
        Recipe.load("sparse", ["validation.metric=f2/leaves"])


def test_a_misspelt_score_in_a_file_names_file_and_field(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(Recipe.load("tree-ce").to_yaml().replace("dice/leaves", "dices/leaves"))
    with pytest.raises(InputError, match=r"mine.yaml: validation.metric: expected .*, got 'dices/leaves'") as caught:
        Recipe.load(file)
    assert caught.value.field == "validation.metric"


def test_a_file_with_an_unknown_key_is_named_with_the_key(tmp_path: Path) -> None:
    values = yaml.safe_load(Recipe.load("tree-ce").to_yaml()) | {"colour": "blue"}
    file = tmp_path / "mine.yaml"
    file.write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match=r"mine.yaml: colour: unknown recipe key"):
        Recipe.load(file)


def test_files_that_are_no_recipes(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"recipe: no recipe or file 'nonsense'; the recipes are ce-dice, head-any"):
        Recipe.load("nonsense")
    file = tmp_path / "list.yaml"
    file.write_text("- 1\n")
    with pytest.raises(InputError, match=r"list.yaml: expected a YAML mapping"):
        Recipe.load(file)
    file.write_text("a: [")
    with pytest.raises(InputError, match=r"list.yaml: is not YAML"):
        Recipe.load(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"list.yaml: line 1: not UTF-16 text"):
        Recipe.load(file)
