"""Indoor scenes: a corridor, hall, shop or office seen along its length."""

import numpy as np

from vr.runtime.sim.buildings import Wall, paint_text
from vr.runtime.sim.furniture import paint_box
from vr.runtime.sim.nature import foliage, leaf_material
from vr.runtime.sim.paint import Material
from vr.runtime.sim.stage import Stage, earthy, muted, shaded, vivid
from vr.runtime.sim.view import quad_facing, quad_flat


def paint_room(stage: Stage) -> None:
    """Floor, ceiling with lamps, three walls with what hangs on them, furniture."""
    half, deep, high = stage.uniform(1.8, 5.0), stage.uniform(6.0, 20.0), stage.uniform(2.6, 4.0)
    heat = stage.wall_heat()
    _paint_floor(stage, deep, heat)
    _paint_ceiling(stage, half, deep, high, heat)
    tone = muted(stage.rng, 120, 235, 0.2)
    back = Wall((-half, deep), (1.0, 0.0), 2 * half, high)
    _paint_inner_wall(stage, back, Material(tone, stage.heat_near(heat, 20), stage.rough(0.03)))
    for x, light in ((-half, 0.8), (half, 0.92)):
        wall = Wall((x, 0.7), (0.0, 1.0), deep - 0.7, high)
        _paint_inner_wall(stage, wall, Material(shaded(tone, light), stage.heat_near(heat, 20), stage.rough(0.03)))
    _paint_furniture(stage, half, deep, heat)


def _paint_floor(stage: Stage, deep: float, heat: float) -> None:
    bgr = muted(stage.rng, 70, 200, 0.2) if stage.chance(0.5) else earthy(stage.rng, 80, 190)
    stage.lay(quad_flat(-40, 40, 0, 0.6, deep), Material(bgr, stage.heat_near(heat, 30), stage.rough(0.05)))
    if stage.chance(0.3):
        return
    joint = Material(shaded(bgr, stage.uniform(0.6, 0.9)), stage.heat_near(heat, 25) if stage.chance(0.5) else None)
    tile = stage.uniform(0.4, 1.2)
    stage.fill(np.array([quad_flat(-40, 40, 0, z, z + 0.03) for z in np.arange(1.0, deep, tile)]), joint)
    if stage.chance(0.7):
        stage.fill(np.array([quad_flat(x, x + 0.03, 0, 0.6, deep) for x in np.arange(-6.0, 6.0, tile)]), joint)


def _paint_ceiling(stage: Stage, half: float, deep: float, high: float, heat: float) -> None:
    stage.lay(
        quad_flat(-40, 40, high, 0.6, deep),
        Material(muted(stage.rng, 160, 245, 0.1), stage.heat_near(heat, 30), stage.rough(0.03)),
    )
    beam = Material(muted(stage.rng, 90, 220, 0.1), stage.heat_near(heat, 40))
    stage.fill(
        np.array([quad_flat(-half, half, high, z, z + 0.12) for z in np.arange(1.5, deep, stage.uniform(1.2, 3))]),
        beam,
    )
    tubes = stage.rng.uniform(-half * 0.7, half * 0.7, int(stage.rng.integers(1, 4)))
    warm, shine = stage.uniform(170, 250), stage.uniform(200, 255)
    for x in tubes:
        for z in np.arange(2.0, deep - 0.5, stage.uniform(1.8, 3.5)):
            lamp = quad_flat(float(x) - 0.15, float(x) + 0.15, high - 0.02, float(z), float(z) + 1.2)
            stage.fill(lamp, Material((shine, shine, shine), warm))
            if stage.climate.night:
                stage.painter.emit(stage.view.project(lamp), (shine * 0.85, shine * 0.95, shine))
                x_px, y_px = stage.view.project((float(x), 0.4 * high, float(z)))
                stage.painter.lamp((float(x_px), float(y_px)), 1.2 * stage.view.px_per_m(float(z)), (0.25, 0.28, 0.3))
    if stage.chance(0.5):
        x = stage.uniform(-half, half)
        pipe = Material(muted(stage.rng, 100, 220), stage.uniform(60, 240))
        stage.fill(quad_flat(x, x + stage.uniform(0.1, 0.5), high - 0.25, 0.6, deep), pipe)


