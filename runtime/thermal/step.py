"""Conditioning as a step of a source (`vr.runtime.sources.base.Step`)."""

from dataclasses import replace

from vr.runtime.sources.base import Stamped, Step
from vr.runtime.thermal.conditioner import ThermalConditioner


def conditioning(conditioner: ThermalConditioner) -> Step:
    """Gives every frame to `conditioner`: its frame becomes 8 bit, and `hot_spot` and `raw` are filled in."""

    def step(stamped: Stamped) -> Stamped:
        found = conditioner(stamped.frame, stamped.time_s)
        return replace(stamped, frame=found.frame8, hot_spot=found.hot_spot, raw=found.raw)

    return step
