#!/usr/bin/env python3
"""The project's own commands, on a fresh machine with Python 3.10 or newer and nothing else.

    python dev.py demo    segment a real head scan, write maps and a report, train on soft labels   (folder demo/)
    python dev.py test    lint, types, dependency direction, spelling, documentation, all tests
                          (--quick: not the slow ones, --coverage: also which lines ran, coverage.xml)
    python dev.py lint    all of these but the tests
    python dev.py docs    guide and API reference as a web site   (folder site/)
    python dev.py bench   time and memory against what people would use instead   (--quick, --suite NAME)
    python dev.py gpu     what only a GPU can show: the answers of the CPU, learning, times and memory
    python dev.py fuzz    damaged input of every format through every command   (--seconds N, --seed S)
    python dev.py crash   commands killed at any of their file operations   (--runs N, --seed S)
                          with --cancel N: commands that are asked to stop at any moment
    python dev.py limits  commands without room: full disk, little memory, few handles   (--trials N, --seed S)

Each makes ``.venv`` beside this file, installs what it needs there, and runs. A second call installs nothing unless
``pyproject.toml`` has changed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
STAMP = VENV / "softseg-installed.json"
PIP_LOG = VENV / "pip.log"
TORCH_INDEX = "SOFTSEG_TORCH_INDEX"
CUDA_PACKAGES = re.compile(r"^(nvidia|cuda|triton|pytorch-triton)([-_.]|$)", re.IGNORECASE)

SITE = ["-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", "site"]
CHECKS = {
    "ruff check": ["-m", "ruff", "check", "."],
    "ruff format": ["-m", "ruff", "format", "--check", "."],
    "mypy": ["-m", "mypy"],
    "mypy, Slicer module": ["-m", "mypy", "--config-file", "Testing/slicer/mypy.ini"],
    "codespell": ["-m", "codespell_lib"],
    "documentation": SITE,
    "import-linter": ["-c", "import sys; from importlinter.cli import lint_imports_command as run; sys.exit(run())"],
}
RELIABILITY = ("fuzz", "crash", "limits")
TESTS = ["-m", "pytest", "-n", "2", "--durations=25", "--durations-min=5"]
OWN_OPTIONS = {
    "--quick": ["-m", "not slow"],
    "--coverage": ["--cov", "--cov-report=term:skip-covered", "--cov-report=xml"],
}
"""Options of ``dev.py test`` in pytest's words."""


class StopError(Exception):
    """Something the person at the keyboard can mend; printed as it is."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("command", choices=("demo", "test", "lint", "docs", "bench", "gpu", *RELIABILITY))
    parser.add_argument("--allow-cuda", action="store_true", help="install CUDA packages on a machine without a GPU")
    options, rest = parser.parse_known_args(arguments)
    try:
        if options.command == "demo":
            return demo(rest, options.allow_cuda)
        if options.command == "test":
            return test(rest, options.allow_cuda)
        if options.command == "bench":
            return bench(rest, options.allow_cuda)
        if options.command == "gpu":
            return gpu(rest, options.allow_cuda)
        if options.command in RELIABILITY:
            return reliability(options.command, rest, options.allow_cuda)
        if rest:
            raise StopError(f"dev.py {options.command} takes no further options, got {' '.join(rest)}")
        return docs(options.allow_cuda) if options.command == "docs" else lint(options.allow_cuda)
    except StopError as error:
        print(f"dev.py: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def demo(rest: Sequence[str], allow_cuda: bool) -> int:
    """Install, then run ``softseg demo`` into the folder demo/ (or another one, named by --out)."""
    prepare({"train", "demo"}, allow_cuda)
    chosen = [] if any(argument.split("=")[0] == "--out" for argument in rest) else ["--out", str(ROOT / "demo")]
    return run(["-m", "softseg", "demo", *chosen, *rest])


def test(rest: Sequence[str], allow_cuda: bool) -> int:
    """Install, run every check, then the tests; the tests' closing line comes last."""
    checks = lint(allow_cuda)
    options = [part for option in rest for part in OWN_OPTIONS.get(option, [option])]
    tests = run([*TESTS, *options], threads=1)
    if checks and not tests:
        print("dev.py: the tests passed, but a check above failed", file=sys.stderr)
    return checks or tests


def bench(rest: Sequence[str], allow_cuda: bool) -> int:
    """Install as for the tests, then run the benchmark suites; their options are passed on."""
    prepare({"train", "demo", "test"}, allow_cuda)
    return run([str(ROOT / "Testing" / "benchmarks" / "run.py"), *rest])


