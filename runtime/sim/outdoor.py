"""Outdoor scenes: a street along the view, a row of facades across it, a park."""

from collections.abc import Callable

import numpy as np

from vr.runtime.sim.buildings import Wall, paint_facade
from vr.runtime.sim.furniture import (
    paint_bollards,
    paint_clutter,
    paint_fence,
    paint_lamp_post,
    paint_sign,
    paint_traffic_light,
    paint_utility_pole,
    paint_wires,
)
from vr.runtime.sim.nature import ground_blob, paint_bush, paint_ground, paint_hills, paint_sky, paint_tree
from vr.runtime.sim.paint import Material, Texture
from vr.runtime.sim.stage import Stage, log_uniform, muted, text_mask
from vr.runtime.sim.vehicles import Car
from vr.runtime.sim.view import quad_flat

_ROAD_END_M = 220.0
_Thing = tuple[float, Callable[[], None]]


def _paint_sorted(things: list[_Thing]) -> None:
    """Paints far things first; each is (distance m, what paints it)."""
    for _, paint in sorted(things, key=lambda thing: -thing[0]):
        paint()


def _roadside(stage: Stage, x: float, z: float) -> _Thing:
    """Something that stands beside a road."""
    kinds = [
        paint_tree,
        paint_tree,
        paint_lamp_post,
        paint_utility_pole,
        paint_sign,
        paint_traffic_light,
        paint_clutter,
    ]
    paint = kinds[int(stage.rng.integers(len(kinds)))]
    return z, lambda: paint(stage, x, z)


def _park_car_along(stage: Stage, x: float, z: float, away: bool) -> _Thing:
    def paint() -> None:
        car = Car.random(stage.rng, stage.climate, driving=False)
        stage.ground_shadow(x, z + 2.0, car.width / 2, car.height)
        _warm_patch(stage, x, z)
        stage.stand(z)
        stage.painter.shadow(stage.view.project(quad_flat(x - 0.95, x + 0.95, 0, z - 0.1, z + 4.4)), 0.35)
        for outline, material in car.along(x, z, away):
            stage.lay(outline, material)
        stage.stand(None)

    return z, paint


def _park_car_across(stage: Stage, x: float, z: float) -> _Thing:
    def paint() -> None:
        car = Car.random(stage.rng, stage.climate, driving=False)
        stage.ground_shadow(x, z, car.length / 2, car.height)
        stage.stand(z)
        half = car.length / 2
        stage.painter.shadow(stage.view.project(quad_flat(x - half, x + half, 0, z - 0.15, z + 1.8)), 0.35)
        for outline, material in car.across(x, z, stage.chance(0.5)):
            stage.lay(outline, material)
        stage.stand(None)

    return z, paint


def _warm_patch(stage: Stage, x: float, z: float) -> None:
    """Ground that a car has warmed or kept cool: seen in the heat picture alone."""
    warmth = stage.heat_near(stage.climate.ground_heat, 50)
    stage.fill(ground_blob(stage, x + stage.uniform(-2, 2), z + 1.5, stage.uniform(0.8, 1.8)), Material(None, warmth))


def paint_street(stage: Stage) -> None:
    """A street that runs along the view, houses, trees and parked cars on both sides."""
    rng = stage.rng
    paint_sky(stage)
    paint_hills(stage)
    half, walk = stage.uniform(3.0, 7.0), stage.uniform(1.5, 4.0)
    ground_heat = paint_ground(stage, "grass" if stage.chance(0.35) else "paved")
    _paint_road(stage, half, walk, ground_heat)
    things: list[_Thing] = []
    for side in (-1.0, 1.0):
        things += _houses_along(stage, side, half + walk)
        rows = rng.uniform(4.5, 70.0, int(rng.integers(2, 9)))
        things += [_roadside(stage, side * (half + stage.uniform(0.4, walk)), float(z)) for z in rows]
        if stage.chance(0.7):
            spots = np.arange(stage.uniform(6, 14), 75.0, stage.uniform(5.5, 8.0))
            spots = spots[rng.random(len(spots)) < stage.uniform(0.3, 0.9)]
            things += [_park_car_along(stage, side * (half - 1.1), float(z), side > 0) for z in spots]
    _paint_sorted(things)
    if stage.chance(0.5):
        side = half + stage.uniform(0.5, walk)
        paint_wires(stage, [side, side + 0.7, -side][: int(rng.integers(1, 4))], 7.0, 140.0)


def _houses_along(stage: Stage, side: float, x: float) -> list[_Thing]:
    """Facades, gaps with fences or hedges, from near to far."""
    things: list[_Thing] = []
    z, tall, gaps = stage.uniform(2.5, 7.0), stage.uniform(4, 14), stage.uniform(0.1, 0.8)
    light = stage.uniform(0.6, 1.0)
    while z < 100.0:
        length = stage.uniform(5, 18)
        if stage.chance(gaps):
            things.append(_gap_along(stage, side * (x + 0.5), z, z + length))
        else:
            height, setback = tall * stage.uniform(0.5, 1.4), stage.uniform(0, 3)
            things.append((z, _house_along(stage, side, x + setback, (z, z + length), height, light)))
        z += length
    return things


