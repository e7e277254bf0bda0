"""A simulated network over a simulated rig: estimates around a known transform, as wrong as their information says."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from vr.runtime.geometry import compose, grid_error_px, theta_to_matrix
from vr.runtime.rigs import RIGS
from vr.runtime.temporal import Fused, ThetaFilter

TRUTH = np.array([[1.02, 0.03, 0.05], [-0.02, 0.95, -0.04]])
FRAME_HW = (240, 320)
SHIFT_PX = 2.0 / 320
"""What one pixel of shift in x is in normalised coordinates."""


@dataclass(frozen=True)
class Answer:
    """One answer of the network, or a refusal (theta None)."""

    theta: np.ndarray | None
    confidence: float = 0.95
    information: np.ndarray | None = None


def shifted(theta: np.ndarray, x_px: float, y_px: float = 0.0) -> np.ndarray:
    """The transform with its IR point moved by so many pixels of a frame of 320x240."""
    return theta + np.array([[0.0, 0.0, x_px * SHIFT_PX], [0.0, 0.0, y_px * SHIFT_PX * 320 / 240]])


def error_px(theta: np.ndarray, truth: np.ndarray) -> float:
    """Mean distance over the frame at 320x240."""
    return grid_error_px(
        theta_to_matrix(theta, FRAME_HW, FRAME_HW), theta_to_matrix(truth, FRAME_HW, FRAME_HW), FRAME_HW
    )


def edges(rng: np.random.Generator, angles: Iterable[float], count: int = 200) -> np.ndarray:
    """Information (6, 6) of edges with normals at these angles (rad) at random points of the fixed frame."""
    points = np.column_stack([rng.uniform(-1.0, 1.0, (count, 2)), np.ones(count)])
    angle = rng.choice(np.array(list(angles)), count)
    rows = np.column_stack([np.cos(angle)[:, None] * points, np.sin(angle)[:, None] * points])
    return rows.T @ rows


def answer(
    rng: np.random.Generator, truth: np.ndarray, noise_px: float, information: np.ndarray | None = None
) -> Answer:
    """An estimate off by `noise_px` rms over the frame where all directions are known alike; with `information`
    (6, 6), off by as much more in a direction as it says less there.
    """
    if information is None:
        spread = np.array([3.0, 3.0, 1.0, 3.0, 3.0, 1.0])
        deviation = rng.normal(0.0, 1.0, 6) * np.sqrt(spread / 6.0) * noise_px * SHIFT_PX
        return Answer(truth + deviation.reshape(2, 3))
    covariance = np.linalg.inv(information + 1e-4 * np.trace(information) / 6.0 * np.eye(6))
    covariance *= (noise_px * SHIFT_PX) ** 2 * np.trace(information) / 6.0
    step = rng.multivariate_normal(np.zeros(6), covariance).reshape(2, 3)
    return Answer(compose(truth, np.eye(2, 3) + step), information=information)


def wrong(rng: np.random.Generator, truth: np.ndarray = TRUTH) -> Answer:
    """A confident answer from somewhere else, a different one every time: 10 to 120 px off."""
    angle, distance = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(10.0, 120.0)
    theta = shifted(truth, distance * np.cos(angle), distance * np.sin(angle))
    return Answer(theta + np.column_stack([rng.normal(0.0, 0.05, (2, 2)), np.zeros(2)]), rng.uniform(0.6, 0.98))


@dataclass
class Watched:
    """A filter with a clock, and what it showed."""

    rig: str = "fixed"
    fps: float = 30.0
    shown: list[Fused] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._filter = ThetaFilter(RIGS[self.rig])

    def see(self, one: Answer) -> Fused:
        """The next frame."""
        time_s = len(self.shown) / self.fps
        self.shown.append(self._filter.update(one.theta, one.confidence, one.information, time_s))
        return self.shown[-1]

    def watch(self, seconds: float, answers: Callable[[int], Answer]) -> list[Fused]:
        """The next seconds; `answers` gets the number of the frame among them."""
        return [self.see(answers(i)) for i in range(round(seconds * self.fps))]


def theta_of(fused: Fused) -> np.ndarray:
    """The transform of a frame that is not refused."""
    assert fused.transform is not None
    return np.asarray(fused.transform)


def errors_px(shown: list[Fused], truth: np.ndarray) -> np.ndarray:
    """Error of every frame; infinite where refused."""
    return np.array([np.inf if one.transform is None else error_px(one.transform, truth) for one in shown])


def jitter_px(shown: list[Fused]) -> float:
    """RMS frame-to-frame movement of the four corners at 320x240."""
    corners = np.array([[-1.0, -1.0, 1.0], [1.0, -1.0, 1.0], [-1.0, 1.0, 1.0], [1.0, 1.0, 1.0]])
    steps = np.diff(np.array([theta_of(one) for one in shown]), axis=0)
    moved = np.einsum("nij,cj->nci", steps, corners) * np.array([160.0, 120.0])
    return float(np.sqrt((moved**2).sum(axis=2).mean()))
