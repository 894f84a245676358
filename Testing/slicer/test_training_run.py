"""Trainings in processes of their own: real ones, seconds long, watched from their folders."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from softseg.errors import InputError
from softseg.image import Geometry, Image, write_image
from softseg.training import recipe_explanations
from softseg.tree import LabelTree, Node

ROOT = Path(__file__).resolve().parents[2]
for place in (ROOT / "SoftSegSlicer", ROOT / "Testing" / "host"):
    if str(place) not in sys.path:
        sys.path.insert(0, str(place))

from SoftSegSlicerLib.Training.Launcher import Launcher  # noqa: E402
from SoftSegSlicerLib.Training.LineReader import LineReader  # noqa: E402
from SoftSegSlicerLib.Training.ProcessIdentity import startOf  # noqa: E402
from SoftSegSlicerLib.Training.RecipeTexts import FIRST_CHOICE, recipeTexts  # noqa: E402
from SoftSegSlicerLib.Training.TrainingRun import (  # noqa: E402
    FAILED,
    FINISHED,
    RUNNING,
    STOPPED,
    RunRequest,
    TrainingRun,
)

TINY = [
    "average=0.9",
    "validation.every=50",
    "batch_size=1",
    "plan.patch_size=[8, 8, 8]",
    "plan.precision=float32",
    "plan.network={name: DynUNet, options: {filters: [2, 2, 2]}}",
]


class PatientLauncher(Launcher):
    """The real one, that can also wait for its processes."""

    def wait(self, seconds=0.05):
        for process in self._children.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=seconds)


@pytest.fixture
def launcher():
    found = PatientLauncher([sys.executable, "-m", "softseg"])
    yield found
    for process in found._children.values():
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    nodes = [
        Node("root", "root", None),
        Node("background", "background", "root", value=0),
        Node("ball", "ball", "root", value=1),
    ]
    LabelTree(nodes, name="ball").save(folder / "tree.json")
    k, j, i = np.mgrid[:12, :12, :12]
    labels = ((k - 6) ** 2 + (j - 6) ** 2 + (i - 6) ** 2 < 12).astype(np.uint8)
    image = labels * 100 + np.random.default_rng(0).normal(0, 20, labels.shape).astype(np.float32)
    write_image(Image(image.astype(np.float32), Geometry((12, 12, 12))), folder / "image.nii.gz")
    write_image(Image(labels, Geometry((12, 12, 12))), folder / "labels.nii.gz")
    case = {"images": {"T1": "image.nii.gz"}, "labels": "labels.nii.gz"}
    cases = [{"id": f"c{n}", "group": f"p{n}", "split": split, **case} for n, split in enumerate(("train", "val"))]
    content = {"name": "balls", "channels": ["T1"], "tree": "tree.json", "cases": cases}
    (folder / "DATA.json").write_text(json.dumps(content))
    return str(folder / "DATA.json")


def untilTheEnd(run, launcher):
    """Poll to the end; return state, steps and validations that were read, in order."""
    steps, validations = [], []
    while True:
        state = run.poll()
        if run.restarted:
            steps, validations = [], []
        steps += [step for step, _, _ in run.steps]
        validations += [step for step, _ in run.validations]
        if state != RUNNING:
            return state, steps, validations
        launcher.wait()


def untilSteps(run, launcher, count):
    while not (run.poll() != RUNNING or any(step >= count for step, _, _ in run.steps)):
        launcher.wait()
    assert run.running


def test_started_stopped_found_again_and_resumed_to_the_end(dataset, launcher, tmp_path):
    run = TrainingRun(tmp_path / "run", launcher)
    assert (run.poll(), run.model, run.picture, run.canResume) == (FAILED, "", "", False)
    run.start(RunRequest(dataset, "ce-dice", minutes=5, sets=["steps=250", "checkpoint_every=10", *TINY], device="cpu"))
    assert run.poll() == RUNNING
    untilSteps(run, launcher, 5)
    again = TrainingRun(tmp_path / "run", Launcher())  # as after a restart of Slicer: nothing but the folder is known
    assert again.running
    again.poll()
    assert again.steps[0][0] == 1
    assert again.request().recipe == "ce-dice"
    again.requestStop()
    state, _, _ = untilTheEnd(run, launcher)
    assert state == STOPPED
    assert again.poll() == STOPPED
    assert run.canResume
    assert "minutes: 5" in (tmp_path / "run" / "recipe.yaml").read_text()
    with pytest.raises(InputError, match="already holds a training"):
        again.start(RunRequest(dataset, "ce-dice"))
    run.resume()
    assert run.poll() == RUNNING
    run = TrainingRun(tmp_path / "run", launcher)
    state, steps, validations = untilTheEnd(run, launcher)
    assert (state, run.message) == (FINISHED, "")
    assert steps == list(range(1, 251))
    assert validations[-1] == 250
    assert (Path(run.model) / "models" / "model.pt").is_file()
    assert Path(run.picture).is_file()
    assert (run.done, run.total, run.canResume) == (250, 250, False)


def test_a_killed_training_can_be_resumed(dataset, tmp_path):
    launcher = PatientLauncher([sys.executable, "-c", "import sys; sys.stdin.close(); import signal; signal.pause()"])
    run = TrainingRun(tmp_path / "run", launcher)
    run.start(RunRequest(dataset, "ce-dice"))
    assert run.poll() == RUNNING
    with pytest.raises(InputError, match="a training is already running in this folder"):
        run.start(RunRequest(dataset, "ce-dice"))
    run.kill()
    assert not run.running
    assert run.poll() == FAILED
    assert "was killed" in run.message
    assert run.canResume


@pytest.mark.parametrize(
    ("content", "said"),
    [("{not json", "is not valid JSON"), ('{"name": "x"}', "channels: is missing")],
)
def test_a_malformed_dataset_is_said_with_file_and_field(content, said, launcher, tmp_path):
    (tmp_path / "DATA.json").write_text(content)
    run = TrainingRun(tmp_path / "run", launcher)
    run.start(RunRequest(str(tmp_path / "DATA.json"), "soft-tree"))
    state, steps, _ = untilTheEnd(run, launcher)
    assert (state, steps) == (FAILED, [])
    assert said in run.message
    assert "DATA.json" in run.message


def test_a_program_that_is_not_there_is_said_at_once(dataset, tmp_path):
    run = TrainingRun(tmp_path / "run", Launcher([str(tmp_path / "nothing")]))
    with pytest.raises(InputError, match="could not be started"):
        run.start(RunRequest(dataset, "soft-tree"))
    assert not run.running


def test_a_program_that_dies_at_once_shows_its_last_words(dataset, tmp_path):
    launcher = PatientLauncher([sys.executable, "-c", "raise SystemExit('no torch here')"])
    run = TrainingRun(tmp_path / "run", launcher)
    run.start(RunRequest(dataset, "soft-tree"))
    state, _, _ = untilTheEnd(run, launcher)
    assert (state, run.message) == (FAILED, "no torch here")


def test_a_folder_in_which_nothing_can_be_written_is_named(dataset, launcher, tmp_path):
    (tmp_path / "run").write_text("a file")
    run = TrainingRun(tmp_path / "run", launcher)
    with pytest.raises(InputError, match="run: cannot be written"):
        run.start(RunRequest(dataset, "soft-tree"))
    with pytest.raises(InputError, match="not the folder of a training"):
        run.resume()


def test_another_process_with_the_same_number_is_not_taken_for_the_training(tmp_path):
    run = TrainingRun(tmp_path / "run", Launcher())
    run._write("process.json", {"pid": os.getpid(), "start": startOf(os.getpid())})
    assert run.running
    run._write("process.json", {"pid": os.getpid(), "start": "another time"})
    assert not run.running
    assert startOf(2**22 + 1) is None


def test_lines_are_read_as_they_come_and_anew_when_the_file_was_cut(tmp_path, monkeypatch):
    path = tmp_path / "log.jsonl"
    reader = LineReader(path)
    assert reader.read() == []
    path.write_bytes(b'{"event": "a"}\n{"event"')
    assert reader.read() == [{"event": "a"}]
    with path.open("ab") as stream:
        stream.write(b': "b"}\nnoise\n')
    assert reader.read() == [{"event": "b"}]
    assert (reader.restarts, reader.behind) == (0, False)
    os.replace(_written(tmp_path / "other", b'{"event": "c"}\n{"event": "c"}\n'), path)
    assert reader.read() == [{"event": "c"}] * 2
    assert reader.restarts == 1
    path.write_bytes(b'{"event": "d"}\n')
    assert reader.read() == [{"event": "d"}]
    assert reader.restarts == 2
    monkeypatch.setattr("SoftSegSlicerLib.Training.LineReader.CHUNK_BYTES", 20)
    os.replace(_written(tmp_path / "other", b'{"event": "e"}\n' * 3), path)
    found = []
    while reader.behind:
        found += reader.read()
    assert len(found) == 3


def _written(path, content):
    path.write_bytes(content)
    return path


def test_recipes_are_explained_in_the_engine_s_own_words():
    assert recipeTexts() == recipe_explanations()
    assert next(iter(recipeTexts())) == FIRST_CHOICE
