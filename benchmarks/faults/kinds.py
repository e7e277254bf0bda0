"""The kinds of fault, how long each lasts, on which transport there is such a thing, and what the run should count."""

from collections.abc import Callable
from dataclasses import dataclass

LIVE = ("http", "rtsp", "pipe")
TRANSPORTS = (*LIVE, "file")
FILE_SUFFIX = ".ts"
Counts = dict[str, int]


@dataclass(frozen=True)
class Expected:
    """What the run's own counts of the camera must say. text: for people. holds: counts, injected, number of faults."""

    text: str
    holds: Callable[[Counts, int, int], bool]


def _quiet(counts: Counts, _injected: int, _times: int) -> bool:
    return counts["reconnects"] == counts["stalls"] == counts["breaks"] == 0


UNDISTURBED = Expected("no reconnect", _quiet)


@dataclass(frozen=True)
class Kind:
    """name: of the row. fault: what the bench calls it. what: for people. expected: by transport, "" for all others."""

    name: str
    fault: str
    duration_s: float
    what: str
    transports: tuple[str, ...]
    expected: dict[str, Expected]


_HALVES = Expected("decode errors = injected", lambda c, injected, _times: c["decode_errors"] == injected)
_LOST_HALVES = Expected("decode errors >= faults", lambda c, _injected, times: c["decode_errors"] >= times)
_NOTICED = Expected("errors or breaks >= 1", lambda c, _injected, _times: c["decode_errors"] + c["breaks"] >= 1)
_CHANGES = Expected("changes = 2 x faults", lambda c, _injected, times: c["changes"] == 2 * times)
_STALLS = Expected(
    "stalls = faults, reconnects >= faults",
    lambda c, _injected, times: c["stalls"] == times and c["reconnects"] >= times,
)
_CUTS = Expected(
    "reconnects = faults, breaks >= faults",
    lambda c, _injected, times: c["reconnects"] == times and c["breaks"] >= times,
)
_ANY = Expected("", lambda _counts, _injected, _times: True)

KINDS = (
    Kind("stall", "stall", 5.0, "the connection stays, nothing comes for 5 s", LIVE, {"": _STALLS}),
    Kind("hiccup", "stall", 1.5, "nothing for 1.5 s, then all that was held up", LIVE, {"": UNDISTURBED}),
    Kind("cut", "cut", 2.0, "connection closed, refused for 2 s", LIVE, {"": _CUTS}),
    Kind("garbage", "garbage", 1.0, "random bytes between the others, every 0.2 s", TRANSPORTS, {"": _NOTICED}),
    Kind(
        *("half", "half", 1.5, "the end of every third picture is lost", TRANSPORTS),
        {"": _LOST_HALVES, "http": _HALVES},
    ),
    Kind("resolution", "resolution", 1.5, "160x120 and back", TRANSPORTS, {"": _CHANGES, "file": _ANY}),
    Kind("rate", "rate", 2.0, "30 to 10 to 30 pictures per second", TRANSPORTS, {"": UNDISTURBED}),
    Kind("clock", "clock", 1.5, "timestamps jump by +1 h or -10 s, and back", ("rtsp",), {"": UNDISTURBED}),
    Kind("duplicate", "duplicate", 1.5, "every picture twice", TRANSPORTS, {"": UNDISTURBED}),
    Kind("reorder", "reorder", 1.5, "every sixth picture three pictures late", TRANSPORTS, {"": UNDISTURBED}),
    Kind("hz9", "hz9", 2.0, "30 to 9 to 30 pictures per second", TRANSPORTS, {"": UNDISTURBED}),
    Kind("freeze", "freeze", 2.0, "the same picture again and again", TRANSPORTS, {"": UNDISTURBED}),
    Kind("slow", "slow", 3.0, "10 kB/s", LIVE, {"": _ANY}),
)
BY_NAME = {kind.name: kind for kind in KINDS}
