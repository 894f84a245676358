"""``softseg predict`` with MONAI bundles of others says what their own configuration says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_kit import NAMES, bundle, by_hand, configuration, scan

from softseg.bundles.recognition import is_bundle_folder
from softseg.errors import CancelledError, InputError
from softseg.events import Events, ListSink
from softseg.prediction.batch import run
from softseg.prediction.model_summary import ModelSummary
from softseg.requests import PredictRequest
from softseg.soft.parcellation import SoftParcellation
from softseg.tree import LabelTree, Node

STORED = 0.01


def predicted(
    folder: Path, images: list[Path], out: Path, events: Events | None = None, **asked: Any
) -> SoftParcellation:
    """Return the soft parcellation of one case."""
    run(PredictRequest(str(folder), (",".join(map(str, images)),), out, **asked), events)
    (file,) = out.glob("*/soft.soft.npz")
    return SoftParcellation.load(file)


def leaves(found: SoftParcellation, *ids: str) -> np.ndarray:
    return np.stack([found.probability(id_) for id_ in ids])


def test_softmax_is_what_the_configuration_says(tmp_path: Path) -> None:
    """Turned, resampled and cropped on the way there and back; what lies around the crop is background."""
    config = configuration()
    folder, image = bundle(tmp_path / "abdomen", config), scan(tmp_path / "scan.nii.gz")
    sink = ListSink()
    ours = predicted(folder, [image], tmp_path / "out", Events(sink))
    expected = by_hand(folder, config, [image])
    around = 1 - expected.sum(axis=0)
    assert around.max() > 0.5, "the crop leaves something out"
    expected[0] += around
    np.testing.assert_allclose(leaves(ours, "background", "spleen", "liver"), expected, atol=STORED)
    assert len(np.unique(expected.argmax(axis=0))) == 3, "the model is sure of each class somewhere"
    assert [leaf.value for leaf in ours.tree.leaves] == [0, 1, 2]
    assert ours.model == "Abdomen"
    steps = [event for event in sink.events if event["event"] == "progress" and event["stage"] == "predict"]
    assert steps[-1]["done"] == steps[-1]["total"] > 4


def test_several_images_are_the_channels(tmp_path: Path) -> None:
    config = configuration(channels=2)
    folder = bundle(tmp_path / "b", config, images=("T1", "T2"))
    images = [scan(tmp_path / "s_T1.nii.gz"), scan(tmp_path / "s_T2.nii.gz", 1)]
    assert ModelSummary.load(folder).channels == ("T1", "T2")
    ours = predicted(folder, images, tmp_path / "out")
    expected = by_hand(folder, config, images)
    np.testing.assert_allclose(leaves(ours, "spleen", "liver"), expected[1:], atol=STORED)


def test_sigmoid_channels_are_nodes_of_a_tree(tmp_path: Path) -> None:
    """The whole with its core inside, each by itself; the background is what is left."""
    config = configuration(outputs=2, activation="sigmoid")
    folder = bundle(tmp_path / "b", config, {"0": "core", "1": "whole"})
    image = scan(tmp_path / "scan.nii.gz")
    nodes = [
        Node("root", "root", None),
        Node("background", "background", "root", value=0),
        Node("whole", "whole", "root"),
    ]
    nodes += [Node("core", "core", "whole", value=1), Node("edge", "edge", "whole", value=2)]
    LabelTree(nodes, "lesion").save(tmp_path / "lesion.json")
    ours = predicted(folder, [image], tmp_path / "out", tree=str(tmp_path / "lesion.json"))
    core, whole = by_hand(folder, config, [image])
    np.testing.assert_allclose(ours.probability("core"), core, atol=STORED)
    np.testing.assert_allclose(ours.probability("whole"), np.maximum(whole, core), atol=STORED)
    np.testing.assert_allclose(ours.probability("background"), 1 - np.maximum(whole, core), atol=STORED)
    with pytest.raises(InputError, match=r"the channels 'core' and 'whole' overlap; name a tree .* --tree"):
        predicted(folder, [image], tmp_path / "flat")


def test_one_sigmoid_channel_leaves_the_rest_to_the_background(tmp_path: Path) -> None:
    config = configuration(outputs=1, activation="sigmoid")
    folder, image = bundle(tmp_path / "b", config, {"0": "lesion"}), scan(tmp_path / "scan.nii.gz")
    ours = predicted(folder, [image], tmp_path / "out", structures=("lesion",))
    (expected,) = by_hand(folder, config, [image])
    np.testing.assert_allclose(leaves(ours, "background", "lesion"), [1 - expected, expected], atol=STORED)


def test_a_yaml_configuration_without_a_way_back(tmp_path: Path) -> None:
    """The bundle's labels stay on its own grid; here they are taken back all the same."""
    config = configuration()
    folder, image = bundle(tmp_path / "b", config), scan(tmp_path / "scan.nii.gz")
    expected = by_hand(folder, config, [image])
    shorter = json.loads(json.dumps(config))
    del shorter["postprocessing"]["transforms"][1]
    import yaml

    (folder / "configs" / "inference.json").unlink()
    (folder / "configs" / "inference.yaml").write_text(yaml.safe_dump(shorter, sort_keys=False))
    ours = predicted(folder, [image], tmp_path / "out", bundle=True)
    np.testing.assert_allclose(leaves(ours, "spleen", "liver"), expected[1:], atol=STORED)


