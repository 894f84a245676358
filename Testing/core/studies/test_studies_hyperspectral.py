"""The shipped study of outliers on the real scene, made small: few bands, two steps, one fold, one variant."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from softseg.studies import run_study
from softseg.studies.work.tables import read_results

STUDY = Path(__file__).resolve().parents[2] / "studies" / "hyperspectral.yaml"


@pytest.fixture
def small(shared_data: Path, tmp_path: Path) -> Path:
    content = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    assert (shared_data / "hyperspectral" / "indian_pines.npz").is_file()
    content["data"] = str(STUDY.parent / content["data"])
    content |= {"jobs": 1, "budget": {"steps": 2}, "variants": content["variants"][1:2], "strokes": [{"share": 0.05}]}
    content |= {"inner": [["corn-no-till", "woods"], ["soybean", "wheat"]], "scores": ["energy", "mahalanobis"]}
    content["folds"] |= {"only": [1]}
    network = {"name": "DynUNet", "options": {"filters": [4, 4, 4]}}
    content["set"] |= {"plan.bands.select": "0-9", "plan.network": network, "batch_size": 1, "validation.every": 2}
    file = tmp_path / "small.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def test_the_scene_from_blocks_to_report(small: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_study(small, out, device="cpu")
    results = read_results(out / "results.csv")
    assert {row.held_out for row in results} == {"", "corn-no-till+woods", "soybean+wheat"}
    assert {row.level for row in results} == {1, 2, 3}
    assert {row.unit for row in results} == {"fold 1"}
    held = {row.node for row in results if row.metric == "auroc" and row.held_out == "soybean+wheat" and row.node}
    assert held == {"soybean-no-till", "soybean-min-till", "soybean-clean-till", "wheat"}
    unknown = {(row.held_out, row.level) for row in results if row.metric == "auroc_unknown"}
    assert ("soybean+wheat", 2) in unknown, "nothing of soybean is trained, so it is unknown as a kind of crop"
    assert ("soybean+wheat", 1) not in unknown, "crops are known through corn and oats"
    assert "Folds of one image are not independent people" in (out / "report.html").read_text(encoding="utf-8")
