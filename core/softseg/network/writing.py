"""Writing a model folder; see :mod:`softseg.network.model_folder`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

import softseg
from softseg.data.plan import Plan
from softseg.files import write_folder_beside
from softseg.needs import Needs
from softseg.network.bundle import inference_config
from softseg.network.bundle_metadata import metadata_config
from softseg.network.folder_files import FORMAT_VERSION, OPTIONAL, write_json
from softseg.network.heads import Head
from softseg.network.model_card import model_card
from softseg.network.states import state_of
from softseg.network.weights import write_weights
from softseg.tree import LabelTree


def write_model(
    folder: Path,
    network: nn.Module,
    plan: Plan,
    tree: LabelTree,
    recipe: str,
    details: dict[str, Any],
    head: Head,
    half: bool,
) -> Path:
    """Write a model folder; see :meth:`softseg.network.ModelFolder.save`."""
    needs = Needs.from_json(details.pop("needs", None), folder)
    own = {
        "format_version": FORMAT_VERSION,
        "software_version": softseg.__version__,
        "head": {"name": head.name, "classes": head.classes, "background": head.background},
        "plan": plan.model_dump(mode="json"),
        "details": details,
        **({} if needs is None else {"needs": needs.to_json()}),
    }
    with write_folder_beside(folder, stale=OPTIONAL) as temporary:  # these were fitted to another network
        (temporary / "configs").mkdir()
        (temporary / "models").mkdir()
        write_json(temporary / "configs" / "metadata.json", metadata_config(plan, tree, head, details, own))
        write_json(temporary / "configs" / "inference.json", inference_config(plan, tree, head))
        write_weights(state_of(network, half), temporary / "models" / "model.pt")
        tree.save(temporary / "tree.json")
        (temporary / "recipe.yaml").write_text(recipe, encoding="utf-8")
        (temporary / "README.md").write_text(model_card(plan, tree, head, details, needs), encoding="utf-8")
    return folder
