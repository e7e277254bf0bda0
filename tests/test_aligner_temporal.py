"""The filter over time, on a rig whose true transform is known."""

from itertools import pairwise

import numpy as np
import pytest

from vr.runtime.geometry import IDENTITY_THETA
from vr.runtime.temporal import HOLD_S, AffineFilter, DenseFilter, Fused, corner_distance

FPS = 30.0
TRUTH = np.array([[1.02, 0.01, 0.05], [-0.01, 0.98, -0.04]])
KNOCKED = TRUTH + np.array([[0.0, 0.0, 0.2], [0.0, 0.0, 0.1]])
NOISE = 0.006


def noisy(rng: np.random.Generator, theta: np.ndarray = TRUTH) -> np.ndarray:
    return theta + rng.normal(0.0, NOISE, (2, 3))


def shown(fused: Fused) -> np.ndarray:
    assert fused.transform is not None
    return fused.transform


def test_converges_on_the_truth_and_reduces_the_jitter() -> None:
    rng = np.random.default_rng(0)
    estimates = [noisy(rng) for _ in range(300)]
    filter_ = AffineFilter()
    fused = [shown(filter_.update(z, 0.9, i / FPS)) for i, z in enumerate(estimates)]
    late = slice(150, 300)
    error_raw = np.mean([corner_distance(z, TRUTH) for z in estimates[late]])
    error_fused = np.mean([corner_distance(m, TRUTH) for m in fused[late]])
    assert error_fused < error_raw / 4
    jitter_raw = np.mean([corner_distance(a, b) for a, b in pairwise(estimates[late])])
    jitter_fused = np.mean([corner_distance(a, b) for a, b in pairwise(fused[late])])
    assert jitter_fused < jitter_raw / 10


def test_the_recursion_is_the_weighted_mean_of_its_docstring() -> None:
    rng = np.random.default_rng(1)
    times = [0.0, 0.1, 0.15, 0.9, 1.0]
    confidences = [0.6, 0.9, 0.5, 1.0, 0.7]
    estimates = [TRUTH + rng.normal(0.0, 0.001, (2, 3)) for _ in times]
    filter_ = AffineFilter(time_constant_s=0.8)
    last = Fused("refused", None)
    for z, c, t in zip(estimates, confidences, times, strict=True):
        last = filter_.update(z, c, t)
    weights = [c * np.exp(-(times[-1] - t) / 0.8) for c, t in zip(confidences, times, strict=True)]
    expected = sum(w * z for w, z in zip(weights, estimates, strict=True)) / sum(weights)
    np.testing.assert_allclose(shown(last), expected, atol=1e-12)


def test_confident_estimates_weigh_more() -> None:
    filter_ = AffineFilter()
    filter_.update(TRUTH, 0.5, 0.0)
    near = TRUTH + np.array([[0, 0, 0.01], [0, 0, 0]])
    fused = shown(filter_.update(near, 1.0, 0.0))
    assert fused[0, 2] == pytest.approx(TRUTH[0, 2] + 0.01 * 2 / 3)


def test_follows_a_slow_drift() -> None:
    """One hundredth of a frame side per second, seen without noise: it lags by the time constant, one second."""
    filter_ = AffineFilter()
    drift = np.array([[0, 0, 0.02], [0, 0, 0]])
    fused = [filter_.update(TRUTH + drift * i / FPS, 1.0, i / FPS) for i in range(300)]
    assert {one.state for one in fused} == {"estimated"}
    assert corner_distance(shown(fused[-1]), TRUTH + drift * 299 / FPS) == pytest.approx(0.01, rel=0.1)


def settled_filter(rng: np.random.Generator, fps: float = FPS, seconds: float = 3.0) -> AffineFilter:
    """A filter that has seen noisy estimates of TRUTH from 0 to `seconds`."""
    filter_ = AffineFilter()
    for i in range(int(seconds * fps)):
        filter_.update(noisy(rng), 0.9, i / fps)
    return filter_


@pytest.mark.parametrize("fps", [30.0, 10.0])
def test_recovers_after_a_knock_within_two_seconds(fps: float) -> None:
    rng = np.random.default_rng(2)
    filter_ = settled_filter(rng, fps)
    fused = [filter_.update(noisy(rng, KNOCKED), 0.9, 3.0 + i / fps) for i in range(int(2 * fps))]
    states = [one.state for one in fused]
    assert states[0] == "held"
    assert states.index("estimated") <= fps
    assert corner_distance(shown(fused[-1]), KNOCKED) < 0.005


def test_recovers_from_a_knock_too_small_for_the_gate() -> None:
    rng = np.random.default_rng(7)
    filter_ = settled_filter(rng)
    nudged = TRUTH + np.array([[0, 0, 0.03], [0, 0, 0]])
    fused = [filter_.update(noisy(rng, nudged), 0.9, 3.0 + i / FPS) for i in range(60)]
    assert corner_distance(shown(fused[-1]), nudged) < 0.006


