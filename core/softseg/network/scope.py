"""Over what the last activation of SoftSeg takes its maximum."""

from __future__ import annotations

from typing import Literal

Scope = Literal["sample", "batch", "volume"]
"""Over what :class:`~softseg.network.NormReLU` takes its maximum."""
