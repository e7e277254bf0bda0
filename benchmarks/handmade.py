"""The best hand-made method that we know of: multi-start Gauss-Newton on oriented gradients (CFOG).

Edges lie at the same places in infrared and visible light, only their strength and sign differ. So both frames become
maps of unsigned gradient orientation (channel features of orientated gradients: Ye et al., "Fast and robust matching
for multimodal remote sensing image registration", IEEE TGRS 2019), and these are compared:

1. search at 80x60: every combination of ROTATIONS_DEG and SCALES, all shifts at once by FFT correlation;
2. the best STARTS of them are refined by Gauss-Newton over the six parameters of an affine at 80x60, the SURVIVORS
   most similar ones of these at 160x120, the FINALISTS most similar ones of those at 320x240;
3. the most similar finalist is the answer.

A fair opponent, tuned on pairs that nothing here is measured on. It has no notion of "I do not know".
"""

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import Float64Array, SizeHw, compose, grid_error_px, matrix_to_theta, theta_to_matrix
from vr.runtime.preprocess import Frame, resize, to_gray

Float32Array = NDArray[np.float32]
SIZES_HW: tuple[SizeHw, ...] = ((60, 80), (120, 160), (240, 320))
STEPS = (12, 10, 10)
STARTS, SURVIVORS, FINALISTS = 8, 5, 2
ROTATIONS_DEG = (-15.0, -10.0, -5.0, 0.0, 5.0, 10.0, 15.0)
SCALES = (0.72, 0.8, 0.9, 1.0, 1.12, 1.25, 1.38)
MAX_SHIFT = 0.25
ORIENTATIONS = 9
BLUR_SIGMA_PX = 0.8
FLAT_SHARE = 0.5
"""Gradients weaker than this share of the frame's median fade out instead of being brought to unit length."""
MIN_OVERLAP = 0.3
_CONVERGED_PX = 0.02
_DAMPING = 1e-3
_ANGLES = np.pi * np.arange(ORIENTATIONS) / ORIENTATIONS
_DIRECTIONS = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)]).astype(np.float32)
_CIRCLE = np.eye(ORIENTATIONS, dtype=np.float32)
_ORIENTATION_BLUR = 2.0 * _CIRCLE + np.roll(_CIRCLE, 1, axis=0) + np.roll(_CIRCLE, -1, axis=0)


@dataclass(frozen=True)
class Level:
    """Both frames at one size: the fixed one's features and their gradients (h, w, 9), the moving one's grey level."""

    size_hw: SizeHw
    fixed: Float32Array
    gradient_x: Float32Array
    gradient_y: Float32Array
    moving: NDArray[np.uint8]


def align(ir: Frame, rgb: Frame) -> Float64Array:
    """The (2, 3) `matrix_rgb_to_ir` of two frames of any size, in their pixels; it always answers."""
    levels = [make_level(to_gray(ir), to_gray(rgb), size_hw) for size_hw in SIZES_HW]
    thetas = coarse_starts(levels[0])
    for level, steps, kept in zip(levels, STEPS, (SURVIVORS, FINALISTS, 1), strict=True):
        refined = [refine(level, theta, steps) for theta in thetas]
        thetas = sorted(refined, key=lambda theta, at=level: -similarity(at, theta))[:kept]
    return theta_to_matrix(thetas[0], (rgb.shape[0], rgb.shape[1]), (ir.shape[0], ir.shape[1]))


def make_level(ir: NDArray[np.uint8], rgb: NDArray[np.uint8], size_hw: SizeHw) -> Level:
    """Both grey frames (h, w) brought to `size_hw`."""
    fixed = cfog(resize(rgb, size_hw))
    return Level(size_hw, fixed, *_gradients(fixed), resize(ir, size_hw))