def test_single_outlier_does_not_enter() -> None:
    rng = np.random.default_rng(3)
    filter_ = settled_filter(rng)
    before = filter_.update(None, 0.0, 3.0)
    fused = filter_.update(KNOCKED, 1.0, 3.0 + 1 / FPS)
    assert fused.state == "held"
    np.testing.assert_array_equal(shown(fused), shown(before))


def test_outliers_that_agree_but_are_mixed_with_good_ones_do_not_take_over() -> None:
    rng = np.random.default_rng(4)
    filter_ = settled_filter(rng)
    wrong = [i % 5 != 0 for i in range(120)]
    fused = [filter_.update(noisy(rng, KNOCKED if bad else TRUTH), 0.9, 3.0 + i / FPS) for i, bad in enumerate(wrong)]
    assert {one.state for one, bad in zip(fused, wrong, strict=True) if bad} == {"held"}
    assert corner_distance(shown(fused[-1]), TRUTH) < 0.01


def test_never_estimated_while_all_frames_are_bad() -> None:
    filter_ = AffineFilter()
    states = {filter_.update(None, 0.1, i / FPS).state for i in range(600)}
    assert states == {"refused"}


def test_disagreeing_estimates_never_replace_a_good_mean() -> None:
    """Confident nonsense, different every time, is held against, then refused."""
    rng = np.random.default_rng(5)
    filter_ = AffineFilter()
    filter_.update(TRUTH, 0.9, 0.0)
    for i in range(1, int((HOLD_S + 1) * FPS)):
        random_shift = np.array([[0, 0, rng.uniform(0.3, 1.9)], [0, 0, rng.uniform(-1.9, -0.3)]])
        fused = filter_.update(TRUTH + random_shift, 0.9, i / FPS)
        if i / FPS <= HOLD_S:
            assert fused.state == "held"


def test_hold_expires_and_a_new_estimate_starts_anew() -> None:
    filter_ = AffineFilter(hold_s=2.0)
    filter_.update(TRUTH, 0.9, 10.0)
    assert filter_.update(None, 0.0, 12.0).state == "held"
    assert filter_.update(None, 0.0, 12.01) == Fused("refused", None)
    fused = filter_.update(KNOCKED, 0.9, 12.1)
    assert fused.state == "estimated"
    np.testing.assert_array_equal(shown(fused), KNOCKED)


def test_gap_longer_than_the_hold_starts_anew_with_the_next_estimate() -> None:
    filter_ = AffineFilter()
    filter_.update(TRUTH, 0.9, 0.0)
    fused = filter_.update(KNOCKED, 0.9, 60.0)
    assert fused.state == "estimated"
    np.testing.assert_array_equal(shown(fused), KNOCKED)


def test_time_that_runs_backwards_starts_anew() -> None:
    """A looping video: what was learned at its end says nothing of a transform before it."""
    filter_ = AffineFilter()
    filter_.update(TRUTH, 0.9, 100.0)
    assert filter_.update(None, 0.0, 0.0).state == "refused"
    assert filter_.update(KNOCKED, 0.9, 0.1).state == "estimated"


def test_no_time_means_thirty_frames_per_second() -> None:
    filter_ = AffineFilter()
    filter_.update(TRUTH, 0.9, None)
    states = [filter_.update(None, 0.0, None).state for _ in range(int(HOLD_S * FPS) + 5)]
    assert states.index("refused") == pytest.approx(HOLD_S * FPS, abs=1)


def test_same_time_twice_is_two_estimates_of_one_moment() -> None:
    filter_ = AffineFilter()
    filter_.update(TRUTH, 0.5, 1.0)
    assert filter_.update(TRUTH, 0.5, 1.0).state == "estimated"


def test_gate_widens_with_scattered_estimates() -> None:
    """Estimates that scatter by some percent are averaged, not turned away."""
    rng = np.random.default_rng(6)
    filter_ = AffineFilter()
    states = [filter_.update(TRUTH + rng.normal(0, 0.015, (2, 3)), 0.9, i / FPS).state for i in range(300)]
    assert states[150:].count("estimated") > 135


def test_corner_distance_is_in_frame_sides() -> None:
    shifted = IDENTITY_THETA + np.array([[0, 0, 0.6], [0, 0, 0.8]])
    assert corner_distance(shifted, IDENTITY_THETA) == pytest.approx(0.5)


def test_dense_filter_passes_holds_and_expires() -> None:
    filter_ = DenseFilter(hold_s=1.0)
    flow = np.ones((2, 4, 5), np.float32)
    assert filter_.update(None, 0.0, 0.0) == Fused("refused", None)
    passed = filter_.update(flow, 1.0, 0.1)
    assert passed.state == "estimated"
    assert passed.transform is flow
    held = filter_.update(None, 0.0, 1.0)
    assert held.state == "held"
    assert held.transform is flow
    assert filter_.update(None, 0.0, 1.2) == Fused("refused", None)
    assert filter_.update(None, 0.0, 1.3) == Fused("refused", None)


def test_dense_filter_forgets_when_time_runs_backwards() -> None:
    filter_ = DenseFilter()
    filter_.update(np.ones((2, 4, 5), np.float32), 1.0, 9.0)
    assert filter_.update(None, 0.0, 1.0).state == "refused"
