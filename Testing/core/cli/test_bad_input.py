"""Bad input ends with exit code 2 and one line that names file and field; nothing appears under its final name."""

from __future__ import annotations

import json
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from softseg.image import Image, read_image, write_image

Edit = Callable[[Path], None]


def _describe(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    file = folder / "DATA.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    edit(content)
    file.write_text(json.dumps(content), encoding="utf-8")


def _change_image(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    def edit(folder: Path) -> None:
        image = read_image(folder / name)
        write_image(Image(change(image.array), image.geometry), folder / name)

    return edit


def _truncate(name: str) -> Edit:
    def edit(folder: Path) -> None:
        file = folder / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return edit


def _smaller_labels(folder: Path) -> None:
    labels = read_image(folder / "labels0.nii.gz")
    geometry = labels.geometry.cropped((0, 0, 0), (10, 22, 20))
    write_image(Image(np.ascontiguousarray(labels.array[:10]), geometry), folder / "labels0.nii.gz")


def _shifted_labels(folder: Path) -> None:
    labels = read_image(folder / "labels0.nii.gz")
    shifted = type(labels.geometry)(labels.geometry.size, labels.geometry.spacing, (5.0, 0.0, 0.0))
    write_image(Image(labels.array, shifted), folder / "labels0.nii.gz")


def _soft(change: Callable[[np.ndarray], np.ndarray]) -> Edit:
    """Use the soft maps as labels of case0, with the one of ``shell`` changed."""

    def edit(folder: Path) -> None:
        maps = {leaf: f"soft_{leaf}.nii.gz" for leaf in ("background", "core", "shell")}
        _describe(folder, lambda data: data["cases"][0].update(labels=maps))
        _change_image("soft_shell.nii.gz", change)(folder)

    return edit


def _with_nan(array: np.ndarray) -> np.ndarray:
    result = array.astype(np.float32)
    result[3, 4, 5] = np.nan
    return result


def _unlink(name: str) -> Edit:
    return lambda folder: (folder / name).unlink()


def _text(name: str, text: str) -> Edit:
    return lambda folder: (folder / name).write_text(text, encoding="utf-8") and None


def _same_person(data: dict[str, Any]) -> None:
    data["cases"][1]["group"] = data["cases"][0]["group"]


DATASETS: dict[str, tuple[Edit, str]] = {
    "missing image": (_unlink("scan0.nii.gz"), r"DATA\.json.*images\.T1.*scan0\.nii\.gz|scan0\.nii\.gz.*images\.T1"),
    "missing labels": (_unlink("labels1.nii.gz"), r"labels.*labels1\.nii\.gz|labels1\.nii\.gz.*labels"),
    "truncated image": (_truncate("scan0.nii.gz"), r"scan0\.nii\.gz.*truncated"),
    "truncated labels": (_truncate("labels0.nii.gz"), r"labels0\.nii\.gz.*truncated"),
    "grids of different size": (_smaller_labels, r"labels0\.nii\.gz.*grid"),
    "grids at different places": (_shifted_labels, r"labels0\.nii\.gz.*grid"),
    "NaN in an image": (_change_image("scan0.nii.gz", _with_nan), r"scan0\.nii\.gz.*(NaN|nan|finite)"),
    "constant image": (_change_image("scan0.nii.gz", np.zeros_like), r"scan0\.nii\.gz.*constant|scan0.*same value"),
    "value not in the tree": (_change_image("labels0.nii.gz", lambda a: a * 7), r"labels0\.nii\.gz.*\b(7|14)\b"),
    "soft label above 1": (_soft(lambda a: a * 1.5), r"soft_shell\.nii\.gz.*1\.5"),
    "soft label below 0": (_soft(lambda a: a - 0.5), r"soft_shell\.nii\.gz.*-0\.5"),
    "soft labels sum above 1": (_soft(lambda a: np.minimum(a + 0.6, 1)), r"sum.*1\.6"),
    "person in two splits": (lambda f: _describe(f, _same_person), r"DATA\.json.*person0.*(train|val)"),
    "cycle in the tree": (
        lambda f: _text("tree.txt", "")(f) or _tree(f, lambda n: n["organ"].update(parent="core")),
        r"tree\.json.*(cycle|root)",
    ),
    "no JSON": (_text("DATA.json", "{"), r"DATA\.json.*JSON"),
    "unknown key": (lambda f: _describe(f, lambda d: d.update(colour="red")), r"DATA\.json.*colour"),
}


def _tree(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Let ``change`` edit the nodes of tree.json, which come by id."""
    file = folder / "tree.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    change({node["id"]: node for node in content["nodes"]})
    file.write_text(json.dumps(content), encoding="utf-8")


def _assert_refused(answer: Any, pattern: str) -> None:
    assert answer.code == 2, answer
    assert "Traceback" not in answer.err
    assert answer.err.count("\n") == 1, answer.err
    assert answer.err.startswith("softseg: ")
    assert __import__("re").search(pattern, answer.err), answer.err


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("command", ["check", "train"])
def test_datasets(cli: Callable, world: Path, quick_training: list[str], name: str, command: str) -> None:
    edit, pattern = DATASETS[name]
    edit(world)
    if command == "check":
        answer = cli("data", "check", world / "DATA.json")
    else:
        out = world / "run"
        answer = cli(
            "train", world / "DATA.json", "--recipe", "ce-dice", "--out", out, "--device", "cpu", *quick_training
        )
        assert not (out / "model").exists()
        assert not list(out.glob("checkpoints/*"))
    _assert_refused(answer, pattern)
    assert not list(world.rglob(".unfinished-*"))


TREES: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "cycle": (lambda n: n["organ"].update(parent="core"), r"cycle"),
    "two roots": (lambda n: n["organ"].update(parent=None), r"root"),
    "duplicate value": (lambda n: n["shell"].update(value=1), r"value.*1|1.*value"),
    "unknown parent": (lambda n: n["core"].update(parent="liver"), r"liver"),
    "weight 0": (lambda n: n["core"].update(weight=0), r"weight"),
    "leaf without value": (lambda n: n["core"].pop("value"), r"value"),
}


@pytest.mark.parametrize("name", TREES)
def test_trees(cli: Callable, world: Path, name: str) -> None:
    change, pattern = TREES[name]
    _tree(world, change)
    answer = cli("tree", "check", world / "tree.json")
    _assert_refused(answer, rf"tree\.json: .*({pattern})")
    _assert_refused(cli("tree", "convert", world / "tree.json", world / "new.txt"), pattern)
    assert not (world / "new.txt").exists()


SCANS: dict[str, tuple[Edit, str]] = {
    "missing": (_unlink("scan0.nii.gz"), r"scan0\.nii\.gz: no such file"),
    "truncated": (_truncate("scan0.nii.gz"), r"scan0\.nii\.gz: .*truncated"),
    "NaN": (_change_image("scan0.nii.gz", _with_nan), r"scan0\.nii\.gz.*(NaN|nan|finite)"),
    "constant": (_change_image("scan0.nii.gz", np.ones_like), r"scan0\.nii\.gz.*(constant|same value)"),
    "no image": (_text("scan0.nii.gz", "hello"), r"scan0\.nii\.gz: .*cannot be read"),
    "model without tree": (_unlink("model/tree.json"), r"model: .*tree\.json"),
    "model without plan": (_text("model/configs/metadata.json", "{}"), r"metadata\.json: softseg"),
    "model of another tree": (
        lambda f: (f / "model/tree.json").write_bytes((f / "other.json").read_bytes()) and None,
        r"tree\.json: has 2 leaves",
    ),
    "no weights": (_text("model/models/model.pt", "not weights"), r"model\.pt: "),
    "file in the way": (_text("out", "a file"), r"out: "),
}


@pytest.mark.parametrize("name", SCANS)
def test_scans_and_models(cli: Callable, world: Path, model: Path, name: str) -> None:
    assert cli("tree", "convert", world / "tree.json", world / "other.json", "--level", "1").code == 0
    edit, pattern = SCANS[name]
    edit(world)
    out = world / "out"
    _assert_refused(cli("predict", model, world / "scan0.nii.gz", "--out", out, "--device", "cpu"), pattern)
    assert not out.is_dir() or not list(out.iterdir())


class _Malicious:
    def __init__(self, evidence: Path) -> None:
        self.evidence = evidence

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.evidence),)


def test_pickled_code_is_refused_and_not_executed(cli: Callable, world: Path, model: Path) -> None:
    import torch

    evidence = world / "executed"
    for write in (
        lambda file, thing: file.write_bytes(pickle.dumps(thing)),
        lambda file, thing: torch.save(thing, file),
    ):
        write(model / "models" / "model.pt", {"weight": _Malicious(evidence)})
        answer = cli("predict", model, world / "scan0.nii.gz", "--out", world / "out", "--device", "cpu")
        _assert_refused(answer, r"model\.pt: ")
        assert not evidence.exists()
        assert not (world / "out").exists()


@pytest.mark.parametrize(
    ("recipe", "pattern"),
    [
        ("name: x\nexplanation: x\nlosses: [{name: dice}]\nspeed: fast\n", r"recipe\.yaml: speed: unknown recipe key"),
        ("name: x\nexplanation: x\nlosses: [{name: dise}]\n", r"dise"),
        ("name: [x\n", r"recipe\.yaml: is not YAML"),
        ("- 1\n", r"recipe\.yaml: expected a YAML mapping"),
        (None, r"recipe\.yaml"),
    ],
)
def test_recipes(cli: Callable, world: Path, recipe: str | None, pattern: str) -> None:
    if recipe is not None:
        (world / "recipe.yaml").write_text(recipe, encoding="utf-8")
    answer = cli("train", world / "DATA.json", "--recipe", world / "recipe.yaml", "--out", world / "run")
    _assert_refused(answer, pattern)
    assert not (world / "run" / "model").exists()


@pytest.mark.parametrize(
    ("change", "pattern"),
    [
        ("stepz=3", r"stepz: unknown recipe key"),
        ("plan.patchsize=[1,1,1]", r"patchsize"),
        ("steps=none", r"steps"),
        ("steps", r"--set: expected key=value"),
        ("optimizer.name=adagrad", r"optimizer\.name"),
    ],
)
def test_settings(cli: Callable, world: Path, change: str, pattern: str) -> None:
    out = world / "run"
    answer = cli("train", world / "DATA.json", "--recipe", "ce-dice", "--out", out, "--device", "cpu", "--set", change)
    _assert_refused(answer, pattern)


@pytest.mark.parametrize("device", ["cuda:99", "tpu"])
def test_devices(cli: Callable, world: Path, model: Path, device: str) -> None:
    arguments = ("predict", model, world / "scan0.nii.gz", "--out", world / "out", "--device", device)
    _assert_refused(cli(*arguments), r"device")


@pytest.mark.skipif(sys.platform != "linux", reason="/sys is Linux")
def test_folder_that_nobody_may_write(cli: Callable, world: Path, model: Path, quick_training: list[str]) -> None:
    forbidden = "/sys/softseg-test"
    _assert_refused(
        cli("predict", model, world / "scan0.nii.gz", "--out", forbidden), r"/sys/softseg-test: cannot write"
    )
    command = ("train", world / "DATA.json", "--recipe", "ce-dice", "--out", forbidden, *quick_training)
    _assert_refused(cli(*command), r"/sys/softseg-test: cannot write")


@pytest.mark.skipif(sys.platform == "win32", reason="a limit on the size of files is a thing of POSIX")
def test_full_disk(start: Callable, world: Path, model: Path) -> None:
    """A limit on the size of files stops the writers in the same place as a full disk does."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    process = start("predict", model, world / "scan0.nii.gz", "--out", world / "out", preexec_fn=limit)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 2, errors
    assert errors.count("\n") == 1
    assert "disk" in errors
    assert not list((world / "out").iterdir())


def test_errors_are_events_too(cli: Callable, world: Path) -> None:
    (world / "scan0.nii.gz").unlink()
    answer = cli("data", "check", world / "DATA.json", "--events", "json")
    last = json.loads(answer.out.splitlines()[-1])
    assert last["event"] == "error"
    assert last["kind"] == "input"
    assert last["exit_code"] == answer.code == 2
    assert str(last["file"]) in answer.err
