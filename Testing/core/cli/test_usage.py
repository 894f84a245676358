"""Options, help and exit codes."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from softseg import __version__
from softseg.commands.application import _repeat_options
from softseg.commands.evaluate import evaluate
from softseg.evaluation.surface import TOLERANCE_MM

COMMANDS = ("doctor", "demo", "tree", "data", "train", "predict", "collapse", "evaluate")


def test_help_names_every_command(cli: Callable) -> None:
    answer = cli("--help")
    assert answer.code == 0
    assert all(f"\n  {command} " in answer.out for command in COMMANDS)


@pytest.mark.parametrize("command", ["train", "predict", "collapse", "evaluate", "data check", "data import", "demo"])
def test_long_commands_share_their_options(cli: Callable, command: str) -> None:
    answer = cli(*command.split(), "--help")
    assert answer.code == 0
    assert all(option in answer.out for option in ("--events", "--quiet", "--cancel-file"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "softseg: Missing argument 'DATA.json'; see softseg train --help\n"),
        (["train", "d.json", "--recipe", "x"], "softseg: Missing option '--out'; see softseg train --help\n"),
        (["segment"], "softseg: No such command 'segment'; see softseg --help\n"),
        (["tree", "show", "t", "--level", "x"], "softseg: Invalid value for '--level'"),
        (["train", "d.json", "--events", "xml"], "softseg: Invalid value for '--events'"),
        (["predict", "m", "i", "--bogus"], "softseg: No such option: --bogus"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(cli: Callable, arguments: list[str], message: str) -> None:
    answer = cli(*arguments)
    assert answer.code == 2
    assert answer.err.startswith(message)
    assert answer.err.count("\n") == 1
    assert answer.out == ""


def test_several_values_after_one_option() -> None:
    given = ["evaluate", "--prediction", "a", "b", "--tree", "t", "--reference", "c", "d"]
    parsed = [
        "evaluate",
        "--prediction",
        "a",
        "--prediction",
        "b",
        "--tree",
        "t",
        "--reference",
        "c",
        "--reference",
        "d",
    ]
    assert _repeat_options(given) == parsed
    assert _repeat_options(parsed) == parsed


def test_evaluate_pairs_what_folders_hold_and_takes_a_tolerance(cli: Callable, world: Path) -> None:
    for folder, name in (("predicted", "labels"), ("true", "labels"), ("scans", "scan")):
        (world / folder).mkdir()
        for number in range(2):
            (world / folder / f"case{number}.nii.gz").write_bytes((world / f"{name}{number}.nii.gz").read_bytes())
    arguments = ["evaluate", "--tree", world / "tree.json", "--prediction", world / "predicted"]
    arguments += ["--image", world / "scans", "--tolerance", "2", "--out", world / "out"]
    assert cli(*arguments, "--reference", world / "true").code == 0
    summary = json.loads((world / "out" / "summary.json").read_text(encoding="utf-8"))
    assert summary["surface_tolerance_mm"] == 2
    assert [case["case"] for case in summary["cases"]] == ["case0", "case1"]
    answer = cli(*arguments, "--reference", world / "labels0.nii.gz")
    assert answer.code == 2
    assert "predictions case0, case1; references labels0; name them alike" in answer.err
    assert inspect.signature(evaluate).parameters["tolerance_mm"].default == TOLERANCE_MM


def test_version(cli: Callable) -> None:
    assert cli("--version").out == f"softseg {__version__}\n"


def test_doctor(cli: Callable) -> None:
    text = cli("doctor")
    assert text.code == 0
    assert "predict a 1 mm head with 135 leaves" in text.out
    machine = json.loads(cli("doctor", "--json").out)
    assert machine["softseg"] == __version__
    assert machine["memory"] >= machine["memory_free"] > 0
    assert machine["devices"][0]["name"] == "cpu"
    assert all({"work", "fits", "reason"} == set(item) for item in machine["allows"])
    assert all("an estimated" in item["reason"] for item in machine["allows"][1:])
    assert machine["allows"][0]["fits"] is True


def test_defects_are_one_line_unless_asked_for(cli: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    import softseg.doctor

    def broken() -> None:
        raise ZeroDivisionError("of the test")

    monkeypatch.setattr(softseg.doctor, "examine", broken)
    answer = cli("doctor")
    assert answer.code == 1
    assert answer.err.startswith("softseg: unexpected ZeroDivisionError: of the test; please report it")
    assert answer.err.count("\n") == 1
    monkeypatch.setenv("SOFTSEG_DEBUG", "1")
    assert "Traceback" in cli("doctor").err


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
        RuntimeError("could not create a primitive"),
        RuntimeError("Exception thrown in SimpleITK: Failed to allocate memory for image."),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_out_of_memory_is_exit_code_3(cli: Callable, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    import softseg.doctor

    def hungry() -> None:
        raise error

    monkeypatch.setattr(softseg.doctor, "examine", hungry)
    answer = cli("doctor")
    assert answer.code == 3
    assert "softseg: out of memory" in answer.err
    assert "--device cpu" in answer.err
