"""Who is who in imported datasets: tables of people, splits of nnU-Net, ids that look like scans of one person."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from softseg.data import Dataset, import_bids, import_decathlon, import_folder, import_nnunet
from softseg.data.importers.people import Choices, with_people
from softseg.data.importers.sessions import scans_of_one
from softseg.errors import InputError
from softseg.events import Events, ListSink


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.zeros((2, 3, 4), np.uint8)
    array[0] = 1
    sitk.WriteImage(sitk.GetImageFromArray(array), str(path))
    return path


def said(sink: ListSink, kind: str = "warning") -> str:
    return "\n".join(str(event["text"]) for event in sink.events if event["event"] == kind)


def assign(ids: list[str], **choices: object) -> tuple[dict[str, tuple[str, str]], ListSink]:
    sink = ListSink()
    cases = with_people([{"id": name} for name in ids], Choices(**choices), Events(sink))  # type: ignore[arg-type]
    return {str(case["id"]): (case["group"], case["split"]) for case in cases}, sink


# -- tables -----------------------------------------------------------------------------------------------------------

IDS = ["p01_a", "p01_b", "p02_a", "p03_a"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("t.tsv", "case\tperson\np01_a\tp01\np01_b\tp01\np02_a\tp02\np03_a\tp03\n"),
        ("t.csv", "age;scan;subject\n3;p01_a;p01\n4;p01_b;p01\n5;p02_a;p02\n6;p03_a;p03\n"),
        ("t.csv", "\ufeffgroup,filename\np01,images/p01_a.nii.gz\np01,p01_b_0000.nii.gz\np02,p02_a.nrrd\np03,p03_a\n"),
        ("participants.tsv", "participant_id\tage\tgroup\np01\t3\tpatient\np02\t4\tcontrol\np03\t4\tcontrol\n"),
        ("t.csv", "person_id,patient\np01_a,x\n".replace("person_id,patient", "participant_id,person")
         + "p01_b,x\np02_a,y\np03_a,z\n"),
        ("t.csv", "case,rescan_of\np01_b,p01_a\n"),
        ("t.csv", "case,rescan_of\np01_a,n/a\np01_b,p01_a\np02_a,n/a\np03_a,\n"),
    ],
)  # fmt: skip
def test_a_rescan_stays_with_its_person(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_bytes(text.encode())
    found, sink = assign(IDS, people=tmp_path / name)
    assert found["p01_a"] == found["p01_b"]
    assert len({group for group, _ in found.values()}) == 3
    assert {split for _, split in found.values()} == {"train", "val", "test"}
    assert "look like scans of one person" not in said(sink)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("case,person\np01_a,x\n", "t.csv: does not name the person of 'p01_b', 'p02_a', 'p03_a'; add a row for each"),
        ("case,person\nq,x\n", "t.csv: names none of the cases, such as 'p01_a'"),
        ("case,person\np01_a,x\np01_a,y\n", "t.csv: line 3: case 'p01_a' is of 'x' in line 2 and of 'y' here"),
        ("case,age\np01_a,3\n", "t.csv: no column names the person of a case"),
        ("group,age\np01,3\n", "t.csv: no column names the cases"),
        ("case,person\n,x\n", "t.csv: line 2: no case"),
        ("case,rescan_of\np01_b,p09\n", "t.csv: line 2: no case 'p09', which 'p01_b' repeats"),
        ("age,sex\n3,f\n", "t.csv: line 1: no known column in 'age,sex'; looked for case: case"),
        ("case,person,split\np01_a,p,train\np01_b,p,sometimes\n", "t.csv: line 3: expected train, val or test"),
        (
            "case,person,split\np01_a,p,train\np01_b,p,test\np02_a,q,val\np03_a,r,val\n",
            "t.csv: person 'p' is in two splits: 'p01_a' in train, 'p01_b' in test; put all scans of a person",
        ),
    ],
)
def test_tables_that_do_not_fit(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(InputError) as caught:
        assign(IDS, people=tmp_path / "t.csv")
    assert message in str(caught.value)


def test_participants_are_matched_by_the_longest_name(tmp_path: Path) -> None:
    (tmp_path / "participants.tsv").write_text("participant_id\np1\np1_2\np10\n07\n")
    found, _ = assign(["p1", "p1_b", "p1_2", "p1_2-x", "p10", "sub-07_ses-1"], people=tmp_path / "participants.tsv")
    assert [group for group, _ in found.values()] == ["p1", "p1", "p1_2", "p1_2", "p10", "07"]


def test_a_table_can_give_the_splits(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(
        "case,person,split\np01_a,p,Training\np01_b,p,\np02_a,q,validation\np03_a,r,testing\n"
    )
    found, _ = assign(IDS, people=tmp_path / "t.csv")
    assert [split for _, split in found.values()] == ["train", "train", "val", "test"]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.text("abc12_", min_size=1, max_size=5), st.sampled_from("xyzuv"), min_size=1), st.randoms())
def test_a_person_never_crosses_splits(tmp_path: Path, person_of: dict[str, str], random: object) -> None:
    rows = list(person_of.items())
    random.shuffle(rows)  # type: ignore[attr-defined]
    (tmp_path / "t.csv").write_text("person,case\n" + "".join(f"{who},{case}\n" for case, who in rows))
    found, _ = assign(sorted(person_of), people=tmp_path / "t.csv")
    assert {case: group for case, (group, _) in found.items()} == person_of
    assert len(set(found.values())) == len(set(person_of.values()))


# -- splits of nnU-Net ------------------------------------------------------------------------------------------------


def nnunet(folder: Path, names: list[str] | tuple[str, ...] = ("a1", "a2", "b1")) -> Path:
    for name in names:
        write(folder / f"imagesTr/{name}_0000.nii.gz")
        write(folder / f"labelsTr/{name}.nii.gz")
    content = {"channel_names": {"0": "T1"}, "labels": {"background": 0, "a": 1}}
    (folder / "dataset.json").write_text(json.dumps(content))
    return folder


FOLDS = [{"train": ["a1", "a2"], "val": ["b1"]}, {"train": ["b1"], "val": ["a1", "a2"]}]


@pytest.mark.parametrize("place", ["raw/Dataset001_X", "nnUNet_preprocessed/Dataset001_X"])
def test_splits_are_found_beside_the_dataset(tmp_path: Path, place: str) -> None:
    source = nnunet(tmp_path / "raw/Dataset001_X")
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "splits_final.json").write_text(json.dumps(FOLDS))
    sink = ListSink()
    dataset = Dataset.load(import_nnunet(source, tmp_path / "D.json", events=Events(sink)))
    assert {case.id: case.split for case in dataset.cases} == {"a1": "train", "a2": "train", "b1": "val"}
    assert "train and val are those of fold 0 of 2; choose with --fold" in said(sink, "log")
    dataset = Dataset.load(import_nnunet(source, tmp_path / "D.json", fold=1))
    assert {case.id: case.split for case in dataset.cases} == {"a1": "val", "a2": "val", "b1": "train"}
    dataset = Dataset.load(import_nnunet(source, tmp_path / "D.json", fractions=(1.0, 0.0, 0.0)))
    assert {case.split for case in dataset.cases} == {"train"}


@pytest.mark.parametrize(
    ("content", "fold", "message"),
    [
        (FOLDS, 2, "fold: has 2 folds, from 0; there is no fold 2"),
        ([{"train": ["a1"], "val": ["b1"]}], None, "[0]: fold 0 does not name 'a2'; add them to a split"),
        ([{"train": ["a1", "a2"], "val": ["a1", "b1"]}], None, "[0]: case 'a1' is in train and in val"),
        ([["a1"]], None, '[0]: expected folds of {"train": [ids], "val": [ids]}'),
        ({"train": [], "val": ["a1", "a2", "b1"]}, None, "expected folds of"),
    ],
)
def test_splits_that_do_not_fit(tmp_path: Path, content: object, fold: int | None, message: str) -> None:
    (tmp_path / "s.json").write_text(json.dumps(content))
    with pytest.raises(InputError) as caught:
        assign(["a1", "a2", "b1"], splits=tmp_path / "s.json", fold=fold)
    assert message in str(caught.value)


def test_splits_never_part_a_person(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text(json.dumps([{"train": ["a1", "b1"], "val": ["a2"]}]))
    (tmp_path / "t.csv").write_text("case,person\na1,a\na2,a\nb1,b\n")
    with pytest.raises(InputError, match=r"s\.json: person 'a' is in two splits: 'a1' in train, 'a2' in val"):
        assign(["a1", "a2", "b1"], splits=tmp_path / "s.json", people=tmp_path / "t.csv")
    with pytest.raises(InputError, match="fold: no splits were found or given"):
        assign(["a1"], fold=0)
    found, sink = assign(["a1", "b1"], splits=tmp_path / "s.json")
    assert [split for _, split in found.values()] == ["train", "train"]
    assert "fold 0 names 'a2', which the dataset does not have" in said(sink)


def test_a_person_of_the_test_set_does_not_train(tmp_path: Path) -> None:
    source = nnunet(tmp_path / "src")
    write(source / "imagesTs/a3_0000.nii.gz")
    write(source / "labelsTs/a3.nii.gz")
    (tmp_path / "t.csv").write_text("case,person\na1,a\na2,c\na3,a\nb1,b\n")
    sink = ListSink()
    dataset = Dataset.load(import_nnunet(source, tmp_path / "D.json", people=tmp_path / "t.csv", events=Events(sink)))
    assert "'a1' are scans of people of the test set" in said(sink)
    assert {case.id: case.split for case in dataset.cases if case.group == "a"} == {"a1": "test", "a3": "test"}
    assert {case.split for case in dataset.cases if case.group != "a"} <= {"train", "val"}


# -- ids that look like one person ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ids",
    [
        "p01_a p01_b", "p01a p01b", "sub-1_ses-1 sub-1_ses-2", "P001-1 P001-2", "p1 p1_2", "p1_v1 p1_v2",
        "p01_T0 p01_T1", "x_baseline x_followup", "01-pre 01-post", "baseline_p1 followup_p1", "p1 p1_rescan",
        "s1_20190101 s1_20200304", "s1_2019-01-01 s1_2020-03-04", "smith_2019 smith_2020", "p01.1 p01.2",
        "BraTS-GLI-00000-000 BraTS-GLI-00000-001", "OAS1_0001_MR1 OAS1_0001_MR2", "002_S_0295_bl 002_S_0295_m06",
        "sub-01_run-1 sub-01_run-2", "p1_visit1 p1_visit02", "sub-1_ses-1_T1w sub-1_ses-2_T1w",
    ],
)  # fmt: skip
def test_scans_of_one_person_are_recognised(ids: str) -> None:
    assert list(scans_of_one([*ids.split(), "other_77", "other_78"]).values()) == [sorted(ids.split())]


@pytest.mark.parametrize(
    "ids",
    [
        "case_1 case_10 case_100 scan_001_000 a.b", "BraTS20_Training_001 BraTS20_Training_002", "la_003 la_004",
        "left_a left_b left_c", "s0001 s0002", "sub-01 sub-02", "volume-1 volume-2", "IXI002-Guys-0828 IXI012-HH-1211",
        "1.2.840.1 1.2.840.2", "h_001 h_002 h_003", "img1 img2", "amos_0001 amos_0004 amos_0005",
    ],
)  # fmt: skip
def test_people_who_are_only_numbered_are_not(ids: str) -> None:
    assert scans_of_one(ids.split()) == {}


def test_each_importer_takes_tables_and_warns(tmp_path: Path) -> None:
    ids = ["p01_a", "p01_b", "p02_a", "p03_a"]
    folder, raw, task = tmp_path / "folder", nnunet(tmp_path / "raw", ids), tmp_path / "task"
    for name in ids:
        write(folder / f"images/{name}.nii.gz")
        write(folder / f"labels/{name}.nii.gz")
        write(task / f"imagesTr/{name}.nii.gz")
        write(task / f"labelsTr/{name}.nii.gz")
    entries = [{"image": f"./imagesTr/{name}.nii.gz", "label": f"./labelsTr/{name}.nii.gz"} for name in ids]
    content = {"modality": {"0": "CT"}, "labels": {"0": "background", "1": "a"}, "training": entries}
    (task / "dataset.json").write_text(json.dumps(content))
    bids = tmp_path / "bids"
    for name in ("sub-p01a", "sub-p01b", "sub-p02a", "sub-p03a"):
        write(bids / name / f"anat/{name}_T1w.nii.gz")
        write(bids / "derivatives/x" / name / f"anat/{name}_T1w_dseg.nii.gz")
    table = tmp_path / "people.tsv"
    for read, source in ((import_folder, folder), (import_nnunet, raw), (import_decathlon, task), (import_bids, bids)):
        first = "sub-p01{}" if source == bids else "p01_{}"
        sink = ListSink()
        dataset = Dataset.load(read(source, tmp_path / "D.json", events=Events(sink)))
        assert len({case.group for case in dataset.cases}) == 4
        assert "look like scans of one person" in said(sink)
        assert "name the persons with --people TABLE" in said(sink)
        rows = "".join(f"{case.id}\t{case.id[:-1]}\n" for case in dataset.cases)
        table.write_text("scan\tperson\n" + rows)
        sink = ListSink()
        dataset = Dataset.load(read(source, tmp_path / "D.json", people=table, events=Events(sink)))
        assert dataset.case(first.format("a")).group == dataset.case(first.format("b")).group
        assert dataset.case(first.format("a")).split == dataset.case(first.format("b")).split
        assert said(sink) == ""
