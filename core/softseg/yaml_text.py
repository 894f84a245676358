"""YAML as people mean it: ``on``, ``off``, ``yes`` and ``no`` are words, also where they are keys, and dates are text.

YAML 1.1, which PyYAML follows, makes truth values of them, so that ``{name: dice, on: probabilities}`` would lose its
option ``on``. Here only ``true`` and ``false`` are truth values, as in YAML 1.2. A text is small once its aliases are
written out, names no key twice in one mapping, and makes plain Python values only.
"""

from __future__ import annotations

from typing import Any

import yaml

from softseg.texts import MAX_DEPTH, check_values

MAX_NODES = 20_000
"""Values that a text may hold, with every alias counted as often as it is used; a hundred times what people write."""

_SKIPPED = ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:timestamp")


class _Loader(yaml.SafeLoader):
    """The safe loader with the truth values of YAML 1.2, and a limit."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._composed = self._depth = 0
        self._sizes: dict[int, int] = {}

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Compose one value, unless there are too many, or an alias stands inside the value it stands for."""
        is_alias = self.check_event(yaml.AliasEvent)
        if self._depth > MAX_DEPTH:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="it is nested too deeply", problem_mark=mark)
        self._depth += 1
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if not is_alias:
            self._composed += 1
            self._sizes[id(node)] = 1 + sum(self._sizes[id(inner)] for inner in _inner(node))
        elif id(node) not in self._sizes:
            raise yaml.MarkedYAMLError(problem="an alias stands inside its own value", problem_mark=node.start_mark)
        if max(self._composed, self._sizes[id(node)]) > MAX_NODES:
            problem = f"it holds more than {MAX_NODES} values, with aliases written out"
            raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Make a mapping, unless a key is there twice."""
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.MarkedYAMLError(problem=f"the key {twice[:80]!r} is there twice", problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def _inner(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return list(node.value)
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return []


_Loader.yaml_implicit_resolvers = {
    first: [
        (tag, pattern) for tag, pattern in resolvers if tag not in _SKIPPED or (tag == _SKIPPED[0] and first in "tTfF")
    ]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def load_yaml(text: str) -> Any:
    """Return the content of a YAML text, plain Python values only.

    Raises
    ------
    yaml.YAMLError: the text is not YAML, too large once its aliases are written out, nested too deeply, names a key
        twice, or holds a value that cannot be, such as a number of thousands of digits.
    """
    try:
        value = yaml.load(text, Loader=_Loader)  # noqa: S506 - derived from the safe loader
        check_values(value)
    except RecursionError as error:
        raise yaml.YAMLError("it is nested too deeply") from error
    except (ValueError, OverflowError, TypeError, KeyError) as error:
        raise yaml.YAMLError(f"a value cannot be: {error}") from error
    return value
