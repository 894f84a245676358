"""Reading a file of JSON lines while another process writes it."""

import json
import os

CHUNK_BYTES = 256 * 1024
"""Read at most at once, so that a long file never holds up the application."""


class LineReader:
    """Gives the new lines of a file at each look; begins again when the file was replaced or cut.

    Parameters
    ----------
    path: the file; it need not exist yet.
    """

    def __init__(self, path):
        self.path = str(path)
        self.restarts = 0
        self._identity, self._offset, self._rest = None, 0, b""

    def read(self):
        """Return the JSON objects of the whole lines that came since the last call; at most :data:`CHUNK_BYTES`.

        :attr:`restarts` counts how often the file was begun again: what was read before is void then.
        """
        try:
            with open(self.path, "rb") as stream:
                self._restartIfReplaced(os.fstat(stream.fileno()))
                stream.seek(self._offset)
                content = stream.read(CHUNK_BYTES)
        except OSError:
            return []
        self._offset += len(content)
        *lines, self._rest = (self._rest + content).split(b"\n")
        return [entry for entry in map(_parsed, lines) if entry is not None]

    @property
    def behind(self):
        """Whether there is more to read right now."""
        try:
            return os.stat(self.path).st_size > self._offset
        except OSError:
            return False

    def _restartIfReplaced(self, stat):
        identity = (stat.st_dev, stat.st_ino)
        if self._identity is not None and (identity != self._identity or stat.st_size < self._offset):
            self._offset, self._rest = 0, b""
            self.restarts += 1
        self._identity = identity


def _parsed(line):
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "event" in entry else None
