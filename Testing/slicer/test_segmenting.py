"""From volumes to a result by the engine in a process of its own; the process is a stand-in, its files are real."""

import os
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from SoftSegSlicerLib.Process import HeadlessRunner as headless
from SoftSegSlicerLib.Process.HeadlessRunner import HeadlessRunner
from SoftSegSlicerLib.Process.Runner import CANCELLED, DONE, FAILED

from softseg.errors import CancelledError, InputError, OutOfMemoryError
from softseg.image import Image, read_image, write_image
from softseg.requests import Manifest, OutputFile, PredictRequest, WrittenCase


def ignore(_):
    """Take an event or an outcome."""


@pytest.fixture
def engine(tmp_path, monkeypatch):
    """Let the runner start a program of the test instead of the engine."""

    def become(code):
        program = tmp_path / "engine.py"
        program.write_text(textwrap.dedent(code))
        monkeypatch.setattr(
            "SoftSegSlicerLib.SoftSegSlicerLogic.HeadlessRunner",
            lambda: HeadlessRunner(sys.executable, [str(program)]),
        )
        return HeadlessRunner(sys.executable, [str(program)])

    return become


@pytest.fixture
def scan(addVolume, grid):
    """A scan on the oblique grid."""
    return addVolume(np.arange(np.prod(grid.shape), dtype=np.int16).reshape(grid.shape), grid, "A scan, of 1")


COPY = """
    import json, shutil, sys
    from softseg.requests import OutputFile, PredictRequest, WrittenCase
    request = PredictRequest.from_argv(sys.argv[1:sys.argv.index("--events")])
    folder = request.out / "wherever the engine wants"
    folder.mkdir(parents=True)
    shutil.copy({file!r}, folder / "found.soft.npz")
    for done in range(3):
        print(json.dumps({{"event": "progress", "stage": "predict", "done": done, "total": 3}}), flush=True)
    case = WrittenCase("it", "done", request.inputs, folder, (OutputFile("soft", "found.soft.npz"),))
    print(json.dumps({{"event": "result", "arguments": sys.argv[1:], "case": case.to_json()}}), flush=True)
"""


def test_a_scan_is_segmented_and_the_result_stands_in_the_scene(logic, scan, parcellation, tmp_path, engine):
    engine(COPY.format(file=str(parcellation.save(tmp_path / "it.soft.npz"))))
    events = []
    node = logic.segment(scan, "brain-134", cut=2, device="cpu", onEvent=events.append)
    assert node.GetName() == "A scan, of 1 segmentation"
    assert node.GetNodeReference("softseg.input") is scan
    assert [n.id for n in logic.results.cutOf(node).nodes] == ["background", "cortex", "nuclei", "stem"]
    assert node.GetNodeReference("softseg.volumes").GetNumberOfRows() == len(parcellation.tree)
    assert [event.get("done") for event in events] == [0, 1, 2, None]
    arguments = events[-1]["arguments"]
    request = PredictRequest.from_argv(arguments[: arguments.index("--events")])
    assert (request.model, request.device) == ("brain-134", "cpu")
    assert not Path(request.inputs[0]).exists(), "temporary files are removed"


def test_the_engine_gets_the_voxels_where_they_are(logic, scan, addVolume, grid):
    other = addVolume(np.ones(grid.shape, np.float32), grid, "T2")
    job = logic.segmenting.prepare([scan, other], "model")
    first, second = (read_image(file) for file in job.images)
    import slicer

    np.testing.assert_array_equal(first.array, slicer.util.arrayFromVolume(scan))
    assert first.geometry.same_grid(grid)
    assert second.array.dtype == np.float32
    job.discard()
    assert not Path(job.images[0]).exists()


def test_a_segment_or_a_label_map_serves_as_mask(logic, scan, parcellation, addVolume, grid, scene):
    import slicer

    node = logic.results.add(parcellation, scan)
    array = slicer.util.arrayFromVolume(scan)
    inside = parcellation.labels(3) == 200
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    for moved in (scan, node):
        moved.SetAndObserveTransformNodeID(transform.GetID())
    for mask in ((node, "stem"), addVolume(inside.astype(np.uint8), grid, "mask", "vtkMRMLLabelMapVolumeNode")):
        job = logic.segmenting.prepare(scan, "model", mask=mask)
        np.testing.assert_array_equal(read_image(job.images[0]).array, array)
        given = read_image(job.request.mask)
        np.testing.assert_array_equal(given.array, inside)
        assert given.geometry.same_grid(grid)
        job.discard()


