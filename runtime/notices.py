"""What is wrong with a run right now, for the picture and for machines."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """One trouble that lasts.

    what: in lower case, fixed words that programs may compare, for example `ir lost`.
    since_s: how long it has lasted, seconds.
    """

    what: str
    since_s: float

    @property
    def text(self) -> str:
        """For people: `IR LOST 12 s`."""
        return f"{self.what.upper()} {self.since_s:.0f} s"
