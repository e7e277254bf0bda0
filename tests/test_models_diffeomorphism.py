"""Scaling and squaring against the matrix exponential, and what it promises: no folds, and an inverse."""

import numpy as np
import pytest
import torch

from tests.helpers import smooth_scene
from vr.models.diffeomorphism import integrate
from vr.models.geometry import flow_to_grid, sample_flow
from vr.train.evaluation import folding_rate

SIZE_HW = (48, 64)


def smooth_velocity(strength_px: float) -> torch.Tensor:
    """(1, 2, 48, 64) px, mean 0; it fades to 0 towards the border."""
    window = np.outer(np.hanning(SIZE_HW[0]), np.hanning(SIZE_HW[1]))
    planes = [(smooth_scene(seed, SIZE_HW) / 127.5 - 1.0) * window for seed in (0, 1)]
    return torch.from_numpy(np.stack(planes)[None].astype(np.float32)) * strength_px


def test_without_steps_the_velocity_is_the_flow() -> None:
    velocity = smooth_velocity(3.0)
    assert torch.equal(integrate(velocity, 0), velocity)


def test_a_constant_velocity_is_a_shift() -> None:
    velocity = torch.tensor([5.0, -3.0]).reshape(1, 2, 1, 1).expand(1, 2, *SIZE_HW)
    torch.testing.assert_close(integrate(velocity, 7), velocity)


def test_a_linear_velocity_gives_the_matrix_exponential() -> None:
    """`v(x) = A x` moves x to `exp(A) x`; here it turns, grows and shears about the centre."""
    a = np.array([[0.05, -0.15], [0.12, 0.02]])
    exponential, term = np.eye(2), np.eye(2)
    for order in range(1, 12):
        term = term @ a / order
        exponential = exponential + term
    ys, xs = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]].astype(np.float64)
    points = np.stack([xs - 31.5, ys - 23.5])
    velocity = torch.from_numpy(np.tensordot(a, points, 1)[None].astype(np.float32))
    expected = np.tensordot(exponential - np.eye(2), points, 1)
    found = integrate(velocity, 8)[0].numpy()
    inner = (slice(None), slice(12, -12), slice(12, -12))
    assert np.abs(expected[inner]).max() > 2.0
    np.testing.assert_allclose(found[inner], expected[inner], atol=0.02)


def test_a_flow_that_folds_does_not_when_it_is_integrated() -> None:
    velocity = smooth_velocity(20.0)
    assert float(folding_rate(velocity)) > 0.01
    assert float(folding_rate(integrate(velocity, 7))) == 0.0


def test_only_what_the_grid_is_too_coarse_for_folds_still() -> None:
    """Slopes of many px per px: a map without folds, but squeezed into less than a pixel."""
    velocity = smooth_velocity(60.0)
    assert float(folding_rate(velocity)) > 0.15
    assert float(folding_rate(integrate(velocity, 7))) < 0.02


def test_the_opposite_velocity_leads_back() -> None:
    velocity = smooth_velocity(6.0)
    there, back = integrate(velocity, 8), integrate(-velocity, 8)
    both = there + sample_flow(back, flow_to_grid(there))
    assert float(there.abs().max()) > 2.0
    assert float(both.abs().max()) < 0.15


def test_folding_rate_counts_the_pixels_that_turn_over() -> None:
    """The left half runs backwards twice as fast as the grid runs on: 20 of 39 columns with a determinant of -1."""
    x = torch.arange(40.0)
    flow = torch.zeros(2, 2, 30, 40)
    flow[0, 0] = torch.where(x < 20, -2.0 * x, torch.full_like(x, -40.0))
    assert folding_rate(flow).tolist() == pytest.approx([20 / 39, 0.0])
    # Turned by half a turn, it does not fold: x and y both run backwards.
    y = torch.arange(30.0).reshape(-1, 1)
    turned = torch.stack([(-2.0 * x).expand(30, 40), (-2.0 * y).expand(30, 40)])[None]
    assert folding_rate(turned).tolist() == [0.0]
