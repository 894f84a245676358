"""The file of a soft parcellation: round trip, other readers, and files that are not what they should be."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softseg.errors import InputError
from softseg.image import Geometry, read_image
from softseg.soft import SoftParcellation
from softseg.tree import LabelTree

Helpers = dict[str, Callable[..., Any]]
DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "soft-parcellation.md"


@pytest.fixture
def stored(small_tree: LabelTree, helpers: Helpers) -> SoftParcellation:
    grid = helpers["turned"]((9, 8, 7), (1.0, 1.5, 2.0), (0.2, 0.1))
    return SoftParcellation.from_dense(helpers["blobs"](6, grid.shape), small_tree, grid, model="Größe 1")


@pytest.fixture
def file(stored: SoftParcellation, tmp_path: Path) -> Path:
    return stored.save(tmp_path / "new folder" / "case.soft.npz")


def rewritten(file: Path, **changes: Any) -> Path:
    with np.load(file) as archive:
        arrays = {name: archive[name] for name in archive.files}
    header = json.loads(arrays["header"].tobytes())
    for name, value in changes.items():
        if name in arrays:
            arrays[name] = value
        else:
            header[name] = value
    if "header" not in changes:
        arrays["header"] = np.frombuffer(json.dumps(header).encode(), np.uint8)
    np.savez_compressed(file, **{name: value for name, value in arrays.items() if value is not None})
    return file


def test_round_trip(stored: SoftParcellation, file: Path) -> None:
    back = SoftParcellation.load(file)
    assert back.tree == stored.tree
    assert back.geometry == stored.geometry
    assert (back.model, back.software, back.k, back.start) == (stored.model, stored.software, stored.k, stored.start)
    for name in ("counts", "leaves", "shares"):
        assert np.array_equal(getattr(back, name), getattr(stored, name))
        assert getattr(back, name).dtype == getattr(stored, name).dtype
    assert [path.name for path in file.parent.iterdir()] == ["case.soft.npz"]


def test_a_file_that_is_not_compressed_holds_the_same(stored: SoftParcellation, file: Path, tmp_path: Path) -> None:
    plain = stored.save(tmp_path / "plain.soft.npz", compressed=False)
    assert plain.stat().st_size > file.stat().st_size
    with np.load(plain) as one, np.load(file) as other:
        assert one.files == other.files
        assert all(np.array_equal(one[name], other[name]) for name in one.files)
    assert SoftParcellation.load(plain).geometry == stored.geometry


def test_the_reader_in_the_document_works(stored: SoftParcellation, file: Path) -> None:
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    assert code is not None
    lines = [line for line in code[1].splitlines() if line.strip()]
    assert len(lines) <= 10
    space: dict[str, Any] = {}
    exec(code[1].replace("case.soft.npz", file.as_posix()), space)  # noqa: S102
    for leaf in stored.tree.leaves:
        index = stored.tree.leaf_index(leaf.id)
        assert np.array_equal(space["probability"](index, index + 1), stored.probability(leaf.id))
    inner = stored.tree.leaf_slice("brain")
    assert np.array_equal(space["probability"](inner.start, inner.stop), stored.probability("brain"))


def test_another_name_is_refused(stored: SoftParcellation, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"case.npz: expected a name that ends in .soft.npz"):
        stored.save(tmp_path / "case.npz")


def test_missing_and_truncated_files(file: Path) -> None:
    with pytest.raises(InputError, match=r"gone.soft.npz: no such file"):
        SoftParcellation.load(file.with_name("gone.soft.npz"))
    whole = file.read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 30):
        file.write_bytes(whole[:size])
        with pytest.raises(InputError, match=r"case.soft.npz: cannot be read as a soft parcellation") as caught:
            SoftParcellation.load(file)
        assert "\n" not in str(caught.value)


def test_a_flipped_byte_is_noticed(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 0xFF
    file.write_bytes(whole)
    with pytest.raises(InputError, match=r"case.soft.npz: "):
        SoftParcellation.load(file)


class Trap:
    """Raises when unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (Path("executed"),))


