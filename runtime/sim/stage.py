"""What a scene is built with: the canvases, the view, the weather, and random materials."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.sim.paint import Bgr, Material, Painter, Texture, Uint8Array
from vr.runtime.sim.view import View, ground_shadow


@dataclass(frozen=True)
class Climate:
    """Light and warmth of a scene; heat is 0 to 255, cold to hot.

    `lost_heat` and `lost_colour` are the shares of shapes that have the heat, or the colour, of what is behind them.
    """

    indoor: bool
    night: bool
    sun_xz: tuple[float, float] | None
    sky_heat: float
    ground_heat: float
    wall_heat: tuple[float, float]
    leaf_heat: tuple[float, float]
    body_heat: float
    clothes_spread: float
    warm_ir_leaves: float
    lost_heat: float
    lost_colour: float

    @staticmethod
    def random(rng: np.random.Generator, indoor: bool) -> "Climate":
        """A random climate: summer noon, winter night and what lies between."""
        night = rng.random() < 0.3
        sunny = not indoor and not night and rng.random() < 0.6
        sun = (float(rng.uniform(-1.6, 1.6)), float(rng.uniform(-0.8, 1.5)))
        low = float(rng.uniform(30, 110))
        leaf = float(rng.uniform(55, 150))
        return Climate(
            indoor=indoor,
            night=bool(night),
            sun_xz=sun if sunny else None,
            sky_heat=float(rng.uniform(12, 45)),
            ground_heat=float(rng.uniform(60, 175)),
            wall_heat=(low, low + float(rng.uniform(40, 110))),
            leaf_heat=(leaf - 15, leaf + 25),
            body_heat=float(rng.uniform(185, 250)),
            clothes_spread=float(rng.uniform(20, 110)),
            warm_ir_leaves=float(rng.choice([-1.0, 1.0])),
            lost_heat=float(rng.uniform(0.05, 0.45)),
            lost_colour=float(rng.uniform(0.0, 0.2)),
        )


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """A random number between two positive ones, as likely in each octave."""
    return float(low * (high / low) ** rng.random())


def muted(rng: np.random.Generator, low: float, high: float, saturation: float = 0.2) -> Bgr:
    """A colour as most things have: random hue, brightness in [low, high] (0-255), saturation up to `saturation`."""
    hue, value = rng.uniform(0.0, 3.0), rng.uniform(low, high)
    depth = saturation * rng.random()
    weights = np.clip(np.abs((hue - np.array([0.0, 1.0, 2.0]) + 1.5) % 3.0 - 1.5), 0.0, 1.0)
    b, g, r = value * (1.0 - depth * weights)
    return float(b), float(g), float(r)


def earthy(rng: np.random.Generator, low: float, high: float) -> Bgr:
    """A warm grey, beige, brown or brick colour."""
    value, warm = rng.uniform(low, high), rng.uniform(0.0, 0.45)
    return float(value * (1.0 - warm)), float(value * (1.0 - 0.5 * warm)), float(value)


def vivid(rng: np.random.Generator) -> Bgr:
    """A saturated colour, as of signs, cars and clothes."""
    return muted(rng, 110.0, 250.0, 1.0)


def shaded(bgr: Bgr, factor: float) -> Bgr:
    """The same colour, darker or lighter."""
    b, g, r = (min(255.0, v * factor) for v in bgr)
    return b, g, r


def text_mask(rng: np.random.Generator, size_hw: tuple[int, int], words: int = 1) -> Uint8Array:
    """A picture (h, w) uint8 of random capital letters filling the size, 255 where there is ink."""
    letters = list("ABCDEFGHKLMNOPRSTUVXYZ0123456789")
    text = " ".join("".join(rng.choice(letters, int(rng.integers(2, 7)))) for _ in range(words))
    font = cv2.FONT_HERSHEY_SIMPLEX if rng.random() < 0.6 else cv2.FONT_HERSHEY_DUPLEX
    (w, h), base = cv2.getTextSize(text, font, 1.0, 3)
    picture = np.zeros((h + base, w + 4), np.uint8)
    cv2.putText(picture, text, (2, h), font, 1.0, (255,), 3, cv2.LINE_AA)
    return cv2.resize(picture, size_hw[::-1], interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


@dataclass(frozen=True)
class Stage:
    """Painter, view and climate of the scene that is being built, with the random generator that decides."""

    painter: Painter
    view: View
    climate: Climate
    rng: np.random.Generator

    def lay(self, points_xyz: ArrayLike, material: Material) -> None:
        """Fills a flat outline (n, 3) m, or many at once (k, n, 3), in both pictures."""
        outlines = self.view.project(points_xyz)
        self.painter.polygons(outlines if outlines.ndim == 3 else outlines[None], material)

    def fill(self, points_xyz: ArrayLike, material: Material) -> None:
        """The same, but some of the things cannot be told from what is behind them in one of the pictures."""
        lost = self.rng.random()
        if lost < self.climate.lost_heat:
            material = Material(material.bgr, None)
        elif lost > 1.0 - self.climate.lost_colour:
            material = Material(None, material.heat)
        self.lay(points_xyz, material)

    def line(self, points_xyz: ArrayLike, material: Material, width_m: float) -> None:
        """Draws a line through points (n, 3) m, as wide as `width_m` looks at its nearest point."""
        points = np.asarray(points_xyz, dtype=np.float64)
        width_px = width_m * self.view.px_per_m(float(points[:, 2].min()))
        self.painter.line(self.view.project(points), material, width_px)

    def stand(self, z_m: float | None) -> None:
        """Sets the distance of what is drawn next; None is the open ground."""
        self.painter.depth_m = z_m

    def chance(self, probability: float) -> bool:
        """True with a probability."""
        return bool(self.rng.random() < probability)

    def uniform(self, low: float, high: float) -> float:
        """A random number."""
        return float(self.rng.uniform(low, high))

    def heat_near(self, heat: float, spread: float) -> float:
        """A heat within +-`spread` of another, inside 5 to 250."""
        return float(np.clip(heat + self.rng.uniform(-spread, spread), 5.0, 250.0))

    def wall_heat(self) -> float:
        """A random heat of man-made things."""
        return self.uniform(*self.climate.wall_heat)

    def rough(self, strength: float = 0.06) -> Texture:
        """A random surface: some grain in each picture, some of it shared with either polarity."""
        shared = strength * self.uniform(0.0, 1.0)
        polarity = 1.0 if self.chance(0.5) else -1.0
        return Texture(
            shared,
            polarity * shared * self.uniform(0.5, 3.0),
            strength * self.rng.random(),
            0.08 * self.rng.random(),
        )

    def ground_shadow(self, x: float, z: float, half_width_m: float, height_m: float) -> None:
        """The shadow on the ground of an upright thing, in the colour picture alone."""
        sun = self.climate.sun_xz
        if sun is None:
            return
        points = ground_shadow(x, z, half_width_m, height_m, sun)
        self.painter.shadow(self.view.project(points), 0.5)

    def decal(self, corners_xyz: ArrayLike, mask: Uint8Array, material: Material) -> None:
        """Lays a picture (h, w) uint8 of ink over a rectangle: corners (4, 3) m from top left, clockwise as seen."""
        corners = self.view.project(corners_xyz)
        self.painter.stencil(corners, mask, material)
