"""``softseg predict`` with a model of nnU-Net says what nnU-Net itself says; needs the package ``nnunetv2``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nnunet_kit import checkpoint, plans, write_model

nnunetv2 = pytest.importorskip("nnunetv2", reason="nnunetv2 is not installed: pip install 'softseg[nnunet]'")

from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor  # noqa: E402
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer  # noqa: E402
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager  # noqa: E402

from softseg.errors import CancelledError, InputError  # noqa: E402
from softseg.events import Events, ListSink  # noqa: E402
from softseg.image import Geometry, Image, write_image  # noqa: E402
from softseg.prediction.batch import run  # noqa: E402
from softseg.requests import ImportSoftRequest, PredictRequest  # noqa: E402
from softseg.soft.parcellation import SoftParcellation  # noqa: E402

TURNED = Geometry(
    (22, 18, 14), (1.2, 0.9, 2.5), (10.0, -20.0, 5.0), (-0.8, 0, 0.6, 0, 1, 0, 0.6, 0, 0.8)
)  # runs to the right and is oblique
STORED = 0.01


def weights(seed: int, channels: int = 3, **changes: Any) -> dict[str, Any]:
    """Return weights of the network that the plans describe, strong enough to be sure here and there."""
    torch.manual_seed(seed)
    manager = PlansManager(plans(**changes))
    network = nnUNetTrainer.build_network_architecture(
        manager, manager.get_configuration("3d_fullres"), 1, channels, enable_deep_supervision=False
    )
    return {name: value * 3 if "seg_layers" in name else value for name, value in network.state_dict().items()}


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(100, 20, TURNED.shape).astype(np.float32)
    values[4:9, 5:12, 6:15] += 150
    return write_image(Image(values, TURNED), tmp_path / "scan.nii.gz")


def theirs(folder: Path, scan: Path, out: Path, folds: tuple[int, ...], mirrored: bool = True) -> Path:
    """Let nnU-Net write its probabilities and return the file."""
    predictor = nnUNetPredictor(device=torch.device("cpu"), use_mirroring=mirrored, allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(str(folder), folds)
    out.mkdir()
    predictor.predict_from_files_sequential([[str(scan)]], [str(out / "scan")], save_probabilities=True)
    (out / "dataset.json").write_bytes((folder / "dataset.json").read_bytes())
    return out / "scan.npz"


def largest_difference(one: SoftParcellation, other: SoftParcellation) -> float:
    assert one.geometry.same_grid(other.geometry)
    ids = [node.id for node in one.tree.nodes]
    return max(float(np.abs(one.probability(id_) - other.probability(id_)).max()) for id_ in ids)


@pytest.mark.parametrize("reader", ["SimpleITKIO", "NibabelIO", "NibabelIOWithReorient", "SimpleITKIOWithReorient"])
def test_two_folds_are_what_nnunet_says_and_what_is_imported(tmp_path: Path, scan: Path, reader: str) -> None:
    folder = write_model(tmp_path / "m", [checkpoint(weights(1)), checkpoint(weights(2))], reader=reader)
    run(PredictRequest(str(folder), (str(scan),), tmp_path / "ours"))
    ours = SoftParcellation.load(tmp_path / "ours/scan/soft.soft.npz")
    file = theirs(folder, scan, tmp_path / "theirs", (0, 1))
    from softseg.exchange.importing import run_import_soft

    like = {} if reader == "SimpleITKIO" else {"like": scan}
    run_import_soft(ImportSoftRequest((file,), tmp_path / "i.soft.npz", **like))
    imported = SoftParcellation.load(tmp_path / "i.soft.npz")
    assert [leaf.value for leaf in imported.tree.leaves] == [leaf.value for leaf in ours.tree.leaves]
    assert largest_difference(ours, imported) <= STORED
    assert len(np.unique(ours.labels(ours.tree.cut_at(1)))) == 3, "the model is sure of each class somewhere"


def test_fast_is_one_fold_without_mirroring(tmp_path: Path, scan: Path) -> None:
    folder = write_model(tmp_path / "m", [checkpoint(weights(1)), checkpoint(weights(2))])
    run(PredictRequest(str(folder), (str(scan),), tmp_path / "ours", fast=True, nodes=("white matter",)))
    with np.load(theirs(folder, scan, tmp_path / "theirs", (0,), mirrored=False)) as arrays:
        expected = arrays["probabilities"]
    ours = SoftParcellation.load(tmp_path / "ours/scan/soft.soft.npz")
    for leaf, channel in zip(ours.tree.leaves, expected, strict=True):
        np.testing.assert_allclose(ours.probability(leaf.id), channel, atol=STORED)


def test_regions_are_nodes_with_their_own_probability(tmp_path: Path, scan: Path) -> None:
    description = {"labels": {"background": 0, "all": [1, 2], "core": [2]}, "regions_class_order": [1, 2]}
    folder = write_model(tmp_path / "m", [checkpoint(weights(3, channels=2))], description=description)
    sink = ListSink()
    run(PredictRequest(str(folder), (str(scan),), tmp_path / "ours"), Events(sink))
    with np.load(theirs(folder, scan, tmp_path / "theirs", (0,))) as arrays:
        whole, core = arrays["probabilities"]
    ours = SoftParcellation.load(tmp_path / "ours/scan/soft.soft.npz")
    np.testing.assert_allclose(ours.probability("core"), core, atol=STORED)
    np.testing.assert_allclose(ours.probability("all"), np.maximum(whole, core), atol=STORED)
    said = [event["text"] for event in sink.events if event["event"] == "log"]
    assert any("regions contradicted each other" in text for text in said) == bool((core - whole).max() > 0.01)


def test_progress_and_cancelling_between_windows(tmp_path: Path, scan: Path) -> None:
    folder = write_model(tmp_path / "m", [checkpoint(weights(1))])
    sink = ListSink()
    run(PredictRequest(str(folder), (str(scan),), tmp_path / "ours"), Events(sink))
    steps = [event for event in sink.events if event["event"] == "progress" and event["stage"] == "predict"]
    assert steps[-1]["done"] == steps[-1]["total"] > 4

    class Stopping(ListSink):
        def write(self, event: Any) -> None:
            super().write(event)
            if event["event"] == "progress" and event["done"] == 2:
                events.cancel.cancel()

    events = Events(Stopping())
    with pytest.raises(CancelledError):
        run(PredictRequest(str(folder), (str(scan),), tmp_path / "stopped"), events)
    assert not list((tmp_path / "stopped").glob("scan*"))


def test_models_that_cannot_be_run_are_refused_plainly(tmp_path: Path, scan: Path) -> None:
    def refused(message: str, state: dict[str, Any], **changes: Any) -> None:
        folder = write_model(tmp_path / str(len(list(tmp_path.iterdir()))), [state], **changes)
        with pytest.raises(InputError, match=message):
            run(PredictRequest(str(folder), (str(scan),), tmp_path / "out"))

    refused("was trained with MyTrainer, which nnU-Net does not find; set nnUNet_extTrainer",
            checkpoint(weights(1), trainer_name="MyTrainer"))  # fmt: skip
    refused(r"fold_0/checkpoint_final\.pth: holds the weights of another network", checkpoint({"a": torch.ones(1)}))
    refused("refines what 3d_lowres predicts, which is not supported",
            checkpoint(weights(1)), previous_stage="3d_lowres")  # fmt: skip
    refused(r"plans\.json: reads its images with MyReader", checkpoint(weights(1)), reader="MyReader")


def test_trainers_are_found_as_nnunet_looks_for_them() -> None:
    from nnunetv2.utilities.find_class_by_name import recursive_find_python_class

    import softseg.nnunet.plugin as plugin

    folder = str(Path(plugin.__file__).parent)
    for name in _listed():
        found = recursive_find_python_class(folder, name, None, folder, cleanup_imports_from_base_folder=True)
        assert issubclass(found, nnUNetTrainer)
        assert found.__name__ == name


def _listed() -> list[str]:
    """Return the trainers that the documentation lists."""
    text = (Path(__file__).parents[3] / "docs" / "nnunet.md").read_text(encoding="utf-8")
    names = {line.split("`")[1] for line in text.splitlines() if line.startswith("| `nnUNetTrainer")}
    assert len(names) == 6
    return sorted(names - {nnUNetTrainer.__name__})
