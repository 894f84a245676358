"""The history of a label tree that is being edited: undo, redo, and what became of the labels it began with."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from slicer.i18n import tr as _

from softseg.errors import InputError
from softseg.tree import LabelTree, remarks

__all__ = ["TreeHistory", "TreeState"]

HISTORY_LENGTH = 200
"""Number of edits that can be undone; older ones are forgotten."""


@dataclass(frozen=True)
class TreeState:
    """One entry of the history.

    Attributes
    ----------
    tree: the tree.
    description: what was done to get here, for the Undo button, e.g. "Rename 'pons'".
    selection: ids of the nodes to select afterwards.
    became: where label values of the original tree went that are no leaf's any more: old value to new value; 0 is the
        background.
    """

    tree: LabelTree
    description: str = ""
    selection: tuple[str, ...] = ()
    became: Mapping[int, int] = field(default_factory=dict)


class TreeHistory:
    """A label tree with the trees before and after it.

    Parameters
    ----------
    tree: the tree to begin with.
    original: the tree that the voxels of a displayed segmentation were labelled with, where it was edited since.
    merged: what became of leaves of ``original``, as :meth:`merged` told it.
    saved: what :meth:`changes` compares with; the tree itself by default.
    apply: called with every new :class:`TreeState` before it is taken, to show it in the scene; where it raises an
        InputError the edit (also an undo) is refused and nothing has changed.
    """

    def __init__(
        self,
        tree: LabelTree,
        original: LabelTree | None = None,
        merged: Mapping[str, str] | None = None,
        saved: LabelTree | None = None,
        apply: Callable[[TreeState], None] | None = None,
    ):
        self._original = tree if original is None else original
        pairs = [(old, new) for old, new in (merged or {}).items() if old in self._original and new in tree]
        became = {self._original.node(old).value: tree.node(new).value for old, new in pairs}
        self._states = [TreeState(tree, became={old: new for old, new in became.items() if old != new})]  # type: ignore[misc]
        self._current = 0
        self._saved = tree if saved is None else saved
        self._apply = apply

    # -- state ----------------------------------------------------------------------------------------------------

    @property
    def state(self) -> TreeState:
        """The current entry of the history."""
        return self._states[self._current]

    @property
    def tree(self) -> LabelTree:
        """The current tree."""
        return self.state.tree

    @property
    def saved(self) -> LabelTree:
        """The tree as it was loaded or last saved."""
        return self._saved

    @property
    def isModified(self) -> bool:
        """Whether the tree differs from the saved one."""
        return self.tree != self._saved

    def merged(self, state: TreeState | None = None) -> dict[str, str]:
        """Return which leaf each leaf of the original tree is part of now, by ids, where its own id is gone.

        What was deleted is part of the background; leaves that have no place in the tree are left out.
        """
        state = self.state if state is None else state
        owners = {leaf.value: leaf.id for leaf in state.tree.leaves}
        places = {leaf.id: owners.get(state.became.get(leaf.value, leaf.value)) for leaf in self._original.leaves}
        return {old: new for old, new in places.items() if new is not None and old != new}

    def changes(self):
        """Return what differs from the saved tree (softseg.tree.Change)."""
        return self._saved.diff(self.tree)

    def remarks(self) -> list[str]:
        """Return what is allowed but worth a look, a remark a line."""
        return remarks(self.tree)

    # -- history --------------------------------------------------------------------------------------------------

    @property
    def undoText(self) -> str:
        """What undo would take back; empty where there is nothing."""
        return self.state.description if self._current > 0 else ""

    @property
    def redoText(self) -> str:
        """What redo would do again; empty where there is nothing."""
        following = self._current + 1
        return self._states[following].description if following < len(self._states) else ""

    def undo(self) -> bool:
        """Take back the last edit; False where there is none."""
        return self._go(self._current - 1)

    def redo(self) -> bool:
        """Do again what was taken back; False where there is nothing."""
        return self._go(self._current + 1)

    def _go(self, index: int) -> bool:
        if not 0 <= index < len(self._states):
            return False
        if self._apply is not None:
            self._apply(self._states[index])
        self._current = index
        return True

    def _take(self, tree: LabelTree, description: str, selection: Iterable[str], became=None) -> bool:
        if tree == self.tree:
            return False
        kept = self.state.became if became is None else became
        state = TreeState(tree, description, tuple(id_ for id_ in selection if id_ in tree), kept)
        if self._apply is not None:
            self._apply(state)
        self._states = [*self._states[: self._current + 1], state][-HISTORY_LENGTH - 1 :]
        self._current = len(self._states) - 1
        return True

    # -- files ----------------------------------------------------------------------------------------------------

    def replaceTree(self, tree: LabelTree, description: str, saved: LabelTree | None = None) -> bool:
        """Go on with another tree, undoably.

        Parameters
        ----------
        tree: the tree; every leaf of the original one must be found in it, by id or label value.
        description: for the Undo button.
        saved: what counts as saved from now on; the tree itself by default.

        Raises
        ------
        InputError: structures of the original tree have no place in it (they are named), or the scene refuses it.
        """
        values = {node.value for node in tree.nodes}
        lacking = [leaf.name for leaf in self._original.leaves if leaf.id not in tree and leaf.value not in values]
        if lacking:
            shown = ", ".join(lacking[:3]) + (", ..." if len(lacking) > 3 else "")
            raise InputError(
                _("the tree lacks {count} structures of the segmentation: {names}").format(
                    count=len(lacking), names=shown
                )
            )
        taken = self._take(tree, description, (), {})
        self._saved = tree if saved is None else saved
        return taken

    def markSaved(self) -> None:
        """Let the tree count as saved."""
        self._saved = self.tree

    def save(self, path: str, format_: str | None = None):
        """Write the tree and return what the file cannot hold (softseg.tree.Change); () where it holds everything.

        Only then does the tree count as saved.

        Parameters
        ----------
        path: the file; its ending chooses the format where none is given.
        format_: one of softseg.tree.FORMATS.

        Raises
        ------
        InputError: the format cannot hold such a tree, or the file cannot be written.
        """
        self.tree.save(path, format_)
        kept = LabelTree.load(path, format_).with_name(self.tree.name)
        if kept == self.tree:
            self._saved = self.tree
        return self.tree.diff(kept)

    def _follow(self, moved: Mapping[int, int | None]) -> dict[int, int]:
        """Return where the label values of the original tree are after values went as ``moved`` says."""
        table = {leaf.value: leaf.value for leaf in self._original.leaves} | dict(self.state.became)
        followed = {old: moved.get(now, now) for old, now in table.items()}
        return {old: now for old, now in followed.items() if now != old}  # type: ignore[misc]
