"""Training on a few scribbles: the mask says what was painted, and nothing else may matter."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from softseg.data import Dataset
from softseg.image import Image, read_image, write_image
from softseg.training import Recipe, train


def painted(ball_data: Path, folder: Path, unpainted: int) -> Dataset:
    """The balls with labels in a few slices only, and the value ``unpainted`` everywhere else."""
    content = json.loads(ball_data.read_text())
    for number, case in enumerate(content["cases"]):
        labels = read_image(ball_data.parent / case["labels"])
        mask = np.zeros(labels.array.shape, np.uint8)
        mask[10:14, 8:16] = 1
        names = f"{number}-strokes.nii.gz", f"{number}-painted.nii.gz"
        scribbles = np.where(mask, labels.array, unpainted).astype(np.uint8)
        write_image(Image(scribbles, labels.geometry), folder / names[0])
        write_image(Image(mask, labels.geometry), folder / names[1])
        case["labels"], case["mask"] = names
        case["images"] = {name: str(ball_data.parent / file) for name, file in case["images"].items()}
    content["tree"] = str(ball_data.parent / "tree.json")
    (folder / "DATA.json").write_text(json.dumps(content))
    return Dataset.load(folder / "DATA.json")


def test_only_what_was_painted_is_learned_from_and_judged(
    precision: str, ball_data: Path, tiny: list[str], tmp_path: Path
) -> None:
    changes = [*tiny, "steps=4", f"plan.precision={precision}"]
    logs = []
    for unpainted in (0, 2):
        folder = tmp_path / str(unpainted)
        folder.mkdir()
        dataset = painted(ball_data, folder, unpainted)
        train(dataset, Recipe.load("soft-tree", changes), folder / "run", seed=1)
        lines = [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]
        logs.append([{key: value for key, value in line.items() if key != "seconds"} for line in lines])
    assert logs[0] == logs[1]
    assert any(line["event"] == "validation" for line in logs[0])
