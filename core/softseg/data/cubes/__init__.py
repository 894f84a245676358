"""Cubes: images of many bands in one file, and how they become network input."""

from __future__ import annotations

from softseg.data.cubes.address import file_of, split_address
from softseg.data.cubes.cube import ChannelImage, Cube
from softseg.data.cubes.reading import CHANNEL_SUFFIXES, channel_files, read_channel, read_label_map

__all__ = [
    "CHANNEL_SUFFIXES",
    "ChannelImage",
    "Cube",
    "channel_files",
    "file_of",
    "read_channel",
    "read_label_map",
    "split_address",
]
