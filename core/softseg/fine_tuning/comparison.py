"""Before and after a fine-tuning, on cases that it did not learn from: the same scans, predicted by both models."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from softseg.data.corrected import corrected_nodes, require_tree
from softseg.errors import InputError
from softseg.evaluation.measure import measure
from softseg.evaluation.probabilities import ParcellationProbabilities
from softseg.evaluation.rows import TreeRows
from softseg.evaluation.sources import read_reference, require_same_grid
from softseg.events import Events
from softseg.files import write_together
from softseg.prediction.case import predict_case
from softseg.requests.predict import NO_MASK
from softseg.soft.parcellation import SoftParcellation
from softseg.studies.findings.statistics import bootstrap_interval
from softseg.system import resolve_device

if TYPE_CHECKING:
    from softseg.data import Case, Dataset
    from softseg.network import Model

JSON_FILE, TEXT_FILE = "comparison.json", "comparison.md"

AGREEMENT = "agreement"
"""Of the voxels corrected to a node, the fraction labelled with this node at its level."""


@dataclass(frozen=True)
class CaseScores:
    """One case before and after.

    Attributes
    ----------
    case, group, split: of the dataset.
    corrected: whether its labels are a corrected result: then it is evaluated in the corrected voxels alone.
    before, after: scores by name: ``dice/level N``, ``soft_dice/level N``, ``.../leaves``, or :data:`AGREEMENT`.
    """

    case: str
    group: str
    split: str
    corrected: bool
    before: Mapping[str, float]
    after: Mapping[str, float]


@dataclass(frozen=True)
class ScoreChange:
    """A score over the people.

    Attributes
    ----------
    people: how many.
    before, after: means over people (of a person's scans first).
    difference: of these.
    low, high: bootstrap interval of the difference, 95 %; None with fewer than two people.
    """

    people: int
    before: float
    after: float
    difference: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class ModelComparison:
    """What became of a model.

    Attributes
    ----------
    old, new: names of the models.
    held_out: whether the cases were not learned from; else there were none, and the corrected ones stand in for them.
    cases: one by one.
    """

    old: str
    new: str
    held_out: bool
    cases: tuple[CaseScores, ...]

    @property
    def changes(self) -> dict[str, ScoreChange]:
        """The change of every score, over the people who have it."""
        names = dict.fromkeys(name for case in self.cases for name in case.before)
        return {name: self._change(name) for name in names}

    def _change(self, name: str) -> ScoreChange:
        people: dict[str, list[tuple[float, float]]] = {}
        for case in self.cases:
            if name in case.before and name in case.after:
                people.setdefault(case.group, []).append((case.before[name], case.after[name]))
        means = np.array([np.mean(pairs, axis=0) for pairs in people.values()])
        before, after = (float(value) for value in means.mean(axis=0))
        low, high = bootstrap_interval(means[:, 1] - means[:, 0])
        several = len(people) > 1
        return ScoreChange(
            len(people), before, after, after - before, low if several else None, high if several else None
        )

    def to_json(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "format_version": 1,
            "old": self.old,
            "new": self.new,
            "held_out": self.held_out,
            "scores": {name: asdict(change) for name, change in self.changes.items()},
            "cases": [asdict(case) for case in self.cases],
        }

    def to_markdown(self) -> str:
        """Return the tables for people."""
        lines = [f"# {self.new}: before and after", "", f"Before: {self.old}.", ""]
        if self.held_out:
            lines += ["Cases that it did not learn from; those of the split val chose the best step.", ""]
        else:
            lines += ["No case was held out: these are the cases that it learned from. Whether it got better", ""]
            lines[-2] += " on others is not known."
        if any(case.corrected for case in self.cases):
            lines += [f"`{AGREEMENT}`: of the corrected voxels, the part with the answer that was given there.", ""]
        lines += ["| score | people | before | after | change | 95 % interval |", "|---|---|---|---|---|---|"]
        for name, one in self.changes.items():
            interval = "" if one.low is None else f"{one.low:+.4f} to {one.high:+.4f}"
            lines.append(
                f"| {name} | {one.people} | {one.before:.4f} | {one.after:.4f} | {one.difference:+.4f} | {interval} |"
            )
        lines += ["", "| case | split | score | before | after |", "|---|---|---|---|---|"]
        for case in self.cases:
            for name in [name for name in case.before if name.endswith("/leaves") or name == AGREEMENT]:
                after = case.after.get(name, float("nan"))
                lines.append(f"| {case.case} | {case.split} | {name} | {case.before[name]:.4f} | {after:.4f} |")
        return "\n".join([*lines, ""])


def compare_models(
    old: Sequence[Model], new: Sequence[Model], dataset: Dataset, out: Path, *, device: str, events: Events
) -> ModelComparison | None:
    """Predict the held-out cases with both models, score them, and write ``comparison.json`` and ``comparison.md``.

    Parameters
    ----------
    old, new: the networks of each.
    dataset: its splits test and val are held out; without any, the corrected results that were learned from stand in.
    out: folder of the two files.
    device: where the networks run.
    events: progress; cancelling between windows.

    Returns
    -------
    None where there is no case to evaluate.

    Raises
    ------
    InputError: a case cannot be read.
    """
    held_out = tuple(case for case in dataset.split("test", "val") if case.images)
    cases = held_out or tuple(case for case in dataset.split("train") if case.corrected is not None)
    if not held_out:
        events.warning(
            "no case is held out (split test or val): whether the model got better on other people is not known"
        )
    if not cases:
        return None
    events.stage("compare", len(cases))
    quiet = Events(cancel=events.cancel)
    where = resolve_device(device, quiet)
    rows, found = TreeRows.of(dataset.tree), []
    for done, case in enumerate(cases):
        images = [case.images[channel] for channel in dataset.channels]
        scores = []
        for models in (old, new):
            others = models[1:]
            predicted = predict_case(
                models[0], images, device=where, events=quiet, others=others, mask=NO_MASK
            ).parcellation
            scores.append(_scores(predicted, case, dataset, rows, events))
        found.append(CaseScores(case.id, case.group, case.split, case.corrected is not None, *scores))
        events.progress(done + 1, len(cases))
    comparison = ModelComparison(_name(old), _name(new), bool(held_out), tuple(found))
    with write_together(out / JSON_FILE) as place:
        (place / JSON_FILE).write_text(json.dumps(comparison.to_json(), indent=2) + "\n", encoding="utf-8")
        (place / TEXT_FILE).write_text(comparison.to_markdown(), encoding="utf-8")
    for name, one in comparison.changes.items():
        if name.endswith("/leaves") or name == AGREEMENT:
            events.log(f"{name}: {one.before:.4f} before, {one.after:.4f} after ({one.people} people)")
    events.result("comparison", out / JSON_FILE)
    return comparison


def _name(models: Sequence[Model]) -> str:
    return models[0].ensemble.name if models[0].ensemble else " + ".join(model.name for model in models)


def _scores(
    predicted: SoftParcellation, case: Case, dataset: Dataset, rows: TreeRows, events: Events
) -> dict[str, float]:
    if case.corrected is not None:
        return agreement(predicted, SoftParcellation.load(case.corrected), case.corrected)

    def warn(text: str) -> None:
        events.warning(f"case {case.id}: {text}")

    tree, file = dataset.tree, next(path for field, path in case.files() if field.startswith("labels"))
    reference = read_reference(case.labels, tree, warn, case.mask, unlabelled=case.unlabelled, grid=predicted.geometry)
    require_same_grid(predicted.geometry, case.images[dataset.channels[0]], reference)
    probabilities = ParcellationProbabilities(predicted, tree, file)
    measured = measure(probabilities, reference.probabilities, rows, Events(cancel=events.cancel), tolerance_mm=None)
    scores: dict[str, float] = {}
    names = [*(f"level {number}" for number in range(1, len(measured.levels) + 1)), "leaves"]
    for name, level in zip(names, [*measured.levels, measured.levels[-1]], strict=True):
        for metric, values in (("dice", level.overlap.dice), ("soft_dice", level.overlap.soft_dice)):
            judged = np.isfinite(values) & (level.rows != rows.background)
            if judged.any():
                scores[f"{metric}/{name}"] = float(values[judged].mean())
    return scores


def agreement(predicted: SoftParcellation, corrected: SoftParcellation, file: Path) -> dict[str, float]:
    """Return the fraction of the voxels corrected to a node that are labelled with this node at its level.

    Raises
    ------
    InputError: the two are of different trees or grids.
    """
    tree = predicted.tree
    require_tree(corrected.tree, tree, file)
    if predicted.geometry.shape != corrected.geometry.shape:
        raise InputError("lies on another grid than its scan", file=file, field="labels")
    nodes = corrected_nodes(corrected)
    right, total = 0, 0
    for index in np.unique(nodes[nodes >= 0]):
        node = tree.class_nodes[int(index)]
        cut = tree.cut_at(tree.depth_of(node.id))
        here = nodes == index
        right += int((predicted.labels(cut)[here] == tree.node_values()[node.id]).sum())
        total += int(here.sum())
    return {AGREEMENT: right / total} if total else {}
