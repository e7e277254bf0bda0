"""How the learning rate changes over a run: a function of the step alone, so there is no state to resume."""

import math

_COSINE_END = 0.01
_STEP_SHARES = (0.5, 0.75)
_STEP_FACTOR = 0.1


def rate_factor(schedule: str, step: int, steps: int, warmup: int) -> float:
    """The share of the learning rate at `step` (from 0) of `steps`, in (0, 1].

    The first `warmup` steps rise linearly. "constant": 1 from there; "cosine": half a cosine down to 0.01 at the last
    step (Loshchilov and Hutter, ICLR 2017, eq. 5, without restarts); "step": 0.1 after half of all steps, 0.01 after
    three quarters.
    """
    if step < warmup:
        return (step + 1) / (warmup + 1)
    if schedule == "cosine":
        progress = (step - warmup) / max(1, steps - 1 - warmup)
        return _COSINE_END + (1.0 - _COSINE_END) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))
    if schedule == "step":
        return _STEP_FACTOR ** sum(step >= share * steps for share in _STEP_SHARES)
    return 1.0
