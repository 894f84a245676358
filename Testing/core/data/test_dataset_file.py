"""DATA.json: what is read, and the one line that each mistake gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from softseg.data import Dataset
from softseg.errors import InputError


@pytest.fixture
def path(make) -> Path:
    make.head("a")
    make.head("b", "val")
    return make.save()


def change(path: Path, edit) -> Path:
    content = json.loads(path.read_text())
    edit(content)
    path.write_text(json.dumps(content))
    return path


def message_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        Dataset.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_paths_are_relative_to_the_file_and_become_absolute(path):
    dataset = Dataset.load(path)
    assert dataset.channels == ("T1",)
    assert [case.id for case in dataset.split("val")] == ["b"]
    case = dataset.case("a")
    assert case.images["T1"] == path.parent / "a.nii.gz"
    assert case.labels == path.parent / "a-labels.nii.gz"
    assert [field for field, _ in case.files()] == ["images.T1", "labels"]


def test_no_such_case_is_named(path):
    with pytest.raises(InputError, match="no case has the id 'z'"):
        Dataset.load(path).case("z")


def test_a_missing_file(tmp_path):
    assert "no such file" in message_of(tmp_path / "DATA.json")


def test_broken_json_names_the_line(path):
    path.write_text('{"name": "x",\n "channels": [,]}')
    assert "line 2: is not valid JSON" in message_of(path)


def test_binary_rubbish(path):
    path.write_bytes(b"\xff\xfe\x00\x81")
    assert "not a text file" in message_of(path)


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda c: c.update(colour="red"), "colour: unknown key"),
        (lambda c: c["cases"][1].update(age=3), "cases[1].age: unknown key"),
        (lambda c: c["cases"][1].pop("split"), "cases[1].split: is missing"),
        (lambda c: c["cases"][0].update(split="validation"), "cases[0].split: "),
        (lambda c: c["cases"][0].update(labels=3), "cases[0].labels: expected a path, a list of paths (raters)"),
        (lambda c: c["cases"][0].update(labels=[1]), "cases[0].labels: expected a path"),
        (lambda c: c["cases"][0].update(labels=[]), "case 'a' has no labels"),
        (lambda c: c["cases"][1].update(id="a"), "cases: case id 'a' is given twice"),
        (lambda c: c["cases"][1].update(id="../b"), "cases[1].id: '../b' cannot be a file name"),
        (lambda c: c["cases"][1].update(group="a"), "person 'a' is in two splits: case 'a' in train, case 'b' in val"),
        (lambda c: c.update(channels=["T1", "T2"]), "cases[0].images: case 'a' lacks the channel 'T2'"),
        (lambda c: c.update(channels=["T1", "T1"]), "channels: channel 'T1' is given twice"),
        (lambda c: c["cases"][0]["images"].update(T2="a.nii.gz"), "has a channel 'T2' that is not in channels"),
        (lambda c: c["cases"][1]["images"].update(T1="gone.nii.gz"), "cases[1].images.T1: no such file: "),
        (lambda c: c["cases"][1].update(labels="gone.nii.gz"), "cases[1].labels: no such file: "),
        (lambda c: c["cases"][1].update(mask="gone.nii.gz"), "cases[1].mask: no such file: "),
        (lambda c: c["cases"][1].update(labels={"liver": "b.nii.gz"}), "the label tree 'head' has no node 'liver'"),
        (lambda c: c.update(tree="gone.json"), "tree: no such label tree: gone.json"),
        (lambda c: c.update(cases=[]), "cases: "),
    ],
)
def test_each_mistake_names_its_field(path, edit, expected):
    assert expected in message_of(change(path, edit))


def test_a_list_instead_of_an_object(path):
    path.write_text("[]")
    assert "dictionary" in message_of(path) or "object" in message_of(path)


def test_shipped_trees_are_found_by_name(path):
    dataset = Dataset.load(change(path, lambda content: content.update(tree="spinal-cord-grey-matter")))
    assert dataset.tree.node("grey-matter").name == "grey matter"


def test_another_tree_must_have_the_nodes_of_soft_maps(make):
    make.head("a")
    make.cases[0]["labels"] = {"white": make.cases[0]["labels"]}
    dataset = make.load()
    with pytest.raises(InputError, match="has no node 'white'"):
        dataset.with_tree(dataset.tree.remove("white"))
