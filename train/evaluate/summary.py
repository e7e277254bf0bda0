"""What the rows of many pairs come to.

A refused pair is not dropped: its error is infinite in medians and shares, its masks and pictures count as not aligned.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from vr.train.evaluate.measures import finite_or_none, share
from vr.train.evaluate.rows import Row

LIMITS_PX = (1.0, 3.0, 5.0)
Figures = dict[str, Any]


def summarise(rows: Sequence[Row]) -> Figures:
    """The figures of one model on a set of pairs; a part that nothing is known of is None.

    known_warp, landmarks: `identity` (no alignment) and `model`, each `median_px`, `mean_px` (of the pairs that have an
    answer), `below_px` by limit. dice, iou, similarity by name: medians `before` and `after`. folding: the mean, and
    `folded_pairs` of those that fold anywhere. round_trip: of the pairs that both ways had an answer for.
    """
    measures = list(rows[0].similarity_before) if rows else []
    return {
        "pairs": len(rows),
        "refused": sum(row.is_refused for row in rows),
        "known_warp": _errors(rows, lambda row: (row.error_before_px, row.error_px)),
        "landmarks": _errors(rows, lambda row: (row.landmark_before_px, row.landmark_px)),
        "dice": _change(rows, lambda row: (row.dice_before, row.dice)),
        "iou": _change(rows, lambda row: (row.iou_before, row.iou)),
        "similarity": {name: _change(rows, _alike(name)) for name in measures},
        "folding": _folding(rows),
        "round_trip": _round_trip(rows),
        "median_ms": finite_or_none(np.median([row.ms for row in rows])) if rows else None,
    }


def quality(row: Row) -> float:
    """The higher the better, to tell good pairs from bad: by the first of known warp, landmarks, Dice and similarity
    that is known; a refused pair is the worst.
    """
    if row.is_refused:
        return -np.inf
    for error in (row.error_px, row.landmark_px):
        if error is not None:
            return -error
    alike = [value for value in row.similarity.values() if value is not None]
    return row.dice if row.dice is not None else float(np.mean(alike)) if alike else 0.0


Two = Callable[[Row], tuple[float | None, float | None]]


def _alike(name: str) -> Two:
    return lambda row: (row.similarity_before[name], row.similarity.get(name))


def _errors(rows: Sequence[Row], of: Two) -> Figures | None:
    known = [of(row) for row in rows if of(row)[0] is not None]
    if not known:
        return None
    columns = np.array([[np.inf if value is None else value for value in pair] for pair in known])
    return {"pairs": len(known), "identity": _error_row(columns[:, 0]), "model": _error_row(columns[:, 1])}


def _error_row(errors_px: np.ndarray) -> Figures:
    answered = errors_px[np.isfinite(errors_px)]
    return {
        "median_px": finite_or_none(np.median(errors_px)),
        "mean_px": finite_or_none(answered.mean()) if answered.size else None,
        "below_px": {f"{limit:g}": share(errors_px < limit) for limit in LIMITS_PX},
    }


def _change(rows: Sequence[Row], of: Two) -> Figures | None:
    known = [(before, before if after is None else after) for before, after in map(of, rows) if before is not None]
    if not known:
        return None
    before, after = np.median(np.array(known), axis=0)
    return {"pairs": len(known), "before": finite_or_none(before), "after": finite_or_none(after)}


def _folding(rows: Sequence[Row]) -> Figures | None:
    known = np.array([row.folding for row in rows if row.folding is not None])
    if not known.size:
        return None
    return {"mean_share": round(float(known.mean()), 6), "folded_pairs": int((known > 0.0).sum())}


def _round_trip(rows: Sequence[Row]) -> Figures | None:
    known = [row.round_trip_px for row in rows if row.round_trip_px is not None]
    return {"pairs": len(known), "median_px": finite_or_none(np.median(known))} if known else None
