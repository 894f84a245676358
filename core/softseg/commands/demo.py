"""``softseg demo``: the README's main job on a scan that comes with nilearn."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from softseg.commands.common import CancelFileOption, DeviceOption, EventsOption, QuietOption, ThreadsOption, long_work


def demo(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Folder for everything.")] = Path("demo"),
    model: Annotated[str, typer.Option("--model", help="A model folder or the name of a shipped model.")] = "brain-134",
    minutes: Annotated[float, typer.Option("--minutes", min=0, help="Time for training; 0 for none.")] = 3.0,
    device: DeviceOption = "auto",
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Segment a real head softly, write maps and a report, then train on soft labels for some minutes."""
    with long_work(context, events, quiet, cancel_file, threads) as work:
        from softseg.demo import demo as run_demo

        run_demo(out, model=model, minutes=minutes, device=device, events=work)
