"""How much an estimate counts, and in which directions."""

import numpy as np
import pytest

from tests.rig_estimates import TRUTH, Answer, Watched, answer, edges, error_px, errors_px, shifted
from vr.runtime.evidence import Evidence, Weigher, theta_information, to_point, to_theta
from vr.runtime.geometry import apply_affine, invert, to_3x3

UPRIGHT, ALL_AROUND = (0.0,), tuple(np.linspace(0.0, np.pi, 8, endpoint=False))
"""Normals of upright edges, which fix x alone, and of edges of all directions."""


def cost(theta_true: np.ndarray, theta: np.ndarray, information: np.ndarray) -> float:
    """What the information means: half the quadratic form of D in theta_true = theta o (I + D)^-1."""
    step = (to_3x3(invert(theta_true)) @ to_3x3(theta) - np.eye(3))[:2].ravel()
    return 0.5 * float(step @ information @ step)


def second_derivatives(theta: np.ndarray, information: np.ndarray, step: float = 1e-4) -> np.ndarray:
    """Of `cost` by the entries of theta_true, at theta, by central differences."""
    moves = np.eye(6).reshape(6, 2, 3) * step
    at = [[cost(theta + a + b, theta, information) for b in moves] for a in moves]
    against = [[cost(theta + a - b, theta, information) for b in moves] for a in moves]
    back = [[cost(theta - a - b, theta, information) for b in moves] for a in moves]
    total = np.array(at) - np.array(against) - np.array(against).T + np.array(back)
    return total / (4.0 * step**2)


@pytest.mark.parametrize("seed", range(4))
def test_information_of_theta_is_the_second_derivative_of_the_cost(seed: int) -> None:
    rng = np.random.default_rng(seed)
    theta = np.eye(2, 3) + rng.normal(0.0, 0.2, (2, 3))
    information = edges(rng, ALL_AROUND)
    found = theta_information(information, theta)
    np.testing.assert_allclose(found, second_derivatives(theta, information), rtol=1e-3, atol=1e-3 * found.max())


def test_scaled_length_is_the_rms_displacement_over_the_frame() -> None:
    rng = np.random.default_rng(0)
    theta, other = TRUTH, TRUTH + rng.normal(0.0, 0.1, (2, 3))
    points = rng.uniform(-1.0, 1.0, (200_000, 2))
    moved = (apply_affine(theta, points) - apply_affine(other, points)) / 2.0
    rms = np.sqrt((moved**2).sum(axis=1).mean())
    assert np.linalg.norm(to_point(theta) - to_point(other)) == pytest.approx(rms, rel=0.01)
    np.testing.assert_allclose(to_theta(to_point(theta)), theta, atol=1e-15)


@pytest.mark.parametrize("seed", range(4))
def test_shares_lie_between_nothing_and_all(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = [UPRIGHT, ALL_AROUND, (0.2, 0.4)][seed % 3]
    evidence = Weigher().weigh(TRUTH, 1.0, edges(rng, angles, count=20 + seed))
    shares = np.linalg.eigvalsh(evidence.share)
    assert -1e-9 <= shares.min() <= shares.max() < 1.0
    np.testing.assert_array_equal(evidence.share, evidence.share.T)


def test_upright_edges_tell_of_x_alone() -> None:
    evidence = Weigher().weigh(TRUTH, 1.0, edges(np.random.default_rng(0), UPRIGHT))
    sure = 1e3 * np.eye(6)
    in_x, in_y = (evidence.distance_frames(to_point(shifted(TRUTH, *by)), sure) for by in ((32.0, 0.0), (0.0, 32.0)))
    assert in_x == pytest.approx(0.1, rel=0.1)
    assert in_y < 0.01
    assert evidence.mass == pytest.approx(0.5, abs=0.06)


def test_unit_of_the_information_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    information = [edges(rng, ALL_AROUND, count) for count in (30, 200, 90)]
    plain, scaled = Weigher(), Weigher()
    for one in information:
        found = plain.weigh(TRUTH, 0.9, one), scaled.weigh(TRUTH, 0.9, 1e-5 * one.astype(np.float32))
        np.testing.assert_allclose(found[0].share, found[1].share, atol=1e-4)


def test_frame_with_few_edges_counts_less_than_usual_ones() -> None:
    rng = np.random.default_rng(2)
    weigher = Weigher()
    usual = [weigher.weigh(TRUTH, 0.9, edges(rng, ALL_AROUND, 300)).mass for _ in range(20)][-1]
    assert weigher.weigh(TRUTH, 0.9, edges(rng, ALL_AROUND, 9)).mass < 0.5 * usual


def test_low_confidence_counts_little() -> None:
    weigher = Weigher()
    doubtful, sure = (weigher.weigh(TRUTH, confidence, None).mass for confidence in (0.5, 1.0))
    assert doubtful < 0.1 * sure


@pytest.mark.parametrize(
    "information",
    [None, np.full((6, 6), np.nan), np.zeros((6, 6)), -np.eye(6), np.diag([1.0, 1, 1, 1, 1, -1]), np.eye(5)],
    ids=["none", "nan", "zero", "negative", "indefinite", "wrong shape"],
)
def test_without_usable_information_all_directions_count_alike(information: np.ndarray | None) -> None:
    evidence = Weigher().weigh(TRUTH, 1.0, information)
    assert isinstance(evidence, Evidence)
    np.testing.assert_array_equal(evidence.share, np.eye(6))


def one_sided_answers(seed: int, count: int) -> list[Answer]:
    """Estimates from frames that show upright edges, level edges, or, now and then, both."""
    rng = np.random.default_rng(seed)
    kinds = [UPRIGHT, (np.pi / 2,), ALL_AROUND]
    chosen = rng.choice(3, count, p=[0.45, 0.45, 0.1])
    return [answer(rng, TRUTH, 0.3, edges(rng, kinds[kind])) for kind in chosen]


@pytest.mark.parametrize("seed", range(3))
def test_summed_evidence_beats_averaged_answers(seed: int) -> None:
    answers = one_sided_answers(seed, 300)
    fused, averaged = Watched(), Watched()
    for one in answers:
        fused.see(one)
        averaged.see(Answer(one.theta, one.confidence))
    mean = np.mean([one.theta for one in answers if one.theta is not None], axis=0)
    late = np.median(errors_px(fused.shown[30:], TRUTH))
    assert late < 0.3
    assert late < np.median(errors_px(averaged.shown[30:], TRUTH)) / 2
    assert late < error_px(mean, TRUTH) / 2
    assert {one.state for one in fused.shown} == {"estimated"}


def test_direction_that_nothing_shows_any_more_stays_where_it_was() -> None:
    """A second of edges all around, then half a minute of upright ones, which leave y open by 30 px."""
    rng = np.random.default_rng(3)
    watched = Watched()
    watched.watch(1.0, lambda _: answer(rng, TRUTH, 0.3, edges(rng, ALL_AROUND)))
    shown = watched.watch(30.0, lambda _: answer(rng, TRUTH, 0.3, edges(rng, UPRIGHT)))
    assert errors_px(shown, TRUTH).max() < 0.4
