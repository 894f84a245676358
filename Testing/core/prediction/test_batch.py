"""What a batch writes, what it does when a case fails, and that nothing half-written is ever seen."""

from __future__ import annotations

import csv
import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prediction_kit import STRAIGHT, Intensity, Sides, ball, make_model, make_plan, sided, two_leaves

from softseg.data import NetworkSpec
from softseg.errors import CancelledError, InputError, OutOfMemoryError
from softseg.events import CancelToken, Events, ListSink
from softseg.image import read_image, write_image
from softseg.network import Head, ModelFolder, build_network
from softseg.prediction import batch, case, collapse, outputs, predict, streaming
from softseg.requests.manifest import Manifest, WrittenCase
from softseg.requests.names import file_name
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree


def everything_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Write a scan with a voxel that is not a number; NRRD, because the reader repairs NIfTI."""
    image = ball(STRAIGHT)
    image.array[3, 4, 5] = np.nan
    return write_image(image, tmp_path / "broken.nrrd")


def test_everything_that_is_asked_for_is_written(scan: Callable[..., Path], tmp_path: Path) -> None:
    cut = tmp_path / "my cut.txt"
    cut.write_text("# by hand\nbg\nball-left\nball-right\n")
    model, out, sink = make_model(Sides(), sided()), tmp_path / "out", ListSink()
    results = predict(
        model,
        [scan()],
        out,
        cut=["leaves", 1, cut],
        nodes=["Ball", "ball-left"],
        uncertainty="tta:2",
        device="cpu",
        events=Events(sink),
    )
    assert everything_in(out) == sorted(
        [
            "results.json",
            "scan",
            "scan/.softseg-files.json",
            "scan/soft.soft.npz",
            "scan/volumes.csv",
            "scan/prediction.json",
            "scan/entropy.nii.gz",
            "scan/mutual_information.nii.gz",
        ]
        + [
            f"scan/labels_{name}.{end}"
            for name in ("leaves", "level1", file_name("my cut"))
            for end in ("nii.gz", "ctbl")
        ]
        + ["scan/node_ball.nii.gz", "scan/node_ball-left.nii.gz"]
    )
    assert [(result.name, result.folder) for result in results] == [("scan", out / "scan")]
    told = [event for event in sink.events if event["event"] == "result"]
    assert [(event["name"], event["path"]) for event in told] == [("scan", str(out / "scan"))]
    assert WrittenCase.of_event(told[0]) == Manifest.read(out).cases[0] == results[0].written
    assert sorted(f"scan/{file.path}" for file in results[0].written.files) == [
        name for name in everything_in(out) if name.startswith("scan/") and not name.endswith(".json")
    ]
    assert results[0].written.file("node", "ball-left") == out / "scan" / "node_ball-left.nii.gz"
    stored = SoftParcellation.load(out / "scan" / "soft.soft.npz")
    for name, expected in (("leaves", 2), ("level1", 1), (file_name("my cut"), 2)):
        labels = read_image(out / "scan" / f"labels_{name}.nii.gz")
        assert labels.geometry.same_grid(STRAIGHT)
        np.testing.assert_array_equal(labels.array, stored.labels(stored.tree.cut_at(expected)))
        colours = LabelTree.load(out / "scan" / f"labels_{name}.ctbl")
        assert set(np.unique(labels.array)) - {0} <= {leaf.value for leaf in colours.leaves}
    probability = read_image(out / "scan" / "node_ball.nii.gz").array
    assert probability.dtype == np.float32
    assert np.unique(probability).size > 50
    np.testing.assert_allclose(probability, stored.probability("ball"), atol=0.01)


def test_volumes_are_the_sums(scan: Callable[..., Path], tmp_path: Path) -> None:
    predict(make_model(Sides(), sided()), [scan()], tmp_path / "out", device="cpu")
    rows = {row["id"]: row for row in table(tmp_path / "out" / "scan" / "volumes.csv")}
    assert list(rows) == ["root", "bg", "ball", "ball-left", "ball-right"]
    assert [row["level"] for row in rows.values()] == ["0", "1", "1", "2", "2"]
    assert rows["ball"]["name"] == "Ball"
    stored = SoftParcellation.load(tmp_path / "out" / "scan" / "soft.soft.npz")
    voxel = stored.geometry.voxel_volume_ml
    for node, row in rows.items():
        assert float(row["soft_ml"]) == pytest.approx(stored.probability(node).sum() * voxel, rel=1e-4)
        cut = stored.tree.cut_at(int(row["level"]))
        value = stored.tree.value_of(node)
        won = stored.labels(cut) == value
        assert float(row["hard_ml"]) == pytest.approx(won.sum() * voxel, rel=1e-4)
        assert float(row["certainty"]) == pytest.approx(stored.probability(node)[won].mean(), abs=1e-4)
    children = float(rows["ball-left"]["soft_ml"]) + float(rows["ball-right"]["soft_ml"])
    assert float(rows["ball"]["soft_ml"]) == pytest.approx(children, abs=1e-4)


def test_maps_of_8_bits(scan: Callable[..., Path], tmp_path: Path) -> None:
    predict(make_model(), [scan()], tmp_path / "a", nodes=["ball"], device="cpu")
    predict(make_model(), [scan()], tmp_path / "b", nodes=["ball"], map_type="uint8", device="cpu")
    exact, rough = (read_image(tmp_path / part / "scan" / "node_ball.nii.gz").array for part in "ab")
    assert rough.dtype == np.uint8
    assert np.unique(rough).size > 30
    np.testing.assert_allclose(rough / 255, exact, atol=0.5 / 255 + 1e-6)


def test_a_failed_case_does_not_stop_the_others(scan: Callable[..., Path], broken: Path, tmp_path: Path) -> None:
    first, second, sink, out = scan("a.nii.gz"), scan("b.nii.gz"), ListSink(), tmp_path / "out"
    with pytest.raises(
        InputError, match=r"2 of 4 cases failed \(2 are done\): broken: .*broken\.nrrd.*missing"
    ) as caught:
        predict(
            make_model(), [first, broken, tmp_path / "missing.nii.gz", second], out, device="cpu", events=Events(sink)
        )
    assert caught.value.exit_code == 2
    assert sorted(path.name for path in out.iterdir()) == ["a", "b", "results.json", "volumes.csv"]
    warnings = [event["text"] for event in sink.events if event["event"] == "warning"]
    assert warnings[0].startswith("case broken failed: ")
    assert "NaN" in warnings[0]
    rows = table(out / "volumes.csv")
    assert [(row["case"], row["id"]) for row in rows] == [(c, n) for c in "ab" for n in ("root", "bg", "ball")]


def test_the_only_case_that_fails_keeps_its_error(broken: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^[^;]*broken\.nrrd: holds 1 values that are NaN or infinite"):
        predict(make_model(), [broken], tmp_path / "out", device="cpu")
    assert everything_in(tmp_path / "out") == []


def test_cases_too_large_for_memory_end_with_code_3(
    scan: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Huge(Intensity):
        def forward(self, batch: torch.Tensor) -> torch.Tensor:
            raise torch.OutOfMemoryError(f"{batch.shape}")

    with pytest.raises(OutOfMemoryError, match="2 of 2 cases failed") as caught:
        predict(make_model(Huge()), [scan("a.nii.gz"), scan("b.nii.gz")], tmp_path / "out", device="cpu")
    assert caught.value.exit_code == 3
    assert everything_in(tmp_path / "out") == ["results.json"]

    def exhausted(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(streaming.Compressor, "stored", exhausted)
    with pytest.raises(OutOfMemoryError, match="even with windows of 16 x 16 x 16 voxels"):
        predict(make_model(), [scan("a.nii.gz")], tmp_path / "other", device="cpu")
    assert everything_in(tmp_path / "other") == []


def test_a_scan_that_cannot_be_read_for_want_of_memory_does_not_stop_the_others(
    scan: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = case.read_channel

    def read(file: Path) -> Any:
        if file.name == "a.nii.gz":
            raise RuntimeError("itk::ERROR: Failed to allocate memory for image.")
        return real(file)

    monkeypatch.setattr(case, "read_channel", read)
    with pytest.raises(OutOfMemoryError, match=r"1 of 2 cases failed .*a\.nii\.gz: out of memory: itk::ERROR"):
        predict(make_model(), [scan("a.nii.gz"), scan("b.nii.gz")], tmp_path / "out", device="cpu")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["b", "results.json"]


class _CancelAt:
    """Cancels when the ``count``-th event that matches arrives."""

    def __init__(self, stage: str, count: int) -> None:
        self.token, self.stage, self.left, self.now = CancelToken(), stage, count, ""

    def write(self, event: Mapping[str, Any]) -> None:
        self.now = event["stage"] if event["event"] == "stage" else self.now
        if self.now == self.stage:
            self.left -= 1
            if self.left == 0:
                self.token.cancel()


@pytest.mark.parametrize(("stage", "count"), [("read", 1), ("predict", 1), ("predict", 4), ("store", 2)])
def test_cancelling_leaves_nothing(stage: str, count: int, scan: Callable[..., Path], tmp_path: Path) -> None:
    sink = _CancelAt(stage, count)
    with pytest.raises(CancelledError):
        predict(make_model(), [scan()], tmp_path / "out", device="cpu", events=Events(sink, sink.token))
    assert everything_in(tmp_path / "out") == []


def test_cancelling_while_writing_leaves_nothing(
    scan: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = CancelToken()
    write = outputs.write_labels

    def write_and_cancel(*given: Any, **more: Any) -> Path:
        token.cancel()
        return write(*given, **more)

    monkeypatch.setattr(outputs, "write_labels", write_and_cancel)
    with pytest.raises(CancelledError):
        predict(make_model(), [scan()], tmp_path / "out", device="cpu", events=Events(cancel=token))
    assert everything_in(tmp_path / "out") == []


def test_a_full_disk_ends_the_batch_and_leaves_nothing(
    scan: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(outputs, "write_volumes", full)
    with pytest.raises(InputError, match=r"out.a: the disk is full; free space"):
        predict(make_model(), [scan("a.nii.gz"), scan("b.nii.gz")], tmp_path / "out", device="cpu")
    assert everything_in(tmp_path / "out") == []


def test_an_older_prediction_is_replaced_and_nothing_else_is(scan: Callable[..., Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    predict(make_model(), [scan()], out, cut=1, device="cpu")
    predict(make_model(), [scan()], out, device="cpu")
    assert not (out / "scan" / "labels_level1.nii.gz").exists()
    assert (out / "scan" / "labels_leaves.nii.gz").exists()
    precious = tmp_path / "scan" / "precious.txt"
    precious.parent.mkdir()
    precious.touch()
    with pytest.raises(InputError, match="exists already and is not an older prediction"):
        predict(make_model(), [scan()], tmp_path, device="cpu")
    assert precious.exists()
    inside = write_image(ball(STRAIGHT), out / "scan" / "scan.nii.gz")
    with pytest.raises(InputError, match="lies in the folder that its own prediction would replace"):
        predict(make_model(), [inside], out, device="cpu")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"outliers": True}, "outliers: this model carries no outlier score"),
        ({"uncertainty": "tta"}, "uncertainty: expected tta:N or dropout:N"),
        ({"uncertainty": "dropout:4"}, "uncertainty: the model's network has no dropout layers; use tta:N"),
        ({"cut": 9}, "expected a level from 0 to 1, got 9"),
        ({"cut": "nowhere.txt"}, "nowhere.txt"),
        ({"cut": ["leaves", "leaves"]}, "cut: two cuts of one name: leaves, leaves"),
        ({"nodes": ["bal"]}, "no node 'bal' in the tree; did you mean 'ball'"),
        ({"map_type": "float16"}, "map type: expected float32 or uint8, got 'float16'"),
        ({"device": "tpu"}, "device: expected auto, cpu or cuda:N, got 'tpu'"),
        ({"device": "cuda:7"}, "device: cuda:7 was asked for, but this machine offers"),
        ({"overlap": 1.0}, "overlap: expected a number from 0 to below 1"),
        ({"postprocess": ["shave:ball"]}, "postprocess: expected keep-largest:NODE"),
    ],
)
def test_wrong_options_are_named(
    options: dict[str, Any], message: str, scan: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(InputError) as caught:
        predict(make_model(), [scan()], tmp_path / "out", **({"device": "cpu"} | options))
    assert message in str(caught.value)
    assert not (tmp_path / "out").exists() or everything_in(tmp_path / "out") == []


def test_from_a_model_folder(scan: Callable[..., Path], tmp_path: Path) -> None:
    spec = NetworkSpec(options={"filters": [4, 8, 8]})
    plan, network = make_plan(network=spec), build_network(spec, 1, 2, 3)
    ModelFolder.save(tmp_path / "model", network, plan, two_leaves(), "head: softmax\n", head=Head("softmax", 2))
    result = predict(tmp_path / "model", [scan()], tmp_path / "out")[0]
    assert result.volumes[0]["soft_ml"] == pytest.approx(36 * 34 * 40 * 1.5**3 / 1000, rel=1e-4)
    with pytest.raises(InputError, match="no shipped model 'nowhere'"):
        batch.load_model("nowhere")
    with pytest.raises(InputError, match="no such model folder"):
        batch.load_model(tmp_path / "nowhere")


def test_collapse_a_stored_prediction(scan: Callable[..., Path], tmp_path: Path) -> None:
    predict(make_model(Sides(), sided()), [scan()], tmp_path / "out", cut=1, device="cpu")
    soft = tmp_path / "out" / "scan" / "soft.soft.npz"
    path = collapse(soft, tmp_path / "level1.nii.gz", cut=1)
    np.testing.assert_array_equal(
        read_image(path).array, read_image(tmp_path / "out" / "scan" / "labels_level1.nii.gz").array
    )
    assert (tmp_path / "level1.ctbl").exists()
    probability = read_image(collapse(soft, tmp_path / "ball.nrrd", node="Ball")).array
    np.testing.assert_array_equal(probability, SoftParcellation.load(soft).probability("ball"))
    assert read_image(collapse(soft, tmp_path / "b.nrrd", node="ball", map_type="uint8")).array.max() == 255
    with pytest.raises(InputError, match="give either --cut, --node or --confidence"):
        collapse(soft, tmp_path / "x.nii.gz")
