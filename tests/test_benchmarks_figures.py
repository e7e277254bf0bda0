"""Figures of the accuracy benchmark, on trials whose figures are known."""

from collections.abc import Sequence

import numpy as np
import pytest

from benchmarks.accuracy_dense import BEST_AFFINE, dense_figures
from benchmarks.accuracy_figures import (
    Trial,
    by_group,
    calibration_error,
    judged,
    reliability,
    source_error_px,
    summary,
)
from benchmarks.accuracy_methods import Answer
from benchmarks.accuracy_video import Track, video_figures
from benchmarks.protocol_dense import BentPair
from benchmarks.protocol_video import FPS, KNOCK_FRAME, VideoFrame
from benchmarks.protocols import FRAME_HW, KnownPair
from vr.runtime.geometry import Float64Array
from vr.runtime.preprocess import Frame
from vr.runtime.warp import affine_source_map

FRAME: Frame = np.zeros((*FRAME_HW, 3), np.uint8)
IDENTITY: Float64Array = np.eye(2, 3)


def shifted(x: float, y: float = 0.0) -> Float64Array:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def trials(errors: Sequence[float | None], ungated: Sequence[float | None] | None = None) -> list[Trial]:
    known = ungated or errors
    return [
        Trial("f", str(k), float(k), error, one, 0.9, 5.0)
        for k, (error, one) in enumerate(zip(errors, known, strict=True))
    ]


def test_summary_counts_a_refused_pair_as_infinitely_far_off() -> None:
    one = summary(trials([0.5, 2.0, 4.0, 12.0, None, None], [0.5, 2.0, 4.0, 12.0, 3.0, 40.0]))
    assert one["median_px"] == 8.0
    assert one["below_px"] == {"1": 0.1667, "3": 0.3333, "5": 0.5, "10": 0.5}
    assert (one["refused"], one["refused_though_good"], one["confidently_wrong"]) == (2, 1, 1)
    assert one["below_10_px_or_refused"] == 0.8333
    assert summary(trials([1.0, None, None]))["median_px"] is None


def test_the_dark_half_is_reported_apart() -> None:
    groups = by_group(trials([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert [one.error_px for one in groups["dark half"]] == [1.0, 2.0]
    assert set(groups) == {"all", "dark half", "f"}


def test_reliability_of_an_honest_and_of_a_boastful_model() -> None:
    honest = reliability([(0.75, k < 3) for k in range(4)] + [(0.25, k < 1) for k in range(4)])
    assert [(one["confidence"], one["right"], one["pairs"]) for one in honest] == [(0.25, 0.25, 4), (0.75, 0.75, 4)]
    assert calibration_error(honest) == 0.0
    assert calibration_error(reliability([(1.0, False)] * 5)) == 1.0


def test_confidence_is_judged_by_the_answer_before_the_gate() -> None:
    assert judged(trials([None, 7.0, None], [1.0, 7.0, None])) == [(0.9, True), (0.9, False)]


def test_matrices_and_maps_are_judged_alike() -> None:
    pair = KnownPair("f", "0", "f/0", FRAME, FRAME, shifted(3.0, 4.0))
    assert source_error_px(IDENTITY, pair) == pytest.approx(5.0)
    assert source_error_px(affine_source_map(IDENTITY, FRAME_HW), pair) == pytest.approx(5.0, abs=1e-4)
    assert source_error_px(None, pair) is None


def played(found: Sequence[Float64Array | None], truth: Sequence[Float64Array], kind: str = "clips") -> Track:
    track = Track(kind, "v")
    for index, (one, true) in enumerate(zip(found, truth, strict=True)):
        track.add(VideoFrame(index / FPS, FRAME, FRAME, true), one, "refused" if one is None else "estimated")
    return track


def test_a_steady_error_that_follows_a_drift_is_no_jitter() -> None:
    truth = [shifted(0.1 * k) for k in range(40)]
    figures = video_figures([played([shifted(0.1 * k + 2.0) for k in range(40)], truth)])["clips"]
    assert figures["median_px"] == 2.0
    assert figures["jitter_rms_px"] == 0.0
    assert figures["frames"] == 30


def test_jitter_is_what_corners_move_beyond_the_truth() -> None:
    found = [shifted(0.3 * (k % 2)) for k in range(40)]
    figures = video_figures([played(found, [IDENTITY] * 40)])["clips"]
    assert figures["jitter_rms_px"] == figures["jitter_p95_px"] == 0.3


def test_refused_frames_are_far_off_and_do_not_jitter() -> None:
    found = [None if k % 3 else IDENTITY for k in range(40)]
    figures = video_figures([played(found, [IDENTITY] * 40)])["clips"]
    assert figures["median_px"] is None
    assert figures["jitter_rms_px"] is None
    assert figures["refused"] == 20


def test_recovery_counts_from_the_knock_to_ten_good_frames_in_a_row() -> None:
    truth = [shifted(20.0 * (k >= KNOCK_FRAME)) for k in range(150)]
    late = [shifted(20.0 * (k >= KNOCK_FRAME + 25 or k == KNOCK_FRAME + 5)) for k in range(150)]
    never = [IDENTITY] * 150
    track = played(late, truth, "clips, knocked")
    assert track.recovery_s() == 1.0
    figures = video_figures([track, played(never, truth, "clips, knocked")])["clips, knocked"]
    assert figures["recovery_worst_s"] is None
    assert figures["within_2_s"] == 0.5


class Says:
    """A method that always gives the same answer."""

    is_model = True

    def __init__(self, name: str, source: np.ndarray | None) -> None:
        self.name, self._source = name, source

    def __call__(self, ir: Frame, rgb: Frame) -> Answer:
        return Answer(self._source, self._source, None, 1.0)


def test_dense_models_are_held_against_the_best_possible_affine() -> None:
    ys, xs = np.mgrid[: FRAME_HW[0], : FRAME_HW[1]].astype(float)
    truth = np.stack([xs + 4.0 * np.sin(xs / 40.0), ys], axis=-1)
    pair = BentPair("f", "0", FRAME, FRAME, truth)
    models = [Says("right", truth), Says("mirror", affine_source_map([[-1, 0, 319], [0, 1, 0]], FRAME_HW))]
    figures = dense_figures([pair], [*models, Says("affine", IDENTITY), Says("silent", None)])
    assert 1.0 < figures[BEST_AFFINE]["mean_px"] < 4.0
    assert (figures["right"]["mean_px"], figures["right"]["folded_share"]) == (0.0, 0.0)
    assert figures["right"]["worse_than_best_affine"] == 0
    assert (figures["mirror"]["folded_share"], figures["mirror"]["worse_than_best_affine"]) == (1.0, 1)
    assert figures["affine"]["mean_px"] >= figures[BEST_AFFINE]["mean_px"]
    assert (figures["silent"]["refused"], figures["silent"]["mean_px"]) == (1, None)
