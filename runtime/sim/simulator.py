"""The simulated pair of cameras with a known transform between them."""

from typing import Literal

import cv2
import numpy as np
from numpy.typing import ArrayLike

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array, SizeHw, apply_affine, compose, invert, theta_to_matrix, to_3x3
from vr.runtime.sim.camera import InfraredCamera, RgbCamera
from vr.runtime.sim.misalignment import DEFAULT_MISALIGNMENT, Drift
from vr.runtime.sim.paint import Uint8Array
from vr.runtime.sim.scene import Scene

Appearance = Literal["cameras", "same"]

_MARGIN_PX = 4
_MAX_UPSAMPLING = 1.5
_SIDE_RANGE_PX = (32, 4096)
_MAX_CANVAS_PX = 12_000


class Simulator:
    """A generated scene with people, seen by an IR and an RGB camera whose misalignment is known at every frame.

    - `seed`: everything follows from it: scene, people, both cameras' looks, drift. The same arguments give the same
      frames, in any order of access; frames are numbered from 0 without end.
    - `rgb_hw`, `ir_hw`: sizes of the frames, each side 32 to 4096 px.
    - `misalignment`: (2, 3) theta of frame 0, RGB to IR in normalised coordinates; the default is a typical rig that
      nobody has calibrated (shift 7 % and 4.5 %, rotation 4 degrees, scale 0.92, a little shear).
    - `drift_px_s`: rms speed, in IR pixels per second, at which the misalignment wanders; 0 keeps it fixed.
    - `appearance`: "cameras", or "same" for two plain grey pictures of the same canvas (to test geometry).

    The scene is flat, so the affine truth is exact everywhere, and both frames lie wholly inside it. Raises InputError
    for arguments outside these ranges. Not thread-safe.
    """

    def __init__(
        self,
        seed: int = 0,
        rgb_hw: SizeHw = (480, 640),
        ir_hw: SizeHw = (480, 640),
        fps: float = 30.0,
        misalignment: ArrayLike | None = None,
        drift_px_s: float = 1.0,
        appearance: Appearance = "cameras",
    ) -> None:
        _check_arguments(seed, {"RGB": rgb_hw, "IR": ir_hw}, fps, drift_px_s, appearance)
        self.rgb_hw, self.ir_hw, self.fps = rgb_hw, ir_hw, fps
        self._same = appearance == "same"
        self._theta = _checked_theta(DEFAULT_MISALIGNMENT if misalignment is None else misalignment)
        drift_rng, rgb_rng, ir_rng = (np.random.default_rng([seed, part]) for part in range(3))
        self._drift = Drift.random(drift_rng, drift_px_s, ir_hw)
        canvas_hw, self._rgb_to_canvas, density = self._place_canvas()
        left, top = apply_affine(self._rgb_to_canvas, (-0.5, -0.5))
        self.scene = Scene(seed, canvas_hw, (left, top, rgb_hw[1] * density, rgb_hw[0] * density))
        heat, bgr = self.scene.backdrop
        self._rgb_camera = RgbCamera(rgb_rng, sample(bgr, self._rgb_to_canvas, rgb_hw))
        self._ir_camera = InfraredCamera(ir_rng, sample(heat, self._ir_to_canvas(0), ir_hw))
        self._drawn: tuple[int, tuple[Uint8Array, Uint8Array, Uint8Array]] | None = None

    def time_s(self, index: int) -> float:
        """Time of a frame, s from frame 0; both cameras expose together."""
        return index / self.fps

    def matrix_rgb_to_ir(self, index: int) -> Float64Array:
        """The exact (2, 3) float64 truth of a frame, native RGB pixels to native IR pixels."""
        theta = compose(self._drift.theta_at(self.time_s(index)), self._theta)
        return theta_to_matrix(theta, self.rgb_hw, self.ir_hw)

    def frames(self, index: int) -> tuple[Uint8Array, Uint8Array]:
        """IR (h, w) uint8 and RGB (H, W, 3) uint8 BGR of a frame."""
        heat, bgr, _ = self._draw(index)
        if self._same:
            return self._same_frames(bgr, index)
        ir = self._ir_camera.develop(sample(heat, self._ir_to_canvas(index), self.ir_hw), index)
        return ir, self._rgb_camera.develop(sample(bgr, self._rgb_to_canvas, self.rgb_hw), index)

    def person_masks(self, index: int) -> tuple[Uint8Array, Uint8Array]:
        """Visible people in the IR (h, w) and the RGB (H, W) frame, uint8, person 1 and the rest 0."""
        person = self._draw(index)[2]
        ir = sample(person, self._ir_to_canvas(index), self.ir_hw)
        rgb = sample(person, self._rgb_to_canvas, self.rgb_hw)
        return (ir > 127).astype(np.uint8), (rgb > 127).astype(np.uint8)

    def _same_frames(self, bgr: Uint8Array, index: int) -> tuple[Uint8Array, Uint8Array]:
        gray = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), dtype=np.uint8)
        rgb = sample(gray, self._rgb_to_canvas, self.rgb_hw)
        return sample(gray, self._ir_to_canvas(index), self.ir_hw), np.repeat(rgb[..., None], 3, axis=2)

    def _draw(self, index: int) -> tuple[Uint8Array, Uint8Array, Uint8Array]:
        if index < 0:
            raise InputError(f"simulated frame {index} does not exist; frames are numbered from 0")
        if self._drawn is None or self._drawn[0] != index:
            self._drawn = (index, self.scene.render(self.time_s(index)))
        return self._drawn[1]

    def _ir_to_canvas(self, index: int) -> Float64Array:
        return compose(self._rgb_to_canvas, invert(self.matrix_rgb_to_ir(index)))

    def _place_canvas(self) -> tuple[SizeHw, Float64Array, float]:
        """Size of the canvas that both cameras always stay inside, the RGB camera's place, and px per RGB px.

        The canvas is as fine as the RGB frame, or finer where the IR camera would have to enlarge it too much.
        """
        thetas = [compose(extreme, self._theta) for extreme in self._drift.extremes()]
        matrices = [theta_to_matrix(theta, self.rgb_hw, self.ir_hw) for theta in thetas]
        density = max(1.0, max(_scale(m) for m in matrices) / _MAX_UPSAMPLING)
        seen = [_corners(self.rgb_hw)] + [apply_affine(invert(m), _corners(self.ir_hw)) for m in matrices]
        low, high = np.vstack(seen).min(axis=0), np.vstack(seen).max(axis=0)
        w, h = (int(v) for v in np.ceil((high - low) * density) + 2 * _MARGIN_PX + 1)
        if max(h, w) > _MAX_CANVAS_PX:
            raise InputError(
                f"misalignment needs a scene of {w}x{h} px, more than {_MAX_CANVAS_PX}; "
                "use smaller frames or a scale nearer to 1"
            )
        x, y = np.ceil(-low * density - 0.5) + _MARGIN_PX  # whole pixels: a plain cut-out where density is 1
        return (h, w), np.array([[density, 0.0, x], [0.0, density, y]]), density


