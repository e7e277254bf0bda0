"""Person masks of a pair, and whether they can be right."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.mask import MaskLimits, mask_fault
from vr.runtime.preprocess import Frame
from vr.runtime.threshold import otsu, warm_mask
from vr.train.prepare.plan import IMPLAUSIBLE, NO_PERSON, PlannedSource
from vr.train.prepare.settings import Settings
from vr.train.prepare.threshold import steady

Uint8s = NDArray[np.uint8]
Segmenter = Callable[[Frame], Uint8s]


@dataclass(frozen=True)
class Segmenters:
    """Networks that make masks of frames; ir: None for a threshold. rgb: None for no masks."""

    ir: Segmenter | None
    rgb: Segmenter | None


@dataclass(frozen=True)
class PairMasks:
    """Masks of the two native frames, (h, w) uint8, person 1; None where none is made.

    reason: why the pair is dropped, "" if it is kept. detail: the figure behind it.
    """

    ir: Uint8s | None
    rgb: Uint8s | None
    reason: str
    detail: str


class MaskMaker:
    """Makes the masks of one pair of recordings."""

    def __init__(self, source: PlannedSource, settings: Settings, segmenters: Segmenters) -> None:
        self._settings, self._segmenters = settings, segmenters
        self.is_blue = settings.ir_channel == "blue" or (settings.ir_channel == "auto" and source.ir.is_blue)
        self.thresholds = ir_thresholds(source, settings, self.is_blue)
        self.overlays = [
            survey.pixels.overlay() if settings.overlays else np.zeros(survey.size_hw, np.uint8)
            for survey in (source.ir, source.rgb)
        ]

    def make(self, ir: Frame, rgb: Frame, position: int) -> PairMasks:
        """position: of the IR frame among the readable ones."""
        if self._segmenters.ir is None:
            ir_mask = warm_mask(ir, self.is_blue, float(self.thresholds[position]), self.overlays[0])
        else:
            ir_mask = _outside(self.overlays[0], self._segmenters.ir(ir))
        rgb_mask = None if self._segmenters.rgb is None else _outside(self.overlays[1], self._segmenters.rgb(rgb))
        return self.judge(ir_mask, rgb_mask)

    def judge(self, ir: Uint8s, rgb: Uint8s | None) -> PairMasks:
        """The masks, with the reason to drop the pair if they show no person, or cannot be right."""
        masks = {"IR": ir} if rgb is None else {"IR": ir, "RGB": rgb}
        reason, detail = _fault(masks, self._settings) if self._settings.plausible else ("", "")
        return PairMasks(ir, rgb, reason, detail)


def ir_thresholds(source: PlannedSource, settings: Settings, is_blue: bool) -> NDArray[np.float64]:
    """(n,) levels above which each IR frame is taken for warm: that of the settings, or automatic."""
    survey = source.ir
    if settings.ir_threshold is not None:
        return np.full(len(survey.time_s), float(settings.ir_threshold))
    sequence = otsu(survey.histograms[int(is_blue)])
    return steady(survey.otsu_blue if is_blue else survey.otsu_gray, sequence, survey.time_s)


def _outside(overlay: Uint8s, mask: Uint8s) -> Uint8s:
    return np.where(overlay > 0, np.uint8(0), mask)


def _fault(masks: dict[str, Uint8s], settings: Settings) -> tuple[str, str]:
    fault = mask_fault(masks, MaskLimits(settings.area_share, settings.area_ratio, settings.hole_share))
    return ("", "") if fault is None else (NO_PERSON if fault.is_empty else IMPLAUSIBLE, fault.detail)


def resized(mask: Uint8s, size_hw: tuple[int, int]) -> Uint8s:
    """A mask of another size, still 0 and 1."""
    return cv2.resize(mask, size_hw[::-1], interpolation=cv2.INTER_NEAREST)  # type: ignore[return-value]
