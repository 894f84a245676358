"""Undo and redo of corrections: every state is the list of all that was said."""


class CorrectionHistory:
    """States of one result's corrections before and after the present one, which is kept in the scene."""

    def __init__(self):
        self._past, self._future = [], []

    def note(self, before):
        """Note that the state has changed, also where a correction was removed: undo brings back what was before."""
        self._past.append(before)
        self._future.clear()

    def noteEdit(self, before, now):
        """Note that segments were edited; undo and redo of the editor are recognised as such."""
        if self._past and _ids(self._past[-1]) == _ids(now):
            self._future.append(before)
            self._past.pop()
        elif self._future and _ids(self._future[-1]) == _ids(now):
            self._past.append(before)
            self._future.pop()
        else:
            self.note(before)

    def canUndo(self, now):
        """Whether there is a state before ``now``; what was said before a scene was loaded can be undone as well."""
        return bool(self._past or now)

    @property
    def canRedo(self):
        """Whether a state was undone."""
        return bool(self._future)

    def back(self, now):
        """Return the state before ``now``, which is the present one then."""
        self._future.append(now)
        return self._past.pop() if self._past else now[:-1]

    def forth(self, now):
        """Return the state that was undone last, which is the present one then."""
        self._past.append(now)
        return self._future.pop()


def _ids(said):
    return [each.correction.id for each in said]
