"""Sky, hills, ground, trees, bushes."""

import cv2
import numpy as np

from vr.runtime.geometry import Float64Array
from vr.runtime.sim.paint import Float32Array, Material, Texture, noise_field
from vr.runtime.sim.stage import Stage, earthy, muted, shaded
from vr.runtime.sim.view import quad_facing, quad_flat

_LARGEST_CROWN = 1.3
_BLOB_ANGLES = np.linspace(0.0, 2.0 * np.pi, 17)[:-1]


def paint_sky(stage: Stage) -> None:
    """A sky with a gradient and clouds; both pictures see the clouds, each with its own contrast."""
    rng, painter = stage.rng, stage.painter
    h, w = painter.canvas_hw
    horizon = int(np.clip(stage.view.vanishing_xy[1] + 2, 1, h))
    zenith = [(235.0, 190.0, 140.0), (225.0, 225.0, 222.0), (170.0, 150.0, 150.0), (245.0, 235.0, 225.0)]
    low = [(240.0, 235.0, 225.0), (235.0, 235.0, 235.0), (120.0, 170.0, 235.0), (200.0, 225.0, 245.0)]
    top, bottom = (np.array(sky[int(rng.integers(4))]) * stage.uniform(0.8, 1.05) for sky in (zenith, low))
    ramp = np.linspace(0.0, 1.0, horizon, dtype=np.float32)[:, None] ** stage.uniform(0.6, 2.0)
    grain = painter.unit_px
    clouds = noise_field(rng, (horizon, w), (grain / 2, grain / 5, grain / 12, grain / 30))
    clouds = cv2.resize(clouds[:, : max(w // 3, 2)], (w, horizon), interpolation=cv2.INTER_CUBIC)
    cover = np.clip(clouds * stage.uniform(0.0, 0.6) + stage.uniform(-0.3, 0.3), 0, 1)
    cloud_grey, gradient = stage.uniform(170, 255), stage.uniform(-10, 30)
    base = (top * (1 - ramp[..., None]) + bottom * ramp[..., None]).astype(np.float32)
    painter.bgr[:horizon] = np.clip(base + cv2.merge([cover] * 3) * (cloud_grey - base), 0, 255)
    warm = stage.climate.sky_heat + gradient * ramp + cover * stage.uniform(-5, 45) + 2.0 * clouds
    painter.heat[:horizon] = np.clip(warm, 2, 255)


def paint_hills(stage: Stage) -> None:
    """One or two ridges, a far tree line or a skyline along the horizon."""
    rng, painter, view = stage.rng, stage.painter, stage.view
    w = painter.canvas_hw[1]
    horizon, unit = view.vanishing_xy[1], painter.unit_px
    for layer in range(int(rng.integers(1, 4))):
        x = np.linspace(-10, w + 10, 60)
        coarse = rng.standard_normal(14)
        ridge = np.interp(np.linspace(0, 13, 60), np.arange(14), coarse)
        ridge += stage.uniform(0.0, 0.5) * rng.standard_normal(60)
        if stage.chance(0.3):
            ridge = np.repeat(rng.uniform(0, 2.5, 20), 3)
            x = np.sort(np.concatenate([x[::3], x[::3] + 0.1, x[2::3]]))
        y = horizon - unit * np.clip(0.06 + 0.035 * ridge - 0.02 * layer, 0.005, 0.3)
        haze = 0.75 - 0.2 * layer
        bgr = np.array(earthy(rng, 60, 130)) * (1 - haze) + haze * np.array([190.0, 185.0, 180.0])
        heat = stage.climate.sky_heat * haze * 0.7 + (1 - haze * 0.7) * stage.uniform(*stage.climate.leaf_heat)
        outline = np.column_stack([np.r_[x, w + 10, -10], np.r_[y, horizon + 4, horizon + 4]])
        b, g, r = (float(v) for v in bgr)
        painter.polygon(outline, Material((b, g, r), heat, Texture(0.05, 0.1, 0.0, 0.05)))


def paint_ground(stage: Stage, kind: str) -> float:
    """The ground up to the horizon, `kind` "paved" or "grass", with stains; returns its heat."""
    rng = stage.rng
    heat = stage.heat_near(stage.climate.ground_heat, 20)
    if kind == "grass":
        bgr = (stage.uniform(30, 75), stage.uniform(75, 130), stage.uniform(60, 130))
        texture = Texture(stage.uniform(0.1, 0.25), stage.uniform(-0.5, 0.5), 0.08, 0.15)
    else:
        bgr, texture = muted(rng, 80, 170, 0.15), stage.rough(0.08)
    view = stage.view
    stage.painter.lay_ground_noise(view.vanishing_xy[1], view.height_m, view.focal_px, view.vanishing_xy[0])
    stage.lay(quad_flat(-900, 900, 0, 0.6, 3000), Material(bgr, heat, texture))
    for _ in range(int(rng.integers(3, 12))):
        x, z, r = stage.uniform(-14, 14), stage.uniform(2.5, 25), stage.uniform(0.2, 2.2)
        colour = shaded(bgr, stage.uniform(0.75, 1.2)) if stage.chance(0.6) else None
        warmth = stage.heat_near(heat, 25) if colour is None or stage.chance(0.5) else None
        stage.fill(ground_blob(stage, x, z, r), Material(colour, warmth))
    return heat


def ground_blob(stage: Stage, x: float, z: float, radius_m: float) -> Float64Array:
    """An irregular outline (16, 3) on the ground."""
    reach = radius_m * stage.rng.uniform(0.6, 1.1, 16)
    along, deep = reach * np.cos(_BLOB_ANGLES), reach * np.sin(_BLOB_ANGLES)
    return np.column_stack([x + along, np.zeros(16), np.maximum(z + deep, 0.8)])


def foliage(stage: Stage, box_px: tuple[float, float, float, float], shape: str, leaf: Material) -> None:
    """Leaves in a box (left, top, width, height) px; `shape` "crown", "cone" or "hedge", ragged and with holes."""
    left, top, width, height = box_px
    limit = stage.painter.unit_px * _LARGEST_CROWN
    w, h = int(np.clip(width, 5, limit)), int(np.clip(height, 5, limit))
    body = _leaf_body(stage, shape, (h, w))
    noise = _noise_window(stage, (h, w))
    grain = stage.uniform(0.15, 0.5)
    alpha = np.clip((body - 0.42 + grain * 0.4 * noise) * max(4.0, min(w, h) / 12.0), 0, 1)
    slope = np.linspace(stage.uniform(0.9, 1.3), stage.uniform(0.5, 0.8), h, dtype=np.float32)[:, None]
    shade = slope * (0.75 + 0.5 * body + 0.12 * noise)
    place = (int(left + (width - w) / 2), int(top + height - h))
    stage.painter.soft(place, alpha.astype(np.float32), leaf, shade.astype(np.float32))


def _leaf_body(stage: Stage, shape: str, size_hw: tuple[int, int]) -> Float32Array:
    """Smooth body (h, w) in 0 to 1 whose outline the leaves follow, drawn small and enlarged."""
    h, w = size_hw
    small = np.zeros((48, 48), np.uint8)
    if shape == "cone":
        cv2.fillPoly(small, [np.array([[24, 1], [40, 46], [8, 46]], np.int32)], (255,), cv2.LINE_AA)
    elif shape == "hedge":
        cv2.rectangle(small, (3, 6), (44, 47), (255,), -1)
    else:
        for _ in range(int(stage.rng.integers(6, 14))):
            x, y, r = (float(v) for v in stage.rng.uniform((13, 13, 5), (35, 33, 12)))
            cv2.circle(small, (int(x), int(y)), int(r), (255,), -1, cv2.LINE_AA)
    soft = cv2.GaussianBlur(small, (0, 0), 2.6)
    return cv2.resize(soft, (w, h), interpolation=cv2.INTER_LINEAR).astype(np.float32) / 255.0


def _noise_window(stage: Stage, size_hw: tuple[int, int]) -> Float32Array:
    """A window (h, w) of the painter's shared noise, at a random place, mirrored where it is too small."""
    field = stage.painter.leaf_noise
    h, w = size_hw
    canvas_h, canvas_w = stage.painter.canvas_hw
    y = int(stage.rng.random() * max(canvas_h - h, 0))
    x = int(stage.rng.random() * max(canvas_w - w, 0))
    window = field[y : y + h, x : x + w]
    return cv2.copyMakeBorder(window, 0, h - window.shape[0], 0, w - window.shape[1], cv2.BORDER_REFLECT)  # type: ignore[return-value]


def leaf_material(stage: Stage) -> Material:
    """Leaves: green, autumn or dark, textured in both pictures."""
    warm = stage.rng.random() ** 2
    value = stage.uniform(45, 125)
    bgr = (value * stage.uniform(0.25, 0.6), value, value * (0.55 + 0.7 * warm))
    shared = stage.climate.warm_ir_leaves * stage.uniform(0.15, 0.8)
    return Material(bgr, stage.uniform(*stage.climate.leaf_heat), Texture(stage.uniform(0.15, 0.35), shared, 0.08, 0.1))


def paint_tree(stage: Stage, x: float, z: float) -> None:
    """A tree with trunk and crown, a conifer or a bare tree, standing at a point of the ground."""
    scale, (foot_x, foot_y) = stage.view.px_per_m(z), stage.view.project((x, 0.0, z))
    stage.stand(z)
    leaf = leaf_material(stage)
    bark_heat = stage.heat_near(leaf.heat or 100.0, 50)
    bark = Material(earthy(stage.rng, 25, 110), bark_heat, Texture(0.15, stage.uniform(-0.3, 0.3), 0.15, 0.1))
    kind = stage.rng.random()
    if kind < 0.2:
        paint_bare_tree(stage, (foot_x, foot_y), stage.uniform(3.5, 8.0) * scale, bark)
    elif kind < 0.35:
        height, width = stage.uniform(3.0, 9.0), stage.uniform(1.5, 3.5)
        stage.ground_shadow(x, z, width / 3, height)
        box = (foot_x - width / 2 * scale, foot_y - height * scale, width * scale, height * scale)
        foliage(stage, box, "cone", leaf)
    else:
        trunk, width, height = stage.uniform(1.4, 3.2), stage.uniform(2.0, 6.0), stage.uniform(2.0, 5.0)
        stage.ground_shadow(x, z, width / 3, trunk + height)
        half = stage.uniform(0.06, 0.25)
        upright = quad_facing(x - half, x + half, 0, trunk + 0.5 * height, z)
        upright[2:, 0] = x + np.array([half, -half]) * 0.5
        stage.fill(upright, bark)
        box = (
            foot_x - width / 2 * scale,
            foot_y - (trunk + height) * scale,
            width * scale,
            1.15 * height * scale,
        )
        foliage(stage, box, "crown", leaf)
    stage.stand(None)


def paint_bare_tree(stage: Stage, foot_xy: tuple[float, float], height_px: float, bark: Material) -> None:
    """Trunk and three generations of branches."""
    tips = [(np.array(foot_xy), -np.pi / 2 + stage.uniform(-0.1, 0.1), height_px * 0.4, height_px * 0.035)]
    for generation in range(4):
        grown: list[tuple[Float64Array, float, float, float]] = []
        for start, angle, length, width in tips:
            bend = angle + stage.uniform(-0.15, 0.15)
            middle = start + 0.5 * length * np.array([np.cos(angle), np.sin(angle)])
            end = middle + 0.5 * length * np.array([np.cos(bend), np.sin(bend)])
            stage.painter.line([start, middle, end], bark, width)
            if length > stage.painter.unit_px / 60:
                for _ in range(3 if generation < 2 else 2):
                    grown.append((end, bend + stage.uniform(-0.8, 0.8), length * stage.uniform(0.5, 0.8), width * 0.55))
        tips = grown


def paint_bush(stage: Stage, x: float, z: float, width_m: float, height_m: float) -> None:
    """A bush or a piece of hedge."""
    scale, (foot_x, foot_y) = stage.view.px_per_m(z), stage.view.project((x, 0.0, z))
    stage.stand(z)
    shape = "hedge" if width_m > 2.2 * height_m else "crown"
    box = (foot_x - width_m / 2 * scale, foot_y - height_m * scale, width_m * scale, 1.15 * height_m * scale)
    foliage(stage, box, shape, leaf_material(stage))
    stage.stand(None)
