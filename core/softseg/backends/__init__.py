"""What computes a network: one small interface, and a module for each library that can.

Everything around a network (preparation, windows, sums, resampling, the soft parcellation) is numpy's. A library is
loaded when a network of its kind is, never before.
"""

from softseg.backends.base import Backend, Kind, Outputs, Region

__all__ = ["Backend", "Kind", "Outputs", "Region"]
