"""Pickles of plain values, read without running anything.

A pickle is a program, and :func:`pickle.load` runs it. This reader goes through its instructions with
:func:`pickletools.genops`, which only takes them apart, and builds numbers, texts, bytes, lists, tuples, dicts, and
NumPy's arrays and scalars of numbers. An instruction or a name that is not on its list ends the reading; no class or
function of the file is looked up, imported or called.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from softseg.errors import InputError
from softseg.files import require_file

MOST_BYTES = 64 << 20
"""Larger files are no properties of an image."""

_DEPTH, _NUMBER = 64, re.compile(r"[<>|=]?(?:b1|[iu][1248]|f[248])")
_ARRAYS = ("numpy.core.multiarray", "numpy._core.multiarray")
_BUFFERS = ("numpy.core.numeric", "numpy._core.numeric")

_PLAIN = {
    "NONE", "NEWTRUE", "NEWFALSE", "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "STRING", "BINSTRING", "SHORT_BINSTRING",
    "SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8",
}  # fmt: skip
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}


class _Mark:
    """The mark at which a list of arguments begins."""


class _Name:
    """A name on the list below that the file uses; never looked up."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name


class _Type:
    """NumPy's type of a number."""

    def __init__(self, code: str) -> None:
        self.code, self.order = code.lstrip("<>|="), code[0] if code[:1] in ("<", ">") else "="

    def dtype(self) -> np.dtype[Any]:
        return np.dtype(self.order + self.code)


class _Array:
    """An array that gets its content later."""

    def __init__(self, value: np.ndarray[Any, Any] | None = None) -> None:
        self.value = value


class _RefusedError(ValueError):
    """What the file asks for is not on the list."""


