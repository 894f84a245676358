"""The tree editor without its widgets: every edit, every refusal, undo, and where label values go."""

import pytest
from SoftSegSlicerLib.Panels.Tree.NodeDefaults import blend, shades, uniqueId
from SoftSegSlicerLib.Panels.Tree.TreeChangesText import changeText, summary
from SoftSegSlicerLib.Panels.Tree.TreeEditor import TreeEditor

from softseg.errors import InputError
from softseg.tree import FORMATS, Code, LabelTree, Node, Terminology

TERMS = Terminology(Code("123037004", "SCT", "Anatomical Structure"), Code("12738006", "SCT", "Brain"))


def brain():
    return LabelTree(
        [
            Node("head", "head", None),
            Node("background", "background", "head", color=(0, 0, 0), value=0),
            Node("grey", "grey matter", "head", color=(90, 90, 90)),
            Node("cortex", "cortex", "grey", color=(100, 100, 100), value=1),
            Node("caudate", "caudate", "grey", color=(200, 100, 0), value=2),
            Node("putamen", "putamen", "grey", color=(0, 100, 200), value=3),
            Node("white", "white matter", "head"),
            Node("left-white", "left white matter", "white", value=4),
            Node("right-white", "right white matter", "white", value=5),
        ],
        "small brain",
    )


@pytest.fixture
def editor():
    return TreeEditor(brain())


def names(editor, parent):
    return [child.name for child in editor.tree.children(parent)]


def refused(action, *words):
    with pytest.raises(InputError) as caught:
        action()
    for word in words:
        assert word in str(caught.value)


def test_every_edit_can_be_undone_and_done_again(editor):
    first = editor.tree
    edits = [
        lambda: editor.add("cortex"),
        lambda: editor.rename("caudate", "caudate nucleus"),
        lambda: editor.group(["caudate", "putamen"], "striatum"),
        lambda: editor.move(["cortex"], "white", 0),
        lambda: editor.merge(["left-white", "right-white"]),
        lambda: editor.split("cortex"),
        lambda: editor.recolor(["striatum"], (1, 2, 3)),
        lambda: editor.reweight(["striatum"], 2.5),
        lambda: editor.setTerminology(["striatum"], TERMS),
        lambda: editor.setValue("striatum", 77),
        lambda: editor.delete(["putamen"]),
        lambda: editor.ungroup("striatum"),
        lambda: editor.changeId("caudate", "nc"),
        lambda: editor.renameTree("another"),
    ]
    trees = [first]
    for edit in edits:
        edit()
        trees.append(editor.tree)
    assert len(set(map(hash, trees))) == len(edits) + 1
    for tree in reversed(trees[:-1]):
        assert editor.undoText
        assert editor.undo()
        assert editor.tree == tree
    assert not editor.undo()
    assert not editor.undoText
    for tree in trees[1:]:
        assert editor.redo()
        assert editor.tree == tree
    assert not editor.redo()


def test_an_edit_after_undo_forgets_what_was_undone(editor):
    editor.rename("cortex", "A")
    editor.undo()
    editor.rename("cortex", "B")
    assert not editor.redoText
    assert not editor.redo()
    assert editor.tree.node("cortex").name == "B"


def test_added_leaf_stands_after_the_selected_leaf_or_in_the_selected_group(editor):
    after = editor.add("caudate")
    assert names(editor, "grey") == ["cortex", "caudate", "new structure", "putamen"]
    inside = editor.add("white")
    assert editor.tree.children("white")[-1].id == inside
    top = editor.add()
    assert editor.tree.node(top).parent == "head"
    values = [leaf.value for leaf in editor.tree.leaves]
    assert len(set(values)) == len(values)
    assert editor.tree.node(after).value == 6
    assert editor.state.selection == (top,)


