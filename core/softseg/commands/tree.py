"""``softseg tree``: show, check, convert and compare label trees."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from softseg.errors import InputError

if TYPE_CHECKING:
    from softseg.tree import LabelTree

app = typer.Typer(help="Check, show, convert and compare label trees.", no_args_is_help=True, rich_markup_mode=None)

TreeArgument = Annotated[str, typer.Argument(metavar="TREE", help="A tree file or the name of a shipped tree.")]
FormatOption = Annotated[str | None, typer.Option("--format", help="File format, if the extension is ambiguous.")]


@app.command("check")
def check(tree: TreeArgument, file_format: FormatOption = None) -> None:
    """Check a tree against all rules; print a summary and remarks."""
    from softseg.tree import remarks

    loaded = load_tree(tree, file_format)
    counts = f"{len(loaded.leaves)} leaves, {len(loaded.inner_nodes)} inner nodes, depth {loaded.depth}"
    typer.echo(f"{tree}: valid: {counts}{', with background' if loaded.background else ''}")
    for remark in remarks(loaded):
        typer.echo(f"remark: {remark}")


@app.command("show")
def show(
    tree: TreeArgument,
    level: Annotated[int | None, typer.Option("--level", min=0, help="Show the tree down to this depth.")] = None,
    file_format: FormatOption = None,
) -> None:
    """Print a tree: names, values, ids where they differ, colours, weights where they are not 1."""
    from softseg.tree import render

    typer.echo(render(load_tree(tree, file_format), level))


@app.command("convert")
def convert(
    tree: TreeArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="The new file; its extension selects the format.")],
    level: Annotated[int | None, typer.Option("--level", min=0, help="Fold all nodes below this depth.")] = None,
    file_format: Annotated[str | None, typer.Option("--format", help="Format of OUT.")] = None,
) -> None:
    """Write a tree in another format, whole or folded at a level."""
    from softseg.tree import LabelTree
    from softseg.tree.show import counted

    loaded = load_tree(tree)
    if level is not None:
        loaded = loaded.cut_at(level).to_tree()
    loaded.save(out, format=file_format)
    typer.echo(f"{out}: {counted(len(loaded.leaves), 'leaf', 'leaves')}")
    lost = len(loaded.inner_nodes) - len(LabelTree.load(out, format=file_format).inner_nodes)
    if lost > 0:
        typer.echo(
            f"{out}: this format keeps no branches; {counted(lost, 'inner node is', 'inner nodes are')} left out"
        )


@app.command("diff")
def diff(
    tree: TreeArgument,
    other: Annotated[str, typer.Argument(metavar="OTHER", help="The tree to compare with.")],
) -> None:
    """Print the changes from TREE to OTHER; nothing if they are equal."""
    from softseg.tree import diff_lines

    for line in diff_lines(load_tree(tree), load_tree(other)):
        typer.echo(line)


def load_tree(name_or_path: str, file_format: str | None = None) -> LabelTree:
    """Read a tree from a file, or a shipped one by its name.

    Raises
    ------
    InputError: there is neither such a file nor such a shipped tree, or the tree breaks a rule.
    """
    from softseg.resources import label_tree_path, list_label_trees
    from softseg.tree import LabelTree

    path = Path(name_or_path)
    if not path.is_file() and name_or_path in list_label_trees():
        path = label_tree_path(name_or_path)
    if not path.is_file():
        raise InputError(
            "no such file and no shipped tree of that name",
            file=name_or_path,
            hint=f"shipped: {', '.join(list_label_trees())}",
        )
    return LabelTree.load(path, format=file_format)
