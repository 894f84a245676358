"""Which prediction belongs to which reference: by name, by what was written down, by a table; never by order."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from softseg.errors import InputError
from softseg.evaluation import evaluate
from softseg.evaluation.case_names import case_name
from softseg.evaluation.pairing import Names, pair_names, says_kind_only
from softseg.evaluation.pairs import pair_up
from softseg.evaluation.pairs_table import read_pairs
from softseg.events import Events, ListSink
from softseg.image import Image, write_image
from softseg.requests.manifest import Manifest, OutputFile, WrittenCase

WHAT = ("predictions", "references")


def paired(first: list[str], second: list[str]) -> list[tuple[str, str]]:
    found = pair_names([Names(name) for name in first], [Names(name) for name in second], WHAT)
    return sorted((first[one], second[other]) for one, other in found.pairs)


@pytest.fixture
def touch(tmp_path):
    """Make empty files and return them."""

    def make(*names: str) -> list[Path]:
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).touch()
        return [tmp_path / name for name in names]

    return make


@pytest.fixture
def warned():
    sink = ListSink()
    return sink, Events(sink), lambda: [event["text"] for event in sink.events if event["event"] == "warning"]


def test_a_missing_partner_shifts_nobody(case_files, small_tree, tmp_path, warned):
    """Perfect results stay perfect when one reference has another name."""
    _, events, texts = warned
    for name in "abc":
        (tmp_path / "p" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "p" / f"{name}.nii.gz").symlink_to(case_files / "labels" / f"{_person(name)}.nii.gz")
    for name, person in (("b", "b"), ("c", "c"), ("d", "a")):
        (tmp_path / "r").mkdir(exist_ok=True)
        (tmp_path / "r" / f"{name}.nii.gz").symlink_to(case_files / "labels" / f"{_person(person)}.nii.gz")
    report = evaluate([tmp_path / "p"], [tmp_path / "r"], small_tree, tmp_path / "out", events, html=False)
    assert [pair.case for pair in report.pairs] == ["b", "c"]
    assert {row["dice"] for row in report.levels} == {1.0}
    assert texts() == [
        "1 prediction without a reference, not judged: a",
        "1 reference without a prediction, not judged: d",
    ]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["unpaired"] == {"predictions": ["a"], "references": ["d"]}


def _person(name: str) -> str:
    return {"a": "ada", "b": "ben", "c": "cleo"}[name]


def test_nothing_in_common_is_refused_with_both_sides(touch, small_tree):
    predictions, references = touch("p1.nii.gz", "p2.nii.gz"), touch("r/x1.nii.gz", "r/x2.nii.gz")
    with pytest.raises(
        InputError, match=r"predictions p1, p2; references x1, x2; name them alike, or pair them with --pairs"
    ):
        pair_up(predictions, references, small_tree, Events())


def test_one_and_one_are_a_pair_whatever_their_names(touch, small_tree, warned):
    _, events, texts = warned
    found = pair_up(touch("result.nii.gz"), touch("r/truth.nii.gz"), small_tree, events)
    assert [pair.case for pair in found.cases] == ["result"]
    assert not texts()


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("p1", "P1"),
        ("p1", "p1_dseg"),
        ("p1_seg", "labels_p1"),
        ("p1_0000", "p1"),
        ("p1_0000", "p1_gt"),
        ("p1_pred", "p1-groundtruth"),
        ("volume-12", "segmentation-12"),
        ("img0012", "label0012"),
        ("sub-01_ses-2_T1w", "sub-01_ses-2_desc-manual_dseg"),
        ("sub-01_T1w", "sub-01_dseg"),
        ("case_0001", "case_0001"),
    ],
)
def test_names_of_one_case(prediction, reference):
    others = ["zoe", "case_0002", "sub-02_ses-2_dseg"]
    assert (prediction, reference) in paired([prediction, *others], [*others, reference])


@pytest.mark.parametrize(
    ("prediction", "reference"),
    [
        ("p1", "p10"),
        ("p1", "p1b"),
        ("case_0001", "case_0002"),
        ("case_0000", "case_0001"),
        ("sub-1_T1w", "sub-10_T1w"),
        ("sub-01_ses-1_T1w", "sub-01_ses-2_dseg"),
        ("sub-01_T1w", "sub-01_ses-2_dseg"),
        ("seg", "mask"),
        ("scan", "labels"),
    ],
)
def test_names_of_different_cases(prediction, reference):
    assert paired([prediction, "a"], ["a", reference]) == [("a", "a")]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (["p1", "p1"], ["p1", "a"], r"'p1' could mean 2 predictions \(p1, p1\) and 1 references \(p1\)"),
        (["p1_seg", "p1_mask"], ["p1", "a"], r"'p1' could mean 2 predictions \(p1_mask, p1_seg\)"),
        (["sub-1_T1w", "a"], ["sub-1_x_dseg", "sub-1_y_dseg"], r"'sub-1' could mean 1 predictions"),
    ],
)
def test_what_could_mean_several_is_refused(first, second, message):
    with pytest.raises(InputError, match=message):
        paired(first, second)


def test_files_that_say_their_kind_alone_go_by_their_folder(touch, small_tree):
    predictions = touch("OUT/ada/labels_leaves.nii.gz", "OUT/ben/labels_leaves.nii.gz")
    references = touch("R/ben/mri/seg.nii.gz", "R/ada/mri/seg.nii.gz")
    found = pair_up(predictions, references, small_tree, Events())
    assert {(pair.case, Path(pair.reference).parents[1].name) for pair in found.cases} == {
        ("ada", "ada"),
        ("ben", "ben"),
    }
    assert says_kind_only("labels_level-2")
    assert not says_kind_only("mask_2")


def test_what_the_prediction_wrote_down_counts(touch, small_tree, tmp_path):
    """Cases whose folders have other names than their scans."""
    touch("OUT/scan-1/soft.soft.npz", "OUT/scan-1-2/soft.soft.npz", "OUT/x/soft.soft.npz")
    cases = [
        WrittenCase("scan 1", "done", ("/data/scan 1.nii.gz",), tmp_path / "OUT" / "scan-1"),
        WrittenCase("scan (1)", "done", ("/data/scan (1).nii.gz",), tmp_path / "OUT" / "scan-1-2"),
    ]
    Manifest(tmp_path / "OUT", tuple(cases)).write()
    (tmp_path / "OUT" / "x" / "prediction.json").write_text(json.dumps({"images": [{"path": "/data/p7_0000.nii.gz"}]}))
    references = touch("R/scan (1).nii.gz", "R/scan 1.nii.gz", "R/p7.nii.gz", "R/p70.nii.gz")
    found = pair_up([tmp_path / "OUT"], references, small_tree, Events())
    assert {(pair.case, pair.prediction.name, case_name(Path(pair.reference))) for pair in found.cases} == {
        ("scan 1", "scan-1", "scan 1"),
        ("scan (1)", "scan-1-2", "scan (1)"),
        ("x", "x", "p7"),
    }
    assert found.references == ("p70",)


def test_cases_without_a_folder_of_their_own_go_by_what_was_written_down(touch, small_tree, tmp_path):
    """As ``predict --layout flat`` and ``--layout bids`` write them."""
    anat = "OUT/sub-1/anat"
    touch(f"{anat}/sub-1_run-1_seg-t_probseg.soft.npz", f"{anat}/sub-1_run-2_seg-t_probseg.soft.npz")
    cases = [
        WrittenCase(
            f"sub-1_run-{run}_T1w",
            "done",
            (f"/data/sub-1_run-{run}_T1w.nii.gz",),
            tmp_path / anat,
            (
                OutputFile("soft", f"sub-1_run-{run}_seg-t_probseg.soft.npz"),
                OutputFile("record", f"sub-1_run-{run}_seg-t_prediction.json"),
            ),
        )
        for run in (1, 2)
    ]
    Manifest(tmp_path / "OUT", tuple(cases)).write()
    references = touch("R/sub-1_run-2_T1w.nii.gz", "R/sub-1_run-1_T1w.nii.gz")
    found = pair_up([tmp_path / "OUT"], references, small_tree, Events())
    assert {(pair.case, pair.prediction.name, Path(pair.reference).name) for pair in found.cases} == {
        (f"sub-1_run-{run}_T1w", f"sub-1_run-{run}_seg-t_probseg.soft.npz", f"sub-1_run-{run}_T1w.nii.gz")
        for run in (1, 2)
    }


def test_raters_go_by_what_their_files_have_in_common(touch, small_tree):
    predictions = touch("ada.soft.npz", "ben.soft.npz")
    raters = [touch(*(f"R/{name}-r{n}.nii.gz" for n in (1, 2))) for name in ("ben", "ada")]
    deep = [touch(*(f"S/{name}/rater-{n}.nii.gz" for n in (1, 2))) for name in ("ben", "ada")]
    for references in (raters, deep):
        found = pair_up(predictions, references, small_tree, Events())
        assert [pair.reference for pair in found.cases] == references[::-1]


def test_scans_are_paired_by_name_too(touch, small_tree, warned):
    _, events, texts = warned
    labels = touch("ada.nii.gz", "ben.nii.gz")
    found = pair_up(labels, labels, small_tree, events, touch("i/zoe.nii.gz", "i/ben_0000.nii.gz"))
    assert [pair.image and pair.image.name for pair in found.cases] == [None, "ben_0000.nii.gz"]
    assert texts() == ["shown without a scan: ada"]
    with pytest.raises(InputError, match="no image has the name of a case: images x, y; cases ada, ben"):
        pair_up(labels, labels, small_tree, Events(), touch("j/x.nii.gz", "j/y.nii.gz"))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_says_what_belongs_together(case_files, small_tree, tmp_path, separator):
    folder = tmp_path / "tables"
    folder.mkdir()
    rows = [["Prediction", "reference", "case", "group"]]
    rows += [[f"../p/{n}", f"../r/{n}.nii.gz", f"person {n}", site] for n, site in (("1", "x"), ("2", "y"), ("3", "x"))]
    table = folder / "pairs.csv"
    table.write_bytes("\ufeff".encode() + "\r\n".join(separator.join(row) for row in rows).encode() + b"\r\n\r\n")
    for number, name in enumerate(("ada", "ben", "cleo"), 1):
        for part in ("p", "r"):
            (tmp_path / part).mkdir(exist_ok=True)
        (tmp_path / "p" / str(number)).symlink_to(case_files / "predictions" / name)
        (tmp_path / "r" / f"{number}.nii.gz").symlink_to(case_files / "labels" / f"{name}.nii.gz")
    report = evaluate([], [], small_tree, tmp_path / "out", pairs=table, html=False, tolerance_mm=None)
    assert [pair.case for pair in report.pairs] == ["person 1", "person 2", "person 3"]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [case["group"] for case in summary["cases"]] == ["x", "y", "x"]
    dice = [row["dice"] for row in report.levels if row["level"] == 1]
    assert summary["groups"]["x"]["1"]["dice"]["mean"] == pytest.approx(np.mean([dice[0], dice[2]]))
    assert summary["groups"]["y"]["1"]["dice"]["n"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prediction,truth\na.nii.gz,a.nii.gz\n", "line 1: expected the columns prediction, reference and, if wanted"),
        ("prediction;reference\na.nii.gz;\n", "line 2: the cell reference is empty"),
        ("prediction,reference\na.nii.gz,b.nii.gz\n", "pairs.csv: line 2, reference: no such file or folder"),
        ("prediction,reference\na.nii.gz,a.nii.gz,x\n", "line 2: expected 2 cells, got 3"),
        ("prediction,reference\na.nii.gz,a.nii.gz\na.nii.gz,a.nii.gz\n", "line 3: the case 'a' is in line 2 already"),
        ("prediction,reference,case\na.nii.gz,a.nii.gz,1\na.nii.gz,a.nii.gz,2\n", "line 3: the same pair is in line 2"),
        ("prediction,reference\n", "the table has no rows"),
        ("", "the file is empty"),
    ],
)
def test_a_table_that_does_not_fit_is_refused_with_the_line(touch, tmp_path, text, message):
    touch("a.nii.gz")
    (tmp_path / "pairs.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_pairs(tmp_path / "pairs.csv")


def test_a_cell_too_long_for_a_name_is_refused_with_the_table_and_the_line(touch, tmp_path):
    touch("truth.nii.gz")
    table = tmp_path / "pairs.csv"
    table.write_text(f"prediction,reference\n{'x' * 5000},truth.nii.gz\n", encoding="utf-8")
    with pytest.raises(InputError, match="no such file or folder") as caught:
        read_pairs(table)
    assert caught.value.file == str(table)
    assert caught.value.field == "line 2, prediction"
    assert len(str(caught.value)) < 10_000


def test_the_command_line_takes_both_sides_or_a_table(cli_run, small_tree, small_values, small_geometry, tmp_path):
    small_tree.save(tmp_path / "tree.json")
    for name in ("ada", "ben"):
        write_image(Image(small_values, small_geometry), tmp_path / "p" / f"{name}.nii.gz")
        write_image(Image(small_values, small_geometry), tmp_path / "r" / f"{name}2.nii.gz")
    (tmp_path / "pairs.csv").write_text("prediction,reference\np/ada.nii.gz,r/ada2.nii.gz\n")
    common = ["evaluate", "--tree", tmp_path / "tree.json", "--out", tmp_path / "out", "--quiet"]
    sides = ["--prediction", tmp_path / "p", "--reference", tmp_path / "r"]
    assert cli_run(*common, *sides) == (2, "predictions ada, ben; references ada2, ben2")
    assert cli_run(*common, "--prediction", tmp_path / "p") == (2, "missing option '--reference'")
    assert cli_run(*common, *sides, "--pairs", tmp_path / "pairs.csv") == (2, "--pairs names everything to compare")
    assert cli_run(*common, "--pairs", tmp_path / "pairs.csv") == (0, "")
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.fixture
def cli_run(capsys):
    """Run the command line; return the exit code and, of the message, what the test expects of it."""
    from softseg.cli import run

    class Answer(tuple):
        def __eq__(self, other):
            return self[0] == other[0] and other[1] in self[1]

        __hash__ = tuple.__hash__

    def call(*arguments: object) -> Answer:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Answer((code, capsys.readouterr().err))

    return call


NAMES = st.lists(
    st.sampled_from(
        ["p1", "P1", "p1_seg", "p10", "p2", "p2_0000", "labels_p2", "p3", "sub-1_T1w", "sub-1_dseg", "seg", "q"]
    ),
    min_size=1,
    max_size=7,
    unique=True,
)


@settings(deadline=None)
@given(NAMES, NAMES, st.integers(0, 1000))
def test_the_order_of_the_arguments_changes_nothing(first, second, seed):
    def outcome(one: list[str], other: list[str]) -> object:
        try:
            return paired(one, other)
        except InputError:
            return "refused"

    shuffled = [random.Random(seed).sample(side, len(side)) for side in (first, second)]
    found = outcome(first, second)
    assert outcome(*shuffled) == found
    turned = outcome(second, first)
    assert turned == found or sorted((b, a) for a, b in turned) == found
    if found != "refused":
        assert {name for name in first if name in second} <= {a for a, b in found if a == b}
        assert len({a for a, _ in found}) == len({b for _, b in found}) == len(found)


def test_a_table_whose_lines_end_in_carriage_returns_is_read_and_one_with_an_endless_cell_is_refused(touch, tmp_path):
    touch("a.nii.gz", "b.nii.gz")
    table = tmp_path / "pairs.csv"
    table.write_bytes(b"prediction,reference\ra.nii.gz,b.nii.gz\r")
    assert [pair.prediction.name for pair in read_pairs(table).cases] == ["a.nii.gz"]
    table.write_text("prediction,reference\n" + "x" * 200_000 + ",b.nii.gz\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"pairs\.csv: line 2: not a table"):
        read_pairs(table)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="there is no such file on this system")
def test_a_table_that_the_system_cannot_read_is_named(tmp_path):
    (tmp_path / "pairs.csv").symlink_to("/proc/self/mem")
    with pytest.raises(InputError, match=r"pairs.csv: cannot be read"):
        read_pairs(tmp_path / "pairs.csv")
