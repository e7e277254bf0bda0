"""Cars and vans as shapes in the view: parked ones are painted, driving ones drawn per frame."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.geometry import Float64Array
from vr.runtime.sim.paint import Bgr, Material
from vr.runtime.sim.stage import Climate, muted, shaded, vivid

Shape = tuple[Float64Array, Material]
_Outline = list[tuple[float, float]]

_ROUND = np.linspace(0.0, 2.0 * np.pi, 15)[:-1]
_TYRE, _UNDERSIDE, _PLATE = (22.0, 22.0, 24.0), (25.0, 25.0, 25.0), (225.0, 225.0, 225.0)
_REAR_LAMP, _HEAD_LAMP = (35.0, 30.0, 210.0), (215.0, 235.0, 240.0)
_AXLES = (0.19, 0.81)

# Side outlines, (along, up) of a vehicle 1 m long and 1 m high; the front points to +along.
_BODIES: dict[str, _Outline] = {
    "saloon": [(0, 0.2), (0, 0.6), (0.14, 0.66), (0.27, 1.0), (0.62, 1.0), (0.75, 0.68), (0.98, 0.55), (1, 0.2)],
    "hatch": [(0, 0.2), (0, 0.62), (0.07, 0.98), (0.55, 1.0), (0.72, 0.66), (0.97, 0.55), (1, 0.2)],
    "van": [(0, 0.15), (0, 0.98), (0.72, 1.0), (0.85, 0.62), (0.99, 0.5), (1, 0.15)],
    "pickup": [(0, 0.25), (0, 0.62), (0.38, 0.62), (0.4, 1.0), (0.62, 1.0), (0.74, 0.66), (0.98, 0.58), (1, 0.25)],
}
_WINDOWS: dict[str, _Outline] = {
    "saloon": [(0.19, 0.67), (0.29, 0.94), (0.60, 0.94), (0.71, 0.67)],
    "hatch": [(0.09, 0.66), (0.12, 0.93), (0.54, 0.93), (0.68, 0.66)],
    "van": [(0.56, 0.62), (0.56, 0.92), (0.72, 0.92), (0.81, 0.62)],
    "pickup": [(0.43, 0.66), (0.44, 0.93), (0.61, 0.93), (0.70, 0.66)],
}
_HEIGHT_M = {"saloon": 1.48, "hatch": 1.5, "van": 2.1, "pickup": 1.8}


def _box(left: float, right: float, low: float, high: float) -> _Outline:
    return [(left, low), (right, low), (right, high), (left, high)]


@dataclass(frozen=True)
class Car:
    """Size (m), looks and heats of a vehicle; `hot` is that of the parts its engine warms."""

    kind: str
    length: float
    width: float
    height: float
    paint: Bgr
    glass: Bgr
    body_heat: float
    glass_heat: float
    hot: float

    @staticmethod
    def random(rng: np.random.Generator, climate: Climate, driving: bool) -> "Car":
        """A random vehicle; one that drives has a warm engine and tyres."""
        kind = str(rng.choice(list(_BODIES)))
        body = float(rng.uniform(*climate.wall_heat))
        warm = driving or rng.random() < 0.25
        return Car(
            kind=kind,
            length=float(rng.uniform(4.0, 5.2)),
            width=float(rng.uniform(1.7, 1.95)),
            height=_HEIGHT_M[kind] * float(rng.uniform(0.92, 1.08)),
            paint=vivid(rng) if rng.random() < 0.3 else muted(rng, 20, 245, 0.15),
            glass=muted(rng, 15, 90, 0.2),
            body_heat=body,
            glass_heat=float(np.clip(body + rng.uniform(-60, 40), 10, 240)),
            hot=float(rng.uniform(170, 250)) if warm else body + float(rng.uniform(-20, 40)),
        )

    def across(self, x: float, z: float, to_right: bool) -> list[Shape]:
        """Shapes (n, 3) m, back to front, of the car from the side; (x, z) is the middle of its near side."""
        sign = 1.0 if to_right else -1.0

        def side(outline: ArrayLike, depth: float = 0.0) -> Float64Array:
            uv = np.asarray(outline, dtype=np.float64) * (self.length, self.height)
            along = x + sign * (uv[:, 0] - self.length / 2)
            return np.column_stack([along, uv[:, 1], np.full(len(uv), z + depth)])

        body = _BODIES[self.kind]
        shapes = self._sheets(side(body), side(body, self.width))
        shapes.append((side(_box(0.02, 0.98, 0.02, 0.3)), self._part(_UNDERSIDE, self.hot - 40)))
        shapes.append((side(body), self._part(self.paint, self.body_heat)))
        shapes.append((side(_box(0.0, 1.0, 0.2, 0.34)), self._part(shaded(self.paint, 0.75), self.body_heat + 12)))
        hood = [(0.76, 0.4), (0.76, 0.64), (0.96, 0.55), (0.98, 0.4)]
        shapes.append((side(hood), Material(None, 0.5 * (self.hot + self.body_heat))))
        shapes.append((side(_WINDOWS[self.kind]), self._part(self.glass, self.glass_heat)))
        shapes.append((side(_box(0.46, 0.485, 0.64, 0.95)), self._part(self.paint, self.body_heat)))
        shapes.append((side(_box(0.48, 0.485, 0.3, 0.62)), self._part(shaded(self.paint, 0.5), self.body_heat + 10)))
        shapes.append((side(_box(0.0, 0.04, 0.5, 0.6)), self._part(_REAR_LAMP, self.body_heat + 15)))
        shapes.append((side(_box(0.94, 0.985, 0.44, 0.53)), self._part(_HEAD_LAMP, self.body_heat + 25)))
        for axle in _AXLES:
            shapes += self._wheel(x + sign * (axle - 0.5) * self.length, z)
        return shapes

    def along(self, x: float, z: float, away: bool) -> list[Shape]:
        """Shapes (n, 3) m, back to front, of the car in line with the view; (x, z) is the middle of its near end.

        `away` shows its rear, otherwise its front.
        """
        seen_x = x + self.width / 2 if x < 0 else x - self.width / 2

        def side(outline: ArrayLike) -> Float64Array:
            uv = np.asarray(outline, dtype=np.float64) * (self.length, self.height)
            place = z + (uv[:, 0] if away else self.length - uv[:, 0])
            return np.column_stack([np.full(len(uv), seen_x), uv[:, 1], place])

        shapes = [(side(_BODIES[self.kind]), self._part(shaded(self.paint, 0.7), self.body_heat - 8))]
        shapes.append((side(_WINDOWS[self.kind]), self._part(shaded(self.glass, 0.8), self.glass_heat - 10)))
        tyre = self._part(_TYRE, 0.5 * self.hot + 0.5 * self.body_heat + 20)
        for axle in _AXLES:
            round_z = z + axle * self.length + 0.34 * np.cos(_ROUND)
            shapes.append(
                (np.column_stack([np.full(len(_ROUND), seen_x), 0.34 + 0.34 * np.sin(_ROUND), round_z]), tyre)
            )
        return shapes + self._end(x, z, away)

    def _sheets(self, near: Float64Array, far: Float64Array) -> list[Shape]:
        """Roof, hood and ends: one sheet between each edge of the near and of the far side."""
        sheet = self._part(shaded(self.paint, 0.62), self.body_heat - 12)
        pairs = zip(range(len(near)), [*range(1, len(near)), 0], strict=True)
        return [(np.array([near[a], near[b], far[b], far[a]]), sheet) for a, b in pairs]

    def _wheel(self, x: float, z: float) -> list[Shape]:
        radius = 0.33 if self.height < 1.7 else 0.39
        circle = np.column_stack([np.cos(_ROUND), np.sin(_ROUND), np.zeros(len(_ROUND))])
        centre = np.array([x, radius, z - 0.01])
        tyre = self._part(_TYRE, 0.6 * self.hot + 0.4 * self.body_heat + 15)
        return [
            (centre + circle * radius, tyre),
            (centre + circle * radius * 0.6, self._part((150.0, 150.0, 155.0), self.body_heat - 15)),
        ]

    def _end(self, x: float, z: float, away: bool) -> list[Shape]:
        """Rear or front: roof, window, wheels, body, lamps, plate and bumper."""
        slope, roof = (0.14 if away else 0.27) * self.length, 0.35 * self.length
        top = 0.67

        def face(outline: ArrayLike, depth: ArrayLike) -> Float64Array:
            uv = np.asarray(outline, dtype=np.float64) * (self.width / 2, self.height)
            return np.column_stack([x + uv[:, 0], uv[:, 1], np.broadcast_to(z + np.asarray(depth), len(uv))])

        leaning, body = [0.05, 0.05, slope, slope], self.body_heat
        grille = body + (10 if away else 0.5 * (self.hot - body))
        shapes = [
            (
                face(_box(-top, top, 1.0, 1.0), [slope, slope, slope + roof, slope + roof]),
                self._part(self.paint, body - 20),
            ),
            (face([(-0.97, 0.6), (0.97, 0.6), (top, 1.0), (-top, 1.0)], leaning), self._part(self.paint, body)),
            (
                face([(-0.86, 0.65), (0.86, 0.65), (0.6, 0.95), (-0.6, 0.95)], leaning),
                self._part(self.glass, self.glass_heat),
            ),
            (face(_box(-1.0, 1.0, 0.0, 0.22), 0.1), self._part(_UNDERSIDE, self.hot - 20)),
            *((face(_box(u, u + 0.27, 0.0, 0.3), 0.0), self._part(_TYRE, self.hot)) for u in (-0.95, 0.68)),
            (face(_box(-1.0, 1.0, 0.17, 0.62), 0.0), self._part(self.paint, body)),
            (face(_box(-0.6, 0.6, 0.32, 0.45), -0.01), self._part(shaded(self.paint, 0.6), grille)),
            (face(_box(-0.26, 0.26, 0.33, 0.41), -0.02), self._part(_PLATE, body - 20)),
            (face(_box(-1.0, 1.0, 0.16, 0.24), -0.02), self._part(shaded(self.paint, 0.45), body + 8)),
        ]
        lamp = self._part(_REAR_LAMP if away else _HEAD_LAMP, body + 25)
        return shapes + [(face(_box(u, u + 0.29, 0.44, 0.55), -0.02), lamp) for u in (-0.95, 0.66)]

    @staticmethod
    def _part(bgr: Bgr, heat: float) -> Material:
        return Material(bgr, min(max(heat, 5.0), 250.0))
