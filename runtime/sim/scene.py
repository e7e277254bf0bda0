"""A generated scene with moving people and cars, as a colour and a heat picture on one canvas."""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import Float64Array, SizeHw
from vr.runtime.sim.actors import Actor, Driver, Patch, random_driver
from vr.runtime.sim.indoor import paint_room
from vr.runtime.sim.outdoor import paint_frontage, paint_park, paint_street
from vr.runtime.sim.paint import FAR_AWAY_M, Bgr, Float32Array, Painter, Uint8Array, fixed_point
from vr.runtime.sim.people import Person, random_person
from vr.runtime.sim.stage import Climate, Stage, log_uniform
from vr.runtime.sim.view import View

BoxPx = tuple[float, float, float, float]

KINDS = ("street", "frontage", "park", "room")
_SHARES = (0.4, 0.25, 0.15, 0.2)
_PAINT: dict[str, Callable[[Stage], None]] = {
    "street": paint_street,
    "frontage": paint_frontage,
    "park": paint_park,
    "room": paint_room,
}


def _random_view(rng: np.random.Generator, view_px: BoxPx, indoor: bool) -> View:
    left, top, width, height = view_px
    horizon = top + height * rng.uniform(0.33, 0.55)
    ahead = left + width * rng.uniform(0.25, 0.75)
    focal_px = height * rng.uniform(0.8, 1.5)
    eye_m = rng.uniform(1.4, 2.2) if indoor else rng.uniform(1.4, 3.5)
    return View((float(ahead), float(horizon)), float(focal_px), float(eye_m), *view_px)


def _ambient(rng: np.random.Generator, climate: Climate) -> Bgr:
    """Light of the scene on top of which lamps shine: daylight, dusk or night, with a tint."""
    tint = rng.uniform(-0.06, 0.06)
    level = rng.uniform(0.12, 0.4) if climate.night else rng.uniform(0.75, 1.05)
    if climate.indoor:
        level = rng.uniform(0.45, 0.95)
    return float(level * (1 + tint)), float(level), float(level * (1 - tint))


