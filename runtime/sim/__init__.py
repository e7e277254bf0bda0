"""A generated scene with people, seen by two simulated cameras with a known misalignment.

No evidence of accuracy on real cameras: the scene is flat, drawn, and sees no parallax.
"""

from vr.runtime.sim.misalignment import DEFAULT_MISALIGNMENT, affine_theta, random_misalignment
from vr.runtime.sim.simulator import Simulator

__all__ = ["DEFAULT_MISALIGNMENT", "Simulator", "affine_theta", "random_misalignment"]