def _paint_inner_wall(stage: Stage, wall: Wall, surface: Material) -> None:
    heat, bgr = surface.heat or 100.0, surface.bgr or (200.0, 200.0, 200.0)
    stage.lay(wall.rectangles(0, wall.length, 0, wall.height), surface)
    studs = np.arange(stage.uniform(0.2, 1.0), wall.length, stage.uniform(0.6, 2.0))
    if stage.chance(0.5):
        stage.fill(wall.rectangles(studs, studs + 0.07, 0, wall.height), Material(None, stage.heat_near(heat, 14)))
    skirting = Material(shaded(bgr, stage.uniform(0.4, 1.1)), stage.heat_near(heat, 30))
    stage.fill(wall.rectangles(0, wall.length, 0, 0.12), skirting)
    stage.fill(wall.rectangles(0, wall.length, wall.height - 0.08, wall.height), skirting)
    u = stage.uniform(0.2, 1.5)
    while u < wall.length - 1.0:
        u += _paint_on_wall(stage, wall, u, heat) + stage.uniform(0.2, 1.6)


def _paint_on_wall(stage: Stage, wall: Wall, u: float, heat: float) -> float:
    """One door, window, picture, shelf, radiator or sign at `u`; returns its width."""
    kinds = (_door, _window, _picture, _shelf, _radiator, _notice)
    return kinds[int(stage.rng.integers(len(kinds)))](stage, wall, u, heat)


def _door(stage: Stage, wall: Wall, u: float, heat: float) -> float:
    wide = stage.uniform(0.8, 1.8)
    frame = Material(muted(stage.rng, 80, 240, 0.3), stage.heat_near(heat, 35))
    stage.fill(wall.rectangles(u - 0.08, u + wide + 0.08, 0, 2.18), frame)
    leaf_heat = stage.heat_near(heat, 40)
    stage.fill(wall.rectangles(u, u + wide, 0, 2.1), Material(earthy(stage.rng, 50, 230), leaf_heat))
    if stage.chance(0.5):
        pane = Material(muted(stage.rng, 30, 220, 0.3), stage.heat_near(leaf_heat, 40))
        stage.fill(wall.rectangles(u + 0.15, u + wide - 0.15, 1.1, 1.9), pane)
    stage.fill(wall.rectangles(u + wide - 0.16, u + wide - 0.08, 1.0, 1.1), Material((60, 70, 80), leaf_heat + 15))
    return wide


def _window(stage: Stage, wall: Wall, u: float, heat: float) -> float:
    wide, top = stage.uniform(0.8, 2.4), wall.height - stage.uniform(0.3, 0.7)
    frame = Material(muted(stage.rng, 150, 250, 0.1), stage.heat_near(heat, 40))
    stage.fill(wall.rectangles(u - 0.07, u + wide + 0.07, 0.83, top + 0.07), frame)
    bright = muted(stage.rng, 5, 40, 0.3) if stage.climate.night else muted(stage.rng, 200, 255, 0.15)
    panes = np.linspace(u, u + wide, int(stage.rng.integers(2, 5)))
    stage.fill(wall.rectangles(panes[:-1], panes[1:] - 0.06, 0.9, top), Material(bright, stage.uniform(15, 120)))
    return wide


