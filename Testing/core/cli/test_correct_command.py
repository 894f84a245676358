"""``softseg correct`` on files, and the other commands on what it wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from softseg.image import Geometry, Image, read_image, write_image
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree


@pytest.fixture
def soft(world: Path) -> Path:
    """A stored result on the grid of the first scan."""
    leaves = [read_image(world / f"soft_{leaf}.nii.gz") for leaf in ("background", "core", "shell")]
    dense = np.stack([image.array for image in leaves]) * np.float32(0.8) + np.float32(0.2 / 3)
    tree = LabelTree.load(world / "tree.json")
    return SoftParcellation.from_dense(dense, tree, leaves[0].geometry, "a model").save(world / "case.soft.npz")


@pytest.fixture
def mask(world: Path, soft: Path) -> Path:
    grid = SoftParcellation.load(soft).geometry
    array = np.zeros(grid.shape, np.uint8)
    array[4:8, 4:8, 4:8] = 1
    return write_image(Image(array, grid), world / "mask.nii.gz")


def test_a_mask_is_a_node_or_is_not(cli: Callable, soft: Path, mask: Path, world: Path) -> None:
    voxels = read_image(mask).array > 0
    out = world / "corrected.soft.npz"
    answer = cli("correct", soft, "--node", "organ", "--voxels", mask, "--author", "A B", "--out", out)
    assert (answer.code, answer.err) == (0, "")
    assert cli("correct", out, "--node", "core", "--voxels", mask, "--not", "--out", out).code == 0
    corrected = SoftParcellation.load(out)
    assert [(one.node_id, one.is_node, one.author) for one in corrected.corrections] == [
        ("organ", True, "A B"),
        ("core", False, ""),
    ]
    assert (corrected.probability("shell")[voxels] == 1).all()
    listed = cli("correct", out, "--list").out.splitlines()
    assert len(listed) == 2
    assert listed[0].startswith(corrected.corrections[0].id)
    assert listed[0].endswith("is organ: 64 voxels  by A B")
    assert listed[1].endswith("is not core: 64 voxels")


def test_taken_back_the_file_is_as_it_was(cli: Callable, soft: Path, mask: Path, world: Path) -> None:
    out, before = world / "corrected.soft.npz", soft.read_bytes()
    for node in ("organ", "core", "shell"):
        source = out if out.exists() else soft
        assert cli("correct", source, "--node", node, "--voxels", mask, "--out", out).code == 0
    first = SoftParcellation.load(out).corrections[0].id
    assert cli("correct", out, "--undo", f"last,{first}", "--out", out).code == 0
    assert [one.node_id for one in SoftParcellation.load(out).corrections] == ["core"]
    assert cli("correct", out, "--undo", "all", "--out", out).code == 0
    assert out.read_bytes() == before
    answer = cli("correct", out, "--undo", "last", "--out", out)
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert "nothing to undo" in answer.err
    assert cli("correct", out, "--list").out == "no corrections\n"


def test_an_edited_label_map(cli: Callable, soft: Path, world: Path) -> None:
    labels, out = world / "labels.nii.gz", world / "corrected.soft.npz"
    assert cli("collapse", soft, "--cut", "2", "--out", labels).code == 0
    image = read_image(labels)
    edited = image.array.copy()
    edited[3:6, 3:6, 3:6] = 2
    write_image(Image(edited, image.geometry), labels)
    answer = cli("correct", soft, "--labels", labels, "--cut", "2", "--out", out, "--events", "json")
    events = [json.loads(line) for line in answer.out.splitlines()]
    assert any("is shell: 27 voxels" in event.get("text", "") for event in events)
    again = world / "again.nii.gz"
    assert cli("collapse", out, "--cut", "2", "--out", again).code == 0
    np.testing.assert_array_equal(read_image(again).array, edited)
    assert cli("collapse", out, "--cut", "2", "--out", again, "--without-corrections").code == 0
    np.testing.assert_array_equal(read_image(again).array, image.array)
    edited[0, 0, 0] = 9
    write_image(Image(edited, image.geometry), labels)
    answer = cli("correct", soft, "--labels", labels, "--cut", "2", "--out", out)
    assert answer.code == 2
    assert "labels.nii.gz: labels: no node of the cut has the value 9" in answer.err


def test_evaluation_sees_corrections_or_not(cli: Callable, soft: Path, world: Path) -> None:
    reference = read_image(world / "labels0.nii.gz")
    wrong = np.where(reference.array == 1, 2, reference.array).astype(np.uint8)
    write_image(Image(wrong, reference.geometry), world / "wrong.nii.gz")
    out = world / "labels0.soft.npz"
    assert cli("correct", soft, "--labels", world / "wrong.nii.gz", "--cut", "2", "--out", out).code == 0
    scores = []
    for more in ((), ("--without-corrections",)):
        arguments = ("--prediction", out, "--reference", world / "labels0.nii.gz", "--tree", world / "tree.json")
        assert cli("evaluate", *arguments, "--out", world / "scores", *more).code == 0
        rows = (world / "scores" / "metrics.csv").read_text(encoding="utf-8").splitlines()
        at = rows[0].split(",").index("dice")
        scores.append([float(row.split(",")[at] or 0) for row in rows[1:] if ",core," in row])
    assert max(scores[0]) == 0
    assert min(scores[1]) == 1


def test_tables_come_without_a_report_where_it_is_not_wanted(cli: Callable, soft: Path, world: Path) -> None:
    arguments = ("--prediction", soft, "--reference", world / "labels0.nii.gz", "--tree", world / "tree.json")
    assert cli("evaluate", *arguments, "--out", world / "tables", "--without-report").code == 0
    assert cli("evaluate", *arguments, "--out", world / "whole").code == 0
    names = [{path.name for path in (world / name).iterdir()} for name in ("tables", "whole")]
    assert names[1] - names[0] == {"report.html"}
    assert "metrics.csv" in names[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give one of --node with --voxels"),
        (("--node", "organ"), "--node and --voxels belong together"),
        (("--labels", "mask.nii.gz"), "--labels and --cut belong together"),
        (("--list", "--undo", "last"), "give one of"),
        (("--undo", "last", "--not"), "--not belongs to --node"),
        (("--node", "nowhere", "--voxels", "mask.nii.gz"), "no node 'nowhere'"),
        (("--node", "body", "--voxels", "mask.nii.gz", "--not"), "nothing is left beside this node"),
        (("--node", "organ", "--voxels", "other.nii.gz"), "other.nii.gz: lies on another grid"),
        (("--node", "organ", "--voxels", "empty.nii.gz"), "empty.nii.gz: the mask is empty"),
        (("--undo", "last"), "nothing to undo"),
    ],
)
def test_what_cannot_be_is_one_line(
    cli: Callable, soft: Path, mask: Path, world: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple, message: str
) -> None:
    monkeypatch.chdir(world)
    image = read_image(mask)
    write_image(Image(image.array[:4], Geometry((*image.geometry.size[:2], 4))), world / "other.nii.gz")
    write_image(Image(np.zeros_like(image.array), image.geometry), world / "empty.nii.gz")
    answer = cli("correct", soft, *arguments, "--out", "out.soft.npz")
    assert (answer.code, answer.err.count("\n")) == (2, 1)
    assert message in answer.err
    assert not (world / "out.soft.npz").exists()


def test_something_must_be_written(cli: Callable, soft: Path, mask: Path) -> None:
    answer = cli("correct", soft, "--node", "organ", "--voxels", mask)
    assert (answer.code, "missing option '--out'" in answer.err) == (2, True)
