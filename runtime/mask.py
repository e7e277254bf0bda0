"""Person masks, (h, w) uint8, person 1 and the rest 0: what every maker of masks leaves out, and which pairs cannot be
right.
"""

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

_SPECK_SHARE = 0.0005

Mask = NDArray[np.uint8]


def without_specks(mask: Mask) -> Mask:
    """The mask without parts smaller than 0.05 % of the frame."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    keep = np.zeros(count, np.uint8)
    keep[1:] = stats[1:, cv2.CC_STAT_AREA] >= _SPECK_SHARE * mask.size
    return np.take(keep, np.asarray(labels, dtype=np.int32))


def dice(a: NDArray[Any], b: NDArray[Any]) -> float:
    """`2 |A n B| / (|A| + |B|)` of two boolean masks of one shape (Dice, Ecology 1945); 1 if both are empty."""
    whole = int(a.sum()) + int(b.sum())
    return 2.0 * float((a & b).sum()) / whole if whole else 1.0


def hole_share(mask: Mask) -> float:
    """What part of the area within a mask's outer outlines is not mask."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    filled = cv2.drawContours(np.zeros_like(mask), contours, -1, (1,), cv2.FILLED)
    return 1.0 - float(np.count_nonzero(mask)) / max(float(np.count_nonzero(filled)), 1.0)


@dataclass(frozen=True)
class MaskLimits:
    """What a pair of masks must keep to.

    area_share: least and largest part of the frame that a mask may cover. area_ratio: largest ratio between the shares
    of the two. hole_share: largest part of a mask's outline that may be holes.
    """

    area_share: tuple[float, float] = (0.002, 0.6)
    area_ratio: float = 4.0
    hole_share: float = 0.3


@dataclass(frozen=True)
class Fault:
    """Why masks are of no use. is_empty: because a frame shows nobody; else they cannot be right."""

    is_empty: bool
    detail: str


def mask_fault(masks: dict[str, Mask], limits: MaskLimits) -> Fault | None:
    """The first fault of masks of one scene, by the names that messages are to call them; None if there is none."""
    shares = {name: float(np.count_nonzero(mask)) / mask.size for name, mask in masks.items()}
    for name, share in shares.items():
        if share < limits.area_share[0]:
            return Fault(True, f"{name} mask covers {share:.2%}")
        if share > limits.area_share[1]:
            return Fault(False, f"{name} mask covers {share:.0%}")
    ratio = max(shares.values()) / min(shares.values())
    if ratio > limits.area_ratio:
        return Fault(False, f"one mask is {ratio:.1f} times the other")
    for name, mask in masks.items():
        holes = hole_share(mask)
        if holes > limits.hole_share:
            return Fault(False, f"{name} mask has {holes:.0%} holes")
    return None
