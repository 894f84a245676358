"""What a command is asked, as one frozen value: its options with their defaults and limits, to and from a command line.

A request lists its options once, as fields. The command line, the Python API and the Slicer module all make requests:
:mod:`softseg.commands.asked` turns the fields into options of the command, ``to_argv`` and ``from_argv`` into arguments
and back, and a value that cannot be is refused when the request is made.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike, fspath
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from softseg.errors import InputError
from softseg.requests.lists import join_list, split_list

_KEY = "softseg"

Self = TypeVar("Self", bound="Request")


@dataclass(frozen=True)
class Option:
    """How a field of a request appears on a command line.

    Attributes
    ----------
    kind: ``str``, ``int``, ``float``, ``bool`` or ``Path``.
    help: one line for people.
    flag: such as ``--overlap``; empty for an argument without one.
    metavar: stands for the value in the help.
    several: the field is a tuple; the flag may be repeated, or all arguments without a flag are taken.
    listed: of several texts: also several joined by commas are read, as before the flag could be repeated.
    optional: an argument without a flag that may be left out on the command line; the field is then empty.
    negated: a switch whose flag makes the field False.
    choices: what is allowed, if not anything.
    low, high: limits of a number.
    below: whether the upper limit itself is too much.
    """

    kind: type
    help: str
    flag: str = ""
    metavar: str = ""
    several: bool = False
    listed: bool = False
    optional: bool = False
    negated: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    below: bool = False

    @property
    def title(self) -> str:
        """Its name in messages."""
        return self.flag.lstrip("-").replace("-", " ") or self.metavar

    def value(self, given: Any) -> Any:
        """Return what is given as the field holds it.

        Raises
        ------
        InputError: it is of another kind, or not allowed.
        """
        if not self.several:
            return None if given is None else self._one(given)
        if given is None:
            return ()
        items = [given] if isinstance(given, (str, int, PathLike)) else given
        if not isinstance(items, Iterable):
            raise InputError(f"expected several values, got {given!r}", field=self.title)
        return tuple(self._one(item) for item in items)

    def _one(self, given: Any) -> Any:
        try:
            found = fspath(given) if isinstance(given, PathLike) else given
            if self.kind is bool:
                if not isinstance(found, bool):
                    raise TypeError
            elif self.kind is int and isinstance(found, float) and found != int(found):
                raise ValueError
            else:
                found = self.kind(found)
        except (TypeError, ValueError, OverflowError) as error:
            what = {int: "a whole number", float: "a number", bool: "yes or no"}.get(self.kind, "a text")
            raise InputError(f"expected {what}, got {given!r}", field=self.title) from error
        self._check(found)
        return found

    def _check(self, found: Any) -> None:
        if self.choices and found not in self.choices:
            listed = ", ".join(self.choices[:-1]) + f" or {self.choices[-1]}"
            raise InputError(f"expected {listed}, got {found!r}", field=self.title)
        if self.kind not in (int, float) or (self.low is None and self.high is None):
            return
        low, high = -math.inf if self.low is None else self.low, math.inf if self.high is None else self.high
        if not (low <= found < high if self.below else low <= found <= high) or math.isinf(found):
            to = f" to {'below ' if self.below else ''}{high:g}" if self.high is not None else " or more"
            start = f"from {low:g}" if self.high is not None else f"of {low:g}"
            raise InputError(f"expected a number {start}{to}, got {found}", field=self.title)

    def argv(self, value: Any) -> list[str]:
        """Return a field's value as arguments with its flag."""
        if self.kind is bool:
            return [self.flag]
        if self.listed:  # an item that holds a comma is quoted
            return [part for item in value for part in _flagged(self.flag, join_list([str(item)]))]
        items = value if self.several else (value,)
        return [part for item in items for part in _flagged(self.flag, _text(item))]


def _flagged(flag: str, text: str) -> list[str]:
    return [f"{flag}={text}"] if text.startswith("-") else [flag, text]