def test_id_of_a_new_node_follows_its_name_until_saved(editor, tmp_path):
    new = editor.add("white")
    editor.rename(new, "Corpus Callosum")
    assert "corpus-callosum" in editor.tree
    editor.save(str(tmp_path / "tree.json"))
    editor.rename("corpus-callosum", "callosum")
    assert editor.tree.node("corpus-callosum").name == "callosum"


@pytest.mark.parametrize("name", ["", "   ", "\t"])
def test_empty_name_is_refused_and_nothing_changes(editor, name):
    before = editor.tree
    refused(lambda: editor.rename("cortex", name), "empty", "cortex")
    assert editor.tree is before
    assert not editor.undoText


def test_name_of_a_sibling_is_refused_elsewhere_it_may_repeat(editor):
    refused(lambda: editor.rename("cortex", "Putamen"), "already", "putamen", "grey matter")
    assert editor.rename("cortex", "white matter")


def test_drop_into_its_own_branch_is_refused(editor):
    refused(lambda: editor.move(["grey"], "cortex"), "grey matter", "cannot be moved into its own descendant")
    refused(lambda: editor.move(["grey"], "grey"), "cannot be moved into its own descendant")


def test_root_and_background_stay(editor):
    refused(lambda: editor.move(["head"], "grey"), "root")
    refused(lambda: editor.delete(["head"]), "root")
    refused(lambda: editor.merge(["head"]), "root")
    refused(lambda: editor.delete(["background"]), "background")
    refused(lambda: editor.move(["background"], "grey"), "background")
    refused(lambda: editor.move(["cortex"], "background"), "background")
    refused(lambda: editor.merge(["background", "grey"]), "background")
    refused(lambda: editor.group(["background", "grey"]), "background")
    refused(lambda: editor.split("background"), "background")
    refused(lambda: editor.setValue("background", 9), "background")


def test_group_is_not_left_empty(editor):
    refused(lambda: editor.delete(["left-white", "right-white"]), "white matter", "ungroup")
    refused(lambda: editor.move(["left-white", "right-white"], "grey"), "white matter", "without children")
    single = TreeEditor(LabelTree([Node("a", "a", None), Node("b", "b", "a", value=1)]))
    refused(lambda: single.delete(["b"]), "at least one structure")


def test_grouping_across_parents_is_refused(editor):
    refused(lambda: editor.group(["cortex", "left-white"]), "parents")


def test_values_are_unique_and_whole(editor):
    refused(lambda: editor.setValue("cortex", 2), "2", "caudate")
    refused(lambda: editor.setValue("cortex", None), "needs a label value")
    refused(lambda: editor.setValue("cortex", 70000), "70000")
    refused(lambda: editor.reweight(["cortex"], 0.0), "above 0")


def test_move_keeps_the_order_of_what_is_moved(editor):
    editor.move(["putamen", "cortex"], "white", 1)
    assert names(editor, "white") == ["left white matter", "cortex", "putamen", "right white matter"]


def test_move_within_one_group_counts_places_as_they_are_seen(editor):
    editor.move(["cortex"], "grey", 3)
    assert names(editor, "grey") == ["caudate", "putamen", "cortex"]
    editor.move(["cortex"], "grey", 0)
    assert names(editor, "grey") == ["cortex", "caudate", "putamen"]
    assert not editor.move(["cortex"], "grey", 1)


def test_merged_and_deleted_labels_say_where_their_voxels_go(editor):
    editor.merge(["caudate", "putamen"])
    assert editor.merged() == {"putamen": "caudate"}
    editor.merge(["cortex", "caudate"])
    assert editor.merged() == {"caudate": "cortex", "putamen": "cortex"}
    editor.delete(["left-white"])
    assert editor.merged()["left-white"] == "background"
    editor.undo()
    editor.undo()
    assert editor.merged() == {"putamen": "caudate"}
    editor.undo()
    assert editor.merged() == {}


def test_a_group_merges_into_one_leaf(editor):
    editor.merge(["grey"])
    assert editor.tree.is_leaf("grey")
    assert editor.merged() == {"cortex": "grey", "caudate": "grey", "putamen": "grey"}
    refused(lambda: editor.merge(["grey"]), "two or more")


