"""Trainings from label maps, alone and beside scans."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from softseg.data import Dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.fine_tuning import fine_tune
from softseg.image import Geometry, Image, write_image
from softseg.network import ModelFolder
from softseg.resources import label_tree_path
from softseg.synthesis.fluid import closed, split_fluid
from softseg.training import train
from softseg.training.draws import draw_page
from softseg.training.recipe import Recipe
from softseg.training.samplers import MixedSampler
from softseg.tree import LabelTree

SIDE = 24


def dataset(folder: Path, images: bool = False, bare: bool = True) -> Dataset:
    """Two maps of a ball of two halves in a ball of skin, and one scan of it where asked for."""
    grid = np.indices((SIDE,) * 3) - (SIDE - 1) / 2
    radius = np.sqrt((grid**2).sum(axis=0))
    labels = np.where(radius < 10, 3, 0)
    labels[radius < 7] = np.where(grid[2] > 0, 1, 2)[radius < 7]
    geometry = Geometry((SIDE,) * 3, (2.0,) * 3, (0.0,) * 3, (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
    nodes = [
        {"id": "all", "name": "all", "parent": None},
        {"id": "background", "name": "background", "parent": "all", "value": 0},
        {"id": "left", "name": "left brain", "parent": "all", "value": 1},
        {"id": "right", "name": "right brain", "parent": "all", "value": 2},
        {"id": "skin", "name": "skin", "parent": "all", "value": 3},
    ]
    tree = {"schema": "softseg-label-tree", "version": 1, "name": "ball", "nodes": nodes}
    (folder / "tree.json").write_text(json.dumps(tree))
    taught = tree | {"name": "taught", "nodes": nodes[:-1]}
    (folder / "taught.json").write_text(json.dumps(taught))
    write_image(Image(labels.astype(np.uint8), geometry), folder / "map.nii.gz")
    cases: list[dict[str, Any]] = []
    if bare:
        cases += [{"id": f"m{n}", "group": f"m{n}", "split": "train", "labels": "map.nii.gz"} for n in (1, 2)]
    if images:
        noise = np.random.default_rng(0).normal(0, 0.1, labels.shape)
        write_image(Image((labels + noise).astype(np.float32), geometry), folder / "scan.nii.gz")
        write_image(Image(np.where(labels == 3, 0, labels).astype(np.uint8), geometry), folder / "scan-labels.nii.gz")
        for name, split in (("s", "train"), ("v", "val")):
            entry = {"id": name, "group": name, "split": split, "images": {"image": "scan.nii.gz"}}
            cases.append(entry | {"labels": "scan-labels.nii.gz"})
    content = {"name": "balls", "channels": ["image"], "tree": "tree.json", "cases": cases}
    (folder / "DATA.json").write_text(json.dumps(content))
    return Dataset.load(folder / "DATA.json")


def recipe(folder: Path, **synthetic: Any) -> Recipe:
    values = {
        "name": "tiny",
        "explanation": "for a test",
        "losses": [{"name": "cross-entropy", "weight": 1.0}],
        "steps": 4,
        "batch_size": 1,
        "synthetic": {"learn": str(folder / "taught.json"), **synthetic},
        "plan": {
            "spacing": [2.0, 2.0, 2.0],
            "patch_size": [16, 16, 16],
            "network": {"name": "UNet", "options": {"channels": [4, 8], "num_res_units": 0}},
        },
    }
    return Recipe.from_dict(values)


def test_a_training_from_label_maps_alone_gives_a_model_of_the_learned_tree(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    model = train(data, recipe(tmp_path), tmp_path / "run", pictures=False)
    assert (model / "models" / "model.pt").is_file()
    tree = LabelTree.load(tmp_path / "run" / "tree.json")
    assert [leaf.id for leaf in tree.leaves] == ["background", "left", "right"]
    losses = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert sum(line.get("event") == "step" or "loss" in line for line in losses) == 4


def test_a_model_of_another_tree_than_its_label_maps_is_trained_further(tmp_path: Path) -> None:
    """It learns its own tree again from maps of the painted one; from scans alone it makes nothing up."""
    maps = dataset(tmp_path)
    model = train(maps, recipe(tmp_path), tmp_path / "run", pictures=False)
    (tmp_path / "taught.json").unlink()  # what is learned is known from the model alone
    new = fine_tune(maps, model, tmp_path / "further", sets=["steps=2"], device="cpu")
    found = ModelFolder.load(new)
    assert found.tree.nodes == ModelFolder.load(model).tree.nodes
    assert Recipe.load(str(new / "recipe.yaml")).synthetic is not None
    with pytest.raises(InputError, match=r"its label tree 'ball' is not 'taught'.*'skin'"):
        fine_tune(maps, model, tmp_path / "other", sets=["steps=2", "synthetic.learn=null"], device="cpu")
    scans = dataset(tmp_path, images=True, bare=False)
    content = json.loads(scans.path.read_text()) | {"tree": str(model / "tree.json")}
    scans.path.write_text(json.dumps(content))
    new = fine_tune(Dataset.load(scans.path), model, tmp_path / "scans", sets=["steps=2"], device="cpu")
    assert Recipe.load(str(new / "recipe.yaml")).synthetic is None
    assert json.loads((tmp_path / "scans" / "comparison.json").read_text())["held_out"]


def test_scans_and_label_maps_mix(tmp_path: Path) -> None:
    data = dataset(tmp_path, images=True)
    model = train(data, recipe(tmp_path, fraction=0.5), tmp_path / "run", pictures=False)
    assert (model / "models" / "model.pt").is_file()


def test_the_mixture_has_the_fraction_that_was_asked_for() -> None:
    class Never:
        def batch(self, step: int) -> Any: ...

        def batches(self, first_step: int = 0, prefetch: int = 2, workers: int = 1) -> Any: ...

    mixed = MixedSampler(Never(), Never(), 0.3, seed=1)
    made_up = [mixed.is_synthetic(step) for step in range(3000)]
    assert abs(np.mean(made_up) - 0.3) < 0.04


def test_labels_alone_are_refused_where_nothing_is_made_up(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    with pytest.raises(InputError, match="case 'm1' has labels and no image"):
        train(data, Recipe.load("ce-dice"), tmp_path / "run", pictures=False)


def test_a_fraction_of_scans_needs_scans(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no training case has an image"):
        train(dataset(tmp_path), recipe(tmp_path, fraction=0.5), tmp_path / "run", pictures=False)


def test_an_image_of_a_case_with_labels_alone_is_named_where_it_is_needed(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="case 'm1' has no image 'image'"):
        dataset(tmp_path).cases[0].images["image"]


def test_synthetic_true_stands_for_the_defaults() -> None:
    values = Recipe.load("ce-dice").model_dump()
    spec = Recipe.from_dict(values | {"synthetic": True}).synthetic
    assert spec is not None
    assert spec.fraction == 1
    assert Recipe.from_dict(values | {"synthetic": False}).synthetic is None


def test_a_page_of_draws_shows_them(tmp_path: Path) -> None:
    from PIL import Image as Picture

    recipe(tmp_path).save(tmp_path / "tiny.yaml")
    page = draw_page(dataset(tmp_path), str(tmp_path / "tiny.yaml"), tmp_path / "page.png", 5, 0, [], Events())
    with Picture.open(page) as picture:
        assert picture.width > 4 * 2 * 16
        assert picture.height > 2 * 16
        assert len(picture.convert("RGB").getcolors(100_000) or []) > 20


def test_a_page_of_a_recipe_that_makes_nothing_up_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="makes no images up"):
        draw_page(dataset(tmp_path), "ce-dice", tmp_path / "page.png", 5, 0, [], Events())


def test_the_shipped_trees_fit_each_other() -> None:
    from softseg.synthesis.learned import Learned

    painted, learned = (LabelTree.load(label_tree_path(name)) for name in ("head-tissues", "head-any"))
    match = Learned.of(painted, learned)
    names = {leaf.id: learned.leaves[match.row_of[n]].id for n, leaf in enumerate(painted.leaves)}
    assert names["lesion-left"] == "white-matter-left"
    assert names["choroid-plexus-right"] == "lateral-ventricle-right"
    assert {names[leaf] for leaf in ("skin", "outer-fluid", "cortical-bone", "spinal-cord")} == {"background"}
    for one, other in enumerate(match.swapped):
        assert learned.mirror_permutation()[match.row_of[one]] == match.row_of[other]


def test_closing_fills_a_groove_and_leaves_the_outside() -> None:
    brain = np.ones((20, 20, 20), bool)
    brain[:, :12, 9:11] = False
    space = np.pad(brain, 10)
    filled = closed(space, (1.0, 1.0, 1.0), 4.0)
    assert filled[20, 17, 19]  # deep in the groove
    assert not filled[20, 5, 19]
    assert (filled | ~space).all()


def test_fluid_away_from_the_brain_gets_a_value_of_its_own() -> None:
    labels = np.full((40, 40, 40), 24, np.int32)
    labels[15:25, 15:25, 15:25] = 3
    labels[:, :, 20][15:25, 15:22] = 24  # a groove of one voxel
    split = split_fluid(labels, (1.0, 1.0, 1.0), 4.0)
    assert split[20, 18, 20] == 24
    assert split[2, 2, 2] == 240
    assert (split[labels == 3] == 3).all()
    assert torch.tensor(split.astype(np.int64)).unique().tolist() == [3, 24, 240]
