"""Turning a bag of nodes into one tree: the checks, and the depth-first order that everything else relies on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from softseg.tree.node import Node, NodeError


def ordered(nodes: Sequence[Node]) -> tuple[Node, ...]:
    """Return the nodes depth-first, root first, children in the order given.

    Raises
    ------
    NodeError: no node at all, a repeated id or value, an unknown parent, no root or two, a cycle, a leaf without
        value; it names the node and carries its position in ``nodes``.
    """
    if not nodes:
        raise NodeError("the tree has no nodes")
    positions = _unique_ids(nodes)
    root = _one_root(nodes, positions)
    children: dict[str, list[Node]] = {node.id: [] for node in nodes}
    for node in nodes:
        if node.parent is not None:
            children[node.parent].append(node)
    order: list[Node] = []
    stack = [root]
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(reversed(children[node.id]))
    if len(order) < len(nodes):
        raise _cycle(nodes, {node.id for node in order}, positions)
    for index, node in enumerate(nodes):
        if not children[node.id] and node.value is None:
            raise NodeError("a leaf needs a label value", node=node.id, index=index, hint="give it a value or children")
    _unique_values(nodes)
    return tuple(order)


def _unique_ids(nodes: Sequence[Node]) -> dict[str, int]:
    positions: dict[str, int] = {}
    for index, node in enumerate(nodes):
        if node.id in positions:
            raise NodeError("this id is given twice", node=node.id, index=index, hint="ids must be unique in the tree")
        positions[node.id] = index
    return positions


def _unique_values(nodes: Sequence[Node]) -> None:
    owners: dict[int, str] = {}
    for index, node in enumerate(nodes):
        if node.value is None:
            continue
        if node.value in owners:
            raise NodeError(
                f"label value {node.value} already belongs to node '{owners[node.value]}'",
                node=node.id,
                index=index,
                hint="values must be unique in the tree",
            )
        owners[node.value] = node.id


def _one_root(nodes: Sequence[Node], positions: Mapping[str, int]) -> Node:
    root: Node | None = None
    for index, node in enumerate(nodes):
        if node.parent is None:
            if root is not None:
                raise NodeError(
                    f"a second root: '{root.id}' is the root already",
                    node=node.id,
                    index=index,
                    hint="give one of them a parent",
                )
            root = node
        elif node.parent not in positions:
            raise NodeError(f"its parent '{node.parent}' is not in the tree", node=node.id, index=index)
    if root is None:
        raise _cycle(nodes, set(), positions)
    return root


def _cycle(nodes: Sequence[Node], reached: set[str], positions: Mapping[str, int]) -> NodeError:
    """Return the error for the first cycle among the nodes that the root does not reach."""
    node = next(node for node in nodes if node.id not in reached)
    seen: dict[str, int] = {}
    while node.id not in seen:
        seen[node.id] = len(seen)
        if node.parent is None:  # only unreached nodes come here, and they all have parents
            break
        node = nodes[positions[node.parent]]
    loop = list(seen)[seen.get(node.id, 0) :]
    return NodeError(
        f"a cycle: {' > '.join([*loop[::-1], loop[-1]])}",
        node=node.id,
        index=positions[node.id],
        hint="every node must lead up to one root without a parent",
    )
