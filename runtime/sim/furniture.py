"""Poles, lamps, signs, fences, wires, benches, boxes."""

import numpy as np

from vr.runtime.geometry import Float64Array
from vr.runtime.sim.buildings import paint_text
from vr.runtime.sim.paint import Material
from vr.runtime.sim.stage import Stage, earthy, muted, shaded, vivid
from vr.runtime.sim.view import quad_facing, quad_flat, quad_side


def paint_box(stage: Stage, box: tuple[float, float, float, float, float, float], material: Material) -> None:
    """A box (x0, x1, y0, y1, z0, z1) m: its seen sides in three shades and heats."""
    x0, x1, y0, y1, z0, z1 = box
    bgr, heat = material.bgr or (128.0, 128.0, 128.0), material.heat or 100.0
    top = Material(shaded(bgr, 1.2), stage.heat_near(heat, 20), material.texture)
    side = Material(shaded(bgr, 0.7), stage.heat_near(heat, 20), material.texture)
    stage.stand(z0)
    if y1 < stage.view.height_m:
        stage.fill(quad_flat(x0, x1, y1, z0, z1), top)
    if x0 > 0 or x1 < 0:
        stage.fill(quad_side(x0 if x0 > 0 else x1, y0, y1, z0, z1), side)
    stage.fill(quad_facing(x0, x1, y0, y1, z0), material)
    stage.stand(None)


def paint_lamp_post(stage: Stage, x: float, z: float) -> None:
    """A street lamp with an arm; at night it shines."""
    stage.stand(z)
    height, arm = stage.uniform(4.0, 8.0), stage.uniform(0.5, 2.0) * (-1.0 if x > 0 else 1.0)
    stage.ground_shadow(x, z, 0.08, height)
    metal = Material(muted(stage.rng, 30, 190, 0.1), stage.wall_heat())
    half = stage.uniform(0.05, 0.12)
    stage.fill(quad_facing(x - half, x + half, 0, height, z), metal)
    stage.fill(quad_facing(x - 2.2 * half, x + 2.2 * half, 0, 0.6, z), metal)
    stage.line([[x, height - 0.5, z], [x + 0.4 * arm, height, z], [x + arm, height, z]], metal, 1.6 * half)
    head = quad_facing(x + arm - 0.3, x + arm + 0.3, height - 0.18, height + 0.05, z)
    stage.fill(head, Material(muted(stage.rng, 120, 255, 0.1), stage.uniform(90, 240)))
    if stage.climate.night:
        lit = stage.view.project(head)
        stage.painter.emit(lit, (170.0, 225.0, 255.0))
        centre = stage.view.project((x + arm, height * 0.35, z))
        warm = stage.uniform(0.35, 0.9)
        radius = height * 0.7 * stage.view.px_per_m(z)
        stage.painter.lamp(
            (float(centre[0]), float(centre[1])), radius, (warm * stage.uniform(0.4, 0.9), warm * 0.85, warm)
        )
    stage.stand(None)


def paint_utility_pole(stage: Stage, x: float, z: float) -> None:
    """A wooden pole with a cross-arm."""
    stage.stand(z)
    height, half = stage.uniform(6.5, 10.0), stage.uniform(0.1, 0.18)
    stage.ground_shadow(x, z, half, height)
    wood = Material(earthy(stage.rng, 30, 120), stage.wall_heat(), stage.rough(0.1))
    stage.fill(quad_facing(x - half, x + half, 0, height, z), wood)
    for level in (height - 0.5, height - 1.3)[: int(stage.rng.integers(1, 3))]:
        stage.fill(quad_facing(x - 1.1, x + 1.1, level, level + 0.14, z), wood)
    if stage.chance(0.4):
        drum = Material(muted(stage.rng, 90, 200), stage.uniform(150, 240))
        stage.fill(quad_facing(x + half, x + half + 0.5, height - 2.6, height - 1.7, z), drum)
    stage.stand(None)


def paint_sign(stage: Stage, x: float, z: float) -> None:
    """A traffic or shop sign on a post: disc, triangle, diamond or board with words."""
    stage.stand(z)
    low, size = stage.uniform(1.7, 2.6), stage.uniform(0.3, 0.55)
    stage.ground_shadow(x, z, 0.05, low + size)
    post = Material(muted(stage.rng, 60, 200, 0.1), stage.wall_heat())
    stage.fill(quad_facing(x - 0.04, x + 0.04, 0, low + size, z), post)
    heat = stage.wall_heat()
    rim, face = (
        Material(vivid(stage.rng), heat),
        Material(muted(stage.rng, 190, 250, 0.4), stage.heat_near(heat, 25)),
    )
    outline = _sign_outline(stage)
    centre = np.array([x, low + size, z])
    stage.fill(centre + outline * size, rim)
    stage.fill(centre + outline * size * 0.78, face)
    ink = Material(muted(stage.rng, 10, 120, 0.8), stage.heat_near(heat, 30) if stage.chance(0.4) else None)
    inside = quad_facing(x - size * 0.5, x + size * 0.5, low + 0.75 * size, low + 1.25 * size, z)
    paint_text(stage, inside, ink)
    stage.stand(None)


def _sign_outline(stage: Stage) -> Float64Array:
    """Unit outline (n, 3): polygon of 3 to 16 corners, or a board."""
    corners = int(stage.rng.choice([3, 4, 8, 16, 0]))
    if corners == 0:
        return quad_facing(-1.3, 1.3, -0.8, 0.8, 0.0)
    angle = np.pi / 2 + (np.arange(corners) + (0.5 if corners == 8 else 0.0)) * 2 * np.pi / corners
    return np.column_stack([np.cos(angle), np.sin(angle), np.zeros(corners)])


