"""The end of a training: the best network as a model folder."""

from __future__ import annotations

from pathlib import Path

from softseg.data import CaseStore
from softseg.events import Events
from softseg.network import ModelFolder, read_weights
from softseg.training.run import Run


def save_model(run: Run, store: CaseStore, events: Events) -> Path:
    """Write ``model/`` from the best network, or the last one where nothing was validated, and return it."""
    network = run.judged
    if run.best is not None:
        network.load_state_dict(read_weights(run.best_path, run.device)["network"])
    metadata = {
        "name": f"{store.dataset.name} {run.recipe.name}",
        "description": f"Trained on {store.dataset.name} with the recipe {run.recipe.name}.",
        "data_source": store.dataset.name,
        "steps": run.step,
        "best_step": run.best_step or run.step,
        "scores": run.curve.scores.get(run.best_step, {}),
        "seed": run.seed,
        "minutes": round(run.elapsed / 60, 1),
    }
    path = ModelFolder.save(run.folder / "model", network, run.plan, run.tree, run.recipe.to_yaml(), metadata)
    events.result("model", path)
    return path