def test_cancelling_between_windows(tmp_path: Path) -> None:
    folder, image = bundle(tmp_path / "b", configuration()), scan(tmp_path / "scan.nii.gz")

    class Stopping(ListSink):
        def write(self, event: Any) -> None:
            super().write(event)
            if event["event"] == "progress" and event["stage"] == "predict" and event["done"] >= 2:
                events.cancel.cancel()

    events = Events(Stopping())
    with pytest.raises(CancelledError):
        predicted(folder, [image], tmp_path / "out", events)
    assert not list((tmp_path / "out").glob("scan*"))


def changed(folder: Path, path: str, value: Any) -> Path:
    """Write a bundle whose configuration has another value at a place."""
    config = configuration()
    *way, last = path.split("::")
    place: Any = config
    for key in way:
        place = place[int(key)] if isinstance(place, list) else place[key]
    place[int(last) if isinstance(place, list) else last] = value
    bundle(folder, configuration())
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    return folder


EVIL = "__import__('os').mkdir('ran')"
CODE = {
    "a call": ("pixdim", f"${EVIL}"),
    "a call in a network": ("network_def::norm", f"${EVIL}"),
    "a lambda": (
        "preprocessing::transforms::6",
        {"_target_": "Lambdad", "keys": "image", "func": f"$lambda x: {EVIL}"},
    ),
    "a callable": ("network_def", {"_target_": "os.mkdir", "path": "ran"}),
    "a callable of MONAI": ("network_def", {"_target_": "monai.bundle.run", "run_id": "x"}),
    "a short name of MONAI": ("network_def", {"_target_": "download_url", "url": "file:///etc/passwd"}),
    "a way through torch.nn": ("network_def", {"_target_": "torch.nn.modules.module.torch.hub.load", "a": 1}),
    "a text that MONAI's quotation marks end": ("f", f"$'@f {{{EVIL}}}'"),
    "attributes": ("pixdim", "$().__class__.__bases__"),
    "a file": ("inferer", "%/etc/passwd"),
    "a mode": ("network_def::_mode_", "debug"),
    "writing": ("preprocessing::transforms::6", {"_target_": "SaveImaged", "keys": "image", "output_dir": "ran"}),
    "windows": ("inferer", {"_target_": "os.mkdir", "path": "ran"}),
    "downloading": ("network_def::pretrained", True),
}


