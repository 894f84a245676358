"""Long work in steps, done in one go by scripts."""


def doAll(steps):
    """Do all steps of work that windows do piece by piece, and return what it returns."""
    returned = []

    def doing():
        returned.append((yield from steps))

    for _done in doing():
        pass
    return returned[0]
