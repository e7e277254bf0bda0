"""What is known beforehand of how two cameras move against each other: the priors of `--rig`."""

from dataclasses import dataclass

from vr.runtime.errors import InputError


@dataclass(frozen=True)
class RigPrior:
    """How long what was seen stays true; used as `vr.runtime.temporal` says.

    memory_s: time constant of the long memory, for a transform that stays as it is.
    recent_s: time constant of the short one, for a transform that moves.
    hold_s: how long a transform is shown without an estimate that supports it.
    relock_s: how long estimates elsewhere must agree until they are believed.
    gate_frames: smallest and largest distance, in frame sides, up to which an estimate belongs to a transform.
    """

    memory_s: float
    recent_s: float
    hold_s: float
    relock_s: float
    gate_frames: tuple[float, float]


RIGS: dict[str, RigPrior] = {
    "fixed": RigPrior(memory_s=30.0, recent_s=0.8, hold_s=60.0, relock_s=0.5, gate_frames=(0.01, 0.05)),
    "moving": RigPrior(memory_s=1.5, recent_s=0.3, hold_s=5.0, relock_s=0.3, gate_frames=(0.02, 0.08)),
    "free": RigPrior(memory_s=0.05, recent_s=0.01, hold_s=0.5, relock_s=0.1, gate_frames=(0.03, 0.10)),
}
"""fixed: bolted together; drifts by warmth and parallax. moving: zooms, shakes, or hangs loosely. free: each camera
moves on its own, so nearly every frame stands alone.
"""
DEFAULT_RIG = "fixed"


def rig_prior(name: str) -> RigPrior:
    """The prior of that name. Raises InputError for an unknown one."""
    if name not in RIGS:
        raise InputError(f"unknown rig {name!r}; expected one of {', '.join(RIGS)}")
    return RIGS[name]