def _house_along(
    stage: Stage, side: float, x: float, z_m: tuple[float, float], height: float, light: float
) -> Callable[[], None]:
    def paint() -> None:
        front = Wall((side * x if side > 0 else -x - 12.0, z_m[0]), (1.0, 0.0), 12.0, height)
        paint_facade(stage, front, 1.6 - light)
        paint_facade(stage, Wall((side * x, z_m[0]), (0.0, 1.0), z_m[1] - z_m[0], height), light)

    return paint


def _gap_along(stage: Stage, x: float, z0: float, z1: float) -> _Thing:
    def paint() -> None:
        if stage.chance(0.5):
            paint_fence(stage, (x, z1), (x, z0))
        else:
            for z in np.arange(z1, z0, -max(1.6, (z1 - z0) / 5)):
                paint_bush(stage, x + np.sign(x) * 0.6, float(z), stage.uniform(1.5, 3.0), stage.uniform(0.8, 2.0))

    return z0, paint


def _paint_road(stage: Stage, half: float, walk: float, ground_heat: float) -> None:
    """Road, pavements, kerbs, markings, patches and a drain."""
    heat = stage.heat_near(ground_heat, 30)
    surface = Texture(0.02, stage.uniform(-0.06, 0.06), stage.uniform(0.02, 0.07), stage.uniform(0.02, 0.12))
    for side in (-1.0, 1.0):
        near, far = side * half, side * (half + walk)
        pavement = Material(muted(stage.rng, 110, 205, 0.12), stage.heat_near(heat, 35), stage.rough(0.05))
        stage.fill(quad_flat(near, far, 0, 0.6, _ROAD_END_M), pavement)
    stage.lay(quad_flat(-half, half, 0, 0.6, _ROAD_END_M), Material(muted(stage.rng, 50, 140, 0.1), heat, surface))
    for side in (-1.0, 1.0):
        kerb = Material(muted(stage.rng, 120, 220, 0.1), stage.heat_near(heat, 45))
        stage.fill(quad_flat(side * half, side * (half + 0.2), 0, 0.6, _ROAD_END_M), kerb)
    paint_faint = stage.heat_near(heat, 28) if stage.chance(0.7) else None
    paint = Material(muted(stage.rng, 175, 250, 0.3), paint_faint)
    _paint_markings(stage, half, paint)
    for _ in range(int(stage.rng.integers(1, 6))):
        x, z = stage.uniform(-half, half), stage.uniform(3, 30)
        patch = Material(muted(stage.rng, 45, 120, 0.1), stage.heat_near(heat, 30) if stage.chance(0.7) else None)
        stage.fill(quad_flat(x, x + stage.uniform(0.5, 2.5), 0, z, z + stage.uniform(0.4, 5)), patch)
    x, z = stage.uniform(-half, half) * 0.8, stage.uniform(4, 16)
    stage.fill(ground_blob(stage, x, z, 0.4), Material((40, 42, 45), stage.uniform(60, 230)))


def _paint_markings(stage: Stage, half: float, paint: Material) -> None:
    if stage.chance(0.6):
        for x in (-half + 0.35, half - 0.35):
            stage.fill(quad_flat(x - 0.06, x + 0.06, 0, 0.6, _ROAD_END_M), paint)
    if stage.chance(0.8):
        gap = stage.uniform(0.0, 4.0)
        for z in np.arange(1.5, 90.0, 3.0 + gap):
            stage.fill(quad_flat(-0.07, 0.07, 0, float(z), float(z) + 3.0), paint)
    if stage.chance(0.5):
        z, deep = stage.uniform(5, 16), stage.uniform(2, 4)
        if stage.chance(0.6):
            x = np.arange(-half + 0.3, half - 0.5, 1.0)
            stage.fill(np.array([quad_flat(u, u + 0.5, 0, z, z + deep) for u in x]), paint)
        else:
            stage.fill(np.array([quad_flat(-half, half, 0, z + d, z + d + 0.3) for d in (0.0, deep)]), paint)
    if stage.chance(0.35):
        x, z = stage.uniform(-half + 1, half - 2), stage.uniform(4, 10)
        corners = np.array([[x, 0, z + 3.5], [x + 1.6, 0, z + 3.5], [x + 1.6, 0, z], [x, 0, z]])
        stage.decal(corners, text_mask(stage.rng, (48, 96)), paint)