def _hazed(rng: np.random.Generator, bgr: Uint8Array, depth_m: Float32Array, view: View) -> Uint8Array:
    """The colour canvas through mist that grows with the distance; the heat picture sees through it."""
    h, w = bgr.shape[:2]
    below_px = np.arange(h, dtype=np.float32)[:, None] - np.float32(view.vanishing_xy[1])
    ground_m = np.where(below_px > 0.5, view.focal_px * view.height_m / np.maximum(below_px, 0.5), 0.0)
    reach_m = log_uniform(rng, 25.0, 150.0)
    distance_m = np.where(depth_m < FAR_AWAY_M, depth_m, ground_m.astype(np.float32))
    veil = (1.0 - np.exp(distance_m / np.float32(-reach_m))) * np.float32(rng.uniform(0.5, 0.95))
    veil = cv2.merge([cv2.blur(veil, (3, 3))] * 3)
    horizon = bgr[min(max(int(view.vanishing_xy[1]) - h // 20, 0), h - 1)]
    colour = horizon.reshape(w, 3).mean(axis=0, dtype=np.float32)
    return (bgr + veil * (colour - bgr)).astype(np.uint8)


class Scene:
    """Everything that both cameras see, drawn on a canvas of `canvas_hw`.

    `view_px` (left, top, width, height) is the part of the canvas that the RGB camera sees: the scene is composed for
    it and goes on around it. The same seed, canvas and view give the same scene; `kind` is one of KINDS.
    """

    def __init__(self, seed: int, canvas_hw: SizeHw, view_px: BoxPx) -> None:
        rng = np.random.default_rng([seed, 100])
        self.canvas_hw = canvas_hw
        self.kind = str(rng.choice(KINDS, p=_SHARES))
        self.view = _random_view(rng, view_px, self.kind == "room")
        self.climate = Climate.random(rng, self.kind == "room")
        stage = Stage(Painter(rng, canvas_hw, view_px[3]), self.view, self.climate, rng)
        _PAINT[self.kind](stage)
        self._bgr, self._heat, self._light = stage.painter.finish(_ambient(rng, self.climate))
        self._depth = stage.painter.depth
        if self.kind != "room" and rng.random() < 0.35:
            self._bgr = _hazed(rng, self._bgr, self._depth, self.view)
        self._noise: NDArray[np.int16] = np.rint(stage.painter.leaf_noise * 7.0).astype(np.int16)
        self._actors: list[Actor] = [*self._people(rng), *self._traffic(rng)]

    def _people(self, rng: np.random.Generator) -> list[Person]:
        return [random_person(rng, self.view, self.climate) for _ in range(rng.integers(3, 9))]

    def _traffic(self, rng: np.random.Generator) -> list[Driver]:
        if self.kind not in ("street", "frontage"):
            return []
        along = self.kind == "street"
        return [random_driver(rng, self.view, self.climate, along) for _ in range(rng.integers(0, 3))]

    @property
    def backdrop(self) -> tuple[Uint8Array, Uint8Array]:
        """Heat (h, w) and colour (h, w, 3) canvases without what moves; not to be written to."""
        return self._heat, self._bgr

    def render(self, time_s: float) -> tuple[Uint8Array, Uint8Array, Uint8Array]:
        """Heat (h, w), colour (h, w, 3) BGR, and how much of each canvas pixel is a person (h, w; 0 to 255)."""
        bgr, heat = self._bgr.copy(), self._heat.copy()
        person = np.zeros(self.canvas_hw, np.uint8)
        placed = sorted(((*actor.place(self.view, time_s), actor) for actor in self._actors), key=lambda p: -p[0])
        if self.climate.sun_xz is not None:
            for *_, actor in placed:
                self._cast_shadow(bgr, actor.shadow(self.climate.sun_xz, time_s))
        for z_m, box, actor in placed:
            self._lay_over((bgr, heat, person), z_m, box, actor, time_s)
        return heat, bgr, person

    def _lay_over(
        self,
        canvases: tuple[Uint8Array, Uint8Array, Uint8Array],
        z_m: float,
        box: tuple[int, int, int, int],
        actor: Actor,
        time_s: float,
    ) -> None:
        h, w = self.canvas_hw
        rows, columns = slice(max(box[1], 0), min(box[3], h)), slice(max(box[0], 0), min(box[2], w))
        if rows.stop - rows.start < 2 or columns.stop - columns.start < 2:
            return
        bgr, heat, person = (canvas[rows, columns] for canvas in canvases)
        light = self._light_at(rows.stop - 1, (columns.start + columns.stop) // 2)
        patch = Patch.over((columns.start, rows.start), bgr, heat, light)
        actor.draw(patch, self.view, time_s)
        patch.add_texture(self._noise[rows, columns])
        seen = self._depth[rows, columns] > z_m
        patch.lay_over(bgr, heat, person, seen, actor.is_person)

    def _cast_shadow(self, bgr: Uint8Array, outline_xyz: Float64Array) -> None:
        """Darkens the open ground of the colour canvas under an outline (n, 3) m."""
        outline = self.view.project(outline_xyz)
        h, w = self.canvas_hw
        left, top = (int(v) for v in np.maximum(np.floor(outline.min(axis=0)), 0))
        right, bottom = (int(v) for v in np.minimum(np.ceil(outline.max(axis=0)) + 2, (w, h)))
        if right - left < 2 or bottom - top < 2:
            return
        dark = np.zeros((bottom - top, right - left), np.uint8)
        cv2.fillPoly(dark, [fixed_point(outline - (left, top))], (100,), cv2.LINE_AA, 4)
        part = bgr[top:bottom, left:right]
        dark[self._depth[top:bottom, left:right] < FAR_AWAY_M] = 0
        part[:] = cv2.subtract(part, cv2.multiply(part, cv2.merge([dark] * 3), scale=1.0 / 255.0))

    def _light_at(self, y_px: int, x_px: int) -> Float32Array:
        last_y, last_x = self._light.shape[0] - 1, self._light.shape[1] - 1
        return self._light[min(y_px // 2, last_y), min(x_px // 2, last_x)]
