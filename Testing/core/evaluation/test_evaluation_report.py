"""The written results: tables, numbers and pages that need no network."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image as Picture

from softseg.errors import InputError
from softseg.evaluation import evaluate, render_prediction_report
from softseg.evaluation.colors import ink_on, node_colors, score_color
from softseg.evaluation.page import volume_text
from softseg.events import Events, ListSink
from softseg.image import Geometry, Image, read_image, write_image
from softseg.soft.parcellation import SoftParcellation

ADDRESS = re.compile(r"""(?:https?:)?//[\w.]|url\((?!['"]?data:)|@import""")


class Page(HTMLParser):
    """Collects what a page refers to and checks that its tags close."""

    EMPTY = frozenset({"meta", "img", "input", "br", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        assert tag != "link"
        self.sources += [found["src"]] if "src" in found else []
        self.links += [found["href"]] if "href" in found else []
        self.ids += [found["id"]] if "id" in found else []
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def read_page(path) -> Page:
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert all(source.startswith("data:image/") for source in page.sources)
    assert all(link.startswith("#") and link[1:] in page.ids for link in page.links)
    assert not ADDRESS.search(re.sub(r'"data:[^"]*"', '""', text))
    return page


@pytest.fixture(scope="module")
def written(case_files, small_tree, tmp_path_factory):
    out = tmp_path_factory.mktemp("report")
    sink = ListSink()
    report = evaluate(
        [case_files / "predictions"],
        [case_files / "labels"],
        small_tree,
        out,
        Events(sink),
        images=[case_files / "images"],
    )
    return report, out, sink


def test_tables_hold_every_case_level_and_node(written):
    report, out, _ = written
    with (out / "metrics.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    # levels 1 to 4 have 1, 2, 3 and 4 nodes beside the background
    assert len(rows) == 3 * (1 + 2 + 3 + 4)
    assert {row["case"] for row in rows} == {"ada", "ben", "cleo"}
    assert {row["node"] for row in rows if row["level"] == "4"} == {"left-cortex", "right-cortex", "deep", "white"}
    for row in rows:
        assert 0 <= float(row["dice"]) <= 1
        assert 0 <= float(row["soft_dice"]) <= 1
        assert 0 <= float(row["calibration_error"]) <= 1
        assert float(row["hd95_mm"]) >= 0
    with (out / "levels.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == 3 * 4
    assert report.soft


def test_summary_is_plain_json(written):
    report, out, _ = written
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert summary["schema"] == "softseg-evaluation"
    assert summary["label_at_a_cut"] == "argmax of summed probabilities"
    leaves = summary["levels"][-1]["metrics"]["dice"]
    assert leaves["n"] == 3
    means = [row["dice"] for row in report.levels if row["level"] == 4]
    assert leaves["mean"] == pytest.approx(np.mean(means))
    assert leaves["sd"] == pytest.approx(np.std(means, ddof=1))
    assert len(summary["calibration"]["levels"]["1"]["confidence"]) == summary["calibration"]["bins"]
    assert summary["nodes"]["4"][0]["dice"]["mean"] <= summary["nodes"]["4"][-1]["dice"]["mean"]


def test_events_name_the_results(written):
    _, out, sink = written
    results = {event["name"]: event["path"] for event in sink.events if event["event"] == "result"}
    assert set(results) == {"metrics.csv", "levels.csv", "answers.csv", "summary.json", "report.html"}
    assert all((out / name).is_file() for name in results)


def test_the_page_stands_alone_and_says_how_labels_were_made(written):
    _, out, _ = written
    page = read_page(out / "report.html")
    assert "summed" in page.text
    assert "Best case: ada" in page.text or "Best case" in page.text
    assert {"levels", "tree", "pictures", "structures", "calibration", "sure", "errors", "cases"} <= set(page.ids)
    assert len(page.sources) >= 4 + 3 * 4


def test_its_pictures_can_be_opened_and_are_not_empty(written):
    _, out, _ = written
    for source in read_page(out / "report.html").sources:
        kind, data = source.split(";base64,")
        if kind == "data:image/png":
            picture = Picture.open(io.BytesIO(base64.b64decode(data))).convert("RGB")
            assert min(picture.size) > 100
            assert np.asarray(picture).std() > 10
        else:
            assert b"<svg" in base64.b64decode(data)


def test_one_case_of_label_maps_has_no_calibration(case_files, small_tree, tmp_path):
    case = case_files / "crisp" / "ada.nii.gz", case_files / "labels" / "ada.nii.gz"
    report = evaluate([case[0]], [case[1]], small_tree, tmp_path)
    assert not report.soft
    assert json.loads((tmp_path / "summary.json").read_text())["calibration"] is None
    page = read_page(tmp_path / "report.html")
    assert "label maps without probabilities" in page.text
    assert "cases" not in page.ids
    assert "±" not in page.text.split("What the numbers mean")[0]


def test_a_perfect_prediction_is_one_everywhere(case_files, small_tree, tmp_path):
    labels = case_files / "labels" / "ben.nii.gz"
    report = evaluate([labels], [labels], small_tree, tmp_path)
    for row in report.nodes:
        assert row["dice"] == row["soft_dice"] == row["surface_dice"] == 1.0
        assert (row["hd95_mm"], row["mae"], row["volume_error_ml"]) == (0.0, 0.0, 0.0)
    assert report.distances[0]["wrong_voxels"] == 0
    read_page(tmp_path / "report.html")


def test_a_structure_that_is_missed_everywhere(case_files, small_tree, small_geometry, small_values, tmp_path):
    found = write_image(Image(np.where(small_values == 2, 3, small_values), small_geometry), tmp_path / "p.nii.gz")
    report = evaluate([found], [case_files / "labels" / "ada.nii.gz"], small_tree, tmp_path / "out")
    row = report.node_summary()[0]
    assert (row["node"], row["missed"], row["dice"]["mean"]) == ("deep", 1, 0.0)
    assert "1 of 1" in read_page(tmp_path / "out" / "report.html").text


def test_without_surfaces(case_files, small_tree, tmp_path):
    case = case_files / "crisp" / "ada.nii.gz", case_files / "labels" / "ada.nii.gz"
    report = evaluate([case[0]], [case[1]], small_tree, tmp_path, tolerance_mm=None)
    assert all(np.isnan(row["hd95_mm"]) for row in report.nodes)
    read_page(tmp_path / "report.html")


def test_a_single_slice_has_a_report(small_tree, small_values, tmp_path):
    geometry = Geometry((24, 26, 1), spacing=(1.0, 1.0, 5.0))
    labels = write_image(Image(small_values[10:11], geometry), tmp_path / "labels.nii.gz")
    evaluate([labels], [labels], small_tree, tmp_path / "out")
    read_page(tmp_path / "out" / "report.html")


def test_names_are_escaped(case_files, small_tree, tmp_path):
    tree = small_tree.rename("deep", "<script>alert('x')</script>")
    case = case_files / "predictions" / "ada", case_files / "labels" / "ada.nii.gz"
    evaluate([case[0]], [case[1]], tree, tmp_path)
    assert "<script>alert" not in (tmp_path / "report.html").read_text()


def test_prediction_report(case_files, tmp_path):
    found = SoftParcellation.load(case_files / "predictions" / "ada" / "soft.soft.npz")
    scan = read_image(case_files / "images" / "ada.nii.gz")
    path = render_prediction_report(found, scan, tmp_path / "report.html", nodes=["cortex", "white matter"])
    page = read_page(path)
    assert {"labels", "heat", "doubt", "tree", "volumes"} <= set(page.ids)
    assert "Right cortex" in page.text
    assert "not whether it is right" in page.text
    total = sum(volume.soft_ml for volume in found.volumes(4) if volume.id != "background")
    assert f"{total:.1f}" in page.text
    read_page(render_prediction_report(found, None, tmp_path / "dark.html"))


def test_prediction_report_errors(case_files, tmp_path):
    found = SoftParcellation.load(case_files / "predictions" / "ada" / "soft.soft.npz")
    with pytest.raises(InputError, match="nowhere"):
        render_prediction_report(found, None, tmp_path / "report.html", nodes=["nowhere"])
    scan = Image(np.zeros((3, 3, 3), np.float32), Geometry((3, 3, 3)))
    with pytest.raises(InputError, match="lies on another grid than the parcellation"):
        render_prediction_report(found, scan, tmp_path / "report.html")
    assert not list(tmp_path.iterdir())


def test_every_node_has_a_colour(small_tree):
    colors = node_colors(small_tree.recolor("white", (250, 250, 250)))
    assert set(colors) == {node.id for node in small_tree.nodes}
    assert colors["white"] == (250, 250, 250)
    assert colors["background"] == (0, 0, 0)
    assert len({colors[leaf.id] for leaf in small_tree.leaves}) == len(small_tree.leaves)
    assert ink_on(score_color(0.5)) != ink_on(score_color(1.0))


def test_volumes_are_written_for_people() -> None:
    assert [volume_text(value) for value in (1689.6, 99.94, 0.4567, 0.0)] == ["1690", "99.9", "0.457", "0"]
