"""Every study of the repository, made tiny by its own key ``smoke``, with real data from file to report."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from softseg.cli import run
from softseg.data import Dataset
from softseg.errors import InputError
from softseg.events import Events
from softseg.studies import Study
from softseg.studies.plan.jobs import study_dataset
from softseg.studies.plan.smoke import MARK, lay_over
from softseg.studies.work.tables import read_results

STUDIES = sorted((Path(__file__).resolve().parents[2] / "studies").glob("*.yaml"))
StudyFile = Callable[..., Path]


@pytest.fixture(params=STUDIES, ids=lambda file: file.stem)
def shipped(request: pytest.FixtureRequest) -> Path:
    file: Path = request.param
    data = Study.load(file).data
    try:
        Dataset.load(data)
    except InputError as error:
        pytest.skip(f"its data is not here: {error}")
    return file


def test_a_shipped_study_runs_to_its_report(shipped: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert run(["study", str(shipped), "--out", str(out), "--smoke", "--device", "cpu", "--quiet"]) == 0
    study = Study.load(shipped, smoke=True)
    names = {variant.name for variant in study.variants}
    results = read_results(out / "results.csv")
    assert {row.variant for row in results} >= names
    metric = "dice" if study.spec.kind == "compare" else "auroc"
    assert any(row.metric == metric for row in results)
    if len(names) > 1:
        with (out / "statistics.csv").open(newline="", encoding="utf-8") as stream:
            assert {row["variant"] for row in csv.DictReader(stream)} >= names - {study.baseline}
    tables = [out / name for name in ("means.csv", "statistics.csv", "sizes.csv", "results.csv")]
    assert all(table.stat().st_size > 20 for table in tables if table.exists()), "no table without rows"
    page = (out / "report.html").read_text(encoding="utf-8")
    assert all(text in page for text in (*names, "A smoke run", 'alt="Learning curves"', "How it was made"))
    assert ">nan<" not in page
    written = (out / "study.yaml").read_text(encoding="utf-8")
    assert written.startswith(MARK)
    assert "smoke" not in yaml.safe_load(written)


def test_mappings_are_laid_over_key_by_key_and_lists_replaced() -> None:
    base = {"set": {"a": 1, "b": {"c": 2, "d": 3}}, "seeds": [0, 1, 2], "budget": {"minutes": 5}}
    over = {"set": {"b": {"c": 9}}, "seeds": [7], "budget": {"minutes": None, "steps": 2}, "jobs": 1}
    assert lay_over(base, over) == {
        "set": {"a": 1, "b": {"c": 9, "d": 3}},
        "seeds": [7],
        "budget": {"minutes": None, "steps": 2},
        "jobs": 1,
    }
    assert base["seeds"] == [0, 1, 2]


def test_a_smoke_run_never_replaces_the_full_study(
    study_file: StudyFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    file = study_file(smoke={"budget": {"steps": 1}, "variants": [{"name": "tree", "recipe": "sparse"}]})
    arguments = ["study", str(file), "--out", str(out), "--device", "cpu", "--quiet"]
    assert run([*arguments, "--smoke"]) == 0
    assert [folder.name for folder in (out / "jobs").iterdir()] == ["whole_tree_seed-0_fold-split"]
    assert run(arguments) == 2
    assert "holds a smoke run, which the full study would replace" in capsys.readouterr().err
    assert run([*arguments, "--smoke", "--report-only"]) == 0


def test_a_study_without_a_tiny_form_says_so(study_file: StudyFile) -> None:
    with pytest.raises(InputError, match="smoke: this study has no tiny form"):
        Study.load(study_file(), smoke=True)


def test_some_cases_alone_take_part(study_file: StudyFile, tmp_path: Path) -> None:
    some = Study.load(study_file(cases=["field0", "field3"]))
    assert [case.id for case in study_dataset(some, tmp_path, Events()).cases] == ["field0", "field3"]
    with pytest.raises(InputError, match="has the id 'field9'"):
        study_dataset(Study.load(study_file(cases=["field0", "field9"])), tmp_path, Events())
