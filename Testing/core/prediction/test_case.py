"""One case: the prediction must lie where the scan's content lies, whatever the scan's grid."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prediction_kit import CENTRE, RADIUS, STRAIGHT, Intensity, ball, grid, make_model, positions
from scipy.spatial.transform import Rotation

from softseg import cgroups
from softseg.data import NetworkSpec
from softseg.errors import InputError, OutOfMemoryError
from softseg.events import Events, ListSink
from softseg.image import Geometry, read_image, write_image
from softseg.network import build_network
from softseg.prediction import checks, predict_case

EYE = np.eye(3)
GRIDS = {
    "straight": STRAIGHT,
    "flipped": grid(EYE * [-1, -1, 1], (1.5, 1.5, 1.5), (36, 34, 40)),
    "permuted": grid(EYE[:, [2, 0, 1]], (1.5, 1.2, 1.7), (40, 44, 34)),
    "permuted and flipped": grid(EYE[:, [1, 2, 0]] * [1, -1, -1], (1.0, 2.0, 1.5), (50, 32, 36)),
    "oblique": grid(Rotation.from_euler("xyz", [12, -20, 31], degrees=True).as_matrix(), (1.4, 1.4, 1.4), (40, 40, 44)),
    "thick slices": grid(EYE, (1.0, 1.0, 4.0), (52, 52, 14)),
}


@pytest.mark.parametrize("name", GRIDS)
def test_the_label_lies_at_its_place_in_space(name: str, scan: Callable[..., Path]) -> None:
    geometry = GRIDS[name]
    found = predict_case(make_model(), [scan(geometry=geometry)], nodes=["ball"])
    probability = found.node_maps["ball"].array
    where = (positions(geometry) * probability).reshape(3, -1).sum(axis=1) / probability.sum()
    np.testing.assert_allclose(where, CENTRE, atol=0.5)
    volume = probability.sum() * geometry.voxel_volume_ml
    assert volume == pytest.approx(4 / 3 * np.pi * RADIUS**3 / 1000, rel=0.15)
    assert found.parcellation.geometry == read_image(scan(geometry=geometry)).geometry
    labels = found.parcellation.labels(1)
    truth = ball(geometry).array > 50
    assert 2 * (truth & (labels == 7)).sum() / (truth.sum() + (labels == 7).sum()) > 0.9


def test_soft_map_stays_soft_and_agrees_with_what_is_stored(scan: Callable[..., Path]) -> None:
    found = predict_case(make_model(), [scan()], nodes=["ball", "root"])
    probability = found.node_maps["ball"].array
    assert np.unique(probability).size > 50
    np.testing.assert_allclose(found.parcellation.probability("ball"), probability, atol=0.01)
    np.testing.assert_allclose(found.node_maps["root"].array, 1, atol=1e-5)


class _Broken(Intensity):
    """A network whose weights are damaged: one value in each window is no number."""

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        outputs = super().forward(batch).clone()
        outputs[..., -1] = float("nan")
        return outputs


def test_a_network_that_answers_with_no_numbers_is_refused_and_named(scan: Callable[..., Path]) -> None:
    with pytest.raises(InputError, match=r"^model: the network answers with values that are no finite numbers; its"):
        predict_case(make_model(_Broken()), [scan()])


def test_a_precision_asked_for_wins_over_the_plans(precision: str, scan: Callable[..., Path]) -> None:
    torch.manual_seed(0)
    network = build_network(NetworkSpec(options={"filters": [4, 8, 8]}), 1, 2, 3)
    planned = make_model(network, precision=precision)
    other = make_model(network, precision={"float32": "bfloat16", "bfloat16": "float32"}[precision])
    found, asked, not_asked = (
        predict_case(model, [scan()], nodes=["ball"], precision=wanted).node_maps["ball"].array
        for model, wanted in ((planned, None), (other, precision), (other, None))
    )
    np.testing.assert_array_equal(found, asked)
    assert 0 < np.abs(found - not_asked).max() < 0.05


def test_one_millimetre_scan_never_holds_every_class_at_full_size(scan: Callable[..., Path]) -> None:
    """The probabilities come back in slabs: the node maps are the only full-size float arrays."""
    fine = grid(EYE, (0.75, 0.75, 0.75), (72, 68, 80))
    found = predict_case(make_model(), [scan(geometry=fine)])
    assert found.parcellation.geometry.size == (72, 68, 80)
    assert found.node_maps == {}


def test_channels_are_taken_in_order(scan: Callable[..., Path]) -> None:
    model = make_model(Intensity((1.0, 0.0)), channels=("A", "B"))
    elsewhere = np.array([-10.0, 8.0, -9.0])
    here, there = scan("a.nii.gz"), scan("b.nii.gz", centre=elsewhere)
    for images, centre in (([here, there], CENTRE), ([there, here], elsewhere)):
        probability = predict_case(model, images, nodes=["ball"]).node_maps["ball"].array
        where = (positions(STRAIGHT) * probability).reshape(3, -1).sum(axis=1) / probability.sum()
        np.testing.assert_allclose(where, centre, atol=0.5)


@pytest.mark.parametrize("orientation", ["LPS", "PSL"])
def test_2d_models_go_slice_by_slice(orientation: str, scan: Callable[..., Path]) -> None:
    axes = EYE if orientation == "LPS" else EYE[:, [1, 2, 0]]
    geometry = grid(axes, (1.0, 1.0, 4.0), (52, 52, 14))
    seen: list[int] = []

    class Watching(Intensity):
        def forward(self, batch: Any) -> Any:
            seen.append(batch.ndim)
            return super().forward(batch)

    model = make_model(Watching(), dimensions=2, spacing=(None, 1.5, 1.5), patch_size=(32, 32), orientation=orientation)
    probability = predict_case(model, [scan(geometry=geometry)], nodes=["ball"]).node_maps["ball"].array
    where = (positions(geometry) * probability).reshape(3, -1).sum(axis=1) / probability.sum()
    np.testing.assert_allclose(where, CENTRE, atol=0.7)
    assert set(seen) == {4}


def test_real_cord_scan_in_2d(shared_data: Path) -> None:
    path = next(iter(sorted((shared_data / "cord").glob("sub-10062*/**/*.nii.gz"))))
    plan = {"dimensions": 2, "spacing": (None, 0.5, 0.5), "patch_size": (64, 64)}
    plan |= {"channels": ("T2s",), "normalization": {"T2s": {"kind": "z-score"}}}
    plan |= {"crop": {"kind": "center", "size_mm": (None, 40.0, 40.0)}}
    network = build_network(NetworkSpec(options={"filters": [4, 8, 8]}), 1, 2, 2)
    found = predict_case(make_model(network, **plan), [path], nodes=["root", "ball"])
    assert found.parcellation.geometry == read_image(path).geometry
    np.testing.assert_allclose(found.node_maps["root"].array, 1, atol=1e-4)
    assert np.unique(found.node_maps["ball"].array).size > 50


def test_wrong_images_are_named(scan: Callable[..., Path], tmp_path: Path) -> None:
    good = scan()
    with pytest.raises(InputError, match=r"missing\.nii\.gz: no such file"):
        predict_case(make_model(), [tmp_path / "missing.nii.gz"])
    flat = ball(STRAIGHT)
    flat.array[:] = 3
    constant = write_image(flat, tmp_path / "flat.nii.gz")
    with pytest.raises(InputError, match=r"flat\.nii\.gz: channel T1: the image is constant"):
        predict_case(make_model(), [constant])
    other = scan("other.nii.gz", geometry=GRIDS["permuted"])
    two = make_model(Intensity((1.0, 0.0)), channels=("A", "B"))
    with pytest.raises(InputError, match=r"other.nii.gz: channel B: lies on another grid than channel A"):
        predict_case(two, [good, other])
    with pytest.raises(InputError, match="expected 1 channels"):
        predict_case(make_model(), [good, good])
    with pytest.raises(InputError, match="no node 'bal'"):
        predict_case(make_model(), [good], nodes=["bal"])


def warnings_of(model: Any, path: Path) -> list[str]:
    sink = ListSink()
    predict_case(model, [path], events=Events(sink))
    return [event["text"] for event in sink.events if event["event"] == "warning"]


def test_a_scan_with_its_skull_is_warned_about(tmp_path: Path, scan: Callable[..., Path]) -> None:
    model = make_model(normalization={"T1": {"kind": "z-score-nonzero"}})
    assert warnings_of(model, scan()) == []
    noisy = ball(STRAIGHT)
    noisy.array[:] += np.random.default_rng(0).uniform(0.1, 5, noisy.array.shape)
    path = write_image(noisy, tmp_path / "head.nii.gz")
    assert len(warnings_of(model, path)) == 1
    assert "does not seem to be skull-stripped (only 0% of its voxels are exactly 0)" in warnings_of(model, path)[0]
    assert warnings_of(make_model(), path) == []


def test_content_far_larger_than_in_training_is_warned_about(scan: Callable[..., Path]) -> None:
    fields: dict[str, Any] = {"normalization": {"T1": {"kind": "z-score-nonzero"}}, "crop": {"kind": "nonzero"}}
    usual = make_model(**fields, statistics={"median_extent_mm": [20.0, 20.0, 20.0]})
    small = make_model(**fields, statistics={"median_extent_mm": [10.0, 10.0, 10.0]})
    assert warnings_of(usual, scan()) == []
    assert "its content fills a box of 0.0 l" in warnings_of(small, scan())[0]


def test_odd_spacing_is_warned_about(scan: Callable[..., Path]) -> None:
    metres = scan(geometry=Geometry((20, 20, 20), (0.001, 0.001, 0.001)), centre=np.zeros(3))
    sink = ListSink()
    image = read_image(metres)
    checks.warn_about(image, metres, [make_model().plan] * 2, Events(sink))
    assert "is the spacing in the file's header right?" in sink.events[0]["text"]
    thick = warnings_of(make_model(), scan(geometry=grid(EYE, (1.0, 1.0, 6.0), (40, 40, 10))))
    assert "up to 3.0 times as long as those the model was trained on" in thick[0]


def test_what_cannot_fit_into_memory_is_refused_before_it_starts(
    scan: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cgroups, "memory_limits", lambda: [cgroups.MemoryLimit(200_000, 100_000)])
    sink = ListSink()
    with pytest.raises(OutOfMemoryError, match=r"only 0.0 GB are free\); crop the image") as caught:
        predict_case(make_model(), [scan()], events=Events(sink))
    assert caught.value.exit_code == 3
    assert any("of memory will be needed" in event.get("text", "") for event in sink.events)
