"""Predictions and references with the values of another tool, or of another version of the tree."""

from __future__ import annotations

import numpy as np
import pytest

from softseg.errors import InputError
from softseg.evaluation import evaluate
from softseg.evaluation.own_values import OwnValues
from softseg.events import Events, ListSink
from softseg.image import Image, write_image
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree, Node

TABLE = """#No. Label Name: R G B A
0  Unknown 0 0 0 0
7  Right-Cortex 200 0 0 0
8  Cortex_L 0 200 0 0
12 Deep-Gray 0 0 200 0
30 White-Matter 9 9 9 0
99 Optic-Chiasm 1 2 3 0
"""
THEIRS = {0: 0, 12: 7, 11: 8, 2: 12, 3: 30}
"""Their value for each of ours: two of them are ours for other structures."""


@pytest.fixture
def table(tmp_path) -> LabelTree:
    (tmp_path / "lut.txt").write_text(TABLE)
    return LabelTree.load(tmp_path / "lut.txt", "freesurfer")


@pytest.fixture
def renumbered(small_values):
    return np.vectorize(THEIRS.get)(small_values).astype(np.uint16)


def test_labels_of_another_tool_are_judged_by_their_names(
    table, renumbered, small_tree, small_values, small_geometry, tmp_path
):
    theirs = write_image(Image(renumbered, small_geometry), tmp_path / "theirs.nii.gz")
    ours = write_image(Image(small_values, small_geometry), tmp_path / "ours.nii.gz")
    for side in ("prediction", "reference"):
        files = ([theirs], [ours]) if side == "prediction" else ([ours], [theirs])
        report = evaluate(*files, small_tree, tmp_path / side, html=False, tolerance_mm=None, **{f"{side}_tree": table})
        assert {row["dice"] for row in report.nodes if row["status"] != "absent"} == {1.0}
    with pytest.raises(InputError, match=r"theirs\.nii\.gz"):  # without the table: values that the tree lacks
        evaluate([ours], [theirs], small_tree, tmp_path / "out", html=False, tolerance_mm=None)


def test_an_inner_node_without_a_value_may_be_what_a_label_means(small_tree, small_values, small_geometry, tmp_path):
    whole = LabelTree(
        [Node("r", "r", None), Node("c", "Cortex", "r", value=4), Node("w", "white matter", "r", value=5)]
    )
    labels = np.where(np.isin(small_values, (11, 12)), 4, np.where(small_values == 3, 5, 0)).astype(np.uint8)
    theirs = write_image(Image(labels, small_geometry), tmp_path / "theirs.nii.gz")
    ours = write_image(Image(small_values, small_geometry), tmp_path / "ours.nii.gz")
    report = evaluate(
        [ours], [theirs], small_tree, tmp_path / "out", reference_tree=whole, html=False, tolerance_mm=None
    )
    found = {row["node"]: row["dice"] for row in report.nodes if row["level"] == 3}
    assert (found["cortex"], found["white"]) == (1.0, 1.0)


def test_a_label_that_is_not_found_is_named_where_it_occurs(table, renumbered, small_tree, tmp_path):
    own = OwnValues(table, small_tree)
    own.apply(renumbered, tmp_path / "x")  # the optic chiasm is in the table, not in the map
    renumbered[0, 0, 0] = 99
    with pytest.raises(InputError, match=r"x: the label tree 'small' has no node for Optic-Chiasm; name the labels"):
        own.apply(renumbered, tmp_path / "x")
    renumbered[0, 0, 0] = 55
    with pytest.raises(InputError, match=r"x: label value 55 not in the label tree 'lut'"):
        own.apply(renumbered, tmp_path / "x")


def test_a_label_without_a_name_is_taken_by_its_value_and_that_is_said(
    small_tree, small_values, small_geometry, tmp_path
):
    bare = LabelTree([Node("r", "r", None), *[Node(f"label-{v}", f"label {v}", "r", value=v) for v in (2, 3, 11, 12)]])
    file = write_image(Image(small_values, small_geometry), tmp_path / "x.nii.gz")
    sink = ListSink()
    evaluate(
        [file], [file], small_tree, tmp_path / "out", Events(sink), reference_tree=bare, html=False, tolerance_mm=None
    )
    said = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert len(said) == 1
    assert "matched by label value, without a known name: 2 (label 2) as 'deep grey'" in said[0]


def test_a_soft_parcellation_is_never_read_by_the_numbers_of_another_tree(
    small_tree, small_values, small_geometry, soften, tmp_path
):
    swapped = LabelTree(
        [
            Node(
                node.id + "-x",
                {"Left cortex": "Right cortex", "Right cortex": "lh.cortex"}.get(node.name, node.name),
                node.parent and node.parent + "-x",
                value=node.value,
            )
            for node in small_tree.nodes
        ]
    )  # what is left there has the value of what is right here
    mirrored = np.where(small_values == 11, 12, np.where(small_values == 12, 11, small_values))
    parcellation = SoftParcellation.from_dense(soften(mirrored, 0.0), swapped, small_geometry)
    soft = parcellation.save(tmp_path / "x.soft.npz")
    reference = write_image(Image(small_values, small_geometry), tmp_path / "x.nii.gz")
    report = evaluate([soft], [reference], small_tree, tmp_path / "out", html=False, tolerance_mm=None)
    assert {row["dice"] for row in report.nodes if row["status"] != "absent"} == {1.0}
    strange = small_tree.rename("left-cortex", "lesion", "lesion")
    with pytest.raises(InputError, match="Left cortex: no node has this name, and 11 is 'lesion' in the tree"):
        evaluate(
            [
                SoftParcellation.from_dense(soften(mirrored, 0.0), small_tree, small_geometry).save(
                    tmp_path / "y.soft.npz"
                )
            ],
            [reference],
            strange,
            tmp_path / "out",
            html=False,
            tolerance_mm=None,
        )