def read_plain_pickle(path: Path) -> Any:
    """Return the value that a pickle holds.

    Raises
    ------
    InputError: the file is missing, damaged or too large, or holds anything but plain values; nothing was run.
    """
    require_file(path)
    if path.stat().st_size > MOST_BYTES:
        raise InputError("is too large for the properties of an image", file=path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", file=path) from error
    try:
        return _plain(_Stack().run(data), {}, 0)
    except _RefusedError as error:
        raise InputError(
            f"holds {error}, which is not read: nothing of a pickle is ever run", file=path, hint="use --like IMAGE"
        ) from error
    except (
        ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, EOFError, UnicodeError,
        struct.error, MemoryError, RecursionError, OSError,
    ) as error:  # fmt: skip
        raise InputError("is damaged, or no pickle", file=path, hint="use --like IMAGE") from error


class _Stack:
    """The stack on which a pickle's instructions build a value."""

    def __init__(self) -> None:
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self, content: bytes) -> Any:
        for instruction, argument, _place in pickletools.genops(content):
            name = instruction.name
            if name == "STOP":
                return self._stack.pop()
            if name in _PLAIN:
                self._stack.append(_CONSTANTS.get(name, argument))
            elif name in _GLOBALS:
                self._stack.append(_GLOBALS[name]())
            else:
                work = _INSTRUCTIONS.get(name)
                if work is None:
                    raise _RefusedError(f"the instruction {name}")
                work(self, argument)
        raise EOFError

    def _to_mark(self) -> list[Any]:
        items = []
        while not isinstance(item := self._stack.pop(), _Mark):
            items.append(item)
        return items[::-1]

    def skip(self, _argument: Any) -> None:
        """Pass over an instruction that builds nothing."""

    def put(self, number: int) -> None:
        self._memo[number] = self._stack[-1]

    def memoize(self, _argument: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, number: int) -> None:
        self._stack.append(self._memo[number])

    def pop(self, _argument: Any) -> None:
        self._stack.pop()

    def pop_mark(self, _argument: Any) -> None:
        self._to_mark()

    def append(self, _argument: Any) -> None:
        item = self._stack.pop()
        self._list().append(item)

    def appends(self, _argument: Any) -> None:
        items = self._to_mark()
        self._list().extend(items)

    def _list(self) -> list[Any]:
        if not isinstance(self._stack[-1], list):
            raise TypeError
        return self._stack[-1]

    def make_list(self, _argument: Any) -> None:
        self._stack.append(self._to_mark())

    def make_tuple(self, _argument: Any) -> None:
        self._stack.append(tuple(self._to_mark()))

    def short_tuple(self, count: int) -> None:
        items = tuple(self._stack[-count:])
        if len(items) < count:
            raise IndexError
        del self._stack[-count:]
        self._stack.append(items)

    def make_dict(self, _argument: Any) -> None:
        items = self._to_mark()
        self._stack.append(dict(zip(items[::2], items[1::2], strict=True)))

    def set_item(self, _argument: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._dict()[key] = value

    def set_items(self, _argument: Any) -> None:
        items = self._to_mark()
        self._dict().update(zip(items[::2], items[1::2], strict=True))

    def _dict(self) -> dict[Any, Any]:
        if not isinstance(self._stack[-1], dict):
            raise TypeError
        return self._stack[-1]

    def name(self, argument: str) -> None:
        self._stack.append(_known(*argument.split(" ", 1)))

    def name_of_stack(self, _argument: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(_known(module, name))

    def reduce(self, _argument: Any) -> None:
        arguments, name = self._stack.pop(), self._stack.pop()
        if not isinstance(name, _Name) or not isinstance(arguments, tuple):
            raise _RefusedError("a call of something that has no name")
        self._stack.append(_KNOWN[name.module, name.name](*arguments))

    def build(self, _argument: Any) -> None:
        state, target = self._stack.pop(), self._stack[-1]
        if isinstance(target, _Type):
            target.order = state[1] if state[1] in ("<", ">") else "="
        elif isinstance(target, _Array):
            _version, shape, kind, fortran, data = state
            target.value = _filled(data, kind, shape, "F" if fortran else "C")
        else:
            raise _RefusedError(f"a {type(target).__name__} with a state of its own")


_GLOBALS: dict[str, Callable[[], Any]] = {"MARK": _Mark, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict}
_INSTRUCTIONS: dict[str, Callable[[_Stack, Any], None]] = {
    "PROTO": _Stack.skip, "FRAME": _Stack.skip,
    "PUT": _Stack.put, "BINPUT": _Stack.put, "LONG_BINPUT": _Stack.put, "MEMOIZE": _Stack.memoize,
    "GET": _Stack.get, "BINGET": _Stack.get, "LONG_BINGET": _Stack.get,
    "POP": _Stack.pop, "POP_MARK": _Stack.pop_mark,
    "APPEND": _Stack.append, "APPENDS": _Stack.appends, "LIST": _Stack.make_list,
    "TUPLE": _Stack.make_tuple, "TUPLE1": lambda machine, _: machine.short_tuple(1),
    "TUPLE2": lambda machine, _: machine.short_tuple(2), "TUPLE3": lambda machine, _: machine.short_tuple(3),
    "DICT": _Stack.make_dict, "SETITEM": _Stack.set_item, "SETITEMS": _Stack.set_items,
    "GLOBAL": _Stack.name, "STACK_GLOBAL": _Stack.name_of_stack, "REDUCE": _Stack.reduce,
    "BUILD": _Stack.build,
}  # fmt: skip


def _known(module: Any, name: Any) -> _Name:
    if (module, name) not in _KNOWN:
        raise _RefusedError(f"the name {str(module)[:60]}.{str(name)[:60]}")
    return _Name(module, name)


def _type(code: Any, *_rest: Any) -> _Type:
    if not isinstance(code, str) or not _NUMBER.fullmatch(code):
        raise _RefusedError(f"values of the type {str(code)[:20]!r}")
    return _Type(code)


def _filled(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray[Any, Any]:
    if not isinstance(data, (bytes, bytearray, str)) or not isinstance(kind, _Type):
        raise _RefusedError("an array of Python objects")
    content = data.encode("latin-1") if isinstance(data, str) else bytes(data)
    return np.asarray(np.frombuffer(content, kind.dtype()).reshape(shape, order=order))


def _scalar(kind: Any, data: Any) -> Any:
    return _filled(data, kind, (1,), "C")[0].item()


def _encoded(text: Any, encoding: Any) -> bytes:
    if encoding != "latin1" or not isinstance(text, str):
        raise _RefusedError("a text in a strange encoding")
    return text.encode("latin-1")


def _no_bytes(*arguments: Any) -> bytes:
    if arguments and arguments != ((),) and arguments != ([],):
        raise _RefusedError("bytes made of something")
    return b""


def _no_array(*_arguments: Any) -> Any:
    raise _RefusedError("a bare array")


_KNOWN: dict[tuple[Any, Any], Callable[..., Any]] = {
    ("numpy", "dtype"): _type,
    ("numpy", "ndarray"): _no_array,
    ("collections", "OrderedDict"): dict,
    ("torch", "Size"): tuple,
    ("_codecs", "encode"): _encoded,
    ("__builtin__", "bytes"): _no_bytes,
    ("builtins", "bytes"): _no_bytes,
    **{(module, "_reconstruct"): lambda *_arguments: _Array() for module in _ARRAYS},
    **{(module, "scalar"): _scalar for module in _ARRAYS},
    **{
        (module, "_frombuffer"): lambda data, kind, shape, order: _Array(_filled(data, kind, shape, order))
        for module in _BUFFERS
    },
}
"""Every name that a file may use, and what is done here instead of calling it."""


def _plain(value: Any, done: dict[int, Any], depth: int) -> Any:
    """Return a value without the stand-ins; what the file uses twice is made once, so that no file can swell."""
    if depth > _DEPTH:
        raise _RefusedError("values nested too deeply")
    if id(value) in done:
        return done[id(value)]
    if isinstance(value, _Array):
        if value.value is None:
            raise ValueError
        return value.value
    if isinstance(value, (_Name, _Type, _Mark)):
        raise _RefusedError("a type among its values")
    found: Any = value
    if isinstance(value, list):
        found = [_plain(item, done, depth + 1) for item in value]
    elif isinstance(value, tuple):
        found = tuple(_plain(item, done, depth + 1) for item in value)
    elif isinstance(value, dict):
        found = {_plain(key, done, depth + 1): _plain(item, done, depth + 1) for key, item in value.items()}
    done[id(value)] = found
    return found
