"""Where the simulated cameras stand to each other: named, random and slowly drifting transforms."""

from dataclasses import dataclass

import numpy as np

from vr.runtime.geometry import Float64Array, SizeHw

_ASPECT = 4.0 / 3.0


def affine_theta(
    shift_xy: tuple[float, float], rotation_deg: float, scale_xy: tuple[float, float], shear_deg: float
) -> Float64Array:
    """A (2, 3) theta (RGB to IR, normalised coordinates) that scales, shears and turns about the centre, then shifts.

    `shift_xy` is a fraction of the frame's width and height; positive angles turn x towards y (clockwise as seen). The
    angles are exact for frames of 4:3: theta knows no pixels, so for other shapes a turn comes with a little shear.
    """
    turn, lean = np.deg2rad(rotation_deg), np.tan(np.deg2rad(shear_deg))
    aspect = np.diag([_ASPECT, 1.0])
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    linear = rotation @ np.array([[1.0, lean], [0.0, 1.0]]) @ np.diag(scale_xy)
    linear = np.linalg.inv(aspect) @ linear @ aspect
    return np.column_stack([linear, 2.0 * np.asarray(shift_xy, dtype=np.float64)])


def random_misalignment(
    rng: np.random.Generator,
    shift: float = 0.15,
    rotation_deg: float = 15.0,
    scale: tuple[float, float] = (0.7, 1.4),
    shear_deg: float = 5.0,
) -> Float64Array:
    """A random (2, 3) theta (RGB to IR, normalised coordinates), for training and tests.

    Each of these is uniform and independent: shift in x and y within +-`shift` of the frame's width and height,
    rotation within +-`rotation_deg`, shear within +-`shear_deg`. The scale (IR pixels per RGB pixel for frames of the
    same size; below 1 the IR camera sees more) is log-uniform within `scale`, and differs by up to 5 % between x and y.
    """
    size = scale[0] * (scale[1] / scale[0]) ** rng.random()
    stretch = float(np.exp(rng.uniform(-0.025, 0.025)))
    return affine_theta(
        (float(rng.uniform(-shift, shift)), float(rng.uniform(-shift, shift))),
        float(rng.uniform(-rotation_deg, rotation_deg)),
        (size * stretch, size / stretch),
        float(rng.uniform(-shear_deg, shear_deg)),
    )


DEFAULT_MISALIGNMENT = affine_theta((0.07, -0.045), 4.0, (0.925, 0.915), 1.2)
DEFAULT_MISALIGNMENT.flags.writeable = False


@dataclass(frozen=True)
class Drift:
    """Slow sinusoids, (4,) each, of a loose rig's shift x, shift y (fractions of the frame), turn (rad) and growth."""

    amplitudes: Float64Array
    periods_s: Float64Array
    phases: Float64Array

    @staticmethod
    def random(rng: np.random.Generator, speed_px_s: float, ir_hw: SizeHw) -> "Drift":
        """Periods of 18 to 40 s, and amplitudes for an rms speed over time and frame of `speed_px_s` IR pixels.

        The four motions are independent, so each gets half of the rms speed; turn and growth move a point by its
        distance from the centre, sqrt((w^2 + h^2) / 12) rms over the frame.
        """
        h, w = ir_hw
        periods_s = rng.uniform(18.0, 40.0, 4)
        px_per_unit = np.array([w, h, *[np.sqrt((w * w + h * h) / 12.0)] * 2])
        amplitudes_px = np.sqrt(2.0) * (speed_px_s / 2.0) * periods_s / (2.0 * np.pi)
        return Drift(amplitudes_px / px_per_unit, periods_s, rng.uniform(0.0, 2.0 * np.pi, 4))

    def theta_at(self, time_s: float) -> Float64Array:
        """The (2, 3) theta to apply after the misalignment; identity at time 0."""
        angle = 2.0 * np.pi * time_s / self.periods_s + self.phases
        return _drift_theta(self.amplitudes * (np.sin(angle) - np.sin(self.phases)))

    def extremes(self) -> list[Float64Array]:
        """The 16 thetas at the corners of what the sinusoids can reach."""
        low = self.amplitudes * (-1.0 - np.sin(self.phases))
        high = self.amplitudes * (1.0 - np.sin(self.phases))
        corners = np.array([[(k >> bit) & 1 for bit in range(4)] for k in range(16)], dtype=bool)
        return [_drift_theta(np.where(corner, high, low)) for corner in corners]


def _drift_theta(values: Float64Array) -> Float64Array:
    x, y, turn_rad, growth = (float(v) for v in values)
    return affine_theta((x, y), float(np.rad2deg(turn_rad)), (1.0 + growth, 1.0 + growth), 0.0)