def _picture(stage: Stage, wall: Wall, u: float, heat: float) -> float:
    wide, tall, low = stage.uniform(0.4, 1.4), stage.uniform(0.3, 1.0), stage.uniform(1.1, 1.6)
    stage.fill(
        wall.rectangles(u, u + wide, low, low + tall),
        Material(muted(stage.rng, 20, 200, 0.5), stage.heat_near(heat, 25)),
    )
    inside = Material(vivid(stage.rng), None)
    stage.fill(wall.rectangles(u + 0.06, u + wide - 0.06, low + 0.06, low + tall - 0.06), inside)
    for _ in range(3):
        v, w = low + tall * stage.uniform(0.1, 0.7), u + wide * stage.uniform(0.1, 0.7)
        blot = wall.rectangles(w, w + 0.2 * wide, v, v + 0.2 * tall)
        stage.fill(blot, Material(vivid(stage.rng), None))
    return wide


def _shelf(stage: Stage, wall: Wall, u: float, heat: float) -> float:
    """A rack with rows of goods, each with its own colour and heat."""
    wide, tall, rows = stage.uniform(0.9, 3.0), stage.uniform(1.4, 2.3), int(stage.rng.integers(3, 6))
    rack = Material(earthy(stage.rng, 40, 200), stage.heat_near(heat, 30))
    stage.fill(
        wall.rectangles(u, u + wide, 0, tall),
        Material(shaded(rack.bgr or (0, 0, 0), 0.5), stage.heat_near(heat, 30)),
    )
    step = tall / rows
    for row in range(rows):
        edges = np.cumsum(stage.rng.uniform(0.06, 0.35, 40)) + u
        edges = edges[edges < u + wide - 0.05]
        for group in range(4):
            chosen = np.arange(len(edges) - 1)[stage.rng.integers(0, 5, max(len(edges) - 1, 0)) == group]
            top = row * step + 0.05 + step * stage.uniform(0.4, 0.85)
            goods = wall.rectangles(edges[chosen], edges[chosen + 1] - 0.02, row * step + 0.05, top)
            stage.fill(goods, Material(muted(stage.rng, 40, 240, 0.8), stage.heat_near(heat, 35)))
        stage.fill(wall.rectangles(u, u + wide, row * step, row * step + 0.05), rack)
    sides = np.array([u, u + wide - 0.05])
    stage.fill(wall.rectangles(sides, sides + 0.05, 0, tall), rack)
    return wide


def _radiator(stage: Stage, wall: Wall, u: float, heat: float) -> float:
    wide, hot = stage.uniform(0.6, 1.6), stage.heat_near(min(heat + 70, 230), 50)
    stage.fill(wall.rectangles(u, u + wide, 0.15, 0.75), Material(muted(stage.rng, 190, 245, 0.05), hot))
    ribs = np.arange(u + 0.05, u + wide - 0.03, 0.12)
    stage.fill(wall.rectangles(ribs, ribs + 0.03, 0.2, 0.7), Material(muted(stage.rng, 120, 190, 0.05), hot - 25))
    stage.fill(wall.rectangles(u + 0.1, u + 0.15, 0.75, wall.height), Material(None, stage.heat_near(heat, 40)))
    return wide


def _notice(stage: Stage, wall: Wall, u: float, heat: float) -> float:
    wide, low = stage.uniform(0.5, 1.6), stage.uniform(1.3, 2.1)
    board = wall.rectangles(u, u + wide, low, low + 0.45)
    stage.fill(board, Material(vivid(stage.rng), stage.heat_near(heat, 25)))
    paint_text(
        stage,
        wall.rectangles(u + 0.08, u + wide - 0.08, low + 0.08, low + 0.37),
        Material((245, 245, 245), None),
    )
    return wide


def _paint_furniture(stage: Stage, half: float, deep: float, heat: float) -> None:
    depths = sorted((float(z) for z in stage.rng.uniform(2.5, deep, int(stage.rng.integers(3, 9)))), reverse=True)
    for z in depths:
        side = float(stage.rng.choice([-1.0, 1.0]))
        x = side * half * stage.uniform(0.35, 0.9)
        paint = (_table, _cabinet, _boxes, _plant, _chair)[int(stage.rng.integers(5))]
        paint(stage, x, z, heat)


def _wood(stage: Stage, heat: float) -> Material:
    return Material(earthy(stage.rng, 50, 220), stage.heat_near(heat, 40))


