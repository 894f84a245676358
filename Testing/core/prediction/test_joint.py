"""Members that see a scan along different axes and in different voxels: the mean of what each says of the scan."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from prediction_kit import STRAIGHT, Intensity, Sides, grid, make_model, sided

from softseg.data import preprocess_images
from softseg.errors import InputError, OutOfMemoryError
from softseg.events import Events, ListSink
from softseg.image import Geometry, Image, read_image, write_image
from softseg.network import Model
from softseg.prediction import estimate, joint, predict, predict_case, sliding_probabilities, streaming
from softseg.prediction.uncertainty import Spread
from softseg.soft.resample import resample_image
from softseg.types import FloatArray

TURN = np.linalg.qr(np.array([[1, 0.2, 0.1], [-0.2, 1, 0.15], [-0.1, -0.1, 1]]))[0]
GRIDS = {"straight": STRAIGHT, "oblique": grid(TURN * np.sign(np.diag(TURN)), (1.5, 1.7, 1.9), (26, 24, 27))}


def members() -> list[Model]:
    """Axial slices, coronal slices of other voxels, and a volume that is turned around."""
    return [
        make_model(Sides(), sided(), dimensions=2, spacing=(None, 2.0, 2.0), patch_size=(16, 16)),
        make_model(Sides(), sided(), dimensions=2, orientation="LSP", spacing=(None, 1.5, 2.5), patch_size=(20, 12)),
        make_model(Sides(), sided(), orientation="PIR", patch_size=(16, 12, 16)),
    ]


def densely(model: Model, file: Path) -> FloatArray:
    """Return float32 ``[C, k, j, i]`` on the scan's grid, from whole arrays."""
    scan = read_image(file)
    image, own = preprocess_images([scan], model.plan)
    probabilities = sliding_probabilities(model.network, model.head, image, model.plan)
    whole = np.stack([resample_image(Image(leaf, own), scan.geometry).array for leaf in probabilities])
    whole[model.head.background] += 1 - whole.sum(axis=0)  # beside the model's grid
    return whole


@pytest.mark.parametrize("name", GRIDS)
def test_the_joint_answer_is_the_dense_mean(name: str, scan: Callable[..., Path]) -> None:
    models, file, sink = members(), scan(geometry=GRIDS[name]), ListSink()
    dense = [densely(model, file) for model in models]
    tree = models[0].tree
    nodes = [node.id for node in tree.nodes]
    found = predict_case(models[0], [file], others=models[1:], nodes=nodes, events=Events(sink))
    mean = np.mean(dense, axis=0)
    assert found.parcellation.model == "test + test + test"
    for node in nodes:
        expected = mean[tree.leaf_slice(node)].sum(axis=0)
        np.testing.assert_allclose(found.node_maps[node].array, expected, atol=1 / 4095 + 2e-5, err_msg=node)
        np.testing.assert_allclose(found.parcellation.probability(node), expected, atol=0.0105, err_msg=node)
    spread = Spread.of([np.moveaxis(each, 0, -1) for each in dense])
    assert found.entropy is not None
    assert found.mutual_information is not None
    np.testing.assert_allclose(found.entropy.array, spread.entropy, atol=0.005)
    np.testing.assert_allclose(found.mutual_information.array, spread.mutual_information, atol=0.005)
    assert found.mutual_information.array.max() > 0.1
    volume = {row.id: row for row in found.volumes}["ball"]
    each = [probability[1:].sum() * found.parcellation.geometry.voxel_volume_ml for probability in dense]
    assert volume.soft_ml_low == pytest.approx(np.quantile(each, 0.05), rel=0.02)
    assert volume.soft_ml_high == pytest.approx(np.quantile(each, 0.95), rel=0.02)
    assert [event["stage"] for event in sink.events if event["event"] == "stage"] == [
        "read", "predict", "average", "store"
    ]  # fmt: skip
    done = [e["done"] / e["total"] for e in sink.events if e["event"] == "progress" and e["stage"] == "predict"]
    assert done == sorted(done)
    assert done[-1] == 1