def gpu(rest: Sequence[str], allow_cuda: bool) -> int:
    """Install as for the tests, then run what only a GPU can show, against the CPU; it prints times and memory."""
    prepare({"train", "demo", "test"}, allow_cuda)
    return run(["-m", "pytest", "-s", "-rs", str(ROOT / "Testing" / "gpu"), *rest])


def reliability(tool: str, rest: Sequence[str], allow_cuda: bool) -> int:
    """Install as for the tests, then run the fuzzer or the killer; their options are passed on."""
    prepare({"train", "demo", "test"}, allow_cuda)
    return run([str(ROOT / "Testing" / "reliability" / f"{tool}.py"), *rest], threads=1)


def lint(allow_cuda: bool) -> int:
    """Install, then run every check but the tests; all of them, even when one fails."""
    prepare({"train", "demo", "test", "docs"}, allow_cuda)
    failed = []
    for name, command in CHECKS.items():
        print(f"== {name}", flush=True)
        if run(command, threads=1):
            failed.append(name)
    if failed:
        print(f"dev.py: failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def docs(allow_cuda: bool) -> int:
    """Install, then build the web site of guide and API reference."""
    prepare({"docs"}, allow_cuda)
    code = run(SITE)
    if not code:
        print(ROOT / "site" / "index.html")
    return code


def run(command: Sequence[str], threads: int | None = None) -> int:
    """Run the environment's Python in the project's folder and return its exit code."""
    environment = _environment()
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    return subprocess.run([str(venv_python()), *command], cwd=ROOT, env=environment, check=False).returncode


# --- the environment ---------------------------------------------------------------------------------------------


def prepare(extras: set[str], allow_cuda: bool) -> None:
    """Make ``.venv`` and install the package with ``extras`` into it, unless that is done already."""
    if sys.version_info < (3, 10):  # noqa: UP036 - this file is what people start with an older one
        raise StopError(f"Python 3.10 or newer is needed, this is {platform.python_version()}")
    known = _stamp()
    installed = set(known.get("extras", []))
    digest = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if known.get("pyproject") == digest and extras <= installed:
        return
    wanted = sorted(extras | installed)
    make_venv()
    _require_recent_pip()
    torch = choose_torch(allow_cuda)
    install(wanted, torch)
    STAMP.write_text(json.dumps({"pyproject": digest, "extras": wanted}) + "\n", encoding="utf-8")


def venv_python() -> Path:
    """Return the environment's Python."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def make_venv() -> None:
    """Make ``.venv`` if it is missing or its Python no longer starts."""
    if venv_python().exists():
        works = subprocess.run([str(venv_python()), "-m", "pip", "--version"], capture_output=True, check=False)
        if works.returncode == 0:
            return
        shutil.rmtree(VENV)
    print(f"making {VENV}", flush=True)
    made = subprocess.run(
        [sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True, encoding="utf-8", check=False
    )
    if made.returncode:
        shutil.rmtree(VENV, ignore_errors=True)
        last = (made.stderr or made.stdout).strip().splitlines()[-1:]
        raise StopError(f"no virtual environment could be made ({' '.join(last)}); on Debian: apt install python3-venv")


def has_nvidia_gpu() -> bool:
    """Whether an NVIDIA GPU is at hand, asked without PyTorch."""
    if Path("/proc/driver/nvidia").exists():
        return True
    tool = shutil.which("nvidia-smi")
    return tool is not None and subprocess.run([tool], capture_output=True, check=False).returncode == 0


def choose_torch(allow_cuda: bool) -> str | None:
    """Ask pip which PyTorch it would install and return the exact requirement, None if a right one is there already.

    Raises
    ------
    StopError: it would bring CUDA packages and there is no GPU.
    """
    command = [str(venv_python()), "-m", "pip", "install", "--dry-run", "--quiet", "--report", "-", torch_requirement()]
    answer = subprocess.run(
        command, cwd=ROOT, env=_environment(), capture_output=True, text=True, encoding="utf-8", check=False
    )
    if answer.returncode:
        raise StopError(f"pip found no PyTorch to install:\n{_tail(answer.stderr, 4)}\n{explain(answer.stderr)}")
    report = json.loads(answer.stdout[answer.stdout.index("{") :])
    packages = {entry["metadata"]["name"].lower(): entry["metadata"]["version"] for entry in report["install"]}
    cuda = sorted(name for name in packages if CUDA_PACKAGES.match(name))
    if (cuda or "+cu" in packages.get("torch", "")) and not allow_cuda and not has_nvidia_gpu():
        raise StopError(
            f"there is no GPU here, but pip would install PyTorch with {len(cuda)} CUDA packages (several GB). "
            f"Set {TORCH_INDEX} to a wheel index with CPU builds of PyTorch (named on pytorch.org under Get Started) "
            "and run this again, or give --allow-cuda to install the CUDA packages."
        )
    return f"torch=={packages['torch']}" if "torch" in packages else None


def torch_requirement() -> str:
    """Return the requirement of ``pyproject.toml``, so that it is written down once."""
    found = re.search(r'"(torch[<>=!~][^"]*)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    if found is None:
        raise StopError("pyproject.toml names no requirement for torch")
    return found.group(1)


def install(extras: Sequence[str], torch: str | None) -> None:
    """Install the package, editable, with ``extras``, in one call of pip that may not choose another PyTorch."""
    print(f"installing softseg[{','.join(extras)}] into {VENV.name} (log: {PIP_LOG})", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        constraint = Path(folder) / "constraint.txt"
        constraint.write_text(f"{torch}\n" if torch else "", encoding="utf-8")
        command = [str(venv_python()), "-m", "pip", "install", "--progress-bar", "off", "--constraint", str(constraint)]
        command += ["--editable", f"{ROOT}[{','.join(extras)}]"]
        code = _run_with_progress_line(command)
    if code:
        log = PIP_LOG.read_text(encoding="utf-8", errors="replace")
        raise StopError(f"pip could not install (full log: {PIP_LOG}):\n{_tail(log, 8)}\n{explain(log)}")
    print(f"installed in {time.monotonic() - began:.0f} s", flush=True)


def explain(log: str) -> str:
    """Return what most likely went wrong, in words for people."""
    text = log.lower()
    if "no space left" in text or "errno 28" in text:
        return "The disk is full: about 3 GB are needed for the environment."
    if any(sign in text for sign in ("name resolution", "connection", "timed out", "proxy", "getaddrinfo")):
        return "The package registry could not be reached: check the network and pip's settings (pip config list)."
    if "no matching distribution" in text or "could not find a version" in text:
        return f"No build fits Python {platform.python_version()} on {platform.machine()}: try another Python."
    return "Run it again; if it fails again, the log says more."


def _run_with_progress_line(command: Sequence[str]) -> int:
    """Run pip; its output goes to the log, on a terminal its last words to one changing line."""
    terminal = sys.stdout.isatty()
    pip = subprocess.Popen(
        command,
        cwd=ROOT,
        env=_environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    with PIP_LOG.open("w", encoding="utf-8") as log, pip:
        for line in pip.stdout or ():
            log.write(line)
            if terminal and line.startswith(("Collecting", "Downloading", "Installing", "Building")):
                print(f"\r\033[K  {line.strip()[:76]}", end="", flush=True)
    if terminal:
        print("\r\033[K", end="", flush=True)
    return pip.returncode


def _require_recent_pip() -> None:
    """Bring pip to a version that can report what it would do."""
    answer = subprocess.run(
        [str(venv_python()), "-m", "pip", "--version"], capture_output=True, text=True, encoding="utf-8", check=True
    )
    if int(answer.stdout.split()[1].split(".")[0]) < 23 and _run_with_progress_line(
        [str(venv_python()), "-m", "pip", "install", "--upgrade", "pip>=23"]
    ):
        log = PIP_LOG.read_text(encoding="utf-8", errors="replace")
        raise StopError(f"pip could not be updated:\n{_tail(log, 4)}\n{explain(log)}")


def _environment() -> dict[str, str]:
    """Return the environment for children: nothing of the caller's Python, PyTorch's index for pip if one is named."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}
    environment |= {"PYTHONNOUSERSITE": "1", "NO_MKDOCS_2_WARNING": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    if index := environment.get(TORCH_INDEX):
        known = environment.get("PIP_EXTRA_INDEX_URL", "")
        environment["PIP_EXTRA_INDEX_URL"] = f"{known} {index}".strip()
    return environment


def _stamp() -> dict[str, Any]:
    try:
        return dict(json.loads(STAMP.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _tail(text: str, lines: int) -> str:
    return "\n".join(text.strip().splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
