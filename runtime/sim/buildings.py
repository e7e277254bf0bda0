"""Facades with windows, doors, shops and roofs, on upright planes in any direction."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.geometry import Float64Array
from vr.runtime.sim.paint import Bgr, Material
from vr.runtime.sim.stage import Stage, earthy, muted, shaded, text_mask, vivid


@dataclass(frozen=True)
class Wall:
    """An upright plane: it starts at a ground point (x, z) m, runs along a unit direction, `length` m, `height` m."""

    origin_xz: tuple[float, float]
    direction_xz: tuple[float, float]
    length: float
    height: float

    def rectangles(self, u0: ArrayLike, u1: ArrayLike, v0: ArrayLike, v1: ArrayLike) -> Float64Array:
        """Corners (..., 4, 3) of rectangles u0 to u1 along the wall and v0 to v1 up it, bottom left first."""
        shape = np.broadcast(u0, u1, v0, v1).shape
        u, v = np.empty((*shape, 4)), np.empty((*shape, 4))
        u[..., 0], u[..., 1], u[..., 2], u[..., 3] = u0, u1, u1, u0
        v[..., 0], v[..., 1], v[..., 2], v[..., 3] = v0, v0, v1, v1
        return self.points(u, v)

    def points(self, u: ArrayLike, v: ArrayLike) -> Float64Array:
        """Points (..., 3) at distances u along the wall and v above the ground."""
        along = np.asarray(u, dtype=np.float64)
        points = np.empty((*along.shape, 3))
        points[..., 0] = self.origin_xz[0] + along * self.direction_xz[0]
        points[..., 1] = v
        points[..., 2] = self.origin_xz[1] + along * self.direction_xz[1]
        return points

    def nearest_z(self) -> float:
        """Distance of its nearer end."""
        return min(self.origin_xz[1], self.origin_xz[1] + self.length * self.direction_xz[1])


def paint_facade(stage: Stage, wall: Wall, light: float = 1.0) -> None:
    """A facade of a random style; `light` is how bright its side of the street is."""
    rng = stage.rng
    stage.stand(wall.nearest_z())
    heat = stage.wall_heat()
    bgr = shaded(earthy(rng, 70, 235) if stage.chance(0.6) else muted(rng, 90, 240, 0.3), light)
    stage.lay(wall.rectangles(0, wall.length, 0, wall.height), Material(bgr, heat, stage.rough(0.07)))
    _paint_courses(stage, wall, bgr, heat)
    ground_floor = 0.0
    if stage.chance(0.35) and wall.height > 3.5:
        ground_floor = stage.uniform(2.8, 3.8)
        _paint_shop(stage, wall, ground_floor, heat, light)
    _paint_windows(stage, wall, ground_floor, bgr, heat)
    if ground_floor == 0.0:
        _paint_doors(stage, wall, heat, light)
    _paint_services(stage, wall, heat)
    _paint_roof(stage, wall, bgr, heat)
    stage.stand(None)


def _paint_courses(stage: Stage, wall: Wall, bgr: Bgr, heat: float) -> None:
    """Lines of brick, siding or panels: in the colour picture, in the heat picture, or in both."""
    spacing = stage.uniform(0.25, 1.6)
    levels = np.arange(spacing, wall.height, spacing)
    if stage.view.px_per_m(wall.nearest_z()) * spacing < 4.0 or stage.chance(0.4):
        return
    colour = shaded(bgr, stage.uniform(0.75, 1.15)) if stage.chance(0.8) else None
    warmth = stage.heat_near(heat, 22) if colour is None or stage.chance(0.4) else None
    lines = wall.rectangles(0, wall.length, levels, levels + 0.06 * spacing)
    stage.fill(lines, Material(colour, warmth))
    if stage.chance(0.3):
        joints = np.arange(stage.uniform(0.5, 3.0), wall.length, stage.uniform(0.8, 4.0))
        stage.fill(wall.rectangles(joints, joints + 0.06, 0, wall.height), Material(colour, warmth))


def _paint_windows(stage: Stage, wall: Wall, from_m: float, bgr: Bgr, heat: float) -> None:
    rng = stage.rng
    storey, bay = stage.uniform(2.6, 3.8), stage.uniform(1.5, 4.0)
    wide, tall = bay * stage.uniform(0.35, 0.85), storey * stage.uniform(0.35, 0.65)
    columns, rows = int(wall.length / bay), int((wall.height - from_m) / storey)
    if columns < 1 or rows < 1:
        return
    margin = (wall.length - columns * bay) / 2
    u, v = np.meshgrid(margin + (np.arange(columns) + 0.5) * bay, from_m + np.arange(rows) * storey + 0.9)
    keep = rng.random(u.shape) < stage.uniform(0.75, 1.3)
    u, v = np.asarray(u[keep], dtype=np.float64), np.asarray(v[keep], dtype=np.float64)
    rim = stage.uniform(0.05, 0.18)
    frame = Material(muted(rng, 40, 250, 0.2), stage.heat_near(heat, 45))
    outer = wall.rectangles(u - wide / 2 - rim, u + wide / 2 + rim, v - rim, v + tall + rim)
    stage.fill(outer, frame)
    kinds = rng.integers(0, 4, u.shape)
    glass_heat, odd = stage.heat_near(heat, 60), int(rng.integers(0, 4))
    for kind in range(4):
        panes = wall.rectangles(u - wide / 2, u + wide / 2, v, v + tall)[kinds == kind]
        warmth = stage.uniform(150, 230) if kind == odd and stage.chance(0.3) else stage.heat_near(glass_heat, 15)
        _paint_panes(stage, panes, warmth)
    _paint_bars(stage, wall, (u, v), (wide, tall), frame)
    sills = Material(shaded(bgr, 1.2), stage.heat_near(heat, 30))
    stage.fill(wall.rectangles(u - wide / 2 - rim, u + wide / 2 + rim, v - rim - 0.12, v - rim), sills)


def _paint_panes(stage: Stage, panes: Float64Array, heat: float) -> None:
    if len(panes) == 0:
        return
    lit = stage.climate.night and stage.chance(0.35)
    tint = muted(stage.rng, 15, 120, 0.4) if stage.chance(0.75) else muted(stage.rng, 120, 230, 0.3)
    stage.fill(panes, Material(tint, heat))
    if lit:
        warm = stage.uniform(120, 255)
        for pane in panes:
            stage.painter.emit(stage.view.project(pane), (warm * 0.45, warm * 0.8, warm))


def _paint_bars(
    stage: Stage,
    wall: Wall,
    centres: tuple[Float64Array, Float64Array],
    size: tuple[float, float],
    frame: Material,
) -> None:
    """Glazing bars, a cross or halves, where they would be seen."""
    (u, v), (wide, tall) = centres, size
    if stage.view.px_per_m(wall.nearest_z()) * wide < 10.0:
        return
    if stage.chance(0.7):
        stage.fill(wall.rectangles(u - 0.035, u + 0.035, v, v + tall), frame)
    if stage.chance(0.5):
        middle = v + tall * stage.uniform(0.4, 0.7)
        stage.fill(wall.rectangles(u - wide / 2, u + wide / 2, middle - 0.03, middle + 0.03), frame)


def _paint_shop(stage: Stage, wall: Wall, height: float, heat: float, light: float) -> None:
    """A shop front: big panes, a sign with letters, sometimes an awning."""
    rng = stage.rng
    front = Material(shaded(muted(rng, 30, 200, 0.7), light), stage.heat_near(heat, 40))
    stage.fill(wall.rectangles(0, wall.length, 0, height), front)
    count = max(1, int(wall.length / stage.uniform(1.5, 4.0)))
    u = np.linspace(0.3, wall.length - 0.1, count + 1)
    panes = wall.rectangles(u[:-1], u[1:] - 0.2, stage.uniform(0.1, 0.8), height - 0.9)
    _paint_panes(stage, panes, stage.heat_near(heat, 60))
    sign_heat = stage.heat_near(heat, 40)
    board = Material(shaded(vivid(rng), light), sign_heat)
    start = stage.uniform(0.0, 0.4) * wall.length
    end = min(wall.length, start + stage.uniform(2.0, 6.0))
    stage.fill(wall.rectangles(start, end, height - 0.75, height - 0.1), board)
    letters = Material(muted(rng, 180, 255, 0.3), stage.heat_near(sign_heat, 25) if stage.chance(0.4) else None)
    paint_text(stage, wall.rectangles(start + 0.2, end - 0.2, height - 0.65, height - 0.2), letters)
    if stage.chance(0.4):
        cloth = Material(shaded(vivid(rng), light), stage.heat_near(heat, 60))
        slope = wall.rectangles(start, end, height - 0.9, height - 0.2)
        slope[:2] += np.array([-wall.direction_xz[1], 0.0, -wall.direction_xz[0]]) * np.sign(slope[0, 0] or 1.0) * 0.9
        stage.fill(slope, cloth)


def paint_text(stage: Stage, rectangle: Float64Array, ink: Material) -> None:
    """Random words over a rectangle (4, 3), bottom left first, readable from the viewer's side."""
    seen = stage.view.project(rectangle)
    order = [3, 2, 1, 0] if seen[1, 0] > seen[0, 0] else [2, 3, 0, 1]
    size = np.abs(seen.max(axis=0) - seen.min(axis=0))
    if size.min() < 4.0:
        return
    h, w = int(np.clip(size[1], 8, 64)), int(np.clip(size[0], 16, 320))
    stage.painter.stencil(seen[order], text_mask(stage.rng, (h, w), 1 + int(w > 4 * h)), ink)


