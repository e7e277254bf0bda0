"""How the two simulated cameras turn a sampled scene into pictures."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import Float64Array, SizeHw
from vr.runtime.sim.paint import Float32Array, Uint8Array, noise_field

_NOISE_SPARE_PX = 64
_LEAST_BLUR_PX = 0.3


def _vignette(frame_hw: SizeHw, strength: float) -> Float32Array:
    """(h, w) float32 gain: 1 in the centre, falling with the square of the radius to 1 - `strength` in the corners."""
    x, y = (np.linspace(-1.0, 1.0, side, dtype=np.float32) for side in frame_hw[::-1])
    return 1.0 - np.float32(strength) * (x[None, :] ** 2 + y[:, None] ** 2) / 2.0


def _blur(frame: Uint8Array, sigma_px: float) -> Uint8Array:
    if sigma_px < _LEAST_BLUR_PX:
        return frame
    return cv2.GaussianBlur(frame, (0, 0), sigma_px)  # type: ignore[return-value]


class _FrameNoise:
    """Sensor noise, different for each frame and the same for the same index: windows of one larger noise picture."""

    def __init__(self, rng: np.random.Generator, shape: tuple[int, ...], deviation: float) -> None:
        self._key = int(rng.integers(1 << 31))
        self._shape = shape
        spare = (shape[0] + _NOISE_SPARE_PX, shape[1] + _NOISE_SPARE_PX)
        noise = np.rint(rng.standard_normal(spare, dtype=np.float32) * np.float32(deviation)).astype(np.int16)
        channels = [np.roll(noise, (17 * k, 29 * k), axis=(0, 1)) for k in range(3)]
        self._noise: NDArray[np.int16] = noise if len(shape) == 2 else cv2.merge(channels)  # type: ignore[assignment]

    def add_to(self, frame: Uint8Array, index: int) -> Uint8Array:
        """`frame` with the noise of frame `index`, clipped to 0 to 255."""
        y, x = np.random.default_rng([self._key, index]).integers(0, _NOISE_SPARE_PX, 2)
        window = self._noise[y : y + self._shape[0], x : x + self._shape[1]]
        return cv2.add(frame, np.ascontiguousarray(window), dtype=cv2.CV_8U)  # type: ignore[return-value]


class RgbCamera:
    """Exposure, white balance, glare, vignetting, softness and noise of a colour camera; no two seeds are alike.

    `reference` (H, W, 3) uint8 is the scene without what moves, as sampled by this camera: exposure is set on it once.
    """

    def __init__(self, rng: np.random.Generator, reference: Uint8Array) -> None:
        frame_hw = reference.shape[:2]
        self._curve: Uint8Array = _exposure_curves(rng, reference)[None]
        self._vignette = cv2.merge([_vignette(frame_hw, float(rng.uniform(0.0, 0.35)))] * 3)
        self._blur_px = float(rng.uniform(0.0, 0.9)) * frame_hw[0] / 480.0
        self._noise = _FrameNoise(rng, (*frame_hw, 3), float(rng.uniform(0.8, 4.5)))

    def develop(self, scene_bgr: Uint8Array, index: int) -> Uint8Array:
        """The picture (H, W, 3) uint8 BGR of frame `index` of the sampled scene."""
        frame = _blur(cv2.LUT(scene_bgr, self._curve), self._blur_px)  # type: ignore[arg-type]
        frame = cv2.multiply(frame, self._vignette, dtype=cv2.CV_8U)
        return self._noise.add_to(frame, index)  # type: ignore[arg-type]


def _exposure_curves(rng: np.random.Generator, reference: Uint8Array) -> Uint8Array:
    """(256, 3) uint8 tables per channel: gain towards a random mean level, white balance, gamma, lifted blacks."""
    mean, bright = float(reference.mean()), float(np.percentile(reference[::4, ::4], 85.0))
    wanted = float(rng.uniform(95.0, 160.0)) if mean > 70.0 else float(rng.uniform(25.0, 85.0))
    gain = min(wanted / max(mean, 1.0), float(rng.uniform(210.0, 290.0)) / max(bright, 1.0))
    gain = min(max(gain, 0.6), 2.2)
    balance = np.exp(rng.normal(0.0, 0.05, 3))
    glare = float(rng.uniform(0.0, 0.25)) if rng.random() < 0.5 else 0.0
    levels = np.arange(256)[:, None] / 255.0 * gain * balance
    tone = np.clip(levels, 0.0, 1.0) ** float(rng.uniform(0.8, 1.2))
    return np.rint(255.0 * (glare + (1.0 - glare) * tone)).astype(np.uint8)


class InfraredCamera:
    """Gain control, polarity, blur, edge enhancement, fixed pattern and noise of a thermal camera.

    `reference` (h, w) uint8 is the scene without what moves, as sampled by this camera: the gain is set on it once. No
    two seeds are alike: white-hot or black-hot, histogram equalised or linear, sometimes with burnt-in text.
    """

    def __init__(self, rng: np.random.Generator, reference: Uint8Array) -> None:
        frame_hw = (reference.shape[0], reference.shape[1])
        scale = frame_hw[0] / 480.0
        curve = _gain_curve(rng, reference)
        self._curve: Uint8Array = 255 - curve if rng.random() < 0.15 else curve
        self._blur_px = float(rng.uniform(0.3, 1.2)) * scale
        self._detail = float(rng.uniform(0.2, 1.0)) if rng.random() < 0.5 else 0.0
        self._detail_px = float(rng.uniform(3.0, 10.0)) * scale
        self._offset = _fixed_pattern(rng, frame_hw)
        self._noise = _FrameNoise(rng, frame_hw, float(rng.uniform(0.8, 4.0)))
        self._text = _burnt_in(rng, frame_hw) if rng.random() < 0.06 else None

    def develop(self, scene_heat: Uint8Array, index: int) -> Uint8Array:
        """The picture (h, w) uint8 of frame `index` of the sampled heat."""
        frame = _blur(cv2.LUT(scene_heat, self._curve), self._blur_px)  # type: ignore[arg-type]
        if self._detail > 0.0:
            frame = self._enhance(frame)
        frame = cv2.add(frame, self._offset, dtype=cv2.CV_8U)
        frame = self._noise.add_to(frame, index)  # type: ignore[arg-type]
        return frame if self._text is None else np.maximum(frame, self._text)

    def _enhance(self, frame: Uint8Array) -> Uint8Array:
        """Edges with halos, as the detail enhancement of thermal cameras gives."""
        h, w = frame.shape
        small = cv2.resize(frame, (w // 4, h // 4), interpolation=cv2.INTER_AREA)
        smooth = cv2.resize(cv2.GaussianBlur(small, (0, 0), max(self._detail_px / 4.0, 0.4)), (w, h))
        return cv2.addWeighted(frame, 1.0 + self._detail, smooth, -self._detail, 0.0)  # type: ignore[return-value]


def _gain_curve(rng: np.random.Generator, reference: Uint8Array) -> Uint8Array:
    """256-entry table: equalised (steep where the scene has much), linear, or dim with only hot things bright."""
    levels = np.arange(256, dtype=np.float64)
    low, high = np.percentile(reference, (1.0, 99.0))
    style = rng.random()
    if style < 0.45:
        return _equalised(rng, reference, levels, float(low), float(high))
    if style < 0.75:
        black, white = low - rng.uniform(0, 30), high + rng.uniform(5, 40)
        gamma = float(rng.uniform(0.7, 1.4))
    else:
        black, white = low - rng.uniform(0, 20), max(high, 180.0) + rng.uniform(20, 60)
        gamma = float(rng.uniform(1.2, 2.2))
    curve = np.clip((levels - black) / (white - black), 0.0, 1.0) ** gamma
    return np.rint(255.0 * curve).astype(np.uint8)


def _equalised(
    rng: np.random.Generator, reference: Uint8Array, levels: Float64Array, low: float, high: float
) -> Uint8Array:
    """Plateau equalisation: the histogram is clipped before it is summed, so that flat areas do not take everything."""
    counts = np.bincount(reference.ravel(), minlength=256).astype(np.float64)
    counts = np.convolve(counts, np.ones(9) / 9.0, mode="same")
    share = np.minimum(counts / counts.sum(), float(rng.uniform(0.006, 0.025)))
    rank = np.cumsum(share) / share.sum()
    linear = np.clip((levels - low) / max(high + 30.0 - low, 1.0), 0.0, 1.0)
    mix = float(rng.uniform(0.5, 1.0))
    dark, bright = float(rng.uniform(0, 25)), float(rng.uniform(225, 255))
    return np.rint(dark + (bright - dark) * (mix * rank + (1.0 - mix) * linear)).astype(np.uint8)


def _fixed_pattern(rng: np.random.Generator, frame_hw: SizeHw) -> NDArray[np.int16]:
    """(h, w) int16 offsets that stay the same in all frames: columns, rows, slow shading, bright or dark corners."""
    h, w = frame_hw
    columns = rng.standard_normal((1, w)) * rng.uniform(0.0, 2.0)
    rows = rng.standard_normal((h, 1)) * rng.uniform(0.0, 1.5)
    slow = noise_field(rng, frame_hw, (h / 1.5,)) * rng.uniform(0.0, 5.0)
    corner = (_vignette(frame_hw, 1.0) - 0.7) * rng.uniform(-20.0, 30.0)
    return np.rint(columns + rows + slow + corner).astype(np.int16)


def _burnt_in(rng: np.random.Generator, frame_hw: SizeHw) -> Uint8Array:
    """(h, w) uint8 of the text and cross-hair that some thermal cameras write into their picture."""
    h, w = frame_hw
    picture = np.zeros(frame_hw, np.uint8)
    size = h / 480.0
    text = f"{rng.uniform(-5, 40):.1f} C"
    cv2.putText(
        picture,
        text,
        (int(0.02 * w), int(0.06 * h)),
        cv2.FONT_HERSHEY_SIMPLEX,
        0.8 * size,
        (255,),
        1,
        cv2.LINE_AA,
    )
    cv2.drawMarker(picture, (w // 2, h // 2), (230,), cv2.MARKER_CROSS, max(6, h // 20), 1)
    return picture
