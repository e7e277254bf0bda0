"""How much later one camera's clock is than the other's, from when and where things move in each."""

from vr.runtime.time_offset.following import OffsetState
from vr.runtime.time_offset.online import OffsetEstimator

__all__ = ["OffsetEstimator", "OffsetState"]