def test_renumbered_and_renamed_ids_are_followed(editor):
    editor.setValue("cortex", 40)
    editor.changeId("cortex", "cx")
    assert editor.merged() == {"cortex": "cx"}


def test_history_goes_on_from_a_scene(editor):
    editor.merge(["caudate", "putamen"])
    again = TreeEditor(editor.tree, original=brain(), merged=editor.merged())
    again.merge(["cortex", "caudate"])
    assert again.merged() == {"caudate": "cortex", "putamen": "cortex"}


def test_refused_by_the_scene_means_not_done():
    def refuse(_state):
        raise InputError("the scene says no")

    editor = TreeEditor(brain(), apply=refuse)
    refused(lambda: editor.rename("cortex", "x"), "the scene says no")
    assert editor.tree == brain()
    assert not editor.undoText


def test_split_makes_leaves_with_values_of_their_own(editor):
    editor.split("cortex", ["left cortex", "right cortex"])
    parts = editor.tree.children("cortex")
    assert [part.name for part in parts] == ["left cortex", "right cortex"]
    assert {part.value for part in parts}.isdisjoint({0, 1, 2, 3, 4, 5})
    assert parts[0].color != parts[1].color
    refused(lambda: editor.split("cortex"), "already has children")


@pytest.mark.parametrize("format_", FORMATS)
def test_saved_in_every_format_and_honest_about_what_is_lost(format_, tmp_path):
    tree = brain()
    if format_ == "text":
        # this format has no ids of its own: they are the names
        tree = LabelTree([Node("a", "a", None), Node("b", "b", "a", value=1), Node("c", "c", "a", value=2)])
    endings = {"json": ".json", "text": ".txt", "csv": ".csv", "slicer-csv": "_colors.csv", "ctbl": ".ctbl"}
    ending = endings.get(format_, {"freesurfer": "LUT.txt", "itk-snap": ".label", "dseg": ".tsv"}.get(format_))
    editor = TreeEditor(tree)
    editor.reweight([tree.leaves[-1].id], 3.0)
    lost = editor.save(str(tmp_path / f"tree{ending}"), format_)
    kept = LabelTree.load(tmp_path / f"tree{ending}", format_)
    assert len(kept.leaves) == len(tree.leaves)
    assert bool(lost) == (kept.with_name(tree.name) != editor.tree)
    assert editor.isModified == bool(lost)


def test_failed_save_leaves_the_tree_modified(editor, tmp_path):
    editor.rename("cortex", "x")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError):
        editor.save(str(tmp_path / "file" / "tree.json"))
    assert editor.isModified


def test_changes_in_words(editor):
    saved = editor.tree
    editor.rename("cortex", "cerebral cortex")
    editor.group(["caudate", "putamen"], "striatum")
    editor.merge(["left-white", "right-white"])
    lines = [changeText(change, saved, editor.tree) for change in editor.changes()]
    assert "~ cortex: renamed to 'cerebral cortex'" in lines
    assert "+ striatum: added to 'grey matter'" in lines
    assert "~ caudate: moved from 'grey matter' to 'striatum'" in lines
    assert any(line.startswith("\N{MINUS SIGN} right white matter") for line in lines)
    text = summary(saved, editor.tree)
    assert "6 leaves become 5" in text
    assert "model trained" in text
    assert "No unsaved changes" in summary(saved, saved)


def test_defaults_for_new_nodes(editor):
    assert uniqueId(editor.tree, "Grey") == "grey-2"
    assert uniqueId(editor.tree, "Grey", besides="grey") == "grey"
    assert uniqueId(editor.tree, "??") == "node"
    assert blend([(0, 0, 0), None, (10, 20, 30)]) == (5, 10, 15)
    assert blend([None]) is None
    assert len(set(shades((200, 50, 50), 3))) == 3
