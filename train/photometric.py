"""Random appearance changes: what night, glare, lenses, sensors and palettes do to one scene.

All functions take and return uint8 images and draw everything from the generator that they are given.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Gray = NDArray[np.uint8]


def mix_channels(rng: np.random.Generator, bgr: Gray) -> Gray:
    """(h, w, 3) to (h, w): a random convex mix of the channels, as another sensor would weigh them."""
    return cv2.transform(bgr, rng.dirichlet((1.0, 1.0, 1.0))[None])  # type: ignore[return-value]


def pseudo_modality(rng: np.random.Generator, image: Gray) -> Gray:
    """(h, w) or (h, w, 3) to (h, w) through random smooth intensity maps: edges stay, contrasts change or flip.

    Often two maps, each for its part of the picture, as warmth does not follow colour; often without fine texture,
    which warmth does not show either.
    """
    gray = mix_channels(rng, image) if image.ndim == 3 else image
    if rng.random() < 0.3:
        gray = cv2.medianBlur(gray, int(rng.choice([5, 7]))).astype(np.uint8)
    mapped = _intensity_map(rng)[gray]
    if rng.random() < 0.4:
        cv2.copyTo(_intensity_map(rng)[gray], smooth_regions(rng, (gray.shape[0], gray.shape[1])), mapped)
    return mapped


def smooth_regions(rng: np.random.Generator, size_hw: tuple[int, int]) -> Gray:
    """(h, w) of 0 and 255: smooth random regions, half of the picture on average."""
    cells = int(rng.integers(2, 6))
    noise = rng.standard_normal((cells, cells + 1)).astype(np.float32)
    return (cv2.resize(noise, size_hw[::-1], interpolation=cv2.INTER_CUBIC) > 0.0).astype(np.uint8) * np.uint8(255)


def _intensity_map(rng: np.random.Generator) -> Gray:
    """(256,): a random smooth map that uses the full range."""
    knots = int(rng.integers(3, 8))
    levels = np.interp(np.linspace(0, knots - 1, 256), np.arange(knots), rng.uniform(0, 255, knots))
    smooth = cv2.GaussianBlur(levels.astype(np.float32)[None], (0, 0), 8.0)[0]
    low, high = smooth.min(), smooth.max()
    return ((smooth - low) * (255.0 / max(float(high - low), 1.0))).astype(np.uint8)


def degrade(rng: np.random.Generator, gray: Gray, polarity: bool = False) -> Gray:
    """(h, w) with random exposure, gamma, light falloff, glare, text, blur and noise; `polarity` may invert
    it.
    """
    x = gray.astype(np.float32)
    if polarity and rng.random() < 0.3:
        x = 255.0 - x
    if rng.random() < 0.1:
        x = _night(rng, x)
    if rng.random() < 0.5:
        x = 255.0 * (x / 255.0) ** np.float32(np.exp(rng.uniform(-0.7, 0.7)))
    if rng.random() < 0.3:
        x = _falloff(rng, x)
    if rng.random() < 0.15:
        x = _glare(rng, x)
    x = _exposure(rng, x)
    if rng.random() < 0.35:
        x = cv2.GaussianBlur(x, (0, 0), float(rng.uniform(0.4, 2.0)))
    if rng.random() < 0.5:
        x = x + rng.standard_normal(x.shape, dtype=np.float32) * np.float32(rng.uniform(0.5, 5.0))
    out = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.1:
        out = _text(rng, out)
    if rng.random() < 0.08:
        out = _bars(rng, out)
    return out


def occlude(rng: np.random.Generator, gray: Gray) -> Gray:
    """(h, w) with, a third of the time, one to four rectangles that show something else: a level, or noise."""
    if rng.random() < 0.67:
        return gray
    h, w = gray.shape
    out = gray.copy()
    for _ in range(int(rng.integers(1, 5))):
        top, left = int(rng.uniform(0, 0.9) * h), int(rng.uniform(0, 0.9) * w)
        bottom, right = top + int(rng.uniform(0.05, 0.3) * h), left + int(rng.uniform(0.05, 0.3) * w)
        part = out[top:bottom, left:right]
        strength = float(rng.choice([0.0, 30.0]))
        out[top:bottom, left:right] = np.clip(rng.uniform(0, 255) + strength * rng.standard_normal(part.shape), 0, 255)
    return out


def _exposure(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Contrast 0.15 to 1.2 around a random level: a night scene, or a flat thermal one."""
    if rng.random() < 0.4:
        return x
    gain = np.float32(np.exp(rng.uniform(np.log(0.15), np.log(1.2))))
    level = np.float32(rng.uniform(0.0, max(0.0, 1.0 - float(gain)) * 255.0))
    return x * gain + level


def _night(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Few photons: dark, steep (lights stay bright), noisy."""
    dark = 255.0 * (x / 255.0) ** np.float32(rng.uniform(1.0, 2.5)) * np.float32(rng.uniform(0.1, 0.5))
    noisy = dark + rng.standard_normal(x.shape, dtype=np.float32) * np.float32(rng.uniform(1.0, 6.0))
    return np.clip(noisy, 0.0, 255.0).astype(np.float32)


def _falloff(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.float32]:
    h, w = x.shape
    ys, xs = np.mgrid[:h, :w].astype(np.float32)
    cx, cy = rng.uniform(0.3, 0.7, 2) * (w, h)
    radius2 = ((xs - cx) ** 2 + (ys - cy) ** 2) / np.float32((w / 2.0) ** 2 + (h / 2.0) ** 2)
    return x * (1.0 - np.float32(rng.uniform(0.2, 0.7)) * radius2)


def _glare(rng: np.random.Generator, x: NDArray[np.float32]) -> NDArray[np.float32]:
    spot = np.zeros_like(x)
    h, w = x.shape
    for _ in range(int(rng.integers(1, 4))):
        centre = int(rng.integers(w)), int(rng.integers(h))
        cv2.circle(spot, centre, int(rng.integers(3, 20)), 255.0, -1)
    return x + cv2.GaussianBlur(spot, (0, 0), float(rng.uniform(4, 20))) * np.float32(rng.uniform(0.5, 2.0))


def _bars(rng: np.random.Generator, gray: Gray) -> Gray:
    """Borders without content, as letterboxed video has them."""
    h, w = gray.shape
    top, left = int(rng.uniform(0, 0.12) * h), int(rng.uniform(0, 0.12) * w)
    out = np.zeros_like(gray)
    out[top : h - top, left : w - left] = gray[top : h - top, left : w - left]
    return out


def _text(rng: np.random.Generator, gray: Gray) -> Gray:
    h, w = gray.shape
    text = "".join(rng.choice(list("0123456789:.-C "), int(rng.integers(4, 16))))
    place = int(rng.integers(0, w // 2)), int(rng.choice([12, h - 6, rng.integers(12, h)]))
    colour = int(rng.choice([0, 255]))
    return cv2.putText(
        gray, text, place, cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(0.3, 0.6)), colour, 1, cv2.LINE_AA
    )  # type: ignore[return-value]
