"""A dataset averaged to larger voxels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softseg.data import Dataset, check_dataset
from softseg.data.coarsen import coarsen
from softseg.errors import InputError
from softseg.image import Image, read_image, write_image


def blocks(array: np.ndarray) -> np.ndarray:
    """The eight fine voxels of each coarse one: ``(k, j, i, 8)``."""
    k, j, i = (size // 2 for size in array.shape)
    return array.reshape(k, 2, j, 2, i, 2).transpose(0, 2, 4, 1, 3, 5).reshape(k, j, i, 8)


def test_probabilities_are_those_of_the_fine_labels(make: Any, tmp_path: Path) -> None:
    make.head("a")
    source = make.load()
    soft = Dataset.load(coarsen(source, tmp_path / "soft", (2, 2, 2), soft=True))
    fine = blocks(read_image(source.cases[0].labels).array)
    maps = soft.cases[0].labels
    assert set(maps) == {"grey-left", "grey-right", "white"}
    for node, path in maps.items():
        expected = (fine == source.tree.find(node).value).mean(axis=-1)
        found = read_image(path)
        np.testing.assert_allclose(found.array, expected, atol=1e-6)
        assert found.geometry.spacing == (2, 2, 2)
    assert found.array[(found.array > 0) & (found.array < 1)].size > 0
    check_dataset(soft)


def test_label_maps_keep_the_largest_probability_and_images_their_mean(make: Any, tmp_path: Path) -> None:
    make.head("a")
    source = make.load()
    coarse = Dataset.load(coarsen(source, tmp_path / "coarse", (2, 2, 2)))
    fine = blocks(read_image(source.cases[0].labels).array)
    counts = np.stack([(fine == value).sum(axis=-1) for value in (0, 1, 2, 3)])
    clear = np.sort(counts, axis=0)[-1] > np.sort(counts, axis=0)[-2]
    labels = read_image(coarse.cases[0].labels).array
    assert np.array_equal(labels[clear], counts.argmax(axis=0)[clear])
    image = blocks(read_image(source.cases[0].images["T1"]).array).mean(axis=-1)
    np.testing.assert_allclose(read_image(coarse.cases[0].images["T1"]).array, image, rtol=1e-4, atol=1e-3)


def test_one_axis_may_stay(make: Any, tmp_path: Path) -> None:
    make.head("a", spacing=(1.0, 1.0, 4.0))
    coarse = Dataset.load(coarsen(make.load(), tmp_path / "coarse", (2, 2, 0)))
    assert read_image(coarse.cases[0].images["T1"]).geometry.spacing == (2, 2, 4)


def test_what_is_not_coarsened_is_refused(make: Any, tmp_path: Path) -> None:
    make.head("a")
    path = make.save()
    content = json.loads(path.read_text())
    content["cases"][0]["labels"] = [content["cases"][0]["labels"]] * 2
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match="several raters"):
        coarsen(Dataset.load(path), tmp_path / "coarse", (2, 2, 2))
    for spacing in ((-1, 1, 1), (0, 0, 0)):
        with pytest.raises(InputError, match="spacing"):
            coarsen(make.load(), tmp_path / "coarse", spacing)


def test_a_margin_cuts_to_the_labels_and_moves_nothing(make: Any, tmp_path: Path) -> None:
    make.head("a", spacing=(1.0, 1.5, 2.0))
    source = make.load()
    cut = Dataset.load(coarsen(source, tmp_path / "cut", (0, 0, 0), margin_mm=3))
    before, after = read_image(source.cases[0].labels), read_image(cut.cases[0].labels)
    assert np.array_equal(after.array[after.array > 0], before.array[before.array > 0])
    where = np.argwhere(before.array > 0)
    around = np.ceil(3 / np.array(before.geometry.spacing_kji)).astype(int)
    low = np.maximum(where.min(axis=0) - around, 0)
    high = np.minimum(where.max(axis=0) + 1 + around, before.array.shape)
    assert after.array.shape == tuple(high - low) < before.array.shape
    expected = before.geometry.ijk_to_lps() @ [*low[::-1], 1]
    np.testing.assert_allclose(after.geometry.origin, expected[:3], atol=1e-4)
    image = read_image(cut.cases[0].images["T1"])
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    assert np.array_equal(image.array, read_image(source.cases[0].images["T1"]).array[box])


def test_a_margin_needs_labels_and_is_not_negative(make: Any, tmp_path: Path) -> None:
    make.head("a")
    with pytest.raises(InputError, match="margin: expected a margin"):
        coarsen(make.load(), tmp_path / "cut", (0, 0, 0), margin_mm=-1)
    labels = read_image(make.load().cases[0].labels)
    write_image(Image(np.zeros_like(labels.array), labels.geometry), make.load().cases[0].labels)
    with pytest.raises(InputError, match="case a has no label to cut to"):
        coarsen(make.load(), tmp_path / "cut", (0, 0, 0), margin_mm=5)
