"""All commands in one application, and the one way in which each of them ends."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer

from softseg import __version__, native_output, supervision
from softseg.commands import (
    calibrate,
    collapse,
    correct,
    data,
    demo,
    doctor,
    ensemble,
    evaluate,
    export,
    export_seg,
    guarantee,
    import_soft,
    nnunet,
    outliers,
    predict,
    statistics,
    study,
    train,
    tree,
)
from softseg.commands.common import CallSettings
from softseg.errors import CancelledError, InputError
from softseg.failures import as_defect, as_plain_error
from softseg.files import temporary_folder


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"softseg {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="softseg",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("doctor")(doctor.doctor)
app.command("demo")(demo.demo)
app.add_typer(tree.app, name="tree")
app.add_typer(data.app, name="data")
app.command("train")(train.train)
app.command("predict")(predict.predict)
app.command("ensemble")(ensemble.ensemble)
app.command("export")(export.export)
app.command("collapse")(collapse.collapse)
app.command("export-seg")(export_seg.export_seg)
app.command("import-soft")(import_soft.import_soft)
app.command("statistics")(statistics.statistics)
app.command("correct")(correct.correct)
app.command("evaluate")(evaluate.evaluate)
app.command("study")(study.study)
app.command("calibrate")(calibrate.calibrate)
app.command("guarantee")(guarantee.guarantee)
app.add_typer(outliers.app, name="outliers")
app.add_typer(nnunet.app, name="nnunet")


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and stop.")
    ] = False,
) -> None:
    """Soft, tree-organised segmentation of medical images."""


_USAGE_ERROR: type[Exception] = next(t for t in typer.BadParameter.__mro__ if t.__name__ == "ClickException")
_SEVERAL_VALUES = ("--prediction", "--reference", "--image")


def run(arguments: Sequence[str], settings: CallSettings | None = None) -> int:
    """Run one command and return its exit code; nothing is raised and nothing exits.

    Parameters
    ----------
    arguments: what follows ``softseg`` on the command line.
    settings: whether signals cancel (only in a process of one's own).
    """
    debug = debugging()
    _keep_compiler_quiet()
    with warnings.catch_warnings():
        if not debug:
            warnings.simplefilter("ignore")
        try:
            code = app(
                args=_repeat_options(arguments),
                prog_name="softseg",
                standalone_mode=False,
                obj=CallSettings() if settings is None else settings,
            )
        except Exception as error:  # noqa: BLE001 - the last line of defence: every error becomes one line
            return _report(error, debug)
        except KeyboardInterrupt:
            return _report(CancelledError("cancelled on request"), debug)
    return code if isinstance(code, int) else 0


def _keep_compiler_quiet() -> None:
    """Name a folder that exists for the files of PyTorch's compiler.

    Its optimizers load the compiler, which makes a folder of its own for files that nothing here causes to be written.
    """
    with contextlib.suppress(OSError):  # no folder for temporary files can be written
        os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", temporary_folder())


def debugging() -> bool:
    """Whether tracebacks are wanted."""
    return os.environ.get("SOFTSEG_DEBUG", "") not in ("", "0")


def _report(error: Exception, debug: bool) -> int:
    """Write one line about ``error`` to standard error and return the exit code."""
    if debug:
        traceback.print_exception(error)
    if isinstance(error, BrokenPipeError):  # the reader, such as head, has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
        return 0
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, typer.Abort):
        error = CancelledError("cancelled on request")
    if isinstance(error, _USAGE_ERROR):
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "softseg"
        error = InputError(error.format_message().rstrip("."), hint=f"see {command} --help")  # type: ignore[attr-defined]
    plain = as_plain_error(error) or as_defect(error, native_output.last_lines())
    sys.stderr.write(f"softseg: {plain}\n")
    supervision.said()
    return plain.exit_code


def _repeat_options(arguments: Sequence[str]) -> list[str]:
    """Write ``--prediction A B`` as ``--prediction A --prediction B``, which is what the parser knows."""
    result: list[str] = []
    current = ""
    for argument in arguments:
        if argument.startswith("-"):
            current = argument if argument in _SEVERAL_VALUES else ""
            if not current:
                result.append(argument)
        elif current:
            result += [current, argument]
        else:
            result.append(argument)
    return result
