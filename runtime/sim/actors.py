"""What moves over the static scene: how it is drawn per frame, and the cars among it; people have their own module."""

from dataclasses import dataclass
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime.geometry import Float64Array
from vr.runtime.sim.paint import Bgr, Float32Array, Material, Uint8Array, fixed_point
from vr.runtime.sim.stage import Climate
from vr.runtime.sim.vehicles import Car
from vr.runtime.sim.view import View, ground_shadow


@dataclass
class Patch:
    """The part of the canvases around one moving thing, drawn into before it is laid over the scene."""

    left_px: int
    top_px: int
    bgr: Uint8Array
    heat: Uint8Array
    cover: Uint8Array
    light_bgr: Float32Array

    @staticmethod
    def over(left_top: tuple[int, int], bgr: Uint8Array, heat: Uint8Array, light_bgr: Float32Array) -> "Patch":
        """A copy of the scene under the thing; `light_bgr` (3,) is the light that falls on it."""
        return Patch(*left_top, bgr.copy(), heat.copy(), np.zeros(heat.shape, np.uint8), light_bgr)

    def fill(self, outline_xy: ArrayLike, bgr: Bgr | None, heat: float | None, lit: bool = True) -> None:
        """Fills an outline (n, 2), canvas px; `lit` is False for what shines by itself."""
        points = [fixed_point(np.asarray(outline_xy) - (self.left_px, self.top_px))]
        if bgr is not None:
            b, g, r = (float(v * k) for v, k in zip(bgr, self.light_bgr, strict=True)) if lit else bgr
            cv2.fillPoly(self.bgr, points, (b, g, r), cv2.LINE_AA, 4)
        if heat is not None:
            cv2.fillPoly(self.heat, points, (heat,), cv2.LINE_AA, 4)
        cv2.fillPoly(self.cover, points, (255,), cv2.LINE_AA, 4)

    def add_texture(self, noise: NDArray[np.int16]) -> None:
        """Gives the drawn part some of the scene's grain, in both pictures."""
        solid = (self.cover > 200).astype(np.uint8)
        self.heat = cv2.add(self.heat, noise, mask=solid, dst=self.heat.copy(), dtype=cv2.CV_8U)  # type: ignore[assignment]

    def lay_over(
        self, bgr: Uint8Array, heat: Uint8Array, person: Uint8Array, seen: NDArray[np.bool_], is_person: bool
    ) -> None:
        """Copies what is drawn and `seen` (h, w) back into the scene, and the cover into the person canvas."""
        if not seen.all():
            self.cover[~seen] = 0
        cv2.copyTo(self.bgr, self.cover, bgr)
        cv2.copyTo(self.heat, self.cover, heat)
        if is_person:
            np.maximum(person, self.cover, out=person)
        else:
            np.minimum(person, 255 - self.cover, out=person)


class Actor(Protocol):
    """Something that moves."""

    @property
    def is_person(self) -> bool:
        """Whether it belongs into the person mask."""
        ...

    def shadow(self, sun_xz: tuple[float, float], time_s: float) -> Float64Array:
        """Outline (n, 3) m of its shadow on the ground; a metre of height throws it by `sun_xz` m."""
        ...

    def place(self, view: View, time_s: float) -> tuple[float, tuple[int, int, int, int]]:
        """Distance (m) and box (left, top, right, bottom) px at a time."""
        ...

    def draw(self, patch: Patch, view: View, time_s: float) -> None:
        """Draws it into a patch that covers its box."""
        ...


@dataclass(frozen=True)
class Driver:
    """A car that drives across the view, or along it, and starts again at the other end."""

    car: Car
    start_xz: tuple[float, float]
    end_xz: tuple[float, float]
    speed_m_s: float
    phase: float
    along: bool
    is_person: bool = False

    def shadow(self, sun_xz: tuple[float, float], time_s: float) -> Float64Array:
        """Outline (4, 3) m of the shadow on the ground."""
        x, z = self.at(time_s)
        half = self.car.width / 2 if self.along else self.car.length / 2
        return ground_shadow(x, z + (0.5 * self.car.length if self.along else 0.9), half, self.car.height, sun_xz)

    def at(self, time_s: float) -> tuple[float, float]:
        """Position x, z (m)."""
        a, b = np.asarray(self.start_xz), np.asarray(self.end_xz)
        length = float(np.linalg.norm(b - a))
        x, z = a + ((self.phase + self.speed_m_s * time_s / length) % 1.0) * (b - a)
        return float(x), float(z)

    def place(self, view: View, time_s: float) -> tuple[float, tuple[int, int, int, int]]:
        """Distance (m) and box (left, top, right, bottom) px at a time."""
        points = np.vstack([view.project(outline) for outline, _ in self._shapes(time_s)])
        left, top = np.floor(points.min(axis=0)) - 2
        right, bottom = np.ceil(points.max(axis=0)) + 3
        return self.at(time_s)[1], (int(left), int(top), int(right), int(bottom))

    def draw(self, patch: Patch, view: View, time_s: float) -> None:
        """Draws the car into a patch."""
        for outline, material in self._shapes(time_s):
            patch.fill(view.project(outline), material.bgr, material.heat)

    def _shapes(self, time_s: float) -> list[tuple[Float64Array, Material]]:
        x, z = self.at(time_s)
        if self.along:
            return self.car.along(x, z, self.end_xz[1] > self.start_xz[1])
        return self.car.across(x, z, self.end_xz[0] > self.start_xz[0])


def random_driver(rng: np.random.Generator, view: View, climate: Climate, along: bool) -> Driver:
    """A car on the road of a street along the view, or across it."""
    car = Car.random(rng, climate, driving=True)
    if along:
        away = rng.random() < 0.5
        lane = float(rng.uniform(1.0, 2.2)) * (1.0 if away else -1.0)
        ends = [(lane, float(rng.uniform(5.0, 9.0))), (lane, 90.0)]
    else:
        z = float(rng.uniform(6.0, 14.0))
        reach = 0.75 * view.width_px / view.px_per_m(z) + car.length
        centre = view.x_at(view.left_px + view.width_px / 2, z)
        ends = [(centre - reach, z), (centre + reach, z)]
        away = rng.random() < 0.5
    start, end = ends if away else ends[::-1]
    return Driver(car, start, end, float(rng.uniform(4.0, 11.0)), float(rng.random()), along)
