"""What a command is asked, what it says it wrote, and the one rule for file names. Standard library only."""
