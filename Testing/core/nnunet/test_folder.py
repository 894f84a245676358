"""Model folders of nnU-Net are recognised and read without it, and nothing of a checkpoint is run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunet_kit import LABELS, checkpoint, write_model

from softseg.errors import InputError
from softseg.image import Geometry, Image, write_image
from softseg.nnunet.checkpoints import read_checkpoint
from softseg.nnunet.folder import NnUNetFolder
from softseg.prediction.batch import run
from softseg.prediction.model_summary import ModelSummary
from softseg.requests import PredictRequest


def test_what_a_folder_says(tmp_path: Path) -> None:
    folder = write_model(tmp_path, [checkpoint(), checkpoint()])
    for path in (folder, tmp_path):  # the folder above holds it alone
        found = NnUNetFolder.load(path)
        assert found.path == folder
        assert found.name == "Dataset001_Head nnUNetTrainer__nnUNetPlans__3d_fullres"
        assert found.channels == ("T1",)
        assert [file.parent.name for file in found.checkpoints] == ["fold_0", "fold_1"]
    summary = ModelSummary.load(folder)
    assert summary.channels == ("T1",)
    assert [leaf.name for leaf in summary.tree.leaves] == list(LABELS)
    assert "2 folds" in summary.card


def test_folders_that_hold_several_or_nothing_finished(tmp_path: Path) -> None:
    folder = write_model(tmp_path / "a", [checkpoint()])
    other = folder.with_name("nnUNetTrainer__nnUNetPlans__2d")
    other.mkdir()
    for name in ("plans.json", "dataset.json"):
        (other / name).write_bytes((folder / name).read_bytes())
    (other / "fold_0").mkdir()
    with pytest.raises(InputError, match=r"holds 2 models of nnU-Net; name one of them: .*__2d, .*__3d_fullres"):
        NnUNetFolder.load(tmp_path / "a")
    with pytest.raises(InputError, match=r"no fold holds checkpoint_final\.pth"):
        NnUNetFolder.load(other)
    with pytest.raises(InputError, match=r"is no model folder of nnU-Net: it lacks dataset\.json"):
        NnUNetFolder.load(tmp_path)


def test_digests_tell_weights_and_trees_apart(tmp_path: Path) -> None:
    one = NnUNetFolder.load(write_model(tmp_path / "a", [checkpoint()]))
    weights = {"a": torch.ones(2)}
    two = NnUNetFolder.load(write_model(tmp_path / "b", [checkpoint(weights)]))
    assert one.digest(one.checkpoints) != two.digest(two.checkpoints)
    assert one.digest(one.checkpoints) == NnUNetFolder.load(one.path).digest(one.checkpoints)


def test_a_checkpoint_comes_back_with_the_numbers_of_its_log(tmp_path: Path) -> None:
    torch.save(checkpoint({"w": torch.arange(3.0)}), tmp_path / "c.pth")
    found = read_checkpoint(tmp_path / "c.pth")
    assert found["network_weights"]["w"].tolist() == [0, 1, 2]
    assert found["_best_ema"] == 0.5
    assert found["logging"]["dice_per_class_or_region"] == [[0, 1]]


class Evil:
    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return (Path.touch, (self.file,))


def test_a_checkpoint_runs_nothing(tmp_path: Path) -> None:
    touched, file = tmp_path / "touched", tmp_path / "c.pth"
    torch.save(checkpoint(more=Evil(touched)), file)
    with pytest.raises(InputError, match=r"c\.pth: holds pickled code \(.+\), which is not run"):
        read_checkpoint(file)
    assert not touched.exists()
    file.write_bytes(file.read_bytes()[:500])
    with pytest.raises(InputError, match=r"c\.pth: is damaged, or no checkpoint"):
        read_checkpoint(file)
    torch.save({"state": 1}, file)
    with pytest.raises(InputError, match=r"is no checkpoint of nnU-Net 2: it lacks network_weights"):
        read_checkpoint(file)


def scan(tmp_path: Path) -> Path:
    return write_image(Image(np.ones((4, 5, 6), np.float32), Geometry((6, 5, 4))), tmp_path / "scan.nii.gz")


def test_the_package_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "nnunetv2"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "nnunetv2", None)
    request = PredictRequest(str(write_model(tmp_path, [checkpoint()])), (str(scan(tmp_path)),), tmp_path / "out")
    with pytest.raises(InputError, match=r'the Python package nnunetv2 is not installed; .*"softseg\[nnunet\]"'):
        run(request)
    assert not list((tmp_path / "out").glob("scan*"))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"uncertainty": "tta:2"}, "--uncertainty: is not for models of other tools"),
        ({"outliers": True}, "--outliers: is not for models of other tools"),
        ({"mask": "made"}, "--mask: is not for models of other tools"),
        ({"backend": "onnx"}, "--backend: is not for models of other tools"),
        ({"tree": "brain-134"}, "maps that no node of the tree 'brain-134' is"),
        ({"nodes": ("liver",)}, "liver"),
    ],
)
def test_options_that_cannot_be_followed_are_refused_before_anything_is_loaded(
    tmp_path: Path, asked: dict[str, Any], message: str
) -> None:
    folder = write_model(tmp_path, [{}], description={"labels": {"background": 0, "strange": 1}})
    with pytest.raises(InputError, match=message):
        run(PredictRequest(str(folder), (str(scan(tmp_path)),), tmp_path / "out", **asked))


def test_what_is_asked_of_other_models_alone(tmp_path: Path, resources: Path) -> None:
    ours = str(resources / "Models" / "cord-gm-soft")
    with pytest.raises(InputError, match=r"is no model folder of nnU-Net: it lacks dataset\.json"):
        run(PredictRequest(ours, (str(scan(tmp_path)),), tmp_path / "out", nnunet=True))
    with pytest.raises(InputError, match="--tree: is for models of other tools; this model has a tree"):
        run(PredictRequest(ours, (str(scan(tmp_path)),), tmp_path / "out", tree="spinal-cord"))
