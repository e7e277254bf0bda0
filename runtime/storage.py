"""How long outputs are kept, and how large they grow."""

import math
import re
from dataclasses import dataclass

from vr.runtime.errors import InputError

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "MB": 1e6, "GB": 1e9}
_LEAST = {"s": 1.0, "MB": 1e6}


@dataclass(frozen=True)
class SegmentLimit:
    """A segment ends with the first picture at which one of the two is reached."""

    duration_s: float = math.inf
    size_bytes: float = math.inf

    @staticmethod
    def parse(text: str) -> "SegmentLimit":
        """Of `90s`, `10m`, `1h`, `1d`, `500MB` or `2GB`. Raises InputError."""
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|h|d|MB|GB)", text.strip())
        amount = 0.0 if found is None else float(found[1]) * _UNITS[found[2]]
        is_size = found is not None and found[2].endswith("B")
        if amount < _LEAST["MB" if is_size else "s"]:
            raise InputError(
                f"--segment is {text!r}; expected a duration such as 90s, 10m or 1h, or a size such as 500MB or 2GB "
                "(1s and 1MB at least)"
            )
        return SegmentLimit(size_bytes=amount) if is_size else SegmentLimit(duration_s=amount)


@dataclass(frozen=True)
class StorageOptions:
    """Of recordings and transforms; `vr.runtime.options` says what each field means."""

    segment: str | None = None
    keep_days: float | None = None
    keep_gb: float | None = None
    keep_free_mb: float = 200.0
    transforms_max_mb: float | None = None
    transforms_keep: int = 5

    def check(self) -> None:
        """Raises InputError for a segment that is none, and for what is kept of segments where there are none."""
        if self.segment is not None:
            SegmentLimit.parse(self.segment)
        for flag, value in (("--keep-days", self.keep_days), ("--keep-gb", self.keep_gb)):
            if value is not None and self.segment is None:
                raise InputError(f"{flag} deletes old segments and needs --segment, for example --segment 1h")
