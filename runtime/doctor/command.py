"""`vr-live doctor`: the command line of the checks."""


def doctor() -> None:
    """Says what works on this machine, what does not, and what to do about it."""
