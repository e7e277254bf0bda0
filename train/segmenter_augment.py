"""Random changes of an image and its person mask: of places in both alike, of the look in the image alone."""

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.geometry import Float64Array, SizeHw
from vr.runtime.mask import Mask
from vr.runtime.preprocess import Frame, resize
from vr.runtime.segmenter import planes

ZOOM = (0.8, 1.6)
ROTATION_DEG = 8.0
BRIGHTNESS, CONTRAST, LOG_GAMMA, CHANNEL_GAIN = 0.12, (0.7, 1.3), 0.4, 0.12
NOISE_LEVELS = 6.0
_HALF = 127

Planes = NDArray[np.uint8]


def changed(rng: np.random.Generator, frame: Frame, mask: Mask, size_hw: SizeHw) -> tuple[Planes, Mask]:
    """What a network of `size_hw` learns from a frame and its mask (h, w): (3, H, W) uint8 RGB, and (H, W), person 1.

    Mirrored half of the time, turned a little, and nearer or further away; what lies outside the frame is its mirror
    image, people included.
    """
    zoom = math.exp(rng.uniform(*np.log(ZOOM)))
    seen_hw = round(size_hw[0] * zoom), round(size_hw[1] * zoom)
    to_seen = _random_view(rng, seen_hw, size_hw)
    image = np.moveaxis(_warped(np.moveaxis(planes(frame, seen_hw), 0, 2), to_seen, size_hw), 2, 0)
    person = _warped(resize(mask * np.uint8(255), seen_hw), to_seen, size_hw) > _HALF
    return _other_light(rng, image), person.astype(np.uint8)


def resized_mask(mask: Mask, size_hw: SizeHw) -> Mask:
    """A mask (h, w) at another size: person where most of a pixel is."""
    return (resize(mask * np.uint8(255), size_hw) > _HALF).astype(np.uint8)


def _random_view(rng: np.random.Generator, seen_hw: SizeHw, size_hw: SizeHw) -> Float64Array:
    """(2, 3): pixels of the network's image to pixels of the resized frame."""
    angle = math.radians(rng.uniform(-ROTATION_DEG, ROTATION_DEG))
    mirror = -1.0 if rng.random() < 0.5 else 1.0
    c, s = math.cos(angle), math.sin(angle)
    linear = np.array([[c * mirror, -s], [s * mirror, c]])
    slack = (np.array(seen_hw[::-1], float) - size_hw[::-1]) / 2.0
    centre = (np.array(seen_hw[::-1]) - 1.0) / 2.0 + rng.uniform(-1.0, 1.0, 2) * slack
    return np.column_stack([linear, centre - linear @ ((np.array(size_hw[::-1]) - 1.0) / 2.0)])


def _warped(image: NDArray[np.uint8], to_seen: Float64Array, size_hw: SizeHw) -> NDArray[np.uint8]:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    image = np.ascontiguousarray(image)
    moved = cv2.warpAffine(image, to_seen, size_hw[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, dtype=np.uint8)


def _other_light(rng: np.random.Generator, image: Planes) -> Planes:
    """(3, H, W) with another brightness, contrast, gamma and tint, and noise; a grey picture stays grey."""
    is_gray = bool((image == image[:1]).all())
    x = image.astype(np.float32) / np.float32(255.0)
    x = x ** np.float32(math.exp(rng.uniform(-LOG_GAMMA, LOG_GAMMA)))
    gains = rng.uniform(1.0 - CHANNEL_GAIN, 1.0 + CHANNEL_GAIN, (3, 1, 1))
    gains = rng.uniform(*CONTRAST) * (gains[:1] if is_gray else gains)
    middle = x.mean()
    x = (x - middle) * gains + middle + rng.uniform(-BRIGHTNESS, BRIGHTNESS)
    noise = rng.standard_normal(image[:1].shape if is_gray else image.shape, dtype=np.float32)
    x = x * 255.0 + noise * rng.uniform(0.0, NOISE_LEVELS)
    return np.clip(np.rint(x), 0.0, 255.0).astype(np.uint8)
