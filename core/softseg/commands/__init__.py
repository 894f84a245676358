"""The commands of ``softseg``, one file each: they read options, call the packages and print."""