def test_a_volume_of_probabilities_serves_as_mask_where_it_is_in_the_world(logic, scan, addVolume, grid, scene):
    """Its numbers and its own grid go to the engine; only its place is told in the scan's coordinates."""
    import slicer

    coarse = grid.resampled((2.0, 3.0, 4.0))
    soft = np.linspace(0, 1, np.prod(coarse.shape), dtype=np.float32).reshape(coarse.shape)
    mask = addVolume(soft, coarse, "soft mask")
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    matrix = np.eye(4)
    matrix[:3, 3] = 10, -5, 3
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
    mask.SetAndObserveTransformNodeID(transform.GetID())
    job = logic.segmenting.prepare(scan, "model", mask=mask)
    given = read_image(job.request.mask)
    np.testing.assert_allclose(given.array, soft)
    np.testing.assert_allclose(given.geometry.affine, matrix @ coarse.affine, atol=1e-3)
    job.discard()
    for word in ("auto", "none", "made"):
        job = logic.segmenting.prepare(scan, "model", mask=word)
        assert job.request.mask == word
        job.discard()


def test_the_mask_that_was_used_comes_into_the_scene(logic, scan, scene, parcellation, tmp_path):
    job = logic.segmenting.prepare(scan, "model")
    folder = tmp_path / "case"
    folder.mkdir()
    parcellation.save(folder / "soft.soft.npz")
    values = np.linspace(0, 1, np.prod(parcellation.geometry.shape), dtype=np.float32)
    mask = Image(values.reshape(parcellation.geometry.shape), parcellation.geometry)
    write_image(mask, folder / "mask.nii.gz")
    files = (OutputFile("soft", "soft.soft.npz"), OutputFile("mask", "mask.nii.gz"))
    case = WrittenCase("it", "done", job.images, folder, files)
    job.take({"event": "result", "name": "it", "path": str(folder), "case": case.to_json()})
    node = logic.segmenting.finish(job)
    volume = node.GetNodeReference("softseg.mask")
    import slicer

    np.testing.assert_allclose(slicer.util.arrayFromVolume(volume), mask.array)
    assert volume.GetName().endswith("mask")
    again = logic.segmenting.prepare(scan, "model", mask=volume)
    np.testing.assert_allclose(read_image(again.request.mask).array, mask.array)
    again.discard()
    scene.RemoveNode(node)
    assert volume.GetScene() is None, "it goes with its result"


def test_wrong_volumes_and_masks_are_refused(logic, scan, scene, addVolume, grid, parcellation):
    empty = scene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "empty")
    node = logic.results.add(parcellation, scan)
    nothing = addVolume(np.zeros(grid.shape, np.uint8), grid, "nothing", "vtkMRMLLabelMapVolumeNode")
    for volumes, mask, message in (
        ([], None, "no volume is chosen"),
        (None, None, "expected a scalar volume"),
        (empty, None, "the volume 'empty' is empty"),
        (scan, (node, "heart"), "has no segment 'heart'"),
        (scan, nothing, "the mask is empty"),
    ):
        with pytest.raises(InputError, match=message):
            logic.segmenting.prepare(volumes, "model", mask=mask)


def test_a_volume_that_was_removed_during_the_run_does_not_cost_the_result(
    logic, scan, scene, parcellation, tmp_path, engine
):
    runner = engine(COPY.format(file=str(parcellation.save(tmp_path / "it.soft.npz"))))
    job = logic.segmenting.prepare(scan, "model")
    runner.start(job.arguments, job.take, ignore)
    scene.RemoveNode(scan)
    assert runner.wait().state == DONE
    node = logic.segmenting.finish(job)
    assert node.GetName() == "A scan, of 1 segmentation"
    assert len(node.GetDisplayNode().GetVisibleSegmentIDs()) == 5


def test_the_result_of_another_patient_in_the_same_folder_is_never_opened(
    logic, scan, addVolume, grid, parcellation, tmp_path
):
    """Several channels and a folder that holds older results: only what the manifest says of these files counts."""
    other = addVolume(np.ones(grid.shape, np.float32), grid, "T2")
    out = tmp_path / "out"
    (out / "0 another patient").mkdir(parents=True)
    parcellation.save(out / "0 another patient" / "soft.soft.npz")
    soft = (OutputFile("soft", "soft.soft.npz"),)
    theirs = WrittenCase("0 another patient", "done", ("/theirs.nii",), out / "0 another patient", soft)
    Manifest(out, (theirs,)).write()
    job = logic.segmenting.prepare([scan, other], "model", outputFolder=out)
    with pytest.raises(InputError, match="the segmentation wrote no result"):
        job.softFile()
    ours = WrittenCase("ours", "done", job.images, out / "it", soft)
    Manifest(out, (theirs, ours)).write()
    assert job.softFile() == str(out / "it" / "soft.soft.npz")
    job.discard()


