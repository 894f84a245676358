"""STUDY.yaml: what is wrong is told in one line that names file and field, before any data is read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from softseg.cli import run
from softseg.errors import InputError
from softseg.studies import Study
from softseg.studies.plan.study import as_sets

StudyFile = Callable[..., Path]
STUDIES = Path(__file__).resolve().parents[2] / "studies"

PLAIN = {"name": "plain", "recipe": "ce-dice"}
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"colour": "red"}, "colour: unknown study key"),
    ({"budget": {"steps": 1, "minutes": 1}}, "budget: expected either steps or minutes"),
    ({"budget": None}, "budget"),
    ({"kind": "guess"}, "kind"),
    ({"variants": []}, "variants"),
    ({"variants": [PLAIN, PLAIN]}, "variants: each name may stand there once"),
    ({"variants": [PLAIN | {"recipe": "no-such"}]}, r"variants\[0\]: recipe: no recipe or file 'no-such'"),
    ({"variants": [PLAIN | {"set": {"no.key": 1}}]}, r"variants\[0\]: no"),
    ({"variants": [PLAIN | {"set": {"steps": 7}}]}, r"steps is the same for all variants; set it under budget"),
    ({"variants": [{"name": "nothing"}]}, "expected a recipe, a model or members"),
    ({"baseline": "other"}, "baseline: no variant is called 'other'; there are plain, tree"),
    ({"folds": {"by": "person", "count": 1}}, "count must be at least 2"),
    ({"folds": {"by": "block", "count": "all"}}, "count must be a number for blocks"),
    ({"folds": {"by": "block", "nested": 2}}, "nested needs at least 2 folds, and by: person"),
    ({"strokes": [{"share": 0.1, "per_structure": 3}]}, "expected either share or per_structure"),
    ({"strokes": [{"share": 0.1}, {"share": 0.1}]}, "strokes: each name"),
    ({"inner": 1}, "expected at least 2 groups"),
    ({"rules": [{"name": "both", "tpr": 0.9, "best": "f1"}]}, "expected either tpr or best"),
    ({"kind": "outliers", "variants": [PLAIN]}, "needs recipes without background class"),
]


@pytest.mark.parametrize(("changes", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_named(study_file: StudyFile, changes: dict[str, Any], message: str) -> None:
    file = study_file(**changes)
    with pytest.raises(InputError, match=message) as caught:
        Study.load(file)
    assert caught.value.file == str(file)
    assert "\n" not in str(caught.value)


def test_the_command_says_it_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (b"a: [", b"\xff\xfe", b"- 1", None):
        file = tmp_path / "S.yaml"
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_bytes(content)
        assert run(["study", str(file), "--out", str(tmp_path / "out"), "--quiet"]) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert len(lines) == 1
        assert lines[0].startswith(f"softseg: {file}: ")
    assert not (tmp_path / "out").exists()


def test_values_that_vary_make_variants(study_file: StudyFile) -> None:
    vary = {"losses.0.alpha": [0.5, 1], "losses.0.beta": [2, 3]}
    study = Study.load(study_file(variants=[PLAIN, {"name": "w", "recipe": "tree-wasserstein", "vary": vary}]))
    assert [variant.name for variant in study.variants] == [
        "plain",
        *(f"w-alpha={alpha}-beta={beta}" for alpha in ("0.5", "1") for beta in (2, 3)),
    ]
    last = study.variants[-1].recipe
    assert (last.losses[0]["alpha"], last.losses[0]["beta"]) == (1, 3)
    assert {variant.recipe.steps for variant in study.variants} == {2}
    assert study.baseline == "plain"


def test_changes_as_mapping_or_as_texts() -> None:
    assert as_sets({"plan.patch_size": [8, 8], "init": None}) == ["plan.patch_size=[8, 8]", "init=null"]
    assert as_sets(["steps=3"]) == ["steps=3"]


@pytest.mark.parametrize("name", sorted(file.stem for file in STUDIES.glob("*.yaml")))
def test_shipped_studies_are_right(name: str) -> None:
    study = Study.load(STUDIES / f"{name}.yaml")
    assert study.data.is_file()
    assert study.spec.name == name
    assert study.spec.explanation
