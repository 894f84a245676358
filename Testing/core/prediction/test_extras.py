"""Pictures, pages and tables beside a prediction, some structures alone, and files of all cases in one folder."""

from __future__ import annotations

import base64
import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from prediction_kit import Sides, make_model, sided

from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.failures import as_plain_error
from softseg.image import read_image
from softseg.prediction import predict
from softseg.prediction.results.flat import FlatPlace
from softseg.requests.manifest import Manifest, OutputFile
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def test_a_picture_a_page_and_statistics(scan: Callable[..., Path], tmp_path: Path) -> None:
    sink = ListSink()
    out = tmp_path / "out"
    (result,) = predict(
        make_model(Sides(), sided()),
        [scan()],
        out,
        device="cpu",
        preview=True,
        report=True,
        statistics=True,
        uncertainty="tta:2",
        events=Events(sink),
    )
    case = Manifest.read(out).of_images([tmp_path / "scan.nii.gz"])
    with Picture.open(case.file("preview")) as picture:
        pixels = np.asarray(picture.convert("RGB")).astype(int)
    assert (np.ptp(pixels, axis=2) > 60).any()  # labels are coloured, a scan alone is grey
    page = case.file("report").read_text(encoding="utf-8")
    assert "Segmentation of scan" in page
    assert "scan.nii.gz" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    low, high = (float(result.volumes[-1][name]) for name in ("soft_ml_low", "soft_ml_high"))
    assert f"{low:.2f} to {high:.2f}" in page
    table = rows_of(case.file("statistics"))
    known = json.loads(case.file("statistics table").read_text(encoding="utf-8"))
    stored = SoftParcellation.load(case.file("soft"))
    image = read_image(tmp_path / "scan.nii.gz")
    for row, values in zip(table, known, strict=True):
        probability = stored.probability(row["id"]).astype(float)
        expected = (probability * image.array).sum() / probability.sum()
        name = next(key for key in row if key.endswith("_mean"))
        assert float(row[name]) == pytest.approx(expected, rel=1e-4)
        assert values[name] == pytest.approx(expected, rel=1e-4)
        assert float(row["soft_ml_low"]) <= float(row["soft_ml"]) <= float(row["soft_ml_high"])


def test_warnings_of_the_run_stand_on_its_page_alone(scan: Callable[..., Path], tmp_path: Path) -> None:
    from softseg.prediction import case as cases

    said = iter(["the first is odd", None])
    read = cases.read_scans

    def odd(images: list[Path], events: Events) -> list:
        text = next(said)
        if text is not None:
            events.warning(text)
        return read(images, events)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cases.predict_with, "__defaults__", (odd,))
        predict(make_model(), [scan("a.nii.gz"), scan("b.nii.gz")], tmp_path / "out", device="cpu", report=True)
    first, second = ((tmp_path / "out" / name / "report.html").read_text(encoding="utf-8") for name in "ab")
    assert "the first is odd" in first
    assert "the first is odd" not in second


@pytest.mark.parametrize("option", ["preview", "report"])
def test_without_matplotlib_one_line_says_so_before_anything_is_read(
    option: str, scan: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ModuleNotFoundError) as found:
        predict(make_model(), [scan()], tmp_path / "out", device="cpu", **{option: True})
    said = str(as_plain_error(found.value))
    assert said.startswith("the Python package matplotlib is not installed; ")
    assert said.endswith('pip install "softseg[report]"')
    assert not (tmp_path / "out").exists()


