"""The model card: what a person must know before using a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from softseg.data.plan import Plan
from softseg.needs import Needs
from softseg.network.heads import Head
from softseg.tree import LabelTree

_UNKNOWN = "not stated"


def model_card(plan: Plan, tree: LabelTree, head: Head, details: Mapping[str, Any], needs: Needs | None = None) -> str:
    """Return the card (Markdown).

    ``details`` may hold name, description, data_source, licence, citation, training (text), command, scores (number by
    name), intended_use, limitations; missing fields are marked as missing. ``needs``: the model that masks its scans.
    """
    lines = [
        f"# {details.get('name', tree.name)}",
        "",
        str(details.get("description", _UNKNOWN)),
        "",
        "| | |",
        "|---|---|",
        f"| Input | {', '.join(plan.channels)} |",
        *([] if needs is None else [f"| Scans | {needs.sentence} |"]),
        f"| Output | probabilities of {len(tree.leaves)} leaves of the label tree {tree.name!r}, {tree.depth} levels |",
        f"| Works at | {_spacing(plan)}, patches of {' x '.join(map(str, plan.patch_size))} voxels |",
        f"| Network | {plan.network.name}, head {head.name} |",
        f"| Data | {details.get('data_source', _UNKNOWN)} |",
        f"| Licence of the weights | {details.get('licence', _UNKNOWN)} |",
        f"| Cite | {details.get('citation', _UNKNOWN)} |",
        "",
        "## Use",
        "",
        "```",
        "softseg predict MODEL IMAGE --out DIR",
        "python -m monai.bundle run --config_file configs/inference.json --bundle_root . --dataset_dir IMAGES",
        "```",
        "",
        str(details.get("intended_use", "For research. Not a medical device; not for clinical decisions.")),
        "",
        "## Training",
        "",
        str(details.get("training", "The recipe is in `recipe.yaml`, the plan in `configs/metadata.json`.")),
        "",
    ]
    if details.get("command"):
        lines += ["```", str(details["command"]), "```", ""]
    lines += [*_origin(details), "## Scores", ""]
    scores = details.get("scores") or {}
    if scores:
        lines += ["| score | value |", "|---|---|"]
        lines += [f"| {name} | {_number(value)} |" for name, value in scores.items()]
    else:
        lines.append(_UNKNOWN)
    return "\n".join([*lines, "", "## Limits", "", str(details.get("limitations", _UNKNOWN)), ""])


def _origin(details: Mapping[str, Any]) -> list[str]:
    """Return what it was fine-tuned from and on which corrections; nothing for other models."""
    origin, corrections = details.get("fine_tuned_from"), details.get("corrections") or []
    if not origin:
        return []
    lines = ["## Fine-tuned", "", f"From {origin.get('name')} ({origin.get('digest', 'an ensemble')}).", ""]
    if corrections:
        lines += ["| case | node | voxels | author | time | correction |", "|---|---|---|---|---|---|"]
    for one in corrections:
        node = one["node"] if one["is_node"] else f"not {one['node']}"
        author = one["author"] or _UNKNOWN
        lines.append(f"| {one['case']} | {node} | {one['voxels']} | {author} | {one['time']} | {one['id']} |")
    return [*lines, ""] if corrections else lines


def _spacing(plan: Plan) -> str:
    parts = ["own" if value is None else f"{value:g}" for value in plan.spacing]
    return f"{' x '.join(parts)} mm (k, j, i)"


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value)