def _paint_doors(stage: Stage, wall: Wall, heat: float, light: float) -> None:
    for _ in range(int(stage.rng.integers(0, 3))):
        u, wide, tall = (
            stage.uniform(0.5, max(wall.length - 2.0, 0.6)),
            stage.uniform(0.8, 2.6),
            stage.uniform(1.9, 2.6),
        )
        frame = Material(muted(stage.rng, 100, 240, 0.2), stage.heat_near(heat, 40))
        stage.fill(wall.rectangles(u - 0.12, u + wide + 0.12, 0, tall + 0.12), frame)
        door = Material(shaded(muted(stage.rng, 30, 190, 0.7), light), stage.heat_near(heat, 50))
        stage.fill(wall.rectangles(u, u + wide, 0, tall), door)


def _paint_services(stage: Stage, wall: Wall, heat: float) -> None:
    """Pipes, vents, cooling units: warm or cold spots, some of them seen in one picture only."""
    for _ in range(int(stage.rng.integers(0, 4))):
        u = stage.uniform(0, wall.length)
        pipe = Material(muted(stage.rng, 60, 220) if stage.chance(0.6) else None, stage.heat_near(heat, 50))
        stage.fill(wall.rectangles(u, u + 0.1, 0, wall.height), pipe)
    for _ in range(int(stage.rng.integers(0, 4))):
        u, v = stage.uniform(0, wall.length), stage.uniform(1.0, max(wall.height - 0.8, 1.1))
        box = Material(muted(stage.rng, 90, 230) if stage.chance(0.7) else None, stage.uniform(120, 240))
        stage.fill(wall.rectangles(u, u + stage.uniform(0.3, 0.9), v, v + stage.uniform(0.2, 0.6)), box)
    for _ in range(int(stage.rng.integers(0, 3))):
        u, v = stage.uniform(0, wall.length), stage.uniform(0.5, wall.height)
        poster = Material(vivid(stage.rng), None if stage.chance(0.6) else stage.heat_near(heat, 20))
        stage.fill(wall.rectangles(u, u + stage.uniform(0.4, 1.5), v, v + stage.uniform(0.4, 1.2)), poster)


def _paint_roof(stage: Stage, wall: Wall, bgr: Bgr, heat: float) -> None:
    """A parapet or, on low houses, a gable or a hipped roof with a chimney."""
    trim = Material(shaded(bgr, stage.uniform(0.6, 1.3)), stage.heat_near(heat, 40))
    stage.fill(wall.rectangles(-0.15, wall.length + 0.15, wall.height - 0.25, wall.height), trim)
    if wall.height > 9.0 or stage.chance(0.3):
        return
    tiles = Material(earthy(stage.rng, 50, 160), stage.heat_near(heat, 60), stage.rough(0.08))
    rise, over = stage.uniform(0.8, 3.0), 0.3
    inset = wall.length * stage.uniform(0.1, 0.5)
    u = [-over, wall.length + over, wall.length - inset, inset]
    v = [wall.height, wall.height, wall.height + rise, wall.height + rise]
    stage.fill(wall.points(u, v), tiles)
    if stage.chance(0.6):
        u0 = wall.length * stage.uniform(0.2, 0.7)
        chimney = Material(earthy(stage.rng, 60, 170), stage.uniform(90, 230))
        stage.fill(wall.rectangles(u0, u0 + 0.6, wall.height + rise * 0.5, wall.height + rise + 0.8), chimney)
