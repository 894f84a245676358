"""``softseg study``: a comparison over folds and seeds, with statistics and a report."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from softseg import torchrun
from softseg.commands.common import CancelFileOption, DeviceOption, EventsOption, QuietOption, ThreadsOption, long_work
from softseg.errors import InputError


def study(
    context: typer.Context,
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="Description of the study (docs/studies.md).")],
    out: Annotated[Path, typer.Option("--out", help="Folder of the study; repeat the command to continue.")],
    jobs: Annotated[
        int | None, typer.Option("--jobs", min=1, help="Number of parallel trainings. [default: from the file]")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model",
            metavar="VARIANT=FOLDER",
            help="Evaluate this model instead of training the variant; {fold}, {seed}, {held_out} are filled in.",
        ),
    ] = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Do not train; write tables and report of finished runs.")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="Run a tiny version of the study (its key smoke) as a test.")
    ] = False,
    judge_again: Annotated[
        bool,
        typer.Option("--judge-again", help="Re-evaluate runs whose models were kept (keep_models), without training."),
    ] = False,
    device: DeviceOption = "auto",
    events: EventsOption = None,
    quiet: QuietOption = False,
    cancel_file: CancelFileOption = None,
    threads: ThreadsOption = None,
) -> None:
    """Train and evaluate every variant of a study on every fold with every seed, then compare them with statistics.

    For several machines or GPUs: torchrun --nproc-per-node N -m softseg study ... distributes the trainings.
    """
    follower = torchrun.is_follower()
    with long_work(context, None if follower else events, quiet or follower, cancel_file, threads) as work:
        if report_only and judge_again:
            raise InputError("give either --report-only or --judge-again", field="--judge-again")
        from softseg.studies import Study

        loaded = Study.load(study, model or [], smoke=smoke)
        from softseg.studies import run_study  # loads torch: after what can be said without it

        command = ["softseg", *sys.argv[1:]]
        run_study(
            loaded,
            out,
            device=device,
            jobs=jobs,
            report_only=report_only,
            judge_again=judge_again,
            command=command,
            events=work,
        )