def paint_frontage(stage: Stage) -> None:
    """A row of houses across the view, a road in front of them."""
    rng = stage.rng
    paint_sky(stage)
    paint_hills(stage)
    ground_heat = paint_ground(stage, "grass" if stage.chance(0.3) else "paved")
    far = stage.uniform(12.0, 32.0)
    _paint_cross_road(stage, far, ground_heat)
    left, right = (stage.view.x_at(stage.view.left_px + f * stage.view.width_px, far) for f in (-0.8, 1.8))
    things: list[_Thing] = []
    x, gaps = left, stage.uniform(0.0, 0.5)
    while x < right:
        length = stage.uniform(5, 16)
        wall = Wall((x, far + stage.uniform(0, 3)), (1.0, 0.0), length, stage.uniform(3.5, 14))
        if not stage.chance(gaps):
            things.append((wall.origin_xz[1], lambda wall=wall: paint_facade(stage, wall)))
        elif stage.chance(0.6):
            things.append((far, lambda x=x, length=length: paint_fence(stage, (x, far), (x + length, far))))
        x += length
    for x in rng.uniform(left, right, int(rng.integers(4, 14))):
        things.append(_roadside(stage, float(x), far - stage.uniform(0.6, 2.5)))
    for x in rng.uniform(left, right, int(rng.integers(1, 7))):
        things.append(_park_car_across(stage, float(x), far - 4.5))
    things += _foreground(stage)
    _paint_sorted(things)


def _foreground(stage: Stage) -> list[_Thing]:
    """A few things near the viewer."""
    things: list[_Thing] = []
    for _ in range(int(stage.rng.integers(0, 4))):
        z = stage.uniform(6.0, 11.0)
        x = stage.view.x_at(stage.view.left_px + stage.uniform(-0.2, 1.2) * stage.view.width_px, z)
        things.append(_roadside(stage, x, z))
    if stage.chance(0.25):
        z = stage.uniform(4.0, 7.0)
        things.append((z, lambda: paint_bollards(stage, -8.0, 8.0, z)))
    return things


def _paint_cross_road(stage: Stage, far: float, ground_heat: float) -> None:
    heat = stage.heat_near(ground_heat, 30)
    walk = Material(muted(stage.rng, 120, 210, 0.12), stage.heat_near(heat, 30), stage.rough(0.05))
    stage.fill(quad_flat(-300, 300, 0, far - 3.0, far + 0.5), walk)
    near = max(far - stage.uniform(9.0, 14.0), 2.0)
    road = Material(muted(stage.rng, 55, 140, 0.1), heat, stage.rough(0.05))
    stage.lay(quad_flat(-300, 300, 0, near, far - 3.0), road)
    kerb = Material(muted(stage.rng, 130, 220, 0.1), stage.heat_near(heat, 45))
    for z in (near - 0.2, far - 3.0):
        stage.fill(quad_flat(-300, 300, 0, z, z + 0.25), kerb)
    paint = Material(muted(stage.rng, 180, 250, 0.3), stage.heat_near(heat, 25) if stage.chance(0.6) else None)
    middle = (near + far - 3.0) / 2
    starts = np.arange(-60.0, 60.0, stage.uniform(4, 8))
    stage.fill(np.array([quad_flat(x, x + 2.5, 0, middle, middle + 0.15) for x in starts]), paint)


def paint_park(stage: Stage) -> None:
    """Trees, bushes, benches and paths on grass."""
    rng = stage.rng
    paint_sky(stage)
    paint_hills(stage)
    heat = paint_ground(stage, "grass")
    for _ in range(int(rng.integers(1, 3))):
        _paint_path(stage, heat)
    things: list[_Thing] = []
    for _ in range(int(rng.integers(8, 22))):
        z = log_uniform(rng, 5.0, 55.0)
        x = stage.view.x_at(stage.view.left_px + stage.uniform(-0.25, 1.25) * stage.view.width_px, z)
        if stage.chance(0.65):
            things.append((z, lambda x=x, z=z: paint_tree(stage, x, z)))
        else:
            wide, tall = stage.uniform(0.8, 4.0), stage.uniform(0.5, 2.0)
            things.append((z, lambda x=x, z=z, wide=wide, tall=tall: paint_bush(stage, x, z, wide, tall)))
    for _ in range(int(rng.integers(2, 7))):
        z = stage.uniform(5, 20)
        x = stage.view.x_at(stage.view.left_px + stage.rng.random() * stage.view.width_px, z)
        paint = [paint_clutter, paint_lamp_post, paint_sign][int(rng.integers(3))]
        things.append((z, lambda x=x, z=z, paint=paint: paint(stage, x, z)))
    if stage.chance(0.6):
        z = stage.uniform(12, 40)
        things.append((z, lambda z=z: paint_fence(stage, (-60.0, z), (60.0, z))))
    if stage.chance(0.5):
        z = stage.uniform(25, 60)
        wall = Wall((stage.uniform(-20, 5), z), (1.0, 0.0), stage.uniform(8, 20), stage.uniform(4, 12))
        things.append((z, lambda: paint_facade(stage, wall)))
    _paint_sorted(things)


def _paint_path(stage: Stage, ground_heat: float) -> None:
    """A winding path from the viewer into the distance."""
    way = Material(muted(stage.rng, 110, 200, 0.2), stage.heat_near(ground_heat, 45), stage.rough(0.06))
    z = np.geomspace(1.0, 60.0, 16)
    straight = stage.uniform(-3, 3) + stage.uniform(-0.4, 0.4) * z
    centre = straight + stage.uniform(-3, 3) * np.sin(z / stage.uniform(5, 15))
    half = stage.uniform(0.5, 1.8)
    stage.fill(np.column_stack([np.r_[centre - half, (centre + half)[::-1]], np.zeros(32), np.r_[z, z[::-1]]]), way)