@pytest.mark.parametrize(("path", "value"), CODE.values(), ids=CODE)
def test_code_is_refused_and_never_run(path: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, image = changed(tmp_path / "b", path, value), scan(tmp_path / "scan.nii.gz")
    if path == "f":
        config = json.loads((folder / "configs" / "inference.json").read_text())
        config["pixdim"] = "@f"
        (folder / "configs" / "inference.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=r"not run|run without asking|not followed|not known|download|has no network"):
        predicted(folder, [image], tmp_path / "out")
    assert not (tmp_path / "ran").exists()


def test_code_runs_where_a_person_trusts_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder, image = changed(tmp_path / "b", "pixdim", f"$({EVIL}, [1.5, 1.5, 2.0])[1]"), scan(tmp_path / "scan.nii.gz")
    ours = predicted(folder, [image], tmp_path / "out", trust_code=True)
    assert (tmp_path / "ran").is_dir()
    expected = by_hand(folder, configuration(), [image])
    np.testing.assert_allclose(leaves(ours, "spleen", "liver"), expected[1:], atol=STORED)


def test_torchscript_is_a_program(tmp_path: Path) -> None:
    config = configuration()
    folder, image = bundle(tmp_path / "b", config), scan(tmp_path / "scan.nii.gz")
    expected = by_hand(folder, config, [image])
    from monai.bundle import ConfigParser

    network = ConfigParser(config).get_parsed_content("network_def").eval()
    network.load_state_dict(torch.load(folder / "models" / "model.pt", weights_only=True))
    torch.jit.trace(network, torch.zeros(1, 1, 16, 16, 16)).save(str(folder / "models" / "model.ts"))
    (folder / "models" / "model.pt").unlink()
    with pytest.raises(InputError, match=r"model\.ts: is a TorchScript program, which is not run; --trust-code"):
        predicted(folder, [image], tmp_path / "no")
    ours = predicted(folder, [image], tmp_path / "out", trust_code=True)
    np.testing.assert_allclose(leaves(ours, "spleen", "liver"), expected[1:], atol=STORED)


def test_bundles_that_cannot_be_run_are_refused_plainly(tmp_path: Path) -> None:
    image = scan(tmp_path / "scan.nii.gz")

    def refused(message: str, path: str, value: Any) -> None:
        folder = changed(tmp_path / str(len(list(tmp_path.iterdir()))), path, value)
        with pytest.raises(InputError, match=message):
            predicted(folder, [image], tmp_path / "out")

    refused(r"model\.pt: holds the weights of another network", "network_def::init_filters", 8)
    refused(
        r"inference\.json: preprocessing: fails: Not all axis codes", "preprocessing::transforms::2::axcodes", "XYZ"
    )
    refused(
        r"names neither softmax nor sigmoid",
        "postprocessing::transforms::0",
        {"_target_": "Identityd", "keys": "pred"},
    )
    refused(r"inferer: names no way to lay windows", "inferer", None)
    refused(r"network_def: describes no network", "network_def", "$torch.nn")
    refused(r"has no network, inferer or transform UNets", "network_def", {"_target_": "UNets"})
    for field, value in (("uncertainty", "tta:2"), ("fast", True), ("overlap", 0.25)):
        folder = bundle(tmp_path / field, configuration())
        with pytest.raises(InputError, match=f"--{field}: is not for models of other tools"):
            predicted(folder, [image], tmp_path / "out", **{field: value})


def test_pickled_code_in_weights_is_refused(tmp_path: Path) -> None:
    folder, image = bundle(tmp_path / "b", configuration()), scan(tmp_path / "scan.nii.gz")
    torch.save({"model": Path("x")}, folder / "models" / "model.pt")
    with pytest.raises(InputError, match=r"model\.pt: holds pickled Python objects"):
        predicted(folder, [image], tmp_path / "out")


def test_ours_are_not_taken_for_bundles_of_others(tmp_path: Path, resources: Path) -> None:
    for model in ("brain-134", "brain-134/members/axial"):
        assert not is_bundle_folder(resources / "Models" / model)
    with pytest.raises(InputError, match="--bundle: is for bundles made by others"):
        run(PredictRequest("brain-134", (str(scan(tmp_path / "s.nii.gz")),), tmp_path / "out", bundle=True))
    with pytest.raises(InputError, match="--trust-code: is for MONAI bundles of others"):
        run(PredictRequest("brain-134", (str(tmp_path / "s.nii.gz"),), tmp_path / "out", trust_code=True))
    with pytest.raises(InputError, match="is no MONAI bundle that predicts: it lacks configs"):
        run(PredictRequest(str(tmp_path), (str(tmp_path / "s.nii.gz"),), tmp_path / "out", bundle=True))


def test_a_summary_needs_neither_torch_nor_monai(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b", configuration())
    code = (
        "import sys\n"
        "for name in ('torch', 'monai', 'pydantic', 'psutil', 'yaml'): sys.modules[name] = None\n"
        "from softseg.prediction.model_summary import ModelSummary\n"
        "found = ModelSummary.load(sys.argv[1])\n"
        "print(found.name, found.channels, [leaf.name for leaf in found.tree.leaves], found.licence)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"Abdomen ('CT',) {list(NAMES.values())} CC0"
