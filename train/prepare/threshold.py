"""The levels above which the IR frames of a whole recording show a person."""

import numpy as np

from vr.runtime.threshold import WINDOW_S, Float64s, held, near


def steady(thresholds: Float64s, sequence: float, time_s: Float64s) -> Float64s:
    """(n,) thresholds of frames, made steady: their running median, near the threshold of the whole `sequence`, and
    unchanged until it has moved by more than a dead band.
    """
    period_s = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 1.0
    half = max(1, round(WINDOW_S / max(period_s, 1e-6) / 2.0))
    padded = np.pad(thresholds, half, mode="edge")
    middle = np.median(np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1), axis=1)
    wanted = near(middle, sequence)
    result, current = np.empty(len(thresholds)), float(wanted[0])
    for number, value in enumerate(wanted.tolist()):
        current = result[number] = held(current, value)
    return result
