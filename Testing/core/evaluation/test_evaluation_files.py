"""Reading and pairing of what is compared, and the errors that people can cause."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from softseg.errors import CancelledError, InputError
from softseg.evaluation import evaluate
from softseg.evaluation.case_names import case_name
from softseg.evaluation.pairs import pair_up
from softseg.evaluation.sources import read_prediction, read_reference
from softseg.events import CancelToken, Events, ListSink
from softseg.image import Geometry, Image, read_image, write_image
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree
from softseg.types import OUTLIER_VALUE


def ignore(_: str) -> None:
    """Drop a warning."""


def names(pairs):
    return [pair.case for pair in pairs.cases]


def test_cases_are_paired_by_name_whatever_their_order(case_files, small_tree):
    predictions = [case_files / "predictions" / name for name in ("cleo", "ada")]
    references = sorted((case_files / "labels").iterdir())
    pairs = pair_up(predictions, references, small_tree, Events())
    assert names(pairs) == ["cleo", "ada"]
    assert [pair.reference.name for pair in pairs.cases] == ["cleo.nii.gz", "ada.nii.gz"]


def test_folders_stand_for_what_is_in_them(case_files, small_tree):
    pairs = pair_up(
        [case_files / "predictions"], [case_files / "labels"], small_tree, Events(), [case_files / "images"]
    )
    assert names(pairs) == ["ada", "ben", "cleo"]
    assert [pair.image.name for pair in pairs.cases] == ["ada.nii.gz", "ben.nii.gz", "cleo.nii.gz"]


def test_names_of_cases(tmp_path):
    assert case_name(tmp_path / "1003" / "soft.soft.npz") == "1003"
    assert case_name(tmp_path / "1003.soft.npz") == "1003"
    assert case_name(tmp_path / "1003.nii.gz") == "1003"


def test_a_dataset_stands_for_its_cases(case_files, small_tree, tmp_path):
    small_tree.save(tmp_path / "tree.json")
    cases = [
        {
            "id": name,
            "group": name,
            "split": "test",
            "images": {"T1": str(case_files / "images" / f"{name}.nii.gz")},
            "labels": str(case_files / "labels" / f"{name}.nii.gz"),
        }
        for name in ("ada", "ben", "cleo")
    ]
    data = {"name": "small", "channels": ["T1"], "tree": "tree.json", "cases": cases}
    (tmp_path / "DATA.json").write_text(json.dumps(data))
    pairs = pair_up([case_files / "predictions" / "ben"], [tmp_path / "DATA.json"], small_tree, Events())
    assert names(pairs) == ["ben"]
    assert pairs.cases[0].image == case_files / "images" / "ben.nii.gz"


def test_both_sides_are_needed(case_files, small_tree):
    labels = sorted((case_files / "labels").iterdir())
    with pytest.raises(InputError, match="no predictions were given"):
        pair_up([], labels, small_tree, Events())
    with pytest.raises(InputError, match="no references were given"):
        pair_up(labels, [], small_tree, Events())


def test_missing_files_are_named(small_tree, tmp_path):
    with pytest.raises(InputError, match=r"nothere.nii.gz: no such file or folder"):
        pair_up([tmp_path / "nothere.nii.gz"], [tmp_path], small_tree, Events())
    with pytest.raises(InputError, match="neither predicted cases nor label maps"):
        pair_up([tmp_path], [tmp_path], small_tree, Events())


def test_other_grids_are_refused(case_files, small_tree, small_values, tmp_path):
    moved = write_image(Image(small_values, Geometry((24, 26, 20), spacing=(1.0, 1.2, 2.0))), tmp_path / "ada.nii.gz")
    with pytest.raises(InputError, match=r"ada.nii.gz.*another grid \(24 x 26 x 20 voxels.*predict the image"):
        evaluate([moved], [case_files / "labels" / "ada.nii.gz"], small_tree, tmp_path / "out", html=False)
    assert not list((tmp_path / "out").iterdir())


def test_values_that_the_tree_lacks_are_named(small_tree, small_geometry, small_values, tmp_path):
    odd = write_image(Image(np.where(small_values == 3, 77, small_values), small_geometry), tmp_path / "odd.nii.gz")
    with pytest.raises(InputError, match=r"odd.nii.gz.*77"):
        read_prediction(odd, small_tree, ignore)
    with pytest.raises(InputError, match=r"odd.nii.gz.*77"):
        read_reference(odd, small_tree, ignore)


def test_outliers_in_a_label_map_are_no_answer(small_tree, small_geometry, small_values, tmp_path):
    marked = small_values.astype(np.uint16)
    marked[:2] = OUTLIER_VALUE
    plain = read_prediction(write_image(Image(small_values, small_geometry), tmp_path / "p.nii.gz"), small_tree, ignore)
    found = read_prediction(write_image(Image(marked, small_geometry), tmp_path / "m.nii.gz"), small_tree, ignore)
    before, after = plain.probabilities.labels, found.probabilities.labels
    assert (after.total()[:2] == 0).all()
    np.testing.assert_array_equal(after.total()[2:], before.total()[2:])
    np.testing.assert_array_equal(after.indices[:, 2:], before.indices[:, 2:])


def test_a_parcellation_of_another_tree_is_refused(case_files, small_tree):
    lacking = small_tree.remove("deep")
    with pytest.raises(InputError, match=r"soft.soft.npz: the label tree 'small' has no node for deep grey"):
        read_prediction(case_files / "predictions" / "ada", lacking, ignore)


def test_an_empty_case_folder_is_refused(small_tree, tmp_path):
    with pytest.raises(InputError, match=r"expected a predicted case with a file \*.soft.npz"):
        read_prediction(tmp_path, small_tree, ignore)


def test_an_image_of_another_size_is_refused(case_files, small_tree, tmp_path):
    scan = write_image(Image(np.zeros((3, 3, 3), np.float32), Geometry((3, 3, 3))), tmp_path / "scan.nii.gz")
    case = case_files / "predictions" / "ada", case_files / "labels" / "ada.nii.gz"
    with pytest.raises(InputError, match=r"scan.nii.gz: lies on another grid.*soft.soft.npz"):
        evaluate([case[0]], [case[1]], small_tree, tmp_path / "out", images=[scan])
    with pytest.raises(InputError, match="no image has the name of a case: images scan, scan; cases ada"):
        evaluate([case[0]], [case[1]], small_tree, tmp_path / "out", images=[scan, scan])


def test_raters_are_averaged(small_tree, small_geometry, small_values, tmp_path):
    files = [
        write_image(Image(np.roll(small_values, n, 1), small_geometry), tmp_path / f"rater{n}.nii.gz") for n in (0, 1)
    ]
    reading = read_reference(files, small_tree, ignore)
    assert reading.probabilities.soft
    dense = reading.probabilities.labels.dense()
    index = small_tree.class_index("white")
    expected = ((small_values == 3).astype(float) + (np.roll(small_values, 1, 1) == 3)) / 2
    np.testing.assert_allclose(dense[index], expected, atol=1e-6)


def test_soft_maps_by_node_keep_their_values(small_tree, small_geometry, small_values, soften, tmp_path):
    dense = soften(small_values, 1.0)
    maps = {
        leaf.id: write_image(Image(probability, small_geometry), tmp_path / f"{leaf.id}.nii.gz")
        for leaf, probability in zip(small_tree.leaves, dense, strict=True)
    }
    reading = read_reference(maps, small_tree, ignore)
    np.testing.assert_allclose(reading.probabilities.labels.dense(len(dense)), dense, atol=1e-5)


def test_a_mask_says_where_the_reference_is_valid(case_files, small_tree, small_geometry, tmp_path):
    valid = np.zeros(small_geometry.shape, np.uint8)
    valid[:10] = 1
    mask = write_image(Image(valid, small_geometry), tmp_path / "mask.nii.gz")
    reading = read_reference(case_files / "labels" / "ada.nii.gz", small_tree, ignore, mask)
    assert reading.probabilities.slice(3)[1].all()
    assert not reading.probabilities.slice(12)[1].any()


def test_labels_of_a_coarser_cut_are_judged_down_to_it(case_files, small_tree, small_geometry, small_values, tmp_path):
    cut = small_tree.cut_at(3)
    coarse = write_image(Image(small_tree.collapse(small_values, cut), small_geometry), tmp_path / "ada.nii.gz")
    report = evaluate([coarse], [case_files / "labels" / "ada.nii.gz"], small_tree, tmp_path / "out")
    assert [row["level"] for row in report.levels] == [1, 2, 3]
    assert all(row["dice"] == 1.0 for row in report.levels)
    assert report.summary()["tree_distance"] is None
    assert "do not reach the leaves" in (tmp_path / "out" / "report.html").read_text()


def test_a_reference_exported_at_a_coarser_cut_is_one(case_files, small_tree, small_geometry, small_values, tmp_path):
    inner = {node.id for node in small_tree.inner_nodes}
    nodes = [replace(node, value=None) if node.id in inner else node for node in small_tree.nodes]
    tree = LabelTree(nodes, small_tree.name)  # no branch has a value of its own
    coarse = write_image(Image(tree.collapse(small_values, tree.cut_at(2)), small_geometry), tmp_path / "ada.nii.gz")
    sink = ListSink()
    report = evaluate([case_files / "labels" / "ada.nii.gz"], [coarse], tree, tmp_path / "out", Events(sink))
    assert any("are taken as the branches that collapse writes so" in str(event) for event in sink.events)
    assert all(row["dice"] == 1.0 for row in report.levels if row["level"] <= 2)
    assert {row["level"] for row in report.levels} >= {1, 2}
    assert report.summary_level == report.summary()["told_level"] == 2
    cards = (tmp_path / "out" / "report.html").read_text()
    assert "mean over level 2" in cards
    assert "mean over leaves" not in cards
    said = [event for event in sink.events if event["event"] == "metrics"]
    assert [(each["values"]["level"], each["values"]["dice"]) for each in said] == [(2, 1.0)]
    wrong = write_image(Image(np.full_like(small_values, 60_000), small_geometry), tmp_path / "ada.nii.gz")
    with pytest.raises(InputError, match="60000 not in the label tree"):
        evaluate([case_files / "labels" / "ada.nii.gz"], [wrong], tree, tmp_path / "out")


@pytest.mark.parametrize(("coarse", "level"), [(0.05, 4), (0.3, 3), (1.0, 3)])
def test_the_finest_level_that_nearly_all_of_a_reference_names_sums_up(
    case_files, small_tree, small_geometry, small_values, tmp_path, coarse, level
):
    cortex = replace(small_tree.node("cortex"), value=21)
    tree = LabelTree([cortex if node.id == "cortex" else node for node in small_tree.nodes], small_tree.name)
    values = small_values.copy()
    inside = np.flatnonzero(np.isin(values, (11, 12)))
    named = np.count_nonzero(values)
    values.flat[inside[: round(coarse * min(named, inside.size))]] = 21  # nobody said which side
    reference = write_image(Image(values, small_geometry), tmp_path / "ada.nii.gz")
    report = evaluate([case_files / "labels" / "ada.nii.gz"], [reference], tree, tmp_path / "out", html=False)
    assert max(row["level"] for row in report.levels) == 4
    assert report.summary_level == level


def test_cancelling_leaves_nothing_behind(case_files, small_tree, tmp_path):
    token = CancelToken()
    token.cancel()
    with pytest.raises(CancelledError):
        evaluate(
            [case_files / "predictions"], [case_files / "labels"], small_tree, tmp_path / "out", Events(cancel=token)
        )
    assert not list((tmp_path / "out").iterdir())


def test_an_output_that_is_a_file_is_refused(case_files, small_tree, tmp_path):
    (tmp_path / "out").write_text("x")
    with pytest.raises(InputError, match="expected a folder, got a file"):
        evaluate([case_files / "predictions"], [case_files / "labels"], small_tree, tmp_path / "out")


def test_a_prediction_of_nothing_but_background_scores_0(small_tree, small_geometry, small_values, tmp_path):
    dense = np.zeros((len(small_tree.leaves), *small_values.shape), np.float32)
    dense[small_tree.leaf_index("background")] = 1
    SoftParcellation.from_dense(dense, small_tree, small_geometry).save(tmp_path / "x.soft.npz")
    write_image(Image(small_values, small_geometry), tmp_path / "x.nii.gz")
    report = evaluate([tmp_path / "x.soft.npz"], [tmp_path / "x.nii.gz"], small_tree, tmp_path / "out", html=False)
    assert {row["status"] for row in report.nodes} == {"missed"}
    assert {row["dice"] for row in report.levels} == {0.0}


def test_nothing_against_nothing_is_a_report_without_scores(small_tree, small_geometry, small_values, tmp_path):
    background = small_tree.background.value
    write_image(Image(np.full_like(small_values, background), small_geometry), tmp_path / "empty.nii.gz")
    files = [tmp_path / "empty.nii.gz"]
    report = evaluate(files, files, small_tree, tmp_path / "out")
    assert all(np.isnan(level["dice"]["mean"]) for level in report.level_summary().values())
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "No structure is there" in page
    assert 'class="icicle"' not in page


def test_nearly_whole_predictions_and_references_are_rounded_and_said(case_files, small_tree, tmp_path):
    image = read_image(next((case_files / "labels").glob("ada*")))
    near = tmp_path / "near.nii.gz"
    write_image(Image((image.array * 0.99999).astype(np.float32), image.geometry), near)
    for read in (read_prediction, read_reference):
        said: list[str] = []
        found = read(near, small_tree, said.append)
        exact = read(next((case_files / "labels").glob("ada*")), small_tree, ignore)
        np.testing.assert_array_equal(found.probabilities.labels.indices, exact.probabilities.labels.indices)
        assert len(said) == 1
        assert "values were rounded to whole label values" in said[0]
