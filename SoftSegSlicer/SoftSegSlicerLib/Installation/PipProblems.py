"""What pip's output says about why an installation failed, for people. Needs no Qt."""

from __future__ import annotations

import re

from ..Translation import tr as _

SHOWN_LINES = 12
"""Lines of pip's output that are shown with a problem."""

_PATTERNS = {
    "proxy": r"ProxyError|Cannot connect to proxy|Tunnel connection failed|407 Proxy Authentication",
    "certificate": r"CERTIFICATE_VERIFY_FAILED|SSLCertVerificationError|SSLError",
    "disk": r"No space left on device|\[Errno 28\]|not enough space on the disk|Disk quota exceeded|\[WinError 112\]",
    "permission": r"Permission denied|PermissionError|\[Errno 13\]|\[WinError 5\]|Access is denied|Read-only file",
    "conflict": r"ResolutionImpossible|conflicting dependencies|have conflicting|resolution-too-deep",
    "network": (
        r"NewConnectionError|Failed to establish a new connection|Name or service not known|getaddrinfo failed|"
        r"Temporary failure in name resolution|NameResolutionError|ConnectTimeoutError|ReadTimeoutError|"
        r"Connection refused|Connection reset|Network is unreachable|Connection aborted|IncompleteRead"
    ),
    "missing": r"No matching distribution found|Could not find a version that satisfies",
}
"""In this order: a proxy that refuses is also a connection that fails, and after each pip finds no distribution."""


class PipProblem:
    """Why an installation failed.

    Parameters
    ----------
    output: what pip wrote.
    offline: folder of wheels that pip was told to take everything from; empty for the package index.

    Attributes
    ----------
    kind: "proxy", "certificate", "disk", "permission", "conflict", "network", "missing", or "unknown".
    lastLines: the end of pip's output.
    """

    def __init__(self, output, offline=""):
        self._lines = [line.rstrip() for line in output.splitlines() if line.strip()]
        self._offline = offline
        text = "\n".join(self._lines)
        self.kind = next((kind for kind, pattern in _PATTERNS.items() if re.search(pattern, text)), "unknown")
        self.lastLines = "\n".join(self._lines[-SHOWN_LINES:])

    @property
    def message(self):
        """What is wrong, with what pip says of it."""
        what = {
            "proxy": _("the proxy refused the connection to the package index"),
            "certificate": _("the secure connection to the package index could not be verified"),
            "disk": _("the disk is full"),
            "permission": _("the folder of Slicer's Python packages cannot be written"),
            "conflict": _("the packages need versions of others that exclude each other"),
            "network": _("the package index cannot be reached"),
            "missing": _("the package index cannot be reached, or has nothing that fits this Python and computer"),
            "unknown": _("pip failed"),
        }[self.kind]
        if self._offline and self.kind == "missing":
            what = _("the folder of wheels {folder} lacks a package").format(folder=self._offline)
        said = self._said()
        return _("the packages could not be installed: {what}{said}").format(
            what=what, said=f" ({said})" if said else ""
        )

    @property
    def hint(self):
        """What to do."""
        if self._offline and self.kind == "missing":
            return _("fill the folder again with 'pip download', for this Python and system (docs/installation.md)")
        return {
            "proxy": _("set HTTPS_PROXY with user and password before Slicer is started, or install from wheels"),
            "certificate": _("ask for your institution's certificate and set PIP_CERT to it, or install from wheels"),
            "disk": _("free 3 GB (6 GB with an NVIDIA GPU) and try again"),
            "permission": _("start Slicer as its owner, or install Slicer into a folder you can write to"),
            "conflict": _("uninstall the package that pip names, or use a Slicer without that extension"),
            "network": _("check the connection and try again; without internet, install from wheels"),
            "missing": _("check the connection and update Slicer; pip's last lines show what it looked for"),
            "unknown": _("pip's last lines give the reason"),
        }[self.kind] + _WHERE.get(self.kind, "")

    def _said(self):
        """Return pip's own last word about it."""
        errors = [line for line in self._lines if line.lstrip().upper().startswith("ERROR:")]
        matching = [line for line in errors if re.search(_PATTERNS.get(self.kind, "$^"), line)]
        line = (matching or errors or [""])[-1].strip()
        return line if len(line) <= MOST_CHARACTERS else f"{line[:MOST_CHARACTERS]} ..."


MOST_CHARACTERS = 240
_WHERE = dict.fromkeys(("proxy", "certificate", "network"), " (docs/installation.md)")