def paint_traffic_light(stage: Stage, x: float, z: float) -> None:
    """A signal with three lamps on a post, one of them lit."""
    stage.stand(z)
    stage.ground_shadow(x, z, 0.07, 3.5)
    metal = Material(muted(stage.rng, 20, 110, 0.3), stage.wall_heat())
    stage.fill(quad_facing(x - 0.07, x + 0.07, 0, 3.6, z), metal)
    heat = stage.heat_near(metal.heat or 100.0, 50)
    stage.fill(quad_facing(x - 0.2, x + 0.2, 2.6, 3.7, z), Material(muted(stage.rng, 10, 70, 0.2), heat))
    lit = int(stage.rng.integers(0, 3))
    colours = [(60.0, 200.0, 40.0), (40.0, 190.0, 250.0), (50.0, 40.0, 250.0)]
    angle = np.linspace(0, 2 * np.pi, 13)[:-1]
    for k in range(3):
        disc = np.column_stack([x + 0.13 * np.cos(angle), 2.8 + 0.35 * k + 0.13 * np.sin(angle), np.full(12, z)])
        stage.fill(disc, Material(shaded(colours[k], 1.0 if k == lit else 0.3), heat + (60 if k == lit else 10)))
        if k == lit:
            stage.painter.emit(stage.view.project(disc), colours[k])
    stage.stand(None)


def paint_wires(stage: Stage, xs: list[float], z_near: float, z_far: float) -> None:
    """Sagging wires along the view: thin, and seen well against the sky in both pictures."""
    wire = Material(muted(stage.rng, 20, 90, 0.1), stage.uniform(70, 170))
    z = np.geomspace(z_near, z_far, 60)
    for x in xs:
        height = stage.uniform(6.0, 9.0) - 0.8 * np.abs(np.sin(np.pi * (z - z_near) / stage.uniform(20, 35)))
        stage.line(np.column_stack([np.full(60, x), height, z]), wire, 0.015)


def paint_fence(stage: Stage, start_xz: tuple[float, float], end_xz: tuple[float, float]) -> None:
    """Posts and rails, pickets, or a low wall between two ground points."""
    start, end = np.asarray(start_xz), np.asarray(end_xz)
    length = float(np.linalg.norm(end - start))
    height, kind = stage.uniform(0.7, 1.8), int(stage.rng.integers(0, 3))
    heat = stage.wall_heat()
    board = Material(earthy(stage.rng, 60, 240), heat, stage.rough(0.08))
    stage.stand(float(min(start[1], end[1])))

    def uprights(at: Float64Array, width: float, tall: float) -> Float64Array:
        left, right = (
            start + at[:, None] * (end - start),
            start + (at + width / length)[:, None] * (end - start),
        )
        bottom, top = np.zeros(len(at)), np.full(len(at), tall)
        columns = [(left, bottom), (right, bottom), (right, top), (left, top)]
        return np.stack([np.column_stack([xz[:, 0], y, xz[:, 1]]) for xz, y in columns], axis=1)

    if kind == 2:
        stage.fill(uprights(np.zeros(1), length, height), board)
        stage.fill(
            uprights(np.zeros(1), length, 0.12) + np.array([0.0, height, 0.0]),
            Material(shaded(board.bgr or (0, 0, 0), 1.2), stage.heat_near(heat, 40)),
        )
    else:
        spacing = stage.uniform(1.2, 2.4) if kind == 0 else stage.uniform(0.14, 0.35)
        stage.fill(uprights(np.arange(0.0, 1.0, spacing / length), 0.09, height), board)
        for level in (0.35, 0.85):
            rail = uprights(np.zeros(1), length, 0.09) + np.array([0.0, level * height, 0.0])
            stage.fill(rail, board)
    stage.stand(None)


def paint_bollards(stage: Stage, x0: float, x1: float, z: float) -> None:
    """A row of round posts."""
    heat, bgr = stage.wall_heat(), muted(stage.rng, 80, 240, 0.4)
    stage.stand(z)
    for x in np.arange(x0, x1, stage.uniform(1.2, 2.5)):
        stage.ground_shadow(float(x), z, 0.1, 0.9)
        stage.fill(quad_facing(float(x) - 0.1, float(x) + 0.1, 0, 0.9, z), Material(bgr, heat))
        stage.fill(quad_facing(float(x) - 0.1, float(x) + 0.1, 0.65, 0.8, z), Material(shaded(bgr, 0.5), heat + 15))
    stage.stand(None)


def paint_clutter(stage: Stage, x: float, z: float) -> None:
    """A bench, a bin or a cabinet."""
    material = Material(muted(stage.rng, 40, 200, 0.6), stage.wall_heat(), stage.rough(0.05))
    kind = stage.rng.random()
    if kind < 0.35:
        for level in (0.42, 0.62, 0.8):
            paint_box(
                stage,
                (x - 0.8, x + 0.8, level, level + 0.1, z, z + 0.4 if level < 0.5 else z + 0.06),
                material,
            )
        for leg in (-0.7, 0.6):
            paint_box(stage, (x + leg, x + leg + 0.08, 0.0, 0.42, z, z + 0.3), material)
    elif kind < 0.7:
        stage.ground_shadow(x, z, 0.3, 1.0)
        paint_box(stage, (x - 0.3, x + 0.3, 0.0, stage.uniform(0.8, 1.2), z, z + 0.5), material)
    else:
        stage.ground_shadow(x, z, 0.5, 1.5)
        warm = Material(material.bgr, stage.uniform(90, 220), material.texture)
        paint_box(stage, (x - 0.5, x + 0.5, 0.0, stage.uniform(1.1, 1.7), z, z + 0.5), warm)
