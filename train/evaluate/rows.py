"""One model on one pair: every figure that what is known of the pair allows."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from vr.runtime import Alignment
from vr.runtime.contract import ModelInfo
from vr.runtime.mask import dice
from vr.runtime.preprocess import Frame, resize, to_bgr, to_gray
from vr.runtime.warp import warp_map
from vr.train.evaluate.measures import (
    Source,
    folding_share,
    iou,
    landmark_error_px,
    round_trip_px,
    source_of,
    warp_error_px,
)
from vr.train.evaluate.pairs import Sample, unaligned
from vr.train.evaluate.similarity import DEFAULT_MEASURES, alikeness

_HALF = 127
Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class Row:
    """The figures of one pair; None where something is not known, and after a refusal.

    error_px, error_before_px: `measures.warp_error_px` as aligned, and with the IR frame merely stretched.
    landmark_px, landmark_before_px: `measures.landmark_error_px`. dice, iou: of the two masks, the IR one moved.
    folding: share of the pixels at which the transform folds. round_trip_px: `measures.round_trip_px`.
    similarity, similarity_before: `similarity.alikeness` by measure, both on what the moved IR frame covers.
    ms: wall time of the estimate, without the measuring.
    """

    stem: str
    state: str
    confidence: float | None
    ms: float
    error_before_px: float | None = None
    error_px: float | None = None
    landmark_before_px: float | None = None
    landmark_px: float | None = None
    dice_before: float | None = None
    dice: float | None = None
    iou_before: float | None = None
    iou: float | None = None
    folding: float | None = None
    round_trip_px: float | None = None
    similarity_before: dict[str, float | None] = field(default_factory=dict[str, float | None])
    similarity: dict[str, float | None] = field(default_factory=dict[str, float | None])

    @property
    def is_refused(self) -> bool:
        """Whether the model gave no transform."""
        return self.state == "refused"

    def to_csv(self) -> dict[str, Any]:
        """One flat dict: the similarities as `NAME_before` and `NAME`."""
        flat = {one.name: getattr(self, one.name) for one in fields(self) if not one.name.startswith("similarity")}
        for name in self.similarity_before:
            flat |= {f"{name}_before": self.similarity_before[name], name: self.similarity.get(name)}
        return flat


class Estimator(Protocol):
    """What `vr.runtime.Aligner` offers for single pairs."""

    @property
    def info(self) -> ModelInfo:
        """What the model says of itself."""
        ...

    def estimate(self, ir: Frame, rgb: Frame) -> Alignment:
        """Aligns one pair."""
        ...


def measure(aligner: Estimator, sample: Sample, similarities: tuple[str, ...] = DEFAULT_MEASURES) -> Row:
    """Aligns the pair, and its sides swapped, and measures. Raises InputError for frames that cannot be used."""
    found = align(aligner, sample)
    row = Row(sample.stem, found.state, found.confidence, round(sum(found.timings_ms.values()), 2))
    source = source_of(found)
    row = replace(
        row, **_errors(source, sample), **_overlaps(found, sample), **_similarities(found, sample, similarities)
    )
    if source is None:
        return row
    back = source_of(align(aligner, swapped(sample)))
    trip = None if back is None else round_trip_px(source, back, sample.rgb_hw, sample.ir_hw)
    return replace(row, folding=folding(found), round_trip_px=trip)


def align(aligner: Estimator, sample: Sample) -> Alignment:
    """The model's answer to one pair, on its own; a model of mode "mask" is shown the masks."""
    if aligner.info.mode == "mask" and sample.ir_mask is not None and sample.rgb_mask is not None:
        return replace(aligner.estimate(sample.ir_mask, to_bgr(sample.rgb_mask)), ir=sample.ir)
    return aligner.estimate(sample.ir, sample.rgb)


def swapped(sample: Sample) -> Sample:
    """The RGB camera in the place of the IR one, and the other way round; without landmarks and truth."""
    return Sample(
        sample.stem, to_gray(sample.rgb), to_bgr(sample.ir), sample.rgb_mask, sample.ir_mask, landmarks=None, truth=None
    )


def folding(alignment: Alignment) -> float:
    """`measures.folding_share` of what the model gave: of a dense one on its own grid, not enlarged to the frame."""
    if alignment.flow is None:
        return folding_share(alignment.source_map_xy())
    ys, xs = np.mgrid[: alignment.flow.shape[1], : alignment.flow.shape[2]]
    return folding_share(np.stack([xs, ys], axis=-1) + np.moveaxis(alignment.flow, 0, -1))


def moved_mask(alignment: Alignment, ir_mask: Gray) -> Gray:
    """An IR mask (h, w), person 255, on the RGB grid (H, W); merely stretched if the alignment is refused."""
    if alignment.state == "refused":
        return resize(ir_mask, alignment.rgb_hw)
    return warp_map(ir_mask, alignment.source_map_xy())


def _errors(source: Source | None, sample: Sample) -> dict[str, float]:
    still, sizes = unaligned(sample.rgb_hw, sample.ir_hw), (sample.rgb_hw, sample.ir_hw)
    marks, figures = sample.landmarks, dict[str, float]()
    for suffix, one in (("_before_px", still), ("_px", source)):
        if one is not None and sample.truth is not None:
            figures[f"error{suffix}"] = warp_error_px(one, sample.truth, *sizes)
        if one is not None and marks is not None:
            figures[f"landmark{suffix}"] = landmark_error_px(one, marks.rgb, marks.ir, sample.ir_hw)
    return figures


def _overlaps(found: Alignment, sample: Sample) -> dict[str, float]:
    if sample.ir_mask is None or sample.rgb_mask is None:
        return {}
    before, fixed = resize(sample.ir_mask, sample.rgb_hw) > _HALF, sample.rgb_mask > _HALF
    figures = {"dice_before": dice(before, fixed), "iou_before": iou(before, fixed)}
    if found.state != "refused":
        moved = moved_mask(found, sample.ir_mask) > _HALF
        figures |= {"dice": dice(moved, fixed), "iou": iou(moved, fixed)}
    return figures


def _similarities(found: Alignment, sample: Sample, names: tuple[str, ...]) -> dict[str, dict[str, float | None]]:
    before, fixed = resize(to_gray(sample.ir), sample.rgb_hw), to_gray(sample.rgb)
    everywhere = np.full(sample.ir_hw, 255, np.uint8)
    if found.moved is None:
        covered = resize(everywhere, sample.rgb_hw)
        return {"similarity_before": {name: alikeness(name, before, fixed, covered) for name in names}}
    covered = (warp_map(everywhere, found.source_map_xy()) == 255).astype(np.uint8)
    pictures = {"similarity_before": before, "similarity": to_gray(found.moved)}
    return {
        key: {name: alikeness(name, picture, fixed, covered) for name in names} for key, picture in pictures.items()
    }
