"""The filter over time on a rig at rest or adrift: error, jitter, hold, time."""

import numpy as np
import pytest

from tests.rig_estimates import (
    TRUTH,
    Answer,
    Watched,
    answer,
    edges,
    error_px,
    errors_px,
    jitter_px,
    shifted,
    theta_of,
    wrong,
)
from vr.runtime.errors import InputError
from vr.runtime.geometry import IDENTITY_THETA
from vr.runtime.rigs import RIGS, rig_prior
from vr.runtime.temporal import DenseFilter, Fused, ThetaFilter, corner_distance

REFUSAL = Answer(None, 0.1)
ALL_AROUND = np.linspace(0.0, np.pi, 8, endpoint=False)


def correlated(seed: int, truth: np.ndarray, noise_px: float, count: int, decay: float = 0.7) -> list[Answer]:
    """Estimates whose errors resemble those of the frame before, as those of a scene at rest do."""
    rng = np.random.default_rng(seed)
    offset, answers = np.zeros((2, 3)), []
    for _ in range(count):
        fresh = answer(rng, truth, noise_px).theta
        assert fresh is not None
        offset = decay * offset + np.sqrt(1.0 - decay**2) * (fresh - truth)
        answers.append(Answer(truth + offset))
    return answers


@pytest.mark.parametrize("with_information", [False, True])
def test_fixed_rig_at_rest_is_right_and_still(with_information: bool) -> None:
    rng = np.random.default_rng(0)
    watched = Watched()
    shown = watched.watch(10.0, lambda _: answer(rng, TRUTH, 1.0, edges(rng, ALL_AROUND) if with_information else None))
    assert {one.state for one in shown} == {"estimated"}
    assert np.median(errors_px(shown[10:], TRUTH)) < 0.2
    assert errors_px(shown[150:], TRUTH).max() < 0.25
    assert jitter_px(shown[10:]) < 0.1
    assert jitter_px(shown[150:]) < 0.02


def test_errors_that_neighbouring_frames_share_are_averaged_too() -> None:
    answers = correlated(1, TRUTH, 1.0, 600)
    shown = Watched().watch(20.0, answers.__getitem__)
    raw = np.median([error_px(one.theta, TRUTH) for one in answers if one.theta is not None])
    assert np.median(errors_px(shown[300:], TRUTH)) < raw / 4
    assert jitter_px(shown[10:]) < 0.1
    assert jitter_px(shown[150:]) < 0.05


@pytest.mark.parametrize("rig", RIGS)
def test_right_within_ten_frames_although_the_first_is_wrong(rig: str) -> None:
    for seed in range(20):
        rng = np.random.default_rng(seed)
        watched = Watched(rig)
        watched.see(wrong(rng))
        shown = watched.watch(9 / 30, lambda _, rng=rng: answer(rng, TRUTH, 0.5))
        assert shown[-1].state == "estimated"
        assert error_px(theta_of(shown[-1]), TRUTH) < 0.8


def test_first_frame_is_shown_at_once() -> None:
    one = answer(np.random.default_rng(0), TRUTH, 1.0)
    fused = Watched().see(one)
    assert fused.state == "estimated"
    np.testing.assert_allclose(theta_of(fused), one.theta, atol=1e-12)  # type: ignore[arg-type]


def swaying(seconds: float, speed_px_s: float) -> np.ndarray:
    """A rig that sways with periods of 20 to 30 s, at this rms speed."""
    reach = speed_px_s / np.sqrt(2) * np.sqrt(2) / (2 * np.pi)
    return shifted(TRUTH, 28 * reach * np.sin(2 * np.pi * seconds / 28), 23 * reach * np.cos(2 * np.pi * seconds / 23))


@pytest.mark.parametrize(("rig", "limit_px"), [("fixed", 0.2), ("moving", 0.2)])
def test_follows_a_drift_of_half_a_pixel_per_second(rig: str, limit_px: float) -> None:
    rng = np.random.default_rng(2)
    shown = Watched(rig).watch(30.0, lambda i: answer(rng, swaying(i / 30, 0.5), 0.3))
    errors = [error_px(theta_of(one), swaying(i / 30, 0.5)) for i, one in enumerate(shown)]
    assert np.median(errors[10:]) < limit_px
    assert max(errors[10:]) < 2 * limit_px
    assert jitter_px(shown[10:]) < 0.1


def test_fixed_rig_follows_warmth_in_the_course_of_minutes() -> None:
    """Three pixels in five minutes, at two frames per second."""
    rng = np.random.default_rng(3)
    shown = Watched(fps=2.0).watch(300.0, lambda i: answer(rng, shifted(TRUTH, i / 200), 0.5))
    errors = [error_px(theta_of(one), shifted(TRUTH, i / 200)) for i, one in enumerate(shown)]
    assert np.median(errors[60:]) < 0.3


def test_steadiness_is_in_the_order_of_the_priors() -> None:
    jitter = {}
    for rig in RIGS:
        rng = np.random.default_rng(4)
        jitter[rig] = jitter_px(Watched(rig).watch(10.0, lambda _, rng=rng: answer(rng, TRUTH, 0.5))[30:])
    assert jitter["fixed"] < jitter["moving"] / 2 < jitter["free"] / 4


