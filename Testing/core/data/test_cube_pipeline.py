"""Cubes through plan, preprocessing, patches and augmentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from softseg.data import AugmentationSpec, CaseStore, Dataset, PatchSampler, Plan, default_augmentation, make_plan
from softseg.data.augmentation import change_intensities, change_spectra
from softseg.data.cubes import Cube, read_channel
from softseg.data.cubes.false_colour import colour_bands, false_colour, write_false_colour
from softseg.data.plan import NetworkSpec
from softseg.data.planning import fitting_patch
from softseg.data.preprocess import preprocess_images
from softseg.errors import InputError
from softseg.image import Geometry, Image, read_image, write_image
from softseg.tree import LabelTree, Node

ROWS, COLUMNS, BANDS = 26, 34, 12
TREE = LabelTree(
    [
        Node(id="field", name="field", parent=None),
        Node(id="crops", name="crops", parent="field"),
        Node(id="corn", name="corn", parent="crops", value=1),
        Node(id="oats", name="oats", parent="crops", value=2),
        Node(id="woods", name="woods", parent="field", value=3),
    ],
    "field",
)


def scene() -> tuple[np.ndarray, np.ndarray]:
    """Three classes with spectra of their own; the left third is not labelled."""
    labels = np.repeat([1, 2, 3], [9, 9, 8])[:, None].repeat(COLUMNS, axis=1).astype(np.uint8)
    spectra = np.random.default_rng(1).uniform(100, 900, (4, BANDS))
    cube = spectra[labels] + np.random.default_rng(2).normal(0, 20, (ROWS, COLUMNS, BANDS))
    labels[:, : COLUMNS // 3] = 0
    return cube.astype(np.float32), labels


def dataset(folder: Path, mask: np.ndarray | None = None, second: str | None = None) -> Dataset:
    cube, labels = scene()
    np.savez(folder / "scene.npz", cube=cube, labels=labels)
    TREE.save(folder / "tree.json")
    case: dict[str, Any] = {"id": "scene", "group": "scene", "split": "train", "labels": "scene.npz:labels"}
    case["images"] = {"cube": "scene.npz:cube"}
    channels = ["cube"]
    if mask is not None:
        np.savez(folder / "mask.npz", mask=mask)
        case["mask"] = "mask.npz"
    if second is not None:
        write_image(Image(cube[None, ..., 0] * 2 + 1, Geometry((COLUMNS, ROWS, 1))), folder / second)
        case["images"]["height"], channels = second, ["height", "cube"]
    content = {"name": "fields", "channels": channels, "tree": "tree.json", "cases": [case]}
    (folder / "DATA.json").write_text(json.dumps(content))
    return Dataset.load(folder / "DATA.json")


def test_the_plan_of_a_cube(tmp_path: Path) -> None:
    plan = make_plan(dataset(tmp_path), gpu=False, memory_gb=4)
    assert (plan.dimensions, plan.inputs, plan.orientation) == (2, BANDS, "LPS")
    assert plan.input_slices == {"cube": slice(0, BANDS)}
    assert plan.network.options["kernel_size"][0] == 1
    assert plan.normalization["cube"].kind == "bands"
    again = Plan.load(plan.save(tmp_path / "plan.json"))
    assert again == plan
    few = make_plan(dataset(tmp_path), gpu=False, memory_gb=4, overrides={"bands": {"pca": 3, "per_pixel": "snv"}})
    assert few.inputs == 3
    assert few.bands["cube"].explained is not None
    assert sum(few.bands["cube"].explained) < 1
    assert "kernel_size" not in few.network.options
    assert few.preprocessing_key() != plan.preprocessing_key()


def test_scalar_and_cube_channels_stand_side_by_side(tmp_path: Path) -> None:
    data = dataset(tmp_path, second="height.nii.gz")
    plan = make_plan(data, gpu=False, memory_gb=4)
    assert plan.input_slices == {"height": slice(0, 1), "cube": slice(1, 1 + BANDS)}
    files = [data.cases[0].images[channel] for channel in plan.channels]
    array, grid = preprocess_images([read_channel(file) for file in files], plan, files)
    assert array.shape == (1 + BANDS, 1, ROWS, COLUMNS)
    assert grid == Geometry((COLUMNS, ROWS, 1))
    np.testing.assert_allclose(array.mean(axis=(1, 2, 3)), 0, atol=1e-3)
    np.testing.assert_allclose(array.std(axis=(1, 2, 3)), 1, atol=1e-3)
    cube = read_channel(files[1])
    np.testing.assert_array_equal(array[1:], plan.bands["cube"].apply(cube.array))


def test_a_mask_hides_pixels_from_the_statistics(tmp_path: Path) -> None:
    mask = np.zeros((ROWS, COLUMNS), np.uint8)
    mask[:9, 5:20] = 1
    plan = make_plan(dataset(tmp_path, mask), gpu=False, memory_gb=4)
    inside = scene()[0][:9, 5:20].reshape(-1, BANDS)
    np.testing.assert_allclose(plan.bands["cube"].mean, inside.mean(axis=0), rtol=1e-4)
    np.testing.assert_allclose(plan.bands["cube"].sd, inside.std(axis=0), rtol=1e-3)
    with pytest.raises(InputError, match="mask leaves no pixel"):
        make_plan(dataset(tmp_path, mask * 0), gpu=False, memory_gb=4)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"bands.select": "0-99"}, "plan.bands.select: there is no band 12"),
        ({"bands.pca": 13}, "plan.bands.pca: 13 components of 12 bands are too many"),
        ({"bands.colour": 1}, "bands.colour: unknown key"),
        ({"normalization": "z-score"}, "the channel 'cube' is a cube: its normalization is 'bands'"),
        ({"network": "FlexibleUNet", "patch_size": [48, 64]}, "FlexibleUNet needs multiples of 32 x 32, got 48 x 64"),
    ],
)
def test_choices_that_do_not_fit(overrides: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        make_plan(dataset(tmp_path), gpu=False, memory_gb=4, overrides=overrides)
    assert message in str(caught.value)


def test_a_patch_is_rounded_up_to_what_the_network_can_halve(tmp_path: Path) -> None:
    plan = make_plan(dataset(tmp_path), gpu=False, memory_gb=4)
    wide = plan.model_copy(update={"network": NetworkSpec(name="FlexibleUNet"), "patch_size": (40, 64)})
    assert fitting_patch(wide, given=False).patch_size == (64, 64)


def test_a_patch_without_changes_is_the_cube(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    plan = make_plan(data, gpu=False, memory_gb=4, overrides={"patch_size": [16, 24], "batch_size": 3})
    store = CaseStore(data, plan, tmp_path / "cache")
    batch = PatchSampler(store, ["scene"], plan, "crisp", seed=3).batch(0)
    whole = torch.from_numpy(np.array(store.load("scene").image))[:, 0]
    assert batch.image.shape == (3, BANDS, 16, 24)
    windows = whole.unfold(1, 16, 1).unfold(2, 24, 1)
    for patch in batch.image:
        same = (windows == patch[:, None, None]).all(dim=(0, 3, 4))
        assert same.sum() == 1


def test_quarter_turns_move_pixels_and_mix_none(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    plan = make_plan(data, gpu=False, memory_gb=4, overrides={"patch_size": [16, 16], "batch_size": 6})
    store = CaseStore(data, plan, tmp_path / "cache")
    spec = AugmentationSpec.none().model_copy(update={"quarter_turn_probability": 1.0})
    batch = PatchSampler(store, ["scene"], plan, "crisp", spec, seed=3).batch(0)
    whole = torch.from_numpy(np.array(store.load("scene").image))[:, 0]
    windows = whole.unfold(1, 16, 1).unfold(2, 16, 1)
    labels = torch.from_numpy(np.array(scene()[1])).long() - 1
    found = set()
    for patch, target in zip(batch.image, batch.target, strict=True):
        for turns in range(4):
            back = torch.rot90(patch, turns, (1, 2))
            place = (windows == back[:, None, None]).all(dim=(0, 3, 4)).nonzero()
            if len(place):
                j, i = place[0]
                own = labels[j : j + 16, i : i + 16]
                assert torch.equal(torch.rot90(target, turns, (1, 2))[0], own)
                found.add(turns)
                break
        else:
            pytest.fail("a patch is no part of the scene")
    assert found <= {1, 2, 3}
    assert len(found) > 1


SPECTRAL = ["spectral_gain_probability", "spectral_tilt_probability", "noise_probability", "band_dropout_probability"]


def spectral(name: str, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    bands = torch.randn(BANDS, 9, 11, generator=torch.Generator().manual_seed(4))
    spec = AugmentationSpec.none().model_copy(update={name: 1.0, "band_dropout": 0.9})
    return bands, change_spectra(bands.clone(), spec, np.random.default_rng(seed))


@pytest.mark.parametrize("name", SPECTRAL)
def test_each_spectral_change_is_repeatable_and_changes_something(name: str) -> None:
    bands, one = spectral(name)
    assert torch.equal(one, spectral(name)[1])
    assert not torch.equal(one, bands)
    assert torch.isfinite(one).all()


def test_changes_of_spectra_are_alike_for_all_pixels() -> None:
    bands, gained = spectral("spectral_gain_probability")
    assert float((gained / bands).std()) == pytest.approx(0, abs=1e-5)
    bands, tilted = spectral("spectral_tilt_probability")
    shift = (tilted - bands).flatten(1)
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=1e-5, rtol=0)
    bands, dropped = spectral("band_dropout_probability", seed=1)
    blank = (dropped == 0).flatten(1).all(dim=1)
    assert 0 < blank.sum() < BANDS
    assert torch.equal(dropped[~blank], bands[~blank])


def test_scalar_channels_beside_a_cube_keep_their_own_changes() -> None:
    image = torch.randn(2 + BANDS, 9, 11, generator=torch.Generator().manual_seed(4))
    spec = AugmentationSpec.none().model_copy(update={"inversion_probability": 1.0})
    out = change_intensities(image, spec, np.random.default_rng(0), [slice(1, 1 + BANDS)])
    assert torch.equal(out[1:-1], image[1:-1])
    for channel in (0, -1):
        assert out[channel].argmax() == image[channel].argmin()


def test_what_mixes_pixels_is_off_for_many_bands(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    spec = default_augmentation(make_plan(data, gpu=False, memory_gb=4))
    assert spec.rotation_probability == spec.scale_probability == spec.elastic_probability == 0
    few = default_augmentation(make_plan(data, gpu=False, memory_gb=4, overrides={"bands.pca": 3}))
    assert few.rotation_probability > 0


def test_false_colours_come_from_the_bands_nearest_to_light(tmp_path: Path) -> None:
    cube, _ = scene()
    known = tuple(np.linspace(430, 980, BANDS))
    image = Cube(np.moveaxis(cube, -1, 0)[:, None], Geometry((COLUMNS, ROWS, 1)), known)
    assert colour_bands(image) == (4, 2, 0)
    assert colour_bands(Cube(image.array, image.geometry, tuple(np.linspace(1000, 2500, BANDS)))) == (10, 6, 2)
    colours = false_colour(image)
    assert colours.shape == (1, ROWS, COLUMNS, 3)
    low, high = np.percentile(image.array[4], (2, 98))
    expected = np.clip((image.array[4] - low) / (high - low), 0, 1) * 255
    assert np.abs(colours[..., 0] - expected).max() <= 0.51
    from PIL import Image as Pillow

    with Pillow.open(write_false_colour(image, tmp_path / "out.png", bands=[1, 1, 5])) as picture:
        np.testing.assert_array_equal(np.array(picture), false_colour(image, [1, 1, 5])[0])
    with pytest.raises(InputError, match="there is no band 12"):
        false_colour(image, [0, 1, 12])
    with pytest.raises(InputError, match="two ascending percentiles"):
        false_colour(image, percent=(98, 2))
    volume = write_false_colour(image, tmp_path / "out.nrrd")
    again = read_channel(volume)
    assert isinstance(again, Cube)
    np.testing.assert_array_equal(np.moveaxis(again.array, 0, -1), colours)
    with pytest.raises(InputError, match="3 values per voxel"):
        read_image(volume)