def _table(stage: Stage, x: float, z: float, heat: float) -> None:
    wood = _wood(stage, heat)
    wide = stage.uniform(0.4, 0.9)
    for leg in (x - wide, x + wide - 0.06):
        paint_box(stage, (leg, leg + 0.06, 0.0, 0.72, z, z + 0.6), wood)
    paint_box(stage, (x - wide, x + wide, 0.7, 0.75, z, z + 0.7), wood)
    screen_heat = stage.uniform(140, 230)
    for _ in range(int(stage.rng.integers(0, 3))):
        u = x + stage.uniform(-wide, wide - 0.45)
        paint_box(stage, (u, u + 0.45, 0.85, 1.15, z + 0.3, z + 0.34), Material((30, 30, 32), screen_heat))
        glass = quad_facing(u + 0.02, u + 0.43, 0.87, 1.13, z + 0.3)
        stage.fill(glass, Material(muted(stage.rng, 40, 230, 0.7), screen_heat - 20))
    cup = x + stage.uniform(-wide, wide - 0.1)
    paint_box(
        stage,
        (cup, cup + 0.09, 0.75, 0.87, z + 0.1, z + 0.19),
        Material(vivid(stage.rng), stage.uniform(60, 250)),
    )


def _cabinet(stage: Stage, x: float, z: float, heat: float) -> None:
    body, tall = _wood(stage, heat), stage.uniform(0.7, 1.9)
    if stage.chance(0.3):
        body = Material(muted(stage.rng, 120, 240, 0.8), stage.uniform(40, 220))
    paint_box(stage, (x - 0.45, x + 0.45, 0.0, tall, z, z + 0.5), body)
    stage.stand(z)
    for v in np.arange(0.1, tall - 0.2, 0.35):
        front = quad_facing(x - 0.4, x + 0.4, float(v), float(v) + 0.3, z)
        stage.fill(front, Material(shaded(body.bgr or (0, 0, 0), 0.85), stage.heat_near(body.heat or 100.0, 15)))
    stage.stand(None)


def _boxes(stage: Stage, x: float, z: float, heat: float) -> None:
    low = 0.0
    for _ in range(int(stage.rng.integers(1, 5))):
        wide, tall = stage.uniform(0.2, 0.4), stage.uniform(0.2, 0.5)
        offset = stage.uniform(-0.1, 0.1)
        paint_box(stage, (x - wide + offset, x + wide + offset, low, low + tall, z, z + 0.5), _wood(stage, heat))
        low += tall


def _plant(stage: Stage, x: float, z: float, heat: float) -> None:
    paint_box(
        stage,
        (x - 0.18, x + 0.18, 0.0, 0.4, z, z + 0.3),
        Material(vivid(stage.rng), stage.heat_near(heat, 30)),
    )
    scale, (foot_x, foot_y) = stage.view.px_per_m(z), stage.view.project((x, 0.4, z))
    tall = stage.uniform(0.6, 1.5)
    stage.stand(z)
    foliage(
        stage,
        (foot_x - 0.5 * scale, foot_y - tall * scale, scale, 1.1 * tall * scale),
        "crown",
        leaf_material(stage),
    )
    stage.stand(None)


def _chair(stage: Stage, x: float, z: float, heat: float) -> None:
    frame = Material(muted(stage.rng, 20, 220, 0.7), stage.heat_near(heat, 40))
    for leg in (-0.22, 0.18):
        paint_box(stage, (x + leg, x + leg + 0.04, 0.0, 0.45, z, z + 0.4), frame)
    paint_box(stage, (x - 0.23, x + 0.23, 0.43, 0.48, z, z + 0.45), frame)
    sat_on = Material(frame.bgr, (frame.heat or 100.0) + stage.uniform(0, 70))
    paint_box(stage, (x - 0.22, x + 0.22, 0.55, 0.95, z + 0.4, z + 0.44), sat_on)
