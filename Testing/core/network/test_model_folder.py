from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from softseg.data import NetworkSpec, Plan
from softseg.errors import InputError
from softseg.network import Head, ModelFolder, build_network, read_weights, write_weights
from softseg.tree import LabelTree, Node

RECIPE = "name: mine\nhead:\n  name: softmax\n"


def small_tree(leaves: int = 3) -> LabelTree:
    nodes = [Node(id="root", name="root", parent=None)]
    nodes += [Node(id=f"leaf{n}", name=f"leaf {n}", parent="root", value=n) for n in range(leaves)]
    return LabelTree(nodes, name="small")


def small_plan(filters: int = 4) -> Plan:
    return Plan(
        channels=("T1",),
        spacing=(2.0, 2.0, 2.0),
        patch_size=(16, 16, 16),
        normalization={"T1": {"kind": "z-score"}},
        network=NetworkSpec(options={"filters": [filters] * 3}),
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    plan = small_plan()
    network = build_network(plan.network, 1, 3, 3)
    details = {"name": "small one", "licence": "CC0", "scores": {"dice/leaves": 0.5}, "command": "softseg train X"}
    return ModelFolder.save(tmp_path / "model", network, plan, small_tree(), RECIPE, details)


def test_what_is_saved_is_loaded(folder: Path) -> None:
    torch.manual_seed(0)
    expected = build_network(small_plan().network, 1, 3, 3).eval()
    model = ModelFolder.load(folder)
    image = torch.rand(1, 1, 16, 16, 16)
    with torch.no_grad():
        torch.testing.assert_close(model.network(image), expected(image))
    assert not model.network.training
    assert (model.plan, model.recipe, model.name) == (small_plan(), RECIPE, "small one")
    assert (model.head, model.path) == (Head("softmax", 3, 0), folder)
    assert [leaf.id for leaf in model.tree.leaves] == ["leaf0", "leaf1", "leaf2"]


def test_weights_that_a_network_holds_twice_are_stored_once(tmp_path: Path) -> None:
    network = build_network(small_plan(16).network, 1, 3, 3)
    weights = sum(parameter.numel() for parameter in network.parameters())
    assert sum(value.numel() for value in network.state_dict().values()) > 1.5 * weights  # DynUNet lists blocks twice
    for half, size in ((False, 4), (True, 2)):
        folder = ModelFolder.save(tmp_path / str(half), network, small_plan(16), small_tree(), RECIPE, half=half)
        assert (folder / "models" / "model.pt").stat().st_size < 1.2 * size * weights + 60_000


def test_the_card_says_what_is_known_and_what_is_not(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    for part in ("# small one", "| Licence of the weights | CC0 |", "| dice/leaves | 0.500 |", "softseg train X"):
        assert part in card
    assert "| Cite | not stated |" in card


def test_half_precision_is_stored_and_reads_back_as_float32(folder: Path, tmp_path: Path) -> None:
    model = ModelFolder.load(folder)
    small = ModelFolder.save(tmp_path / "half", model.network, model.plan, model.tree, RECIPE, half=True)
    stored = read_weights(small / "models" / "model.pt")
    assert {value.dtype for value in stored.values() if value.is_floating_point()} == {torch.float16}
    for name, value in ModelFolder.load(small).network.state_dict().items():
        torch.testing.assert_close(value, model.network.state_dict()[name], rtol=1e-3, atol=1e-4)
        assert value.dtype != torch.float16


@pytest.mark.parametrize("name", ["tree.json", "recipe.yaml", "models/model.pt", "configs/metadata.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(InputError, match=f"model: the model folder lacks {name}"):
        ModelFolder.load(folder)


def test_no_folder_at_all(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nothing: no such model folder"):
        ModelFolder.load(tmp_path / "nothing")


class Bomb:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("writer", ["pickle", "torch"])
def test_pickled_code_is_refused_and_not_run(folder: Path, tmp_path: Path, writer: str) -> None:
    trap, weights = tmp_path / "exploded", folder / "models" / "model.pt"
    if writer == "torch":
        torch.save({"weight": Bomb(trap)}, weights)
    else:
        weights.write_bytes(pickle.dumps({"weight": Bomb(trap)}, protocol=2))
    with pytest.raises(InputError, match=r"model.pt: holds pickled Python objects where plain weights belong; refused"):
        ModelFolder.load(folder)
    assert not trap.exists()


def test_a_whole_pickled_network_is_refused(folder: Path) -> None:
    torch.save(ModelFolder.load(folder).network, folder / "models" / "model.pt")
    with pytest.raises(InputError, match=r"model.pt: holds pickled Python objects"):
        ModelFolder.load(folder)


@pytest.mark.parametrize("content", [b"", b"no weights at all", b"PK\x03\x04 damaged"])
def test_damaged_weights_are_named(folder: Path, content: bytes) -> None:
    (folder / "models" / "model.pt").write_bytes(content)
    with pytest.raises(InputError, match=r"model.pt: (is damaged|holds pickled)"):
        ModelFolder.load(folder)


def test_what_was_fitted_to_an_older_network_goes_with_it(folder: Path) -> None:
    fitted = ("calibration.json", "outliers.json", "models/outliers.pt")
    for name in (*fitted, "notes.txt"):
        (folder / name).write_text("of the older network", encoding="utf-8")
    plan = small_plan()
    ModelFolder.save(folder, build_network(plan.network, 1, 3, 3), plan, small_tree(), RECIPE)
    kept = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert "notes.txt" in kept
    assert kept.isdisjoint(fitted)


def test_truncated_weights_are_named(folder: Path) -> None:
    weights = folder / "models" / "model.pt"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(InputError, match=r"model.pt: is damaged or not a file of weights"):
        ModelFolder.load(folder)


def test_weights_of_another_network_are_named(folder: Path, tmp_path: Path) -> None:
    plan = small_plan(filters=8)
    other = ModelFolder.save(tmp_path / "other", build_network(plan.network, 1, 3, 3), plan, small_tree(), RECIPE)
    shutil.copy(other / "models" / "model.pt", folder / "models" / "model.pt")
    with pytest.raises(InputError, match=r"model.pt: the weight '.*' has the shape .*, expected .*; weights and plan"):
        ModelFolder.load(folder)
    torch.save({}, folder / "models" / "model.pt")
    with pytest.raises(InputError, match=r"model.pt: the weight '.*' is missing"):
        ModelFolder.load(folder)
    torch.save([1, 2], folder / "models" / "model.pt")
    with pytest.raises(InputError, match=r"model.pt: expected named weights, got list"):
        ModelFolder.load(folder)


def test_a_tree_with_other_leaves_is_named(folder: Path) -> None:
    small_tree(4).save(folder / "tree.json")
    with pytest.raises(InputError, match=r"tree.json: has 4 leaves, the network was trained on 3"):
        ModelFolder.load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"softseg": None}, r"metadata.json: softseg: expected an object; is it a model folder of softseg"),
        ({"softseg": {"format_version": 99}}, r"format_version: was written by a newer version .*; update softseg"),
        ({"softseg": {"format_version": "1"}}, r"format_version: expected a positive integer, got '1'"),
        ({"softseg": {"format_version": 1}}, r"metadata.json: softseg: plan or head are not valid"),
        ({"softseg": {"format_version": 1, "plan": {}, "head": {}}}, r"softseg: plan or head are not valid"),
    ],
)
def test_metadata_that_is_wrong_is_named(folder: Path, change: dict[str, object], message: str) -> None:
    file = folder / "configs" / "metadata.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(InputError, match=message):
        ModelFolder.load(folder)


def test_metadata_that_is_not_json(folder: Path) -> None:
    (folder / "configs" / "metadata.json").write_text("{")
    with pytest.raises(InputError, match=r"metadata.json: .*is not valid JSON"):
        ModelFolder.load(folder)
    (folder / "configs" / "metadata.json").write_text("[]")
    with pytest.raises(InputError, match=r"metadata.json: expected a JSON object"):
        ModelFolder.load(folder)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_an_error_that_says_so() -> None:
    with pytest.raises(OSError, match=r"No space left on device"):
        write_weights({"weight": torch.rand(1000)}, Path("/dev/full"))