def sample(canvas: Uint8Array, matrix_frame_to_canvas: ArrayLike, frame_hw: SizeHw) -> Uint8Array:
    """A frame of `frame_hw` out of a canvas (h, w[, 3]), through a (2, 3) affine from frame to canvas pixels.

    Where a frame pixel covers several canvas pixels the frame is sampled on a finer grid and averaged, centred on the
    same points: no aliasing, and no shift by a fraction of a pixel.
    """
    cut = _cut_out(canvas, np.asarray(matrix_frame_to_canvas), frame_hw)
    if cut is not None:
        return cut
    fine = max(1, round(_scale(np.asarray(matrix_frame_to_canvas))))
    offset = (1.0 / fine - 1.0) / 2.0
    matrix = compose(matrix_frame_to_canvas, [[1.0 / fine, 0.0, offset], [0.0, 1.0 / fine, offset]])
    h, w = frame_hw
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    frame = cv2.warpAffine(canvas, matrix, (w * fine, h * fine), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    if fine > 1:
        frame = cv2.resize(frame, (w, h), interpolation=cv2.INTER_AREA)
    return np.asarray(frame, dtype=np.uint8)


def _cut_out(canvas: Uint8Array, matrix_frame_to_canvas: Float64Array, frame_hw: SizeHw) -> Uint8Array | None:
    """The frame as a copied part of the canvas, if the matrix is a shift by whole pixels that stays inside."""
    (x, y), (h, w) = matrix_frame_to_canvas[:, 2], frame_hw
    shifts_only = np.array_equal(matrix_frame_to_canvas[:, :2], np.eye(2)) and x == int(x) and y == int(y)
    if not shifts_only or min(x, y) < 0 or x + w > canvas.shape[1] or y + h > canvas.shape[0]:
        return None
    return canvas[int(y) : int(y) + h, int(x) : int(x) + w].copy()


def _scale(matrix: Float64Array) -> float:
    """Target pixels per source pixel of a (2, 3) affine, geometric mean of its two directions."""
    return float(np.sqrt(abs(np.linalg.det(matrix[:, :2]))))


def _corners(size_hw: SizeHw) -> Float64Array:
    """Outer corners (4, 2) of a frame's border pixels."""
    h, w = size_hw
    return np.array([[-0.5, -0.5], [w - 0.5, -0.5], [-0.5, h - 0.5], [w - 0.5, h - 0.5]])


def _check_arguments(seed: int, sizes_hw: dict[str, SizeHw], fps: float, drift_px_s: float, appearance: str) -> None:
    low, high = _SIDE_RANGE_PX
    for name, (h, w) in sizes_hw.items():
        if not (low <= h <= high and low <= w <= high):
            raise InputError(f"simulated {name} frame is {w}x{h} px; expected sides of {low} to {high} px")
    if seed < 0:
        raise InputError(f"simulator seed is {seed}; expected 0 or more")
    if not (0.0 < fps <= 1000.0):
        raise InputError(f"simulated frame rate is {fps}; expected more than 0 and at most 1000 per second")
    if not (0.0 <= drift_px_s <= 20.0):
        raise InputError(f"simulated drift is {drift_px_s} px/s; expected 0 to 20")
    if appearance not in ("cameras", "same"):
        raise InputError(f"unknown appearance {appearance!r}; expected cameras or same")


def _checked_theta(misalignment: ArrayLike) -> Float64Array:
    theta = np.asarray(misalignment, dtype=np.float64)
    if theta.shape != (2, 3) or not np.isfinite(theta).all() or abs(np.linalg.det(theta[:, :2])) < 1e-3:
        raise InputError(f"misalignment is {theta.tolist()}; expected a 2x3 affine of finite, invertible numbers")
    return to_3x3(theta)[:2]