def cfog(gray: NDArray[np.uint8]) -> Float32Array:
    """(h, w) uint8 to (h, w, 9) float32: strength of the gradient along 9 directions, its sign dropped.

    Of nearly unit length where there is an edge, fading to nothing where the frame is flat.
    """
    h, w = gray.shape
    level = gray.astype(np.float32)
    gradient = np.stack([cv2.Sobel(level, cv2.CV_32F, *order) for order in ((1, 0), (0, 1))], axis=-1)
    strength = np.abs(gradient.reshape(-1, 2) @ _DIRECTIONS).reshape(h, w, ORIENTATIONS)
    blurred = cv2.GaussianBlur(strength, (0, 0), BLUR_SIGMA_PX).reshape(-1, ORIENTATIONS)
    maps = np.asarray(blurred @ _ORIENTATION_BLUR, np.float32).reshape(h, w, ORIENTATIONS)
    length = np.sqrt(_dot(maps, maps))[..., None]
    return np.asarray(maps / (length + FLAT_SHARE * np.median(length[::2, ::2]) + 1.0), np.float32)


def coarse_starts(level: Level) -> list[Float64Array]:
    """The STARTS best thetas (2, 3) of the exhaustive search, best first."""
    spectrum = np.conj(_spectrum(level.fixed - level.fixed.mean(axis=(0, 1))))
    found = [_best_shift(level, spectrum, turn_deg, scale) for turn_deg, scale in product(ROTATIONS_DEG, SCALES)]
    return [theta for _, theta in sorted(found, key=lambda one: -one[0])[:STARTS]]


def refine(level: Level, theta: Float64Array, steps: int) -> Float64Array:
    """Gauss-Newton from `theta`: the affine that makes the moving frame's features most like the fixed one's.

    Each step warps the moving frame and solves for the small affine of the fixed frame that explains the difference of
    the features: inverse compositional (Baker and Matthews, IJCV 2004), with the mean of both frames' gradients
    (Malis, ICRA 2004) and Cauchy weights.
    """
    matrix = theta_to_matrix(theta, level.size_hw, level.size_hw)
    for _ in range(steps):
        change = _step(level, matrix)
        if change is None:
            break
        matrix = compose(matrix, change)
        if grid_error_px(change, np.eye(2, 3), level.size_hw) < _CONVERGED_PX:
            break
    return matrix_to_theta(matrix, level.size_hw, level.size_hw)


def similarity(level: Level, theta: Float64Array) -> float:
    """Correlation of the two feature maps where the frames overlap; -1 where they hardly do."""
    features, mask = _moved(level, theta_to_matrix(theta, level.size_hw, level.size_hw))
    if mask.mean() < MIN_OVERLAP:
        return -1.0
    inside = mask > 0
    moved, fixed = (maps[inside] - maps[inside].mean(axis=0) for maps in (features, level.fixed))
    return float((moved * fixed).sum() / np.sqrt((moved * moved).sum() * (fixed * fixed).sum() + 1e-9))


def _best_shift(
    level: Level, fixed_spectrum: NDArray[np.complexfloating], turn_deg: float, scale: float
) -> tuple[float, Float64Array]:
    """Score and theta of the best shift at one rotation and scale."""
    h, w = level.size_hw
    turn = np.deg2rad(turn_deg)
    turned = _about_centre(scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]), level)
    features, mask = _moved(level, turned)
    features = (features - features[mask > 0].mean(axis=0)) * mask[..., None]
    product_spectrum = (_spectrum(features) * fixed_spectrum).sum(axis=-1)
    scores = np.fft.irfft2(product_spectrum, s=_padded(level.size_hw))
    reach_y, reach_x = int(MAX_SHIFT * h), int(MAX_SHIFT * w)
    window = np.roll(scores, (reach_y, reach_x), axis=(0, 1))[: 2 * reach_y + 1, : 2 * reach_x + 1]
    y, x = np.unravel_index(int(window.argmax()), window.shape)
    shift = np.array([[1.0, 0.0, x - reach_x], [0.0, 1.0, y - reach_y]])
    score = float(window[y, x]) / float(np.sqrt((features * features).sum()) + 1e-6)
    return score, matrix_to_theta(compose(turned, shift), level.size_hw, level.size_hw)


