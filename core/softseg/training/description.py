"""What a training is about to do, in lines for its log."""

from __future__ import annotations

from typing import Any

from softseg.training.run import Run


def describe(run: Run, training_cases: list[str], validation_cases: list[str]) -> list[str]:
    """Return, line by line, what the recipe set and which of it is ours rather than a paper's."""
    recipe, plan, spec = run.recipe, run.plan, run.recipe.optimizer
    weights = sum(weight.numel() for weight in run.network.parameters())
    budget = f"{recipe.steps} steps" + (f" or {recipe.minutes:g} minutes" if recipe.minutes else "")
    several = f", {run.ranks.size} processes share them" if run.ranks.several else ""
    lines = [
        f"recipe {recipe.name}: {recipe.targets} targets, head {recipe.head.name}"
        + (f" (scope {recipe.head.scope})" if recipe.head.name == "normrelu" else "")
        + f", raters {recipe.raters}"
        + (", sparse: only labelled voxels count, patches lie around them" if recipe.sparse else ""),
        "losses: " + " + ".join(_loss_text(loss) for loss in recipe.losses),
        f"optimizer {spec.name}, learning rate {spec.learning_rate:g} ({spec.schedule}, warm-up {spec.warmup:g}), "
        f"weight decay {spec.weight_decay:g}, gradient clip {spec.gradient_clip} (our defaults, not a paper's)",
        f"network {plan.network.name}, {weights / 1e6:.1f} million weights, {run.head.classes} leaves, "
        f"{run.head.out_channels} output channels, computing in {run.precision} on {run.device}",
        f"{plan.batch_size} patches of {' x '.join(map(str, plan.patch_size))} voxels a step{several}, {budget}, "
        f"mean of weights {recipe.average or 'off'}",
        f"{len(training_cases)} training cases, {len(validation_cases)} validation cases"
        + ("" if validation_cases else ": the last network is saved, there is no early stop"),
    ]
    if recipe.minutes is not None:
        lines.append("a time budget makes the schedule depend on the speed of this computer: not repeatable")
    return lines


def _loss_text(loss: dict[str, Any]) -> str:
    options = ", ".join(f"{key} {value}" for key, value in loss.items() if key != "name")
    return f"{loss.get('name')} ({options})" if options else str(loss.get("name"))
