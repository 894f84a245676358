"""``python -m softseg`` is the command ``softseg``."""

from softseg.cli import main

if __name__ == "__main__":
    main()
