"""Several models, several answers: their mean, what is kept of their differences, and each model's calibration."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prediction_kit import Intensity, Sides, make_model, sided, two_leaves

from softseg.data import NetworkSpec
from softseg.errors import InputError
from softseg.events import Events, ListSink
from softseg.image import Geometry, read_image
from softseg.network import Head, ModelFolder, build_network
from softseg.prediction import predict, predict_case
from softseg.prediction.ensemble import model_names
from softseg.prediction.spread import SpreadMaps
from softseg.prediction.uncertainty import Spread
from softseg.soft.calibration import Calibration
from softseg.tree import LabelTree, Node


def grouped() -> LabelTree:
    """Root > background, organ > {left > {a, b}, right, middle}."""
    nodes = [("root", None, None), ("bg", "root", 0), ("organ", "root", None), ("left", "organ", None)]
    nodes += [("a", "left", 1), ("b", "left", 2), ("right", "organ", 3), ("middle", "organ", 4)]
    return LabelTree([Node(id_, id_, parent, value=value) for id_, parent, value in nodes])


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 5))
def test_disagreement_splits_up_along_the_tree(seed: int, answers: int) -> None:
    """The leaves' mutual information is the sum over nodes of their probability times that of their decision."""
    tree, generator = grouped(), np.random.default_rng(seed)
    samples = [generator.dirichlet(np.full(5, 0.5), (3, 4, 5)).astype(np.float32) for _ in range(answers)]
    branches = [node.id for node in tree.inner_nodes]
    maps = SpreadMaps((3, 4, 5), tree, branches)
    spread = Spread.of(samples)
    maps.add((slice(None),) * 3, samples, spread)
    grid = Geometry((5, 4, 3))
    steps = maps.decisions(grid, grid).steps
    total = np.zeros((3, 4, 5))
    known = np.ones((3, 4, 5), bool)
    for node, found in zip(branches, steps, strict=True):
        probability = spread.mean[..., tree.leaf_slice(node)].sum(axis=-1)
        total += probability * found / 255 * np.log(len(tree.children(node)))
        known &= (probability >= 0.05) | (probability == 0)
    np.testing.assert_allclose(total[known], spread.mutual_information[known], atol=0.02)
    np.testing.assert_array_equal(maps.decisions(grid, grid).on_target("organ").array, steps[branches.index("organ")])


def test_where_a_node_has_nothing_its_decision_is_not_in_doubt() -> None:
    tree = grouped()
    one = np.full((1, 1, 2, 5), 0.0, np.float32)
    one[..., 0] = 0.97
    other = one.copy()
    one[..., 3], other[..., 4] = 0.03, 0.03
    maps = SpreadMaps((1, 1, 2), tree, ["organ"])
    maps.add((slice(None),) * 3, [one, other], Spread.of([one, other]))
    assert not maps.decisions(Geometry((2, 1, 1)), Geometry((2, 1, 1))).steps.any()


def test_intervals_are_quantiles_of_the_volumes() -> None:
    tree = grouped()
    volumes = np.array([10, 12, 14, 16, 18], float)
    samples = []
    for volume in volumes:
        probability = np.zeros((1, 1, 100, 5), np.float32)
        probability[..., 3] = volume / 100
        probability[..., 0] = 1 - volume / 100
        samples.append(probability)
    maps = SpreadMaps((2, 1, 100), tree)  # half of the grid is background that no block speaks for
    maps.add((slice(0, 1), slice(None), slice(None)), samples, Spread.of(samples))
    found = maps.intervals()
    assert found["right"] == pytest.approx(np.quantile(volumes, [0.05, 0.95]) / 14, rel=1e-5)
    assert found["organ"] == pytest.approx(found["right"])
    assert found["bg"] == pytest.approx(np.quantile(200 - volumes, [0.05, 0.95]) / 186, rel=1e-5)
    assert found["a"] == (1.0, 1.0)
    assert found["root"] == pytest.approx((1.0, 1.0))


