"""What belongs to what in the scans of a training: asked once for all scans, where it is not sure."""

from dataclasses import replace

from slicer.i18n import tr as _

from softseg.tree.matching import Choice, Item, Match, Matching
from softseg.tree.names import plain_name

from ...Exchange.LabelItems import isSure, matchLabels
from ...Exchange.LabelReader import layersOf


class TrainMatches:
    """Settles the labels of all cases; remembers what people chose.

    Parameters
    ----------
    dialogs: asks people; see :class:`SoftSegSlicerLib.Dialogs.Dialogs`.
    """

    def __init__(self, dialogs):
        self._dialogs, self._chosen = dialogs, {}

    def settle(self, cases, tree, always=False):
        """Return the cases with the node of each segment or label, and the tree, which may have new leaves.

        Segments of one name are one question, in however many scans they are.

        Parameters
        ----------
        cases: SceneCases.
        tree: LabelTree.
        always: whether people see the table also where all is sure.

        Returns
        -------
        ``(cases, tree)``; None where people cancelled.

        Raises
        ------
        InputError: a case has no labels.
        """
        groups, members, unsure = _grouped(cases, tree)
        known = {key: choice for key, choice in self._chosen.items() if key in groups and _fits(choice, tree)}
        matching = Matching(tree, tuple(groups.values())).choosing(known)
        if always or not unsure <= set(known):
            title = _("The labels of {count} scan(s) and the structures of the label tree").format(count=len(cases))
            chosen = self._dialogs.askMatches(matching, title, True)
            if chosen is None:
                return None
            self._chosen.update(chosen)
            matching = matching.choosing(chosen)
        found = {match.item.key: match for match in matching.matches}
        return [_withMapping(case, members[place], found) for place, case in enumerate(cases)], matching.tree


def _grouped(cases, tree):
    """Return one match for all items of one name and node, the group of each case's items, and which need a look."""
    groups, members, counts, unsure = {}, [], {}, set()
    for case in cases:
        own = {}
        matching = matchLabels(case.labels, layersOf(case.labels), tree, case.mapping)
        sure = isSure(case.labels, matching)
        for match in matching.matches:
            key = _groupOf(match, case)
            if not sure and match.how not in ("name", "id", "choice"):
                unsure.add(key)
            groups.setdefault(key, match)
            counts[key] = counts.get(key, 0) + 1
            own[match.item.key] = key
        members.append(own)
    shown = {}
    for key, match in groups.items():
        item = Item(key, match.item.name, value=match.item.value, terminology=match.item.terminology)
        if counts[key] > 1:
            item = replace(item, value=None)
        shown[key] = Match(item, match.node, match.how, match.reason, match.left_out)
    return shown, members, unsure


def _groupOf(match, case):
    """Items without a name are questions of their own: their values mean nothing in another scan."""
    node = "" if match.node is None else match.node.id
    if match.item.nameless:
        return (case.labels.GetID(), str(match.item.key), node)
    return (plain_name(match.item.name), node)


def _fits(choice, tree):
    return isinstance(choice, Choice) or choice in tree


def _withMapping(case, groups, found):
    mapping = {}
    for key, group in groups.items():
        match = found[group]
        if not match.open:
            mapping[key] = None if match.node is None else match.node.id
    return replace(case, mapping=mapping)