def _step(level: Level, matrix: Float64Array) -> Float64Array | None:
    """One Gauss-Newton step: the small affine to apply before `matrix`; None where it cannot be found."""
    features, mask = _moved(level, matrix)
    if mask.mean() < MIN_OVERLAP:
        return None
    moved_gx, moved_gy = _gradients(features)
    gx, gy = (level.gradient_x + moved_gx) / 2.0, (level.gradient_y + moved_gy) / 2.0
    residual = level.fixed - features
    squared = _dot(residual, residual)
    typical = np.median(squared[::2, ::2][mask[::2, ::2] > 0]) + 1e-6
    weight = np.asarray(mask / (1.0 + squared / typical), np.float32)
    tensor = [[_dot(a, b) * weight for b in (gx, gy)] for a in (gx, gy)]
    return _solve(tensor, [_dot(a, residual) * weight for a in (gx, gy)], level)


def _solve(tensor: list[list[Float32Array]], right: list[Float32Array], level: Level) -> Float64Array | None:
    """The small affine from each pixel's structure tensor, 2x2 maps (h, w), and right-hand side, 2 maps (h, w)."""
    h, w = level.size_hw
    ys, xs = np.mgrid[:h, :w].astype(np.float32)
    basis = np.stack([(xs - (w - 1) / 2.0) / w, (ys - (h - 1) / 2.0) / w, np.ones_like(xs)]).reshape(3, -1)
    normal = np.block([[(basis * entry.ravel()) @ basis.T for entry in row] for row in tensor]).astype(np.float64)
    normal[np.diag_indices(6)] *= 1.0 + _DAMPING
    try:
        values = np.linalg.solve(normal, np.concatenate([basis @ one.ravel() for one in right]))
    except np.linalg.LinAlgError:
        return None
    parameters = values.reshape(2, 3)
    change = _about_centre(np.eye(2) + parameters[:, :2] / w, level)
    change[:, 2] += parameters[:, 2]
    return change


def _moved(level: Level, matrix: Float64Array) -> tuple[Float32Array, Float32Array]:
    """Features (h, w, 9) of the moving frame brought onto the fixed one, and where they are known (h, w), 0 or 1."""
    h, w = level.size_hw
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(level.moving, matrix, (w, h), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.warpAffine(np.ones((h, w), np.float32), matrix, (w, h), flags=flags)
    known = cv2.erode((seen > 0.999).astype(np.float32), np.ones((5, 5), np.uint8), borderValue=0)
    return cfog(moved.astype(np.uint8)), known.astype(np.float32)


def _about_centre(linear: Float64Array, level: Level) -> Float64Array:
    """(2, 2) to the (2, 3) affine that leaves the centre of the frame where it is."""
    h, w = level.size_hw
    centre = np.array([(w - 1) / 2.0, (h - 1) / 2.0])
    return np.column_stack([linear, centre - linear @ centre])


def _gradients(maps: Float32Array) -> tuple[Float32Array, Float32Array]:
    gx, gy = (cv2.Sobel(maps, cv2.CV_32F, *order, scale=0.125) for order in ((1, 0), (0, 1)))
    return np.asarray(gx, np.float32), np.asarray(gy, np.float32)


def _dot(a: Float32Array, b: Float32Array) -> Float32Array:
    return np.einsum("hwc,hwc->hw", a, b)


def _padded(size_hw: SizeHw) -> tuple[int, int]:
    """Room for the largest shift, so that what leaves the frame on one side does not come back on the other."""
    h, w = (int(side * (1.0 + MAX_SHIFT)) // 2 * 2 + 2 for side in size_hw)
    return h, w


def _spectrum(maps: Float32Array) -> NDArray[np.complexfloating]:
    return np.fft.rfft2(maps, s=_padded((maps.shape[0], maps.shape[1])), axes=(0, 1))
