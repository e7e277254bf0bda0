"""Drawing one geometry for two kinds of light.

A `Painter` holds a colour canvas and a heat canvas of the same size. Every shape goes to both with the same outline and
unrelated values, so the two pictures share their structure and not their intensities. Texture is not drawn shape by
shape: shapes write texture gains, and `finish` applies noise fields with those gains once for the whole canvas.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime.geometry import SizeHw

Bgr = tuple[float, float, float]
Uint8Array = NDArray[np.uint8]
Float32Array = NDArray[np.float32]

FAR_AWAY_M = 1.0e6
_SHIFT = 4  # cv2 draws at 1/16 px
_FULL_GAIN = 127.0
_FARTHEST = 20000 << _SHIFT  # cv2 overflows far outside the canvas


@dataclass(frozen=True)
class Texture:
    """Noise gains, relative to the material's own value.

    `shared_rgb` and `shared_ir` scale the same noise field in both pictures (leaves, rough walls: the same edges, and
    the sign of `shared_ir` says whether bright is warm or cold); `rgb` and `ir` scale fields of one picture only.
    """

    shared_rgb: float = 0.0
    shared_ir: float = 0.0
    rgb: float = 0.0
    ir: float = 0.0

    @cached_property
    def encoded(self) -> tuple[float, float, float, float]:
        """The gains as stored in the uint8 gain canvas: 128 is zero, +-1 is +-127."""
        gains = (self.shared_rgb, self.shared_ir, self.rgb, self.ir)
        a, b, c, d = (128.0 + _FULL_GAIN * min(max(gain, -1.0), 1.0) for gain in gains)
        return a, b, c, d


SMOOTH = Texture(0.01, 0.03, 0.02, 0.03)


@dataclass(frozen=True)
class Material:
    """Colour (BGR, 0-255), heat (0-255) and texture of a shape.

    A None colour or heat leaves that picture, the texture and the depth as they are.
    """

    bgr: Bgr | None
    heat: float | None
    texture: Texture = SMOOTH

    @property
    def covers(self) -> bool:
        """Whether it hides what is below in both pictures."""
        return self.bgr is not None and self.heat is not None


def fixed_point(points_xy: ArrayLike) -> NDArray[np.int32]:
    """Points (..., 2) px to the 1/16 px integers that cv2's drawing functions take."""
    scaled = np.asarray(points_xy, dtype=np.float64) * (1 << _SHIFT)
    return np.rint(np.minimum(np.maximum(scaled, -_FARTHEST), _FARTHEST)).astype(np.int32)


def noise_field(rng: np.random.Generator, size_hw: SizeHw, wavelengths_px: Sequence[float]) -> Float32Array:
    """Smooth noise (h, w) float32, zero mean and unit deviation, one octave per wavelength, equal weights."""
    h, w = size_hw
    total = np.zeros((h, w), np.float32)
    for wavelength in wavelengths_px:
        step = max(wavelength / 2.0, 1.0)
        coarse = rng.standard_normal((int(h / step) + 2, int(w / step) + 2), dtype=np.float32)
        total += cv2.resize(coarse, (w, h), interpolation=cv2.INTER_LINEAR)
    mean, deviation = cv2.meanStdDev(total)
    return (total - float(mean[0, 0])) / max(float(deviation[0, 0]), 1e-6)