def _text(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def argument(metavar: str, help: str, *, kind: type = str, several: bool = False, optional: bool = False) -> Any:  # noqa: A002 - as in typer
    """Return a field that stands without a flag, in the order of the fields; see :class:`Option`."""
    option = Option(kind, help, metavar=metavar, several=several, optional=optional)
    return dataclasses.field(metadata={_KEY: option})


def option(flag: str, help: str, *, kind: type = str, default: Any = dataclasses.MISSING, **more: Any) -> Any:  # noqa: A002
    """Return a field with a flag; see :class:`Option`. Without a default it must be given."""
    return dataclasses.field(default=default, metadata={_KEY: Option(kind, help, flag, **more)})


@dataclass(frozen=True)
class Request:
    """Base of all requests. Creating one raises :class:`InputError` for an invalid value."""

    COMMAND: ClassVar[tuple[str, ...]] = ()
    """The words that name the command."""

    def __post_init__(self) -> None:
        """Bring every value into its kind and check it."""
        for field in dataclasses.fields(self):
            object.__setattr__(self, field.name, option_of(field).value(getattr(self, field.name)))
        self.check()

    def check(self) -> None:
        """Check what concerns more than one value, or the form of one.

        Raises
        ------
        InputError: it cannot be.
        """

    def to_argv(self) -> list[str]:
        """Return the arguments of ``softseg`` for this request; defaults are left out."""
        bare: list[str] = []
        flagged: list[str] = []
        for field in dataclasses.fields(self):
            how, value = option_of(field), getattr(self, field.name)
            if not how.flag:
                bare += [str(item) for item in (value if how.several else (value,))]
            elif value != field.default and value is not None:
                flagged += how.argv(value)
        if any(text.startswith("-") for text in bare):
            return [*self.COMMAND, *flagged, "--", *bare]
        return [*self.COMMAND, *bare, *flagged]

    @classmethod
    def from_argv(cls: type[Self], argv: Sequence[str]) -> Self:
        """Return the request of arguments of ``softseg``.

        Raises
        ------
        InputError: they are of another command, one is unknown or lacks its value, or a value cannot be.
        """
        if tuple(argv[: len(cls.COMMAND)]) != cls.COMMAND:
            raise InputError(f"expected the command {' '.join(cls.COMMAND)}, got {' '.join(argv[:2])}")
        values, bare = _parsed(cls, list(argv[len(cls.COMMAND) :]))
        places = [field for field in dataclasses.fields(cls) if not option_of(field).flag]
        for field in places:
            if option_of(field).several:
                values[field.name], bare = tuple(bare), []
            elif bare:
                values[field.name] = bare.pop(0)
        if bare:
            raise InputError(f"unexpected argument: {bare[0]}", field=" ".join(cls.COMMAND))
        for field in dataclasses.fields(cls):
            if field.default is dataclasses.MISSING and field.name not in values:
                raise InputError(f"missing {option_of(field).flag or option_of(field).metavar}")
        return cls(**values)


def _parsed(cls: type[Request], words: list[str]) -> tuple[dict[str, Any], list[str]]:
    """Return the values of flags, and what has none."""
    flags = {option_of(field).flag: field for field in dataclasses.fields(cls) if option_of(field).flag}
    values: dict[str, Any] = {}
    bare: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            return values, bare + words
        if not word.startswith("-") or word == "-":
            bare.append(word)
            continue
        flag, equals, text = word.partition("=")
        if flag not in flags:
            raise InputError(f"no such option: {flag}", field=" ".join(cls.COMMAND))
        field, how = flags[flag], option_of(flags[flag])
        if how.kind is bool:
            values[field.name] = not how.negated
            continue
        if not equals and not words:
            raise InputError("needs a value", field=flag)
        value = text if equals else words.pop(0)
        if how.listed:
            values[field.name] = (*values.get(field.name, ()), *split_list(value))
        elif how.several:
            values[field.name] = (*values.get(field.name, ()), value)
        else:
            values[field.name] = value
    return values, bare


def option_of(field: dataclasses.Field[Any]) -> Option:
    """Return how a field of a request appears on the command line."""
    found: Option = field.metadata[_KEY]
    return found


def device_option() -> Any:
    """Return the field of the device."""
    return option("--device", "auto, cpu, cuda or cuda:N.", default="auto")


def out_option(help: str, metavar: str = "PATH", default: Any = dataclasses.MISSING) -> Any:  # noqa: A002
    """Return the field of what is written."""
    return option("--out", help, kind=Path, metavar=metavar, default=default)