def test_an_ensemble_is_the_mean_of_its_members(scan: Callable[..., Path]) -> None:
    models = [make_model(Intensity(gain=gain)) for gain in (2.0, 5.0, 9.0)]
    image, sink = scan(), ListSink()
    alone = [predict_case(model, [image], nodes=["ball"]).node_maps["ball"].array for model in models]
    found = predict_case(models[0], [image], nodes=["ball"], others=models[1:], events=Events(sink))
    np.testing.assert_allclose(found.node_maps["ball"].array, np.mean(alone, axis=0), atol=2e-5)
    assert found.parcellation.model == "test + test + test"
    assert found.mutual_information is not None
    assert found.mutual_information.array.max() > 0.01
    progress = [event for event in sink.events if event["event"] == "progress" and event["stage"] == "predict"]
    assert [event["done"] for event in progress] == sorted(event["done"] for event in progress)
    assert progress[-1]["done"] == progress[-1]["total"]
    volume = {row.id: row for row in found.volumes}["ball"]
    each = [predict_case(model, [image]).volumes[2].soft_ml for model in models]
    assert volume.soft_ml_low <= volume.soft_ml <= volume.soft_ml_high
    assert volume.soft_ml_low == pytest.approx(np.quantile(each, 0.05), rel=0.02)
    assert volume.soft_ml_high == pytest.approx(np.quantile(each, 0.95), rel=0.02)


def test_members_of_a_head_that_needs_the_whole_volume(scan: Callable[..., Path]) -> None:
    class One(torch.nn.Module):
        def __init__(self, low: float) -> None:
            super().__init__()
            self.low = low

        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            return batch[:, :1] - self.low

    head = Head("normrelu", 2, 0)
    models = [replace(make_model(One(low)), head=head) for low in (-0.5, 0.3)]
    alone = [predict_case(model, [scan()], nodes=["ball"]).node_maps["ball"].array for model in models]
    found = predict_case(models[0], [scan()], nodes=["ball"], others=models[1:])
    np.testing.assert_allclose(found.node_maps["ball"].array, np.mean(alone, axis=0), atol=2e-5)


def test_calibration_is_applied_before_storage_and_can_be_left_out(scan: Callable[..., Path]) -> None:
    geometry = Geometry((24, 24, 24), (2.0, 2.0, 2.0), (-23.0, -23.0, -23.0))  # the model's own grid
    model = make_model(Sides(), sided())
    cooled = replace(model, calibration=Calibration((1.7, 0.6)))
    image = scan(geometry=geometry)
    plain, changed, left_out = (
        predict_case(model, [image], nodes=[leaf.id for leaf in model.tree.leaves], calibrated=calibrated)
        for model, calibrated in ((model, True), (cooled, True), (cooled, False))
    )
    probabilities = [
        np.stack([found.node_maps[leaf.id].array for leaf in model.tree.leaves], -1)
        for found in (plain, changed, left_out)
    ]
    np.testing.assert_array_equal(probabilities[2], probabilities[0])
    np.testing.assert_allclose(probabilities[1], cooled.calibration.apply(probabilities[0], model.tree), atol=1e-4)
    assert np.abs(probabilities[1] - probabilities[0]).max() > 0.05
    stored = changed.parcellation.probability("ball-left")
    np.testing.assert_allclose(stored, probabilities[1][..., 1], atol=0.01)


def test_each_member_has_its_own_calibration(scan: Callable[..., Path]) -> None:
    models = [make_model(Intensity(gain=gain)) for gain in (2.0, 6.0)]
    models[1] = replace(models[1], calibration=Calibration((2.0,)))
    alone = [predict_case(model, [scan()], nodes=["ball"]).node_maps["ball"].array for model in models]
    found = predict_case(models[0], [scan()], nodes=["ball"], others=models[1:])
    np.testing.assert_allclose(found.node_maps["ball"].array, np.mean(alone, axis=0), atol=2e-5)


