"""What cannot be is refused before a model or an image is loaded: no library that runs networks is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
import SimpleITK
def unread(*_a, **_k):
    raise SystemExit('an image is read')
for name in ('ReadImage', 'ImageFileReader', 'ImageSeriesReader'):
    setattr(SimpleITK, name, unread)
from softseg.cli import main
sys.argv = ['softseg', 'predict', *sys.argv[1:]]
try:
    main()
finally:
    heavy = {'torch', 'monai', 'onnxruntime', 'nnunetv2', 'openvino'} & set(sys.modules)
    print('loaded', sorted(heavy), file=sys.stderr)
"""


def refused(*arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", CODE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.endswith("loaded []\n"), done.stderr
    return done.stderr


def bundle(folder: Path) -> Path:
    """Write a MONAI bundle of others with what is read before its weights."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    (folder / "models" / "model.pt").write_bytes(b"no weights")
    channels = {
        "inputs": {"image": {"num_channels": 1}},
        "outputs": {"pred": {"channel_def": {"0": "bg", "1": "liver"}}},
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps({"name": "b", "network_data_format": channels}))
    config = {
        "network_def": {"_target_": "UNet"},
        "preprocessing": {"_target_": "Compose", "transforms": []},
        "inferer": {"_target_": "SimpleInferer"},
        "postprocessing": {"_target_": "Compose", "transforms": [{"_target_": "Activationsd", "softmax": True}]},
    }
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    return folder


def nnunet(folder: Path) -> Path:
    """Write a model folder of nnU-Net with what is read before its weights."""
    (folder / "fold_0").mkdir(parents=True)
    (folder / "fold_0" / "checkpoint_final.pth").write_bytes(b"no weights")
    description = {"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1}}
    (folder / "dataset.json").write_text(json.dumps(description))
    (folder / "plans.json").write_text(json.dumps({"dataset_name": "D"}))
    return folder


@pytest.mark.parametrize("kind", ["ensemble", "member", "own folder", "two models", "bundle", "nnU-Net"])
def test_an_unknown_structure_is_refused_before_anything_is_loaded(kind: str, tmp_path: Path, resources: Path) -> None:
    """The image is damaged, which nobody gets to see; a name that the tree has is not refused for its name."""
    models = resources / "Models"
    model = {
        "ensemble": lambda: "cord-gm-soft",
        "member": lambda: "cord-gm-soft/members/wing",
        "own folder": lambda: str(models / "cord-gm-soft" / "members" / "wing"),
        "two models": lambda: f"{models / 'cord-gm-soft/members/wing'},{models / 'cord-gm-soft/members/wing-rising'}",
        "bundle": lambda: str(bundle(tmp_path / "b")),
        "nnU-Net": lambda: str(nnunet(tmp_path / "T__P__3d")),
    }[kind]()
    scan = tmp_path / "scan.nii.gz"
    scan.write_bytes(b"damaged")
    said = refused(model, str(scan), "--out", str(tmp_path / "out"), "--structures", "nosuch")
    assert "nosuch" in said
    assert "--structures" in said
    assert not (tmp_path / "out").exists()
    if kind in ("bundle", "nnU-Net"):
        said = refused(model, str(scan), "--out", str(tmp_path / "out"), "--structures", "liver")
        assert "nosuch" not in said
        assert "scan.nii.gz" in said
