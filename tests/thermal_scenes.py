"""Pictures of thermal cameras, generated."""

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.sim import Simulator

Uint8Array = NDArray[np.uint8]


def scene(seed: int = 0, size_hw: tuple[int, int] = (240, 320), index: int = 0) -> tuple[Uint8Array, Uint8Array]:
    """IR (h, w) uint8, stretched to the whole range as cameras do, and RGB (h, w, 3) uint8 of a generated scene."""
    ir, rgb = Simulator(seed, size_hw, size_hw).frames(index)
    return cv2.normalize(ir, None, 0, 255, cv2.NORM_MINMAX), rgb  # type: ignore[call-overload,return-value]


def as_jpeg(bgr: Uint8Array, quality: int = 80) -> Uint8Array:
    """Through JPEG with halved chroma, OpenCV's default."""
    return cv2.imdecode(cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1)  # type: ignore[return-value]


def with_camera_text(bgr: Uint8Array) -> Uint8Array:
    """With what cameras burn in: a text, a logo, a scale at the side (of the palette's colours, between grey lines)."""
    out = bgr.copy()
    h, w = out.shape[:2]
    cv2.putText(out, "23.4 C  e=0.95", (5, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    cv2.rectangle(out, (w - 70, h - 22), (w - 22, h - 6), (40, 160, 60), cv2.FILLED)
    cv2.rectangle(out, (w - 14, 20), (w - 4, h - 20), (128, 128, 128), 1)
    return out
