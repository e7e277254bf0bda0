"""Bringing frames of two cameras together that were taken at nearly the same time."""

from collections.abc import Callable

from vr.runtime.errors import InputError
from vr.runtime.pairing.base import Alone, Pair, Pairing, PairingCounts
from vr.runtime.pairing.live import LivePairing
from vr.runtime.pairing.played import LoopedPairing, PacedPairing
from vr.runtime.pairing.recorded import RecordedPairing
from vr.runtime.pairing.rule import BETWEEN, Between, TimeRule, parse_ms
from vr.runtime.sources.base import LiveSource, Source

__all__ = [
    "BETWEEN",
    "Alone",
    "Between",
    "LoopedPairing",
    "PacedPairing",
    "Pair",
    "Pairing",
    "PairingCounts",
    "TimeRule",
    "pair_sources",
    "parse_ms",
]


def pair_sources(
    ir: Source, rgb: Source, rule: TimeRule | None = None, offset_ms: Callable[[], float] | None = None
) -> Pairing:
    """Pairs two sources: without loss if both are recordings, by the newest frames if both are cameras.

    offset_ms: of cameras, asked for before every pair; None: that of the rule. Raises InputError for one camera and one
    recording, whose times have nothing in common, and what `TimeRule.check` raises.
    """
    rule = rule or TimeRule()
    rule.check()
    if isinstance(ir, LiveSource) and isinstance(rgb, LiveSource):
        return LivePairing(ir, rgb, rule, offset_ms)
    if ir.live or rgb.live:
        raise InputError(f"{ir.name} and {rgb.name}: a camera cannot be paired with a recording; give two of a kind")
    return RecordedPairing(ir, rgb, rule)
