"""A study's findings as a few Markdown tables that can be pasted into a document."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from softseg.files import write_beside
from softseg.studies.findings.sizes import SizeGain
from softseg.studies.findings.summary import Findings, VariantComparison
from softseg.studies.plan.study import Study
from softseg.studies.report.overview import MeanCell, ScoreColumn, amount, differences, leaf_columns, mean_table, signed


def write_markdown(study: Study, found: Findings, missing: int, path: Path, command: Sequence[str]) -> None:
    """Write ``report.md``: means with intervals, differences, parts of the people, sizes.

    Raises
    ------
    InputError: it cannot be written.
    """
    lines = [f"### {study.spec.name}", ""]
    if study.smoke:
        lines += ["A smoke run: the study made tiny. Its numbers mean nothing.", ""]
    if study.spec.explanation:
        lines += [study.spec.explanation.strip(), ""]
    densities = list(dict.fromkeys(row.density for row in found.results))
    for density in densities:
        lines += [f"#### Annotation: {density}", ""] if len(densities) > 1 else []
        lines += _density(study, found, density)
    lines += [_origin(study, found, missing, command), ""]
    with write_beside(path) as temporary:
        temporary.write_text("\n".join(lines), encoding="utf-8")


def _density(study: Study, found: Findings, density: str) -> list[str]:
    columns = leaf_columns(study, found, density)
    if not columns:
        return []
    lines = [*_means(study, found, density, columns, ""), ""]
    compared = differences(found, density, columns)
    if compared:
        lines += [*_differences(study, compared, columns), ""]
    for name in study.spec.subgroups:
        own = leaf_columns(study, found, density, name)
        if own:
            lines += [f"**{name}**", "", *_means(study, found, density, own, name), ""]
            part = differences(found, density, own, name)
            lines += [*_differences(study, part, own), ""] if part else []
    gains = [gain for gain in found.sizes if gain.density == density]
    return lines + ([*_sizes(study, gains), ""] if gains else [])


def _means(study: Study, found: Findings, density: str, columns: Sequence[ScoreColumn], subgroup: str) -> list[str]:
    head = ["Variant", *(column.name for column in columns)]
    rows = []
    for variant, cells in mean_table(found, density, columns, subgroup):
        name = f"{variant} (baseline)" if variant == study.baseline else variant
        rows.append([name, *(_cell(cell) for cell in cells)])
    return _table(head, rows)


def _differences(study: Study, compared: Sequence[VariantComparison], columns: Sequence[ScoreColumn]) -> list[str]:
    head = [f"Against {study.baseline}", "Variant", "Difference (95 % interval)", "p", "p (Holm)", "Win / tie / loss"]
    names = {(column.metric, column.level): column.name for column in columns}
    rows = []
    for row in compared:
        pair = row.paired
        gap = f"{signed(pair.difference)}{_interval(pair.low, pair.high, signed)}"
        counts = f"{pair.wins} / {pair.ties} / {pair.losses}"
        name = names[row.key.metric, row.key.level]
        rows.append([name, row.variant, gap, amount(pair.p), amount(row.p_holm), counts])
    return _table(head, rows)


def _sizes(study: Study, gains: Sequence[SizeGain]) -> list[str]:
    groups = list(dict.fromkeys(gain.group for gain in gains))
    head = [f"Dice gained over {study.baseline}"]
    head += [f"{g.name} ({amount(g.low_ml)} to {amount(g.high_ml)} ml, {len(g.nodes)} structures)" for g in groups]
    rows = []
    for variant in dict.fromkeys(gain.variant for gain in gains):
        own = {gain.group: gain.paired for gain in gains if gain.variant == variant}
        cells = [own.get(group) for group in groups]
        texts = [f"{signed(p.difference)}{_interval(p.low, p.high, signed)}" if p else "" for p in cells]
        rows.append([variant, *texts])
    return _table(head, rows)


def _origin(study: Study, found: Findings, missing: int, command: Sequence[str]) -> str:
    units = len({row.unit for row in found.results})
    blocks = study.spec.folds.by == "block"
    subjects = _count(units, "fold", "folds of one image") if blocks else _count(units, "person", "people")
    trainings = _count(len(found.jobs), "training", "trainings")
    folds = _count(len({row.fold for row in found.results}), "fold", "folds")
    seeds = _count(len(study.spec.seeds), "seed", "seeds")
    text = f"Means over {subjects} with 95 % bootstrap intervals; {trainings}, {folds}, {seeds}."
    if missing:
        text += f" {missing} trainings are not finished and take no part."
    return text + (f" `{shlex.join(command)}`" if command else "")


def _count(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _interval(low: float, high: float, form: Callable[[float], str] = amount) -> str:
    return f" ({form(low)} to {form(high)})" if math.isfinite(low) and math.isfinite(high) else ""


def _cell(cell: MeanCell) -> str:
    mean = f"**{amount(cell.value)}**" if cell.best else amount(cell.value)
    return mean + _interval(cell.low, cell.high)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