def test_moving_rig_follows_a_zoom_and_a_free_one_a_shake() -> None:
    rng = np.random.default_rng(5)

    def zoomed(i: int) -> np.ndarray:
        return TRUTH * np.array([[1 + i / 900, 1 + i / 900, 1.0]])

    shown = Watched("moving").watch(3.0, lambda i: answer(rng, zoomed(i), 0.3))
    assert np.median([error_px(theta_of(one), zoomed(i)) for i, one in enumerate(shown)][10:]) < 1.0

    def shaken(i: int) -> np.ndarray:
        return shifted(TRUTH, 6 * np.sin(i / 3), 4 * np.cos(i / 4))

    shown = Watched("free").watch(3.0, lambda i: answer(rng, shaken(i), 0.3))
    assert np.median([error_px(theta_of(one), shaken(i)) for i, one in enumerate(shown)][10:]) < 1.0


@pytest.mark.parametrize("rig", RIGS)
def test_hold_expires_and_a_new_estimate_starts_anew(rig: str) -> None:
    filter_, hold_s = ThetaFilter(RIGS[rig]), RIGS[rig].hold_s
    elsewhere = shifted(TRUTH, 50.0)
    filter_.update(TRUTH, 0.9, None, 10.0)
    assert filter_.update(None, 0.0, None, 10.0 + hold_s).state == "held"
    assert filter_.update(None, 0.0, None, 10.01 + hold_s) == Fused("refused", None)
    fused = filter_.update(elsewhere, 0.9, None, 10.1 + hold_s)
    assert fused.state == "estimated"
    np.testing.assert_allclose(theta_of(fused), elsewhere, atol=1e-12)


def test_gap_longer_than_the_hold_starts_anew_with_the_next_estimate() -> None:
    watched = Watched("moving", fps=0.1)
    watched.see(Answer(TRUTH))
    fused = watched.see(Answer(shifted(TRUTH, 50.0)))
    assert fused.state == "estimated"
    assert error_px(theta_of(fused), shifted(TRUTH, 50.0)) < 1e-9


def test_time_that_runs_backwards_starts_anew() -> None:
    """A looping video: what was learned at its end says nothing of a transform before it."""
    filter_ = ThetaFilter()
    filter_.update(TRUTH, 0.9, None, 100.0)
    assert filter_.update(None, 0.0, None, 0.0).state == "refused"
    assert filter_.update(shifted(TRUTH, 50.0), 0.9, None, 0.1).state == "estimated"


def test_no_time_means_thirty_frames_per_second() -> None:
    filter_ = ThetaFilter(RIGS["moving"])
    filter_.update(TRUTH, 0.9, None, None)
    hold_frames = RIGS["moving"].hold_s * 30
    states = [filter_.update(None, 0.0, None, None).state for _ in range(int(hold_frames) + 5)]
    assert states.index("refused") == pytest.approx(hold_frames, abs=1)


def test_same_time_twice_is_two_estimates_of_one_moment() -> None:
    filter_ = ThetaFilter()
    filter_.update(TRUTH, 0.9, None, 1.0)
    fused = filter_.update(shifted(TRUTH, 1.0), 0.9, None, 1.0)
    assert fused.state == "estimated"
    assert error_px(theta_of(fused), shifted(TRUTH, 0.5)) < 0.05


def test_reset_forgets() -> None:
    filter_ = ThetaFilter()
    filter_.update(TRUTH, 0.9, None, 0.0)
    filter_.reset()
    assert filter_.update(None, 0.0, None, 0.1).state == "refused"


def test_unknown_rig_names_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown rig 'loose'; expected one of fixed, moving, free"):
        rig_prior("loose")


def test_corner_distance_is_in_frame_sides() -> None:
    moved = IDENTITY_THETA + np.array([[0, 0, 0.6], [0, 0, 0.8]])
    assert corner_distance(moved, IDENTITY_THETA) == pytest.approx(0.5)


def test_dense_filter_passes_holds_and_expires() -> None:
    filter_ = DenseFilter(hold_s=1.0)
    flow = np.ones((2, 4, 5), np.float32)
    assert filter_.update(None, 0.0, None, 0.0) == Fused("refused", None)
    passed = filter_.update(flow, 1.0, None, 0.1)
    assert passed.state == "estimated"
    assert passed.transform is flow
    held = filter_.update(None, 0.0, None, 1.0)
    assert held.state == "held"
    assert held.transform is flow
    assert filter_.update(None, 0.0, None, 1.2) == Fused("refused", None)
    assert filter_.update(None, 0.0, None, 1.3) == Fused("refused", None)


def test_dense_filter_forgets_when_time_runs_backwards() -> None:
    filter_ = DenseFilter()
    filter_.update(np.ones((2, 4, 5), np.float32), 1.0, None, 9.0)
    assert filter_.update(None, 0.0, None, 1.0).state == "refused"
