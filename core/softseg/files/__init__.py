"""Writing results: complete or absent under their name, after any kill and after power loss; one owner for all files.

What is written lies first in a staging folder (``.unfinished-...``) beside its final place. When it is complete it is
synced to the disk and renamed. Where several files belong together, a journal in the staging folder is the moment of
the commit: a process that is killed between two renames leaves a journal that the next start carries out
(:func:`settle`). A staging folder without a journal is swept at the next start, unless its process still lives.
"""

from softseg.files.links import (
    exists,
    is_file,
    is_folder,
    leaves_folder,
    require_file,
    require_inside,
    what_stands_there,
)
from softseg.files.reading import read_json_object
from softseg.files.recovery import finish_abandoned, settle
from softseg.files.scratch import ScratchFolder, nameless_file, scratch_beside, temporary_folder
from softseg.files.staging import remove_unfinished
from softseg.files.writing import (
    require_writable_folder,
    write_beside,
    write_folder_beside,
    write_together,
)

__all__ = [
    "ScratchFolder",
    "exists",
    "finish_abandoned",
    "is_file",
    "is_folder",
    "leaves_folder",
    "nameless_file",
    "read_json_object",
    "remove_unfinished",
    "require_file",
    "require_inside",
    "require_writable_folder",
    "scratch_beside",
    "settle",
    "temporary_folder",
    "what_stands_there",
    "write_beside",
    "write_folder_beside",
    "write_together",
]