def test_structures_alone(scan: Callable[..., Path], tmp_path: Path) -> None:
    model, sink = make_model(Sides(), sided()), ListSink()
    (whole,) = predict(model, [scan()], tmp_path / "whole", device="cpu")
    (part,) = predict(
        model, [scan()], tmp_path / "part", structures=["ball-left"], device="cpu", events=Events(sink), report=True
    )
    value = model.tree.value_of("ball-left")
    all_labels = read_image(whole.folder / "labels_leaves.nii.gz").array
    labels = read_image(part.folder / "labels_leaves.nii.gz").array
    assert len(np.unique(all_labels)) > 2
    np.testing.assert_array_equal(labels, np.where(all_labels == value, value, 0))
    assert [leaf.value for leaf in LabelTree.load(part.folder / "labels_leaves.ctbl").leaves] == [0, value]
    assert [row["id"] for row in rows_of(part.folder / "volumes.csv")] == ["ball-left"]
    soft = [SoftParcellation.load(each.folder / "soft.soft.npz").volumes() for each in (whole, part)]
    assert soft[0] == soft[1]
    assert any("--structures alone" in event.get("text", "") for event in sink.events)
    page = (part.folder / "report.html").read_text(encoding="utf-8")
    right = model.tree.node("ball-right").name
    assert f"</span>{right}</td>" not in page
    assert f"</span>{model.tree.node('ball-left').name}</td>" in page


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"structures": ["ball-left"], "cut": [1]}, r"--structures: '.+' is a part of 'Ball' in the cut level1"),
        ({"structures": ["nowhere"]}, "nowhere"),
        ({"structures": ["bg"]}, "the background is what is left over"),
        ({"structures": ["ball-left"], "nodes": ["ball-right"]}, "--nodes: 'ball-right' is in none of --structures"),
        ({"structures": ["ball-left"], "confidence": 0.9}, "answers of mixed depth are of the whole tree"),
    ],
)
def test_structures_that_cannot_be(asked: dict, said: str, scan: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        predict(make_model(Sides(), sided()), [scan()], tmp_path / "out", device="cpu", **asked)


def test_one_folder_for_all(scan: Callable[..., Path], tmp_path: Path) -> None:
    out, model = tmp_path / "out", make_model(Sides(), sided())
    scans = [scan("a.nii.gz"), scan("b.nii.gz")]
    predict(model, scans, out, layout="flat", cut=["leaves", 1], nodes=["Ball"], device="cpu", preview=True)
    of_each = [
        ".soft.npz",
        "_dseg.nii.gz",
        "_dseg.ctbl",
        "_level1_dseg.nii.gz",
        "_level1_dseg.ctbl",
        "_ball_probseg.nii.gz",
        "_volumes.csv",
        "_preview.png",
        "_prediction.json",
    ]
    files = [f"{name}{ending}" for name in "ab" for ending in of_each]
    assert names_in(out) == sorted([*files, "results.json", "volumes.csv"])
    plain = predict(model, scans[:1], tmp_path / "plain", device="cpu")[0]
    np.testing.assert_array_equal(
        read_image(out / "a_dseg.nii.gz").array, read_image(plain.folder / "labels_leaves.nii.gz").array
    )
    case = Manifest.read(out).of_images([scans[1]])
    assert case.file("soft") == out / "b.soft.npz"
    assert json.loads((out / "results.json").read_text())["cases"][0]["folder"] == "."  # the folder may be moved
    assert case.file("labels", "level1") == out / "b_level1_dseg.nii.gz"
    dotted = FlatPlace(out, "v1.2").called(OutputFile("labels colors", "labels_my.cut.ctbl", "my.cut"))
    assert dotted.path == "v1.2_my.cut_dseg.ctbl"
    assert {row["case"] for row in rows_of(out / "volumes.csv")} == {"a", "b"}


def test_in_one_folder_a_rerun_is_skipped_and_a_smaller_one_leaves_no_old_files(
    scan: Callable[..., Path], tmp_path: Path
) -> None:
    out, model = tmp_path / "out", make_model()
    scans = [scan("a.nii.gz"), scan("b.nii.gz")]
    predict(model, scans, out, layout="flat", cut=["leaves", 1], device="cpu")
    again = predict(model, scans, out, layout="flat", cut=["leaves", 1], device="cpu")
    assert [each.skipped for each in again] == [True, True]
    (less,) = predict(model, scans[:1], out, layout="flat", device="cpu")
    assert not less.skipped
    assert not (out / "a_level1_dseg.nii.gz").exists()
    assert (out / "b_level1_dseg.nii.gz").exists()
    assert [case.case for case in Manifest.read(out).cases] == ["a", "b"]


def test_in_one_folder_nobody_elses_file_is_replaced(scan: Callable[..., Path], tmp_path: Path) -> None:
    image = scan("a.nii.gz")
    (tmp_path / "a_dseg.nii.gz").write_bytes(b"by hand")
    with pytest.raises(InputError, match=r"a_dseg\.nii\.gz: exists already and is not of an older prediction"):
        predict(make_model(), [image], tmp_path, layout="flat", device="cpu")
    assert (tmp_path / "a_dseg.nii.gz").read_bytes() == b"by hand"
    assert not (tmp_path / "a.soft.npz").exists()


def test_in_one_folder_scans_of_one_name_are_told_apart(scan: Callable[..., Path], tmp_path: Path) -> None:
    out, model = tmp_path / "out", make_model()
    (tmp_path / "other").mkdir()
    first, second = scan("a.nii.gz"), scan("other/a.nii.gz", value=50.0)
    predict(model, [first], out, layout="flat", device="cpu")
    predict(model, [second], out, layout="flat", device="cpu")
    cases = [Manifest.read(out).of_images([image]) for image in (first, second)]
    assert cases[0].file("soft") != cases[1].file("soft")
    assert all(case.file("soft").is_file() for case in cases)


def test_pictures_in_pages_are_whole(scan: Callable[..., Path], tmp_path: Path) -> None:
    (result,) = predict(make_model(), [scan()], tmp_path / "out", device="cpu", report=True)
    page = (result.folder / "report.html").read_text(encoding="utf-8")
    found = re.findall(r"data:image/png;base64,([^\"]+)", page)
    assert found
    assert all(base64.b64decode(each).startswith(b"\x89PNG") for each in found)
