"""Every command that README and docs show exists, with the options they show."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer

from softseg.commands import application

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "Resources").glob("**/README.md"))]
COMMANDS: Any = typer.main.get_command(application.app)
COMMAND = re.compile(r"(?:^|[\s`$(])(?<!from )softseg ((?:[a-z][a-z-]*)(?:[ \t][^`#\n]*)?)", re.MULTILINE)


def shown(text: str) -> list[str]:
    """Return what stands behind ``softseg`` in code blocks and between backticks, lines that go on joined."""
    blocks = re.findall(r"```[a-z]*\n(.*?)```", text, re.DOTALL)
    between = re.findall(r"`(softseg [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    joined = [re.sub(r"\\\n\s*", " ", block) for block in (*blocks, *between)]
    return [found for part in joined for found in COMMAND.findall(part)]


def faults(line: str) -> list[str]:
    """Return what is wrong with a command line: words that are no command, options that it does not have."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    command = COMMANDS
    path = []
    while hasattr(command, "commands"):
        if not words or not re.fullmatch(r"[a-z][a-z-]*", words[0]):
            return []
        known = command.commands
        alternatives = words[0].split("|")
        path.append(words.pop(0))
        if alternatives[0] not in known:
            return [f"softseg {' '.join(path)} is no command"]
        command = known[alternatives[0]]
    options = {name for each in command.params for name in (*each.opts, *each.secondary_opts)} | {"--help"}
    given = [word.split("=")[0].rstrip(",;)]") for word in words if re.match(r"\[?--?[a-z]", word)]
    return [f"softseg {' '.join(path)} has no {option}" for option in given if option.lstrip("[") not in options]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_commands_of_a_page_exist(page: Path) -> None:
    assert [fault for line in shown(page.read_text(encoding="utf-8")) for fault in faults(line)] == []


def test_the_pages_show_commands_and_wrong_ones_are_found() -> None:
    lines = [line for page in PAGES for line in shown(page.read_text(encoding="utf-8"))]
    assert len(lines) > 100
    assert faults("predict brain-134 scan.nii.gz --out x") == []
    assert faults("predct brain-134 scan.nii.gz") == ["softseg predct is no command"]
    assert faults("tree shw brain-134") == ["softseg tree shw is no command"]
    assert faults("tree show brain-134 --levle 2") == ["softseg tree show has no --levle"]


def test_the_page_on_events_names_every_command_that_reports_them() -> None:
    def paths(command: Any, path: tuple[str, ...] = ()) -> list[str]:
        if hasattr(command, "commands"):
            return [each for name, sub in command.commands.items() for each in paths(sub, (*path, name))]
        return [path[0]] if any("--events" in each.opts for each in command.params) else []

    first = (ROOT / "docs" / "events.md").read_text(encoding="utf-8").split("##")[0]
    assert set(re.findall(r"`([a-z-]+)`", first.split(") takes")[0])) == set(paths(COMMANDS))