class Painter:
    """Colour, heat, light, depth and texture-gain canvases of `canvas_hw`, drawn together.

    Points are (x, y) px of the canvas, pixel centres at integers. `unit_px` is the height of the visible part: line
    widths and texture grain scale with it. `depth_m` is the distance of what the next shapes belong to; shapes of the
    open ground keep it at None and hide nothing.
    """

    def __init__(self, rng: np.random.Generator, canvas_hw: SizeHw, unit_px: float) -> None:
        h, w = canvas_hw
        self.rng = rng
        self.canvas_hw = canvas_hw
        self.unit_px = unit_px
        self.bgr: Uint8Array = np.zeros((h, w, 3), np.uint8)
        self.heat: Uint8Array = np.zeros((h, w), np.uint8)
        self.light: Uint8Array = np.full((h, w), 255, np.uint8)
        self.depth: Float32Array = np.full((h, w), FAR_AWAY_M, np.float32)
        self.depth_m: float | None = None
        self._shadowed = False
        self._lamps: list[tuple[float, float, float, Bgr]] = []
        self._glow: Uint8Array | None = None
        self._gains: Uint8Array = np.full((h, w, 4), 128, np.uint8)
        grain = unit_px / 480.0
        self.leaf_noise = noise_field(rng, canvas_hw, (3.0 * grain, 6.0 * grain, 14.0 * grain, 40.0 * grain))
        self.ground_noise: Float32Array | None = None
        self._rgb_noise = noise_field(rng, canvas_hw, (2.0 * grain, 8.0 * grain, 90.0 * grain))
        self._ir_noise = noise_field(rng, canvas_hw, (5.0 * grain, 25.0 * grain, 120.0 * grain))

    def polygons(self, outlines_xy: ArrayLike, material: Material) -> None:
        """Fills outlines (k, n, 2) with anti-aliased edges."""
        points = list(fixed_point(outlines_xy))
        if not points:
            return
        if material.bgr is not None:
            cv2.fillPoly(self.bgr, points, material.bgr, cv2.LINE_AA, _SHIFT)
        if material.heat is not None:
            cv2.fillPoly(self.heat, points, (material.heat,), cv2.LINE_AA, _SHIFT)
        if not material.covers:
            return
        cv2.fillPoly(self._gains, points, material.texture.encoded, cv2.LINE_8, _SHIFT)
        if self.depth_m is not None:
            cv2.fillPoly(self.depth, points, (self.depth_m,), cv2.LINE_8, _SHIFT)
            if self._shadowed:
                cv2.fillPoly(self.light, points, (255,), cv2.LINE_AA, _SHIFT)

    def polygon(self, outline_xy: ArrayLike, material: Material) -> None:
        """Fills one outline (n, 2)."""
        self.polygons(np.asarray(outline_xy)[None], material)

    def line(self, points_xy: ArrayLike, material: Material, width_px: float) -> None:
        """Draws a connected line through points (n, 2), never thinner than one pixel."""
        points = [fixed_point(points_xy)]
        thickness = max(1, round(width_px))
        if material.bgr is not None:
            cv2.polylines(self.bgr, points, False, material.bgr, thickness, cv2.LINE_AA, _SHIFT)
        if material.heat is not None:
            cv2.polylines(self.heat, points, False, (material.heat,), thickness, cv2.LINE_AA, _SHIFT)
        if self.depth_m is not None and material.covers:
            cv2.polylines(self.depth, points, False, (self.depth_m,), thickness, cv2.LINE_8, _SHIFT)

    def shadow(self, outline_xy: ArrayLike, light: float) -> None:
        """Darkens the colour picture alone inside an outline to `light` (0 to 1) of the full light.

        Shapes that are drawn later, and stand on the ground, are lit again.
        """
        self._shadowed = True
        cv2.fillPoly(self.light, [fixed_point(outline_xy)], (255.0 * light,), cv2.LINE_AA, _SHIFT)

    def lamp(self, centre_xy: tuple[float, float], radius_px: float, bgr: Bgr) -> None:
        """A light that brightens the colour picture around a point; `bgr` is its strength, 1 is full daylight."""
        self._lamps.append((*centre_xy, radius_px, bgr))

    def emit(self, outline_xy: ArrayLike, bgr: Bgr) -> None:
        """Makes an outline shine by itself, whatever light falls on it, with a halo."""
        if self._glow is None:
            self._glow = np.zeros((*self.canvas_hw, 3), np.uint8)
        cv2.fillPoly(self._glow, [fixed_point(outline_xy)], bgr, cv2.LINE_AA, _SHIFT)

    def soft(self, top_left_xy: tuple[int, int], alpha: Float32Array, material: Material, shade: Float32Array) -> None:
        """Blends a material over the canvas with a soft outline.

        `alpha` (h, w) in [0, 1] is the cover, `shade` (h, w) multiplies the colour; both lie with their first pixel at
        `top_left_xy`, and what sticks out of the canvas is cut.
        """
        rows, columns, inner = self._clip(top_left_xy, alpha.shape)
        if rows.stop <= rows.start or columns.stop <= columns.start:
            return
        cover = alpha[inner]
        if material.bgr is not None:
            below = self.bgr[rows, columns].astype(np.float32)
            colour = cv2.merge([shade[inner] * np.float32(v) for v in material.bgr])
            self.bgr[rows, columns] = np.clip(below + cv2.merge([cover] * 3) * (colour - below), 0, 255)
        if material.heat is not None:
            below = self.heat[rows, columns].astype(np.float32)
            self.heat[rows, columns] = below + cover * (material.heat - below)
        self._mark_solid(rows, columns, cover > 0.5, material)

    def _mark_solid(self, rows: slice, columns: slice, solid: NDArray[np.bool_], material: Material) -> None:
        if material.covers:
            self._gains[rows, columns][solid] = material.texture.encoded
        if self.depth_m is not None:
            self.depth[rows, columns][solid] = self.depth_m
            if self._shadowed:
                self.light[rows, columns][solid] = 255

    def stencil(self, corners_xy: ArrayLike, mask: Uint8Array, material: Material) -> None:
        """Blends a material through a picture of ink (h, w) uint8 laid over four corners, clockwise from top left."""
        corners = np.asarray(corners_xy, dtype=np.float32)
        left, top = (int(v) for v in np.floor(np.maximum(corners.min(axis=0), -1)))
        limit = (self.canvas_hw[1] + 1, self.canvas_hw[0] + 1)
        right, bottom = (int(v) for v in np.ceil(np.minimum(corners.max(axis=0), limit)))
        if right - left < 2 or bottom - top < 2:
            return
        h, w = mask.shape
        ink = np.array([[-0.5, -0.5], [w - 0.5, -0.5], [w - 0.5, h - 0.5], [-0.5, h - 0.5]], np.float32)
        matrix = cv2.getPerspectiveTransform(ink, corners - np.array([left, top], np.float32))
        cover = cv2.warpPerspective(mask, matrix, (right - left + 1, bottom - top + 1))
        alpha = cover.astype(np.float32) / 255.0
        self.soft((left, top), alpha, material, np.ones_like(alpha))

    def _clip(self, top_left_xy: tuple[int, int], size_hw: SizeHw) -> tuple[slice, slice, tuple[slice, slice]]:
        x, y = top_left_xy
        h, w = size_hw
        rows = slice(max(y, 0), max(min(y + h, self.canvas_hw[0]), 0))
        columns = slice(max(x, 0), max(min(x + w, self.canvas_hw[1]), 0))
        inner = (slice(rows.start - y, rows.stop - y), slice(columns.start - x, columns.stop - x))
        return rows, columns, inner

    def lay_ground_noise(self, horizon_px: float, eye_m: float, focal_px: float, middle_px: float) -> None:
        """Gives the open ground a grain that shrinks with the distance, as seen from `eye_m` above it."""
        h, w = self.canvas_hw
        tile = noise_field(self.rng, (512, 512), (3.0, 8.0, 30.0, 150.0))
        per_m = self.unit_px / 7.0
        to_tile = np.array([[eye_m * per_m, 256.0, 0.0], [0.0, 0.0, per_m * eye_m * focal_px], [0.0, 1.0, 0.0]])
        shift = np.array([[1.0, 0.0, -middle_px], [0.0, 1.0, -horizon_px], [0.0, 0.0, 1.0]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        border = cv2.BORDER_REFLECT
        seen = cv2.warpPerspective(tile, to_tile @ shift, (w, h), flags=flags, borderMode=border)
        fade = np.clip((np.arange(h, dtype=np.float32) - horizon_px) / (0.2 * self.unit_px), 0.0, 1.0)
        self.ground_noise = (seen * fade[:, None]).astype(np.float32)

    def finish(self, ambient_bgr: Bgr = (1.0, 1.0, 1.0)) -> tuple[Uint8Array, Uint8Array, Float32Array]:
        """Colour (h, w, 3) and heat (h, w) with texture and light applied, and the light (h/2, w/2, 3)."""
        gains = (self._gains.astype(np.float32) - 128.0) / _FULL_GAIN
        g = [np.ascontiguousarray(gains[..., k]) for k in range(4)]
        shared = self.leaf_noise
        if self.ground_noise is not None:
            shared = np.where(self.depth >= FAR_AWAY_M, self.ground_noise, self.leaf_noise)
        shade = 1.0 + g[0] * shared + g[2] * self._rgb_noise
        light = self._light(ambient_bgr)
        h, w = self.canvas_hw
        bgr = self.bgr * cv2.resize(light, (w, h)) * cv2.merge([shade] * 3)
        if self._glow is not None:
            halo = cv2.GaussianBlur(self._glow[::2, ::2], (0, 0), self.unit_px / 60.0)
            bgr += cv2.resize(halo, (w, h)).astype(np.float32) * 0.8
            bgr = np.maximum(bgr, self._glow)
        heat = self.heat + 40.0 * (g[1] * shared + g[3] * self._ir_noise)
        return np.clip(bgr, 0, 255).astype(np.uint8), np.clip(heat, 0, 255).astype(np.uint8), light

    def _light(self, ambient_bgr: Bgr) -> Float32Array:
        """The light (h/2, w/2, 3): daylight with soft shadows, and lamps."""
        half = cv2.resize(self.light, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
        sun = cv2.GaussianBlur(half, (0, 0), max(0.5, self.unit_px / 600.0)).astype(np.float32) / 255.0
        light = cv2.merge([sun * np.float32(v) for v in ambient_bgr])
        rows = np.arange(light.shape[0], dtype=np.float32)[:, None] * 2.0
        columns = np.arange(light.shape[1], dtype=np.float32)[None] * 2.0
        for x, y, radius, bgr in self._lamps:
            fall = 1.0 / (1.0 + ((rows - y) ** 2 + (columns - x) ** 2) / (radius * radius))
            light += cv2.merge([(fall * fall * np.float32(v)) for v in bgr])
        return np.asarray(light, dtype=np.float32)