def test_decisions_are_those_of_the_dense_samples(scan: Callable[..., Path]) -> None:
    """Members of one grid go side by side on it; if one has other windows, on the scan's."""
    one = Geometry((24, 24, 24), (2.0, 2.0, 2.0), (-23.0, -23.0, -23.0))
    file = scan(geometry=one)
    models = [make_model(Intensity(gain=gain), patch_size=(16, 16, 16)) for gain in (1.0, 9.0)]
    other = make_model(Intensity(gain=9.0), patch_size=(24, 24, 24))
    together = predict_case(models[0], [file], others=[models[1]], branches=["root"])
    jointly = predict_case(models[0], [file], others=[other], branches=["root"])
    assert together.decisions is not None
    assert jointly.decisions is not None
    expected = together.decisions.on_target("root").array.astype(int)
    assert expected.max() > 20
    assert np.abs(jointly.decisions.on_target("root").array - expected).max() <= 1
    np.testing.assert_allclose(jointly.parcellation.probability("ball"), together.parcellation.probability("ball"))


def test_cleaning_cleans_the_mean(scan: Callable[..., Path], tmp_path: Path) -> None:
    image = read_image(scan())
    array = image.array.copy()
    array[2:6, 2:6, 2:6] = 100  # a speck far from the ball
    file = write_image(Image(array, image.geometry), tmp_path / "speck.nii.gz")
    models = [make_model(patch_size=size) for size in ((16, 16, 16), (24, 16, 16))]
    (plain,) = predict(models, [file], tmp_path / "plain", nodes=["ball"])
    (clean,) = predict(models, [file], tmp_path / "clean", nodes=["ball"], postprocess=["keep-largest:ball"])
    before, after = (read_image(case.folder / "node_ball.nii.gz").array for case in (plain, clean))
    assert before[3, 3, 3] > 0.5
    assert after[:8, :8, :8].max() == 0
    inside = before[18:30] > 0.5
    np.testing.assert_allclose(after[18:30][inside], before[18:30][inside], atol=1e-6)


def test_short_memory_halves_the_windows_of_one_member(
    scan: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    models, sink, tried = members()[:2], ListSink(), []
    real = streaming.announce

    def announce(work: object, *others: object) -> object:
        tried.append(work)
        if len(tried) == 2:
            raise MemoryError("too much")
        return real(work, *others)  # type: ignore[arg-type]

    monkeypatch.setattr(streaming, "announce", announce)
    file = scan()
    found = predict_case(models[0], [file], others=models[1:], nodes=["ball"], events=Events(sink))
    (text,) = (e["text"] for e in sink.events if e["event"] == "warning" and "memory is short" in e["text"])
    assert text.endswith("instead of 1 x 20 x 12; the result may differ slightly")
    mean = np.mean([densely(model, file)[1:].sum(axis=0) for model in models], axis=0)
    np.testing.assert_allclose(found.node_maps["ball"].array, mean, atol=0.2)


def test_cleaning_says_when_memory_is_short(scan: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "free_memory", lambda: 10**9)
    estimate.require_free(10**9)
    with pytest.raises(OutOfMemoryError, match=r"1.1 GB more are needed, but only 1.0 GB are free"):
        estimate.require_free(11 * 10**8)
    seen: list[int] = []
    monkeypatch.setattr(joint, "require_free", seen.append)
    models = [make_model(patch_size=size) for size in ((16, 16, 16), (24, 16, 16))]
    predict_case(models[0], [scan()], others=models[1:], postprocess=["keep-largest:ball"])
    assert seen == [4 * 2 * int(np.prod(STRAIGHT.shape))]


def test_repeated_predictions_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    models = members()
    for call in (
        lambda: predict(models, [tmp_path / "nowhere.nii.gz"], tmp_path / "out", uncertainty="tta:2"),
        lambda: predict_case(models[0], [tmp_path / "nowhere.nii.gz"], others=models[1:], uncertainty="dropout:2"),
    ):
        with pytest.raises(
            InputError, match=r"uncertainty: models with grids of their own .* predict once each; leave"
        ):
            call()


def test_crops_are_compared_along_the_body(scan: Callable[..., Path]) -> None:
    """A box of 30 mm from head to foot is the same box in any orientation, one of 30 mm from left to right is not."""
    high = {"kind": "center", "size_mm": (30.0, None, None)}
    axial = make_model(dimensions=2, patch_size=(16, 16), spacing=(None, 2.0, 2.0), crop=high)
    turned = {"kind": "center", "size_mm": (None, 30.0, None)}
    coronal = {"dimensions": 2, "patch_size": (16, 16), "spacing": (None, 2.0, 2.0), "orientation": "LSP"}
    predict_case(axial, [scan()], others=[make_model(**coronal, crop=turned)])
    with pytest.raises(InputError, match="uses another part of the images"):
        predict_case(axial, [scan()], others=[make_model(**coronal, crop=high)])