def test_pickles_are_refused_and_not_executed(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    rewritten(file, shares=np.array([Trap()], object))
    with pytest.raises(InputError, match="cannot be read as a soft parcellation"):
        SoftParcellation.load(file)
    np.save(file.with_name("array"), np.array([Trap()], object))
    with pytest.raises(InputError, match="cannot be read as a soft parcellation"):
        SoftParcellation.load(file.with_name("array.npy"))
    np.save(file.with_name("plain"), np.zeros(3))
    with pytest.raises(InputError, match="got a single array"):
        SoftParcellation.load(file.with_name("plain.npy"))
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"counts": None}, "lacks 'counts'"),
        ({"header": np.frombuffer(b"{", np.uint8)}, "header: expected JSON with format and version"),
        ({"header": np.frombuffer(b"[1]", np.uint8)}, "header: expected JSON with format and version"),
        ({"format": "other"}, "header: expected format 'softseg-soft-parcellation', got 'other'"),
        ({"version": 4}, "header: written in version 4 of the format, expected at most 3; update SoftSegSlicer"),
        ({"tree": {"nodes": []}}, "tree"),
        ({"tree": 3}, "tree"),
        ({"leaves_": 1, "start": [0, 0]}, "not a sound soft parcellation"),
        ({"start": [5, 0, 0]}, "not a sound soft parcellation: expected a box inside"),
        ({"start": [-1, 0, 0]}, "not a sound soft parcellation: expected a box inside"),
        ({"geometry": {"size": [9, 8, 7]}}, "not a sound soft parcellation: it lacks 'spacing'"),
        ({"shares": np.zeros(3, np.uint8)}, "leaves and probabilities, got"),
        ({"shares": np.zeros(3, np.float32)}, "expected counts .k, j, i. and probabilities of type uint8"),
        ({"leaves": np.zeros(3, np.float32)}, "expected leaves of type uint8 or uint16, got float32"),
    ],
)
def test_files_with_other_contents(file: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        SoftParcellation.load(rewritten(file, **changes))
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)


def test_contents_that_are_no_distribution(stored: SoftParcellation, file: Path) -> None:
    with pytest.raises(InputError, match="the probabilities of a voxel sum to more than 255"):
        SoftParcellation.load(rewritten(file, shares=np.full_like(stored.shares, 200)))
    with pytest.raises(InputError, match="the leaves of a voxel are not in increasing order"):
        SoftParcellation.load(rewritten(file, shares=stored.shares, leaves=np.zeros_like(stored.leaves)))
    with pytest.raises(InputError, match="expected leaf indices below 6, got 255"):
        SoftParcellation.load(rewritten(file, leaves=np.where(stored.leaves == 5, 255, stored.leaves).astype(np.uint8)))


def test_maps_are_written_as_volumes(stored: SoftParcellation, tmp_path: Path) -> None:
    steps = read_image(stored.write_probability("brain", tmp_path / "brain.nii.gz", dtype="uint8"))
    probability = read_image(stored.write_probability("brain", tmp_path / "brain.nrrd"))
    assert steps.array.dtype == np.uint8
    assert probability.array.dtype == np.float32
    assert np.array_equal(probability.array, stored.probability("brain"))
    assert np.array_equal((steps.array / np.float32(255)).astype(np.float32), probability.array)
    assert np.unique(probability.array).size > 2
    labels = read_image(stored.write_labels(2, tmp_path / "labels.nii.gz"))
    assert np.array_equal(labels.array, stored.labels(2))
    assert labels.geometry.same_grid(stored.geometry)
    with pytest.raises(ValueError, match="expected dtype 'float32' or 'uint8', got 'int16'"):
        stored.write_probability("brain", tmp_path / "x.nii.gz", dtype="int16")


def test_many_leaves_need_two_bytes(helpers: Helpers, tmp_path: Path) -> None:
    tree = helpers["wide_tree"](300)
    dense = np.random.default_rng(0).dirichlet(np.full(len(tree.leaves), 0.01), (2, 2, 2)).transpose(3, 0, 1, 2)
    stored = SoftParcellation.from_dense(dense.astype(np.float32), tree, Geometry((2, 2, 2)))
    back = SoftParcellation.load(stored.save(tmp_path / "many.soft.npz"))
    assert back.leaves.dtype == np.uint16
    assert np.array_equal(back.labels(3), stored.labels(3))
