"""The document says what is true."""

from __future__ import annotations

import json
import re
from pathlib import Path

from softseg.resources import label_tree_path, list_label_trees
from softseg.tree import FORMATS, LabelTree
from softseg.tree.formats.own_json import SCHEMA, VERSION

DOCS = Path(__file__).resolve().parents[3] / "docs"
TEXT = (DOCS / "label-trees.md").read_text(encoding="utf-8")


def block(title: str) -> str:
    return re.search(rf"### {title}\n\n```\w*\n(.*?)```", TEXT, re.S).group(1)


def test_tables_are_complete() -> None:
    shipped = re.findall(r"^\| `([\w-]+)` \| (\d+)( \+ background|, no background)", TEXT, re.M)
    assert sorted(name for name, _, _ in shipped) == list_label_trees()
    for name, count, background in shipped:
        tree = LabelTree.load(label_tree_path(name))
        assert (tree.background is None) == background.startswith(",")
        assert len(tree.leaves) == int(count) + background.startswith(" +")
    assert sorted(re.findall(r"^\| [^|]+ \| `([\w-]+)` \| `", TEXT, re.M)) == sorted(FORMATS)


def test_examples_can_be_read(tmp_path: Path) -> None:
    for title, ending in (("Own JSON", "json"), ("Indented text", "txt"), ("CSV of levels", "csv")):
        file = tmp_path / f"example.{ending}"
        file.write_text(block(title), encoding="utf-8")
        assert LabelTree.load(file).leaves


def test_schema_knows_what_is_written() -> None:
    schema = json.loads((DOCS / "label-tree.schema.json").read_text(encoding="utf-8"))
    assert schema["properties"]["schema"]["const"] == SCHEMA
    assert schema["properties"]["version"]["const"] == VERSION
    for name in list_label_trees():
        document = json.loads(label_tree_path(name).read_text(encoding="utf-8"))
        assert set(document) == set(schema["properties"])
        for node in document["nodes"]:
            assert set(node) <= set(schema["$defs"]["node"]["properties"])
            assert set(node.get("terminology", {})) <= set(schema["$defs"]["terminology"]["properties"])
