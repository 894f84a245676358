"""dev.py: chooses PyTorch without CUDA where there is no GPU, installs once, explains what went wrong."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def dev(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module dev.py, at work in an empty folder."""
    spec = importlib.util.spec_from_file_location("dev", REPOSITORY / "dev.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (tmp_path / "pyproject.toml").write_text(
        (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"), encoding="utf-8"
    )
    monkeypatch.setattr(module, "ROOT", tmp_path)
    for name, path in (("VENV", ".venv"), ("STAMP", ".venv/stamp.json"), ("PIP_LOG", ".venv/pip.log")):
        monkeypatch.setattr(module, name, tmp_path / path)
    (tmp_path / ".venv").mkdir()
    monkeypatch.setattr(module, "has_nvidia_gpu", lambda: False)
    return module


def _pip_would_install(dev: ModuleType, monkeypatch: pytest.MonkeyPatch, **packages: str) -> None:
    entries = [{"metadata": {"name": name.replace("_", "-"), "version": version}} for name, version in packages.items()]
    report = "a line that pip prints\n" + json.dumps({"install": entries})

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[str]:
        assert command[2:7] == ["pip", "install", "--dry-run", "--quiet", "--report"]
        assert command[-1] == "torch>=2.6,<2.14"
        return subprocess.CompletedProcess(command, 0, report, "")

    monkeypatch.setattr(dev.subprocess, "run", run)


def test_cpu_builds_are_taken_and_pinned(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    _pip_would_install(dev, monkeypatch, torch="2.13.0+cpu", sympy="1.14.0")
    assert dev.choose_torch(allow_cuda=False) == "torch==2.13.0+cpu"


def test_nothing_is_pinned_where_torch_is_there(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    _pip_would_install(dev, monkeypatch)
    assert dev.choose_torch(allow_cuda=False) is None


CUDA = {"torch": "2.13.0", "nvidia_cublas_cu13": "13.0", "triton": "3.5.0", "cuda_bindings": "13.0"}


def test_cuda_packages_stop_a_machine_without_gpu(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    _pip_would_install(dev, monkeypatch, **CUDA)
    with pytest.raises(dev.StopError, match=r"no GPU .* 3 CUDA packages.*SOFTSEG_TORCH_INDEX.*--allow-cuda") as stopped:
        dev.choose_torch(allow_cuda=False)
    assert "\n" not in str(stopped.value)
    assert dev.choose_torch(allow_cuda=True) == "torch==2.13.0"
    monkeypatch.setattr(dev, "has_nvidia_gpu", lambda: True)
    assert dev.choose_torch(allow_cuda=False) == "torch==2.13.0"


def test_a_stop_is_one_line_and_exit_code_2(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _pip_would_install(dev, monkeypatch, **CUDA)
    monkeypatch.setattr(dev, "make_venv", lambda: None)
    monkeypatch.setattr(dev, "_require_recent_pip", lambda: None)
    assert dev.main(["test"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_named_index_reaches_pip_by_the_environment(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", "elsewhere")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "one")
    assert "PYTHONPATH" not in dev._environment()
    assert dev._environment()["PIP_EXTRA_INDEX_URL"] == "one"
    monkeypatch.setenv("SOFTSEG_TORCH_INDEX", "two")
    assert dev._environment()["PIP_EXTRA_INDEX_URL"] == "one two"


def test_installs_once(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    installed: list[list[str]] = []
    monkeypatch.setattr(dev, "make_venv", lambda: None)
    monkeypatch.setattr(dev, "_require_recent_pip", lambda: None)
    monkeypatch.setattr(dev, "choose_torch", lambda _: None)
    monkeypatch.setattr(dev, "install", lambda extras, _: installed.append(list(extras)))
    for extras in ({"train", "demo"}, {"train", "demo"}, {"train", "test"}, {"demo"}):
        dev.prepare(extras, allow_cuda=False)
    assert installed == [["demo", "train"], ["demo", "test", "train"]]
    with (dev.ROOT / "pyproject.toml").open("a", encoding="utf-8") as stream:
        stream.write("# changed\n")
    dev.prepare({"train"}, allow_cuda=False)
    assert installed[2:] == [["demo", "test", "train"]]


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("Temporary failure in name resolution", "could not be reached"),
        ("ERROR: No matching distribution found for torch", "No build fits Python"),
        ("?", "Run it again"),
    ],
)
def test_failures_are_explained(dev: ModuleType, log: str, words: str) -> None:
    assert words in dev.explain(log)


def test_pip_failure_shows_the_end_of_its_log(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(command: list[str]) -> int:
        assert command[-2:] == ["--editable", f"{dev.ROOT}[train]"]
        dev.PIP_LOG.write_text("much\n" * 50 + "ERROR: [Errno 28] No space left on device\n", encoding="utf-8")
        return 1

    monkeypatch.setattr(dev, "_run_with_progress_line", fail)
    with pytest.raises(dev.StopError, match=r"(?s)pip could not install.*pip\.log.*No space left.*The disk is full"):
        dev.install(["train"], "torch==2.13.0+cpu")


def test_all_checks_run_and_any_failure_counts(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(command: list[str], threads: int | None = None) -> int:
        assert threads == 1
        ran.append(" ".join(command[:3]))
        return int("mypy" in command)

    monkeypatch.setattr(dev, "prepare", lambda *_: None)
    monkeypatch.setattr(dev, "run", run)
    assert dev.main(["test"]) == 1
    assert len(ran) == len(dev.CHECKS) + 1
    assert "pytest" in ran[-1], "the tests' closing line comes last"


def test_quick_and_coverage_are_options_of_pytest(dev: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[list[str]] = []
    monkeypatch.setattr(dev, "prepare", lambda *_: None)
    monkeypatch.setattr(dev, "run", lambda command, **_: ran.append(command) or 0)
    assert dev.main(["test", "--quick", "--coverage", "-k", "tree"]) == 0
    assert ran[-1][: len(dev.TESTS)] == dev.TESTS
    assert ran[-1][len(dev.TESTS) :][:3] == ["-m", "not slow", "--cov"]
    assert ran[-1][-2:] == ["-k", "tree"]


def test_continuous_integration_runs_the_readmes_command() -> None:
    script = (REPOSITORY / ".ci" / "run").read_text(encoding="utf-8")
    last = [line for line in script.splitlines() if "dev.py" in line][-1]
    assert last.startswith("python3 dev.py test"), "its closing line is what is read first"
    assert script.splitlines()[-1].startswith("exit $((tests"), "whatever else passes, failed tests decide"
    assert "python dev.py test" in (REPOSITORY / "README.md").read_text(encoding="utf-8")
