"""Region-based probabilities of nnU-Net: regions in each other become branches, others are refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).resolve().parent))
from exchange_kit import SIZE, image

from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.exchange.importing import run_import_soft
from softseg.exchange.regions import Nesting, TreeRegion
from softseg.requests import ImportSoftRequest
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree

TUMOUR = {"background": 0, "whole tumour": [1, 2, 3], "tumour core": [2, 3], "enhancing": [3]}


def write(folder: Path, values: np.ndarray, labels: dict) -> Path:
    import pickle

    folder.mkdir(exist_ok=True)
    np.savez_compressed(folder / "case.npz", probabilities=values.astype(np.float32))
    scan = image(values[0])
    stuff = {"spacing": scan.GetSpacing(), "origin": scan.GetOrigin(), "direction": scan.GetDirection()}
    (folder / "case.pkl").write_bytes(pickle.dumps({"sitk_stuff": stuff, "shape_before_cropping": SIZE[::-1]}))
    description = {"labels": labels, "regions_class_order": [1, 2, 3]}
    (folder / "dataset.json").write_text(json.dumps(description))
    return folder / "case.npz"


def nested(seed: int = 0) -> np.ndarray:
    """Return three probabilities, each at most the one before."""
    parts = np.random.default_rng(seed).uniform(0, 1, (3, *SIZE[::-1]))
    return np.cumprod(parts, axis=0)


def imported(path: Path, out: Path, **asked) -> tuple[SoftParcellation, list[str]]:
    sink = ListSink()
    run_import_soft(ImportSoftRequest((path,), out, **asked), Events(sink))
    said = [event["text"] for event in sink.events if event["event"] in ("log", "warning")]
    return SoftParcellation.load(out), said


def test_regions_become_branches_whose_probabilities_are_the_networks(tmp_path: Path) -> None:
    values = nested()
    found, said = imported(write(tmp_path / "in", values, TUMOUR), tmp_path / "x.soft.npz")
    tree = found.tree
    assert [node.name for node in tree.path(tree.find("enhancing").id)][1:] == [
        "whole tumour",
        "tumour core",
        "enhancing",
    ]
    assert {leaf.name: leaf.value for leaf in tree.leaves} == {
        "background": 0,
        "whole tumour without tumour core": 1,
        "tumour core without enhancing": 2,
        "enhancing": 3,
    }
    for name, volume in zip(list(TUMOUR)[1:], values, strict=True):
        assert np.abs(found.probability(tree.find(name).id) - volume).max() <= 0.01, name
    assert any("regions" in text for text in said)
    assert not any("likelier" in text for text in said)


def test_a_tree_of_ones_own_gets_the_parts_by_their_values(tmp_path: Path) -> None:
    values = nested(1)
    (tmp_path / "tree.txt").write_text(
        "head\n  background = 0\n  tumour\n    oedema = 1\n    core\n      necrosis = 2\n      active = 3\n"
    )
    path = write(tmp_path / "in", values, TUMOUR)
    found, _ = imported(path, tmp_path / "x.soft.npz", tree=str(tmp_path / "tree.txt"))
    for name, volume in zip(("tumour", "core", "active"), values, strict=True):
        assert np.abs(found.probability(found.tree.find(name).id) - volume).max() <= 0.01
    assert np.abs(found.probability(found.tree.find("oedema").id) - (values[0] - values[1])).max() <= 0.01


def test_inner_regions_that_are_likelier_are_said(tmp_path: Path) -> None:
    values = nested(2)
    values[1, 1, 2, 3] = min(values[0, 1, 2, 3] + 0.2, 1)
    values[2, 1, 2, 3] = 0
    higher = values[1, 1, 2, 3] - values[0, 1, 2, 3]
    found, said = imported(write(tmp_path / "in", values, TUMOUR), tmp_path / "x.soft.npz")
    (told,) = [text for text in said if "likelier" in text]
    assert "in 1 voxels" in told
    assert f"by up to {higher:.2g}" in told
    whole = found.probability(found.tree.find("whole tumour").id)
    assert whole[1, 2, 3] == pytest.approx(values[1, 1, 2, 3], abs=0.01)


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        ({"background": 0, "a": [1, 2], "b": [2, 3], "c": [3]}, "'a' and 'b' overlap, and neither lies in the other"),
        ({"background": 0, "a": [1, 2], "b": [2, 1], "c": [3]}, "'a' and 'b' are the same"),
        ({"background": 0, "a": [1, 2], "b": [2]}, "names 2 regions, but case.npz holds 3"),
    ],
)
def test_other_regions_are_refused(labels: dict, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        imported(write(tmp_path / "in", nested(), labels), tmp_path / "x.soft.npz")
    assert not (tmp_path / "x.soft.npz").exists()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.frozensets(st.integers(1, 5), min_size=1), min_size=1, max_size=5, unique=True))
def test_parts_are_apart_and_cover_every_region(sets: list[frozenset[int]]) -> None:
    regions = [TreeRegion(f"r{number}", values) for number, values in enumerate(sets)]
    laminar = all(a <= b or b <= a or not a & b for a in sets for b in sets)
    if not laminar:
        with pytest.raises(InputError, match="overlap"):
            Nesting.of(regions, Path("dataset.json"))
        return
    nesting = Nesting.of(regions, Path("dataset.json"))
    rests = [nesting.rest(place) for place in nesting.parts]
    assert sum(map(len, rests)) == len(frozenset().union(*sets))
    tree = nesting.tree("t")
    assert isinstance(tree, LabelTree)
    assert len(tree.leaves) == len(rests) + 1
    assert {leaf.name for leaf in tree.leaves} == {*nesting.leaf_names(), "background"}