def test_volumes_of_one_name_and_of_awkward_names_are_written_apart(logic, addVolume, grid):
    for name in ("T1, axial / (2)", "..", "CON"):
        volumes = [addVolume(np.full(grid.shape, value, np.int16), grid, name) for value in (1, 2)]
        job = logic.segmenting.prepare(volumes, "model")
        assert [read_image(file).array.max() for file in job.images] == [1, 2]
        assert PredictRequest.from_argv(job.arguments) == job.request
        assert job.name == name
        job.discard()


FAIL = """
    import json, sys
    print(json.dumps({{"event": "error", "kind": "input", "file": "scan.nii", "field": "voxel size",
                      "message": "expected 3D", "hint": "crop it", "exit_code": {code}}}), flush=True)
    sys.exit({code})
"""


@pytest.mark.parametrize(("code", "kind"), [(2, InputError), (3, OutOfMemoryError)])
def test_what_the_engine_says_is_raised_and_the_scene_stays(logic, scan, scene, engine, code, kind):
    engine(FAIL.format(code=code))
    before = scene.GetNumberOfNodes()
    with pytest.raises(kind, match=r"scan\.nii: voxel size: expected 3D; crop it"):
        logic.segment(scan)
    assert scene.GetNumberOfNodes() == before


def test_an_engine_that_leaves_nothing_is_an_error(logic, scan, scene, engine):
    engine("pass")
    before = scene.GetNumberOfNodes()
    with pytest.raises(InputError, match="wrote no result"):
        logic.segment(scan)
    assert scene.GetNumberOfNodes() == before


def test_a_program_that_cannot_start_is_said(tmp_path):
    outcomes = []
    runner = HeadlessRunner(str(tmp_path / "no-such-program"))
    runner.start(["doctor"], ignore, outcomes.append)
    assert not outcomes
    outcome = runner.wait()
    assert (outcome.state, outcomes) == (FAILED, [outcome])
    assert "could not be started" in outcome.message
    assert not runner.running


def test_a_program_that_dies_says_its_last_words(engine):
    runner = engine("import sys; print('no event'); sys.stderr.write('first' + chr(10) + 'the reason'); sys.exit(7)")
    runner.start([], ignore, ignore)
    outcome = runner.wait()
    assert (outcome.state, outcome.exitCode) == (FAILED, 7)
    assert outcome.message == "The process ended with code 7: first | the reason"


PATIENT = """
    import json, os, subprocess, sys, time
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    print(json.dumps({{"event": "log", "pids": [os.getpid(), child.pid]}}), flush=True)
    cancel = sys.argv[sys.argv.index("--cancel-file") + 1]
    while not ({obeys} and os.path.exists(cancel)):
        time.sleep(0.02)
    child.kill()
    sys.exit(130)
"""


def allGone(pids, seconds=60):
    """Whether these processes end within some seconds (the system needs a moment after the signal)."""
    deadline = time.monotonic() + seconds
    while not all(map(gone, pids)) and time.monotonic() < deadline:
        os.sched_yield()
    return all(map(gone, pids))


def gone(pid):
    """Whether a process is no more, or only waits for its parent to take note."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return status.rsplit(")", 1)[1].split()[0] == "Z"


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc")
@pytest.mark.parametrize("obeys", [True, False])
def test_cancel_ends_the_process_and_its_children(engine, obeys, monkeypatch):
    monkeypatch.setattr(headless, "PATIENCE", 0.5)
    runner = engine(PATIENT.format(obeys=obeys))
    pids = []

    def onEvent(event):
        pids.extend(event["pids"])
        runner.cancel()

    runner.start([], onEvent, ignore)
    assert runner.wait().state == CANCELLED
    assert len(pids) == 2
    assert allGone(pids)


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at in /proc")
def test_an_interrupted_wait_leaves_no_process(logic, scan, engine):
    engine(PATIENT.format(obeys=True))
    pids = []

    def interrupt(event):
        pids.extend(event["pids"])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        logic.segment(scan, onEvent=interrupt)
    assert allGone(pids)


def test_a_cancelled_engine_raises(logic, scan, engine):
    engine("import sys; sys.exit(130)")
    with pytest.raises(CancelledError):
        logic.segment(scan)


def test_the_real_engine_is_found_and_answers():
    events = []
    runner = HeadlessRunner()
    runner.start(["data", "check", "no-such-data.json"], events.append, ignore)
    outcome = runner.wait()
    assert outcome.state == FAILED
    assert outcome.exitCode == 2
    assert "no-such-data.json" in outcome.message
    assert events[-1]["event"] == "error"
