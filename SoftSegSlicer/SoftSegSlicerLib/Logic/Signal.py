"""Lets parts that know nothing of each other hear what happened."""

import weakref


class Signal:
    """Calls the bound methods that are connected, in that order; it keeps nobody alive."""

    def __init__(self):
        self._slots = []

    def connect(self, method):
        """Call a bound method with the arguments of every :meth:`emit`, as long as its object lives."""
        self._slots.append(weakref.WeakMethod(method))

    def disconnect(self, method):
        """Stop that; one that is not connected is fine."""
        self._slots = [slot for slot in self._slots if slot() not in (None, method)]

    def emit(self, *arguments):
        """Call them all."""
        for slot in tuple(self._slots):
            method = slot()
            if method is None:
                self._slots.remove(slot)
            else:
                method(*arguments)
