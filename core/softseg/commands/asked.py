"""From a request's fields to the options of a command."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from softseg.commands.common import CancelFileOption, EventsOption, QuietOption, ThreadsOption, long_work
from softseg.events import Events
from softseg.requests.lists import split_list
from softseg.requests.request import Option, Request, option_of

Asked = TypeVar("Asked", bound=Request)


def command_of(kind: type[Asked], run: Callable[[Asked, Events], object]) -> Callable[..., None]:
    """Return a typer command that makes a request of ``kind`` and runs it as long work; its help is ``run``'s."""

    def command(
        context: typer.Context,
        events: Any = None,
        quiet: bool = False,
        cancel_file: Any = None,
        threads: int | None = None,
        **given: Any,
    ) -> None:
        with long_work(context, events, quiet, cancel_file, threads) as work:
            run(request_of(kind, given), work)

    return with_options(command, kind, run.__doc__ or "")


def request_of(kind: type[Asked], given: dict[str, Any]) -> Asked:
    """Return the request that the values of a command's options make.

    Raises
    ------
    InputError: a value cannot be.
    """
    values = {}
    for field in dataclasses.fields(kind):
        how, value = option_of(field), given[field.name]
        if how.listed:
            value = [item for text in value or () for item in split_list(text)]
        values[field.name] = not value if how.negated else value
    return kind(**values)


def with_options(command: Callable[..., None], kind: type[Request], text: str) -> Callable[..., None]:
    """Give a function, for typer, the options of a request, those that all long commands have, and a help text."""
    after = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context)]
    for field in dataclasses.fields(kind):
        how = option_of(field)
        required = field.default is dataclasses.MISSING and not how.optional
        default = inspect.Parameter.empty if required else _default(how, field.default)
        parameters.append(inspect.Parameter(field.name, after, default=default, annotation=_annotation(how, default)))
    for name, annotation, common in (
        ("events", EventsOption, None),
        ("quiet", QuietOption, False),
        ("cancel_file", CancelFileOption, None),
        ("threads", ThreadsOption, None),
    ):
        parameters.append(inspect.Parameter(name, after, default=common, annotation=annotation))
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in parameters}
    command.__doc__ = text
    return command


def _default(how: Option, default: Any) -> Any:
    return None if how.several else False if how.kind is bool else default


def _annotation(how: Option, default: Any) -> Any:
    plain: Any = str if how.listed else how.kind
    plain = list[plain] if how.several else plain
    plain = plain | None if default is None else plain
    if not how.flag:
        return Annotated[plain, typer.Argument(metavar=how.metavar, help=how.help)]
    return Annotated[plain, typer.Option(how.flag, metavar=how.metavar or "|".join(how.choices) or None, help=how.help)]