def test_files_of_decisions_and_intervals(scan: Callable[..., Path], tmp_path: Path) -> None:
    models, image = [make_model(Sides(), sided()), make_model(Sides(), sided())], scan()
    models[1].network.forward = lambda batch: 0.3 * Sides().forward(batch)
    (one,) = predict(models, [image], tmp_path / "out", branches=["all"], confidence=0.8)
    names = {path.name for path in one.folder.iterdir()}
    decisions = {f"decision_{node}_{what}.nii.gz" for node in ("root", "ball") for what in ("entropy", "information")}
    assert decisions <= names
    for name in decisions:
        assert read_image(one.folder / name).array.dtype == np.uint8
    doubt = read_image(one.folder / "decision_ball_entropy.nii.gz").array
    assert doubt.max() > 200
    assert 0 < read_image(one.folder / "decision_ball_information.nii.gz").array.max() < doubt.max()
    with (one.folder / "volumes.csv").open(newline="", encoding="utf-8") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    assert float(rows["ball"]["soft_ml_low"]) < float(rows["ball"]["soft_ml"]) < float(rows["ball"]["soft_ml_high"])
    (again,) = predict(models, [image], tmp_path / "out", branches=["all"], confidence=0.8)
    assert again.skipped
    (other,) = predict(models[0], [image], tmp_path / "out", branches=["ball"])
    assert not other.skipped
    names = {path.name for path in other.folder.iterdir()}
    assert "decision_ball_entropy.nii.gz" in names
    assert not [name for name in names if "information" in name]
    with (other.folder / "volumes.csv").open(newline="", encoding="utf-8") as stream:
        assert "soft_ml_low" not in next(csv.reader(stream))


def test_a_calibration_that_came_later_predicts_again(scan: Callable[..., Path], tmp_path: Path) -> None:
    model, image = make_model(), scan()
    predict(model, [image], tmp_path)
    (result,) = predict(model, [image], tmp_path)
    assert result.skipped
    (result,) = predict(replace(model, calibration=Calibration((1.5,))), [image], tmp_path)
    assert not result.skipped
    (result,) = predict(replace(model, calibration=Calibration((1.5,))), [image], tmp_path, calibrated=False)
    assert not result.skipped


def test_models_that_do_not_go_together(scan: Callable[..., Path], tmp_path: Path) -> None:
    for other, message in (
        (make_model(Sides(), sided()), "its label tree is not that of test"),
        (make_model(channels=("T2",)), "its channels are T2, those of test are T1"),
        (make_model(crop={"kind": "nonzero"}), "it uses another part of the images than test"),
    ):
        with pytest.raises(InputError, match=message):
            predict([make_model(), other], [scan()], tmp_path)
    with pytest.raises(InputError, match="node 'ball' has 0 children"):
        predict(make_model(), [scan()], tmp_path, branches=["ball"])
    for call in (predict_case, lambda model, images, others, **how: predict([model, *others], images, tmp_path, **how)):
        with pytest.raises(InputError, match="an outlier score belongs to one model"):
            call(make_model(), [scan()], others=[make_model()], outliers=True)


def test_models_by_name(scan: Callable[..., Path], tmp_path: Path) -> None:
    assert model_names("brain-134") == ["brain-134"]
    assert model_names("a, b ,c") == ["a", "b", "c"]
    with pytest.raises(InputError, match="the same model is given twice"):
        model_names("a,./a")
    (tmp_path / "a,b").mkdir()
    assert model_names(str(tmp_path / "a,b")) == [str(tmp_path / "a,b")]
    plan = make_model().plan.model_copy(update={"network": NetworkSpec(name="DynUNet", options={"filters": [2, 2, 2]})})
    folders = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        network = build_network(plan.network, 1, 2, 3)
        folders.append(str(ModelFolder.save(tmp_path / f"m{seed}", network, plan, two_leaves(), "head: softmax\n")))
    (result,) = predict(",".join(folders), [scan()], tmp_path / "out")
    assert (result.folder / "mutual_information.nii.gz").is_file()
