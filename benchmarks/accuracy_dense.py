"""What a dense model adds to the best affine, on pairs that no affine aligns."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy_figures import Figures
from benchmarks.accuracy_methods import Method
from benchmarks.protocol_dense import BentPair, affine_fit
from vr.runtime.geometry import Float64Array
from vr.runtime.warp import matrix_source_map
from vr.train.evaluate.measures import finite_or_none, folding_share

BEST_AFFINE = "best possible affine"


def dense_figures(pairs: Sequence[BentPair], models: Sequence[Method]) -> dict[str, Figures]:
    """Mean end-point error per pair, px at 320x240, and the share of pixels that a map folds over.

    `worse_than_best_affine`: pairs on which the end-point error is higher than the best possible affine leaves.
    """
    best = [end_point_error_px(affine_fit(pair.source_map_xy), pair) for pair in pairs]
    rows = {BEST_AFFINE: _row(best, best, [0.0] * len(pairs))}
    for model in models:
        maps = [as_map(model(pair.ir, pair.rgb).source, pair) for pair in pairs]
        errors = [
            np.inf if one is None else end_point_error_px(one, pair) for one, pair in zip(maps, pairs, strict=True)
        ]
        rows[model.name] = _row(errors, best, [folding_share(one) for one in maps if one is not None])
    return rows


def as_map(source: NDArray[np.floating] | None, pair: BentPair) -> Float64Array | None:
    """A matrix (2, 3) or a map as a map (H, W, 2) of source points; None stays None."""
    if source is not None and source.ndim == 2:
        source = matrix_source_map(source, (pair.rgb.shape[0], pair.rgb.shape[1]))
    return None if source is None else source.astype(np.float64)


def end_point_error_px(source_map_xy: Float64Array, pair: BentPair) -> float:
    """Mean distance between found and true source points over all pixels."""
    return float(np.linalg.norm(source_map_xy - pair.source_map_xy, axis=2).mean())


def _row(errors: list[float], best: list[float], folded: list[float]) -> Figures:
    finite = [error for error in errors if np.isfinite(error)]
    return {
        "pairs": len(errors),
        "refused": len(errors) - len(finite),
        "mean_px": finite_or_none(np.mean(finite)) if finite else None,
        "median_px": finite_or_none(np.median(errors)),
        "worse_than_best_affine": int(sum(a > b + 1e-9 for a, b in zip(errors, best, strict=True))),
        "folded_share": round(float(np.mean(folded)), 6) if folded else None,
    }
