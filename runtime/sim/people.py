"""Walking people: clothed in the colour picture, warm in the heat picture."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.geometry import Float64Array
from vr.runtime.sim.actors import Patch
from vr.runtime.sim.paint import Bgr
from vr.runtime.sim.stage import Climate, log_uniform, muted, vivid
from vr.runtime.sim.view import View, ground_shadow

_ANGLES = np.linspace(0.0, 2.0 * np.pi, 13)[:-1]
_CIRCLE = np.column_stack([np.cos(_ANGLES), np.sin(_ANGLES)])


def by(point_xy: Float64Array, x_px: float, y_px: float) -> Float64Array:
    """A point (2,) moved by some pixels."""
    return point_xy + np.array([x_px, y_px])


def limb(start_xy: ArrayLike, end_xy: ArrayLike, start_radius: float, end_radius: float) -> Float64Array:
    """Outline (n, 2) of a tapered limb: the hull of two circles."""
    circles = [np.asarray(start_xy) + _CIRCLE * start_radius, np.asarray(end_xy) + _CIRCLE * end_radius]
    hull = cv2.convexHull(np.vstack(circles).astype(np.float32))
    return hull[:, 0].astype(np.float64)


def ellipse(centre_xy: ArrayLike, radii_xy: ArrayLike) -> Float64Array:
    """Outline (12, 2) of an upright ellipse."""
    return np.asarray(centre_xy) + _CIRCLE * np.asarray(radii_xy)


@dataclass(frozen=True)
class Path:
    """Back and forth between two ground points (x, z) m at `speed_m_s`, `phase` 0 to 1 into the round at time 0."""

    start_xz: tuple[float, float]
    end_xz: tuple[float, float]
    speed_m_s: float
    phase: float

    def at(self, time_s: float) -> tuple[float, float, float, float]:
        """Position x, z (m), lateral heading (-1 to 1), and the distance walked (m)."""
        a, b = np.asarray(self.start_xz), np.asarray(self.end_xz)
        length = max(float(np.linalg.norm(b - a)), 1e-6)
        walked = self.speed_m_s * time_s + self.phase * 2.0 * length
        turn = (walked / length) % 2.0
        along, sign = (turn, 1.0) if turn < 1.0 else (2.0 - turn, -1.0)
        x, z = a + along * (b - a)
        return float(x), float(z), sign * float((b - a)[0]) / length, walked


@dataclass(frozen=True)
class Clothes:
    """Colours and heat of the parts of a person."""

    skin: Bgr
    hair: Bgr
    top: Bgr
    sleeve: Bgr
    legs: Bgr
    shoes: Bgr
    skin_heat: float
    hair_heat: float
    top_heat: float
    legs_heat: float
    shoes_heat: float
    stripes: int


@dataclass(frozen=True)
class Person:
    """A walking person; `is_person` puts it into the person mask."""

    path: Path
    height_m: float
    build: float
    clothes: Clothes
    carries: str = ""
    is_person: bool = True

    def shadow(self, sun_xz: tuple[float, float], time_s: float) -> Float64Array:
        """Outline (4, 3) m of the shadow on the ground."""
        x, z, _, _ = self.path.at(time_s)
        return ground_shadow(x, z, 0.17, self.height_m, sun_xz)

    def place(self, view: View, time_s: float) -> tuple[float, tuple[int, int, int, int]]:
        """Distance (m) and box (left, top, right, bottom) px at a time."""
        x, z, _, _ = self.path.at(time_s)
        s = view.px_per_m(z)
        foot = view.project((x, 0.0, z))
        half = 0.55 * self.height_m * s
        top = foot[1] - 1.08 * self.height_m * s
        return z, (int(foot[0] - half), int(top), int(foot[0] + half) + 1, int(foot[1] + 0.06 * s) + 2)

    def draw(self, patch: Patch, view: View, time_s: float) -> None:
        """Draws the person into a patch."""
        x, z, heading, walked = self.path.at(time_s)
        h = self.height_m * view.px_per_m(z)
        foot = view.project((x, 0.0, z))
        swing = float(np.sin(2.0 * np.pi * walked / (0.85 * self.height_m)))
        side = max(abs(heading), 0.25) * (1.0 if heading >= 0 else -1.0)
        bob = 0.012 * h * abs(swing)
        hip = by(foot, 0.0, -0.50 * h + bob)
        neck = by(foot, 0.0, -0.83 * h + bob)
        self._legs(patch, hip, foot, h, swing, side)
        self._arm(patch, neck, h, -swing, side)
        self._trunk(patch, hip, neck, h, side)
        self._extra(patch, hip, neck, h, side)
        self._arm(patch, neck, h, swing, side)

    def _legs(self, patch: Patch, hip: Float64Array, foot: Float64Array, h: float, swing: float, side: float) -> None:
        c, b = self.clothes, self.build
        for sign in (-1.0, 1.0):
            reach = sign * swing
            spread = sign * 0.035 * h * (1.2 - abs(side))
            lift = 0.05 * h * max(0.0, -reach) * abs(swing)
            ankle = by(foot, 0.17 * h * reach * side + spread, -0.03 * h - lift)
            knee = by((hip + ankle) / 2, 0.05 * h * side * (0.5 + 0.5 * abs(reach)), 0.0)
            patch.fill(limb(by(hip, spread, 0.0), knee, 0.062 * h * b, 0.046 * h * b), c.legs, c.legs_heat)
            patch.fill(limb(knee, ankle, 0.046 * h * b, 0.030 * h * b), c.legs, c.legs_heat - 8)
            toe = by(ankle, 0.055 * h * side, 0.015 * h)
            patch.fill(limb(ankle, toe, 0.026 * h, 0.018 * h), c.shoes, c.shoes_heat)

    def _arm(self, patch: Patch, neck: Float64Array, h: float, swing: float, side: float) -> None:
        c, b = self.clothes, self.build
        shoulder = by(neck, float(np.sign(swing)) * 0.085 * h * b * (1.15 - abs(side)), 0.035 * h)
        elbow = by(shoulder, 0.08 * h * swing * side, 0.165 * h)
        hand = by(elbow, 0.08 * h * swing * side + 0.03 * h * side, 0.14 * h)
        patch.fill(limb(shoulder, elbow, 0.036 * h * b, 0.028 * h * b), c.sleeve, c.top_heat + 10)
        patch.fill(limb(elbow, hand, 0.028 * h * b, 0.020 * h), c.sleeve, c.top_heat)
        patch.fill(ellipse(hand, (0.020 * h, 0.026 * h)), c.skin, c.skin_heat - 10)

    def _trunk(self, patch: Patch, hip: Float64Array, neck: Float64Array, h: float, side: float) -> None:
        c, b = self.clothes, self.build
        shoulders = (0.105 - 0.03 * abs(side)) * h * b
        waist = (0.082 - 0.015 * abs(side)) * h * b
        outline = [by(neck, -shoulders, 0.04 * h), by(neck, -0.4 * shoulders, 0.0), by(neck, 0.4 * shoulders, 0.0)]
        outline += [by(neck, shoulders, 0.04 * h), by(hip, waist, 0.03 * h), by(hip, -waist, 0.03 * h)]
        patch.fill(outline, c.top, c.top_heat)
        for k in range(c.stripes):
            band = by(neck, 0.0, (0.10 + 0.07 * k) * h)
            patch.fill(band + np.array([[-waist, 0], [waist, 0], [waist, 0.03 * h], [-waist, 0.03 * h]]), c.shoes, None)
        chest = by((neck + hip) / 2, 0.0, -0.06 * h)
        patch.fill(ellipse(chest, (0.6 * shoulders, 0.09 * h)), None, c.top_heat + 14)
        head = by(neck, 0.012 * h * side, -0.085 * h)
        patch.fill(limb(neck, head, 0.028 * h, 0.028 * h), c.skin, c.skin_heat)
        patch.fill(ellipse(by(head, 0.0, -0.012 * h), (0.052 * h, 0.072 * h)), c.hair, c.hair_heat)
        patch.fill(ellipse(by(head, 0.014 * h * side, 0.014 * h), (0.044 * h, 0.056 * h)), c.skin, c.skin_heat)

    def _extra(self, patch: Patch, hip: Float64Array, neck: Float64Array, h: float, side: float) -> None:
        """What the person wears or carries over the rest: a coat, a rucksack, a bag, a hat."""
        c, b = self.clothes, self.build
        if self.carries == "coat":
            waist, hem = 0.088 * h * b, by(hip, 0.0, 0.17 * h)
            corners = [by(hip, -waist, -0.1 * h), by(hip, waist, -0.1 * h)]
            corners += [by(hem, 1.25 * waist, 0.0), by(hem, -1.25 * waist, 0.0)]
            patch.fill(corners, c.top, c.top_heat - 6)
        elif self.carries == "rucksack":
            back = by(neck, -0.10 * h * side, 0.14 * h)
            patch.fill(
                limb(by(back, 0.0, -0.06 * h), by(back, 0.0, 0.08 * h), 0.05 * h, 0.06 * h), c.legs, c.shoes_heat
            )
        elif self.carries == "bag":
            low = by(hip, 0.10 * h * side, 0.06 * h)
            corners = [by(low, -0.05 * h, -0.07 * h), by(low, 0.05 * h, -0.07 * h), by(low, 0.06 * h, 0.08 * h)]
            patch.fill([*corners, by(low, -0.06 * h, 0.08 * h)], c.hair, c.shoes_heat)
        elif self.carries == "hat":
            crown = by(neck, 0.012 * h * side, -0.135 * h)
            patch.fill(ellipse(crown, (0.058 * h, 0.04 * h)), c.sleeve, c.legs_heat)
            patch.fill(limb(crown, by(crown, 0.075 * h * side, 0.015 * h), 0.018 * h, 0.012 * h), c.sleeve, c.legs_heat)


def random_clothes(rng: np.random.Generator, climate: Climate) -> Clothes:
    """Clothes of random colours, cooler than the body by a random part of the climate's spread."""

    def cloth(low: float, high: float) -> Bgr:
        return vivid(rng) if rng.random() < 0.25 else muted(rng, low, high, 0.4)

    def cooler(share: float) -> float:
        return float(np.clip(climate.body_heat - climate.clothes_spread * rng.uniform(0.3, 1.0) * share, 5, 250))

    tone = float(rng.uniform(0.35, 1.0))
    top = cloth(20, 240)
    return Clothes(
        skin=(150 * tone, 175 * tone, 225 * tone),
        hair=muted(rng, 15, 120, 0.5),
        top=top,
        sleeve=top if rng.random() < 0.7 else cloth(30, 220),
        legs=cloth(15, 150),
        shoes=cloth(15, 230),
        skin_heat=climate.body_heat,
        hair_heat=cooler(0.5),
        top_heat=cooler(1.0),
        legs_heat=cooler(0.9),
        shoes_heat=cooler(1.4),
        stripes=int(rng.choice([0, 0, 0, 1, 3])),
    )


def random_person(rng: np.random.Generator, view: View, climate: Climate) -> Person:
    """A person who walks back and forth somewhere in the view."""
    z = float(rng.uniform(2.5, 7.0)) if climate.indoor else log_uniform(rng, 3.5, 18.0)
    x0, x1 = (view.x_at(view.left_px + float(f) * view.width_px, z) for f in rng.uniform(-0.05, 1.05, 2))
    end_z = max(2.4, z + float(rng.normal(0.0, 0.15 * z)))
    path = Path((x0, z), (x1, end_z), float(rng.uniform(0.7, 1.6)), float(rng.random()))
    clothes, carries = random_clothes(rng, climate), str(rng.choice(["", "", "coat", "rucksack", "bag", "hat"]))
    return Person(path, float(rng.uniform(1.5, 1.92)), float(rng.uniform(0.85, 1.25)), clothes, carries)
