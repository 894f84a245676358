"""The files of a case: which there are, what they are called in each layout, and how they appear as one."""
