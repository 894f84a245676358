"""Why an installation failed is said in plain words: from what pip itself writes, in real runs that cannot succeed."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import slicer
from SoftSegSlicerLib.Dependencies import REQUIREMENTS, TORCH, Dependencies
from SoftSegSlicerLib.Installation import Wheels
from SoftSegSlicerLib.Installation.PipProblems import SHOWN_LINES, PipProblem
from SoftSegSlicerLib.Installation.PipRun import PipRun

from softseg.errors import InputError

REPOSITORY = Path(__file__).resolve().parents[2]
NOWHERE = "http://127.0.0.1:9"
"""The port "discard", where nothing listens."""


def pip(*arguments):
    command = [sys.executable, "-m", "pip", "install", "--isolated", "--retries", "1", "--timeout", "1", *arguments]
    answer = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert answer.returncode != 0, answer.stdout
    return answer.stdout


def wheel(folder, name, version, requires=(), size=0):
    info = f"{name}-{version}.dist-info"
    needs = "".join(f"Requires-Dist: {one}\n" for one in requires)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(f"{name}.py", "#" * size)
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")


@pytest.fixture(scope="module")
def wheels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheels")
    wheel(folder, "softsegone", "1.0", ["softsegbase==1"])
    wheel(folder, "softsegtwo", "1.0", ["softsegbase==2"])
    wheel(folder, "softsegbase", "1")
    wheel(folder, "softsegbase", "2")
    wheel(folder, "softseglarge", "1.0", size=3_000_000)
    return folder


def problem(output, offline=""):
    found = PipProblem(output, offline)
    assert found.hint
    assert len(found.lastLines.splitlines()) <= SHOWN_LINES
    assert found.lastLines.splitlines()[-1] in output
    assert "\n" not in found.message
    return found


def test_no_network():
    found = problem(pip("--index-url", f"{NOWHERE}/simple", "softseg-nothing"))
    assert found.kind == "network"
    assert found.message.startswith("the packages could not be installed: the package index cannot be reached")
    assert "install from wheels" in found.hint


def test_a_proxy_that_refuses():
    found = problem(pip("--index-url", "https://index.invalid/simple", "--proxy", NOWHERE, "softseg-nothing"))
    assert found.kind == "proxy"
    assert "HTTPS_PROXY" in found.hint


def test_versions_that_exclude_each_other(wheels, tmp_path):
    found = problem(
        pip("--no-index", "--find-links", str(wheels), "--target", str(tmp_path), "softsegone", "softsegtwo")
    )
    assert found.kind == "conflict"
    assert "exclude each other" in found.message
    assert "softsegone" in PipProblem(found.lastLines).lastLines


def test_a_folder_of_wheels_that_lacks_one(wheels, tmp_path):
    output = pip("--no-index", "--find-links", str(wheels), "--target", str(tmp_path), "softsegthree")
    found = problem(output, str(wheels))
    assert found.kind == "missing"
    assert f"the folder of wheels {wheels} lacks a package (ERROR: No matching distribution" in found.message
    assert "pip download" in found.hint
    assert "cannot be reached, or has nothing that fits" in problem(output).message


@pytest.mark.skipif(sys.platform != "linux", reason="/sys is Linux's")
def test_a_folder_that_cannot_be_written(wheels):
    found = problem(pip("--no-index", "--find-links", str(wheels), "--target", "/sys/softseg", "softsegbase"))
    assert found.kind == "permission"
    assert "cannot be written" in found.message


FULL = "mount -t tmpfs -o size=100k tmpfs {folder} && exec {python} -m pip install --isolated --no-index "


def test_a_full_disk(wheels, tmp_path):
    allowed = subprocess.run(["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)], check=False)
    if allowed.returncode:
        pytest.skip("this system lets nobody mount a small disk")
    script = FULL.format(folder=tmp_path, python=sys.executable)
    script += f"--find-links {wheels} --target {tmp_path}/packages softseglarge"
    answer = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert answer.returncode != 0
    assert problem(answer.stdout).kind == "disk"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk"),
        ("OSError: [WinError 112] There is not enough space on the disk", "disk"),
        ("ERROR: Could not install packages due to an OSError: [WinError 5] Access is denied: 'c:\\\\x'", "permission"),
        (
            "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] self-signed certificate'))",
            "certificate",
        ),
        (
            "WARNING: Retrying ... 'ProxyError('Cannot connect to proxy.', OSError('Tunnel connection failed: 407",
            "proxy",
        ),
        ("socket.gaierror: [Errno 11001] getaddrinfo failed", "network"),
        ("error: metadata-generation-failed", "unknown"),
        ("", "unknown"),
    ],
)
def test_words_of_other_systems(text, kind):
    found = PipProblem(text)
    assert found.kind == kind
    assert found.message
    assert found.hint


def test_the_requirement_of_pytorch_is_that_of_the_project():
    project = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    (wanted,) = re.findall(r'"(torch[<>=][^"]*)"', project)
    assert set(wanted.removeprefix("torch").split(",")) == set(TORCH.removeprefix("torch").split(","))
    assert not any(str(one).startswith("torch") for one in slicer.packaging.load_requirements(str(REQUIREMENTS)))


# -- the module -------------------------------------------------------------------------------------------------------


class Pip:
    """Stands for pip: it fails with an output, or does what the test says."""

    def __init__(self, output="", works=False, then=None):
        self.output, self._works, self._then, self.asked = output, works, then, []

    def install(self, arguments, requester):
        self.asked.append((arguments, requester))
        if self._then is not None:
            self._then()
        return self._works


@pytest.fixture
def lacking(moduleWidget, monkeypatch):
    """Dependencies of which MONAI and PyTorch are not installed."""
    names = {"torch", "monai"}
    monkeypatch.setattr(slicer.packaging, "pip_check", lambda one: re.match(r"\w+", str(one)).group() not in names)
    monkeypatch.setattr(slicer.app, "testingEnabled", lambda: False)
    dependencies = Dependencies(moduleWidget.context)
    return dependencies, names, moduleWidget.context.dialogs


def test_a_failure_is_explained_with_pips_last_lines(lacking):
    dependencies, names, dialogs = lacking
    names.discard("torch")
    lines = "\n".join(f"line {n}" for n in range(40)) + "\nERROR: [Errno 28] No space left on device"
    dependencies.makePipRun = lambda: Pip(lines)
    with pytest.raises(InputError, match="the disk is full"):
        dependencies.ensure(training=True)
    (text, details) = dialogs.problems[-1]
    assert text.startswith("The packages could not be installed: the disk is full (ERROR: [Errno 28]")
    assert "Free 3 GB" in text
    assert details.splitlines()[-1] == "ERROR: [Errno 28] No space left on device"


def test_a_failing_extension_pytorch_is_explained_too(lacking, monkeypatch):
    dependencies, _names, dialogs = lacking

    class Logic:
        def installTorch(self, askConfirmation, torchVersionRequirement):  # noqa: ARG002 - the extension's signature
            raise subprocess.CalledProcessError(1, "pip install", output="ReadTimeoutError: read timed out")

    monkeypatch.setitem(sys.modules, "PyTorchUtils", type("PyTorchUtils", (), {"PyTorchUtilsLogic": Logic}))
    with pytest.raises(InputError, match="cannot be reached"):
        dependencies.ensure(training=True)
    assert "ReadTimeoutError" in dialogs.problems[-1][1]


def test_a_folder_of_wheels_stands_in_for_the_internet(lacking, wheels, monkeypatch):
    dependencies, names, dialogs = lacking
    monkeypatch.setenv(Wheels.VARIABLE, str(wheels))
    done = Pip(works=True, then=names.clear)
    dependencies.makePipRun = lambda: done
    dependencies.ensure(training=True)
    ((arguments, requester),) = done.asked
    assert requester == "SoftSeg"
    assert arguments[:3] == ["--no-index", "--find-links", str(wheels)]
    assert arguments[3] == TORCH
    assert any(one.startswith("monai") for one in arguments[4:])
    assert f"from the folder {wheels}" in dialogs.asked[-1]


def test_a_folder_of_wheels_that_is_gone_is_said(lacking, tmp_path, monkeypatch):
    monkeypatch.delenv(Wheels.VARIABLE, raising=False)
    slicer.app.userSettings().setValue(Wheels.SETTING, str(tmp_path / "gone"))
    with pytest.raises(InputError, match="gone: SoftSegSlicer/WheelsFolder: there is no such folder of wheels"):
        lacking[0].ensure(training=True)


def test_pip_is_run_and_heard(moduleWidget, wheels, tmp_path):  # noqa: ARG001 - for the application
    run = PipRun()
    target = ["--no-index", "--find-links", str(wheels), "--target", str(tmp_path)]
    assert run.install([*target, "softsegbase"], "SoftSeg")
    assert (tmp_path / "softsegbase.py").is_file()
    run = PipRun()
    assert not run.install([*target, "softsegone", "softsegtwo"], "SoftSeg")
    assert PipProblem(run.output).kind == "conflict"
