"""The result of a training: the best network so far as a model folder."""

from __future__ import annotations

from pathlib import Path

from softseg.network import ModelFolder, load_state, read_weights
from softseg.training.run import Run


def save_model(run: Run, dataset_name: str) -> Path:
    """Write the evaluated network, as it is now, to ``model/`` and return that folder."""
    metadata = {
        "name": f"{dataset_name}, {run.recipe.name}",
        "description": f"Trained on {dataset_name} with the recipe {run.recipe.name}.",
        "data_source": dataset_name,
        "training": f"{run.step} steps, {run.seconds / 60:.0f} minutes on {run.device.type}, seed {run.seed}; "
        "scores are those of the validation cases on the plan's grid.",
        "scores": run.curve.scores.get(run.step, {}),
        **run.details,
    }
    folder = run.folder / "model"
    recipe = run.recipe.to_yaml()
    return ModelFolder.save(folder, run.judged, run.plan, run.tree, recipe, metadata, head=run.head)


def finished_model(run: Run, dataset_name: str) -> Path:
    """Return ``model/``, written again from ``checkpoints/best.pt`` if the run was killed while writing it."""
    folder = run.folder / "model"
    if not folder.is_dir():
        if run.best_path.is_file():
            load_state(run.judged, read_weights(run.best_path, run.device).get("network"), run.best_path)
        save_model(run, dataset_name)
    return folder
