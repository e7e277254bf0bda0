"""The filter over time when things go wrong: knocks, wrong answers, bad stretches."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.rig_estimates import TRUTH, Answer, Watched, answer, error_px, errors_px, shifted, theta_of, wrong
from vr.runtime.rigs import RIGS

NOISE_PX = 0.5
REFUSAL = Answer(None, 0.1)


def camera(rng: np.random.Generator, truth: np.ndarray, bad_share: float = 0.0) -> Callable[[int], Answer]:
    """Answers around `truth`, of which a share is refused or wrong, half and half."""

    def see(_: int) -> Answer:
        if rng.random() < bad_share:
            return REFUSAL if rng.random() < 0.5 else wrong(rng)
        return answer(rng, truth, NOISE_PX)

    return see


def settled(rng: np.random.Generator, rig: str = "fixed", fps: float = 30.0, bad_share: float = 0.0) -> Watched:
    """A filter that has watched the rig at rest for four seconds."""
    watched = Watched(rig, fps)
    watched.watch(4.0, camera(rng, TRUTH, bad_share))
    assert error_px(theta_of(watched.shown[-1]), TRUTH) < 1.0
    return watched


@pytest.mark.parametrize("bad_share", [0.0, 0.3])
@pytest.mark.parametrize("fps", [30.0, 10.0])
@pytest.mark.parametrize("rig", ["fixed", "moving"])
@pytest.mark.parametrize("knock_px", [3.0, 6.0, 15.0, 60.0])
def test_right_again_within_two_seconds_after_a_knock(rig: str, knock_px: float, fps: float, bad_share: float) -> None:
    for seed in range(4):
        rng = np.random.default_rng(seed)
        knocked = shifted(TRUTH, knock_px, -knock_px / 2)
        watched = settled(rng, rig, fps, bad_share)
        shown = watched.watch(4.0, camera(rng, knocked, bad_share))
        assert errors_px(shown[int(2 * fps) :], knocked).max() < 1.0


def test_few_frames_per_second_take_as_many_frames() -> None:
    """Two per second: three wrong answers that agree are not enough, six after a knock are."""
    rng = np.random.default_rng(10)
    watched = settled(rng, fps=2.0)
    wrong_place, knocked = shifted(TRUTH, -40.0), shifted(TRUTH, 40.0)
    assert errors_px(watched.watch(1.5, camera(rng, wrong_place)), TRUTH).max() < 1.0
    assert errors_px(watched.watch(3.0, camera(rng, TRUTH)), TRUTH).max() < 1.0
    assert error_px(theta_of(watched.watch(3.0, camera(rng, knocked))[-1]), knocked) < 1.0


def test_two_wrong_answers_at_the_start_are_outvoted_by_three_right_ones() -> None:
    rng = np.random.default_rng(11)
    watched = Watched(fps=2.0)
    watched.watch(1.0, camera(rng, shifted(TRUTH, -40.0)))
    assert errors_px(watched.watch(2.0, camera(rng, TRUTH))[2:], TRUTH).max() < 1.0


def test_free_rig_follows_a_jump_within_a_quarter_of_a_second() -> None:
    rng = np.random.default_rng(0)
    watched = settled(rng, "free")
    shown = watched.watch(1.0, camera(rng, shifted(TRUTH, 60.0)))
    assert errors_px(shown[8:], shifted(TRUTH, 60.0)).max() < 1.5


def test_held_is_said_until_the_knock_is_believed() -> None:
    rng = np.random.default_rng(1)
    watched = settled(rng)
    states = [one.state for one in watched.watch(2.0, camera(rng, shifted(TRUTH, 40.0)))]
    assert states[0] == "held"
    assert states == sorted(states, reverse=True)
    assert 0.5 <= states.index("estimated") / 30.0 < 1.5


def test_knocked_twice_and_back() -> None:
    rng = np.random.default_rng(2)
    watched = settled(rng)
    for place in (shifted(TRUTH, 30.0), shifted(TRUTH, 0.0, 30.0), TRUTH):
        shown = watched.watch(3.0, camera(rng, place))
        assert errors_px(shown[60:], place).max() < 1.0


@pytest.mark.parametrize("rig", RIGS)
def test_single_outlier_changes_nothing(rig: str) -> None:
    rng = np.random.default_rng(3)
    watched = settled(rng, rig)
    before = theta_of(watched.see(REFUSAL))
    fused = watched.see(Answer(shifted(TRUTH, 70.0), 1.0))
    assert fused.state == "held"
    np.testing.assert_array_equal(theta_of(fused), before)


@pytest.mark.parametrize("seed", range(5))
def test_confident_nonsense_never_moves_what_is_shown(seed: int) -> None:
    """Thirty seconds of wrong answers, a different one each frame."""
    rng = np.random.default_rng(seed)
    watched = settled(rng)
    shown = watched.watch(30.0, lambda _: wrong(rng))
    assert errors_px(shown, TRUTH).max() < 1.0


@pytest.mark.parametrize("rig", ["fixed", "moving"])
def test_nonsense_among_few_good_answers_never_moves_what_is_shown(rig: str) -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        watched = settled(rng, rig)
        shown = watched.watch(10.0, camera(rng, TRUTH, bad_share=0.8))
        assert errors_px(shown, TRUTH).max() < 2.0


def test_wrong_answers_that_agree_do_not_take_over_while_good_ones_come() -> None:
    rng = np.random.default_rng(4)
    watched = settled(rng)
    shown = watched.watch(6.0, lambda i: answer(rng, shifted(TRUTH, 40.0) if i % 5 else TRUTH, NOISE_PX))
    assert errors_px(shown, TRUTH).max() < 1.0
    assert [one.state for one in shown[:6]] == ["estimated", *["held"] * 4, "estimated"]


def test_two_wrong_places_in_turn_do_not_hide_the_knock() -> None:
    """Every third answer is right after the knock, the others come from two other places in turn: a tie at most."""
    rng = np.random.default_rng(5)
    watched = settled(rng)
    places = [shifted(TRUTH, 50.0), shifted(TRUTH, 0.0, 50.0), shifted(TRUTH, -60.0)]
    few = watched.watch(3.0, lambda i: answer(rng, places[i % 3], NOISE_PX))
    assert errors_px(few, TRUTH).max() < 1.0
    most = watched.watch(3.0, lambda i: answer(rng, places[0] if i % 4 < 3 else places[i // 4 % 2 + 1], NOISE_PX))
    assert errors_px(most[60:], places[0]).max() < 1.0


def test_doubtful_answers_nearby_pull_little() -> None:
    """Half a second of answers that are 3 px off, once with high confidence and once with low."""
    reached = []
    for confidence in (0.95, 0.55):
        rng = np.random.default_rng(6)
        watched = settled(rng)
        off = shifted(TRUTH, 3.0)
        shown = watched.watch(0.5, lambda _, c=confidence, off=off: Answer(off, c))
        reached.append(error_px(theta_of(shown[-1]), TRUTH))
    assert reached[1] < 0.5 * reached[0]


def test_knock_in_the_dark_is_seen_when_the_light_is_back() -> None:
    rng = np.random.default_rng(7)
    watched = settled(rng)
    dark = watched.watch(20.0, lambda _: REFUSAL)
    assert {one.state for one in dark} == {"held"}
    shown = watched.watch(3.0, camera(rng, shifted(TRUTH, 25.0), bad_share=0.3))
    assert errors_px(shown[60:], shifted(TRUTH, 25.0)).max() < 1.0


def test_nonsense_from_the_start_is_refused() -> None:
    """Until two answers of few agree there is nothing to show."""
    states: list[str] = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        watched = Watched()
        states += [one.state for one in watched.watch(5.0, lambda _, rng=rng: wrong(rng))[3:]]
    assert states.count("refused") > 0.9 * len(states)
    assert states.count("estimated") < 0.05 * len(states)


def test_nonsense_after_the_hold_is_refused() -> None:
    rng = np.random.default_rng(8)
    watched = settled(rng, "moving")
    states = [one.state for one in watched.watch(10.0, lambda _: wrong(rng))]
    hold = int(RIGS["moving"].hold_s * 30)
    assert set(states[:hold]) == {"held"}
    assert states[hold + 10 :].count("refused") > 0.9 * len(states[hold + 10 :])


def test_scattered_estimates_are_averaged_not_turned_away() -> None:
    rng = np.random.default_rng(9)
    shown = Watched().watch(10.0, lambda _: answer(rng, TRUTH, 4.0))
    assert [one.state for one in shown[150:]].count("estimated") > 0.95 * 150
    assert np.median(errors_px(shown[150:], TRUTH)) < 0.6


def test_refused_frames_alone_stay_refused() -> None:
    assert {one.state for one in Watched().watch(20.0, lambda _: REFUSAL)} == {"refused"}
