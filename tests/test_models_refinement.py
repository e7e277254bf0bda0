"""Gauss-Newton refinement against dense solvers and against transforms that are known exactly."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.helpers import smooth_scene
from vr.models import refinement
from vr.models.oriented_gradients import OrientedGradients
from vr.runtime import geometry

SIZE_HW = (240, 320)


SETTINGS = refinement.Settings(torch.tensor(0.5), torch.tensor(1e-4))


def _level(features: torch.Tensor) -> refinement.Level:
    return refinement.Level(features, torch.ones_like(features[:, :1]))


def _features(image: np.ndarray) -> refinement.Level:
    gray = torch.from_numpy(image.astype(np.float32) / 255.0)[None, None]
    return _level(OrientedGradients(8)(F.avg_pool2d(gray, 2)))


@pytest.mark.parametrize("inverted", [False, True])
def test_finds_a_known_transform_to_a_tenth_of_a_pixel(inverted: bool) -> None:
    """Same scene, other polarity or not, from a start that is 3 px off."""
    matrix = np.array([[1.01, 0.02, 2.5], [-0.015, 0.99, -1.5]])
    moving = smooth_scene(3, SIZE_HW)
    fixed = cv2.warpAffine(
        moving, matrix, SIZE_HW[::-1], flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101
    )
    if inverted:
        moving = 255 - moving
    start = torch.eye(3)[None, :2]
    template = refinement.make_template(_features(fixed))
    rounds = refinement.refine(template, _features(moving), start, SETTINGS, 12)
    found = rounds[-1]
    estimate = geometry.theta_to_matrix(found.theta[0].double().numpy(), SIZE_HW, SIZE_HW)
    assert geometry.grid_error_px(np.eye(2, 3), matrix, SIZE_HW) > 2.0
    assert geometry.grid_error_px(estimate, matrix, SIZE_HW) < 0.1
    assert float(found.share) > 0.7


def test_steps_follow_the_pair() -> None:
    """Of a linear iteration that takes a share of the way, the second step is one over that share."""
    far = torch.tensor([0.3, -0.1, 2.0, 0.2, 0.1, -1.0]).reshape(1, 1, 6, 1)
    share = 0.4
    after = (1.0 - 2.5 * share) * far
    step = refinement.next_step(2.5, share * far, share * after)
    torch.testing.assert_close(step, torch.full((1, 1, 1, 1), 1.0 / share))


def test_a_scene_without_edges_leaves_the_estimate_alone() -> None:
    flat = torch.zeros(1, 8, 30, 40)
    start = torch.tensor([[[1.1, 0.0, 0.1], [0.0, 0.9, -0.2]]])
    rounds = refinement.refine(refinement.make_template(_level(flat)), _level(flat), start, SETTINGS, 3)
    torch.testing.assert_close(rounds[-1].theta, start, atol=1e-5, rtol=0)


def test_normal_matrix_and_its_inverse() -> None:
    """The blocks against a sum over all points, the inverse against LAPACK, in float64."""
    generator = torch.Generator().manual_seed(0)
    template = refinement.make_template(_level(torch.rand(2, 8, 12, 16, generator=generator)))
    x = template.grid.double()
    assert len(x) == 5 * 7
    for n in range(2):
        expected = torch.zeros(6, 6, dtype=torch.float64)
        for k in range(len(x)):
            slopes = template.slopes[n, :, :, k].double()
            expected += torch.kron(slopes.T @ slopes, torch.outer(x[k], x[k]))
        torch.testing.assert_close(template.normal[n].double(), expected, atol=1e-2, rtol=1e-4)
        damping = 1e-3 * (expected[2, 2] + expected[5, 5]) + 1.0
        inverse = torch.linalg.inv(expected + damping * torch.eye(6, dtype=torch.float64))
        ours = refinement.damped_inverse(template.normal, torch.tensor(1e-3))[n].double()
        torch.testing.assert_close(ours, inverse, atol=1e-7, rtol=2e-2)


def test_information_is_small_along_a_lone_edge() -> None:
    """Vertical edges tell x and not y."""
    x = torch.linspace(0.0, 12.0, 160).sin().expand(1, 8, 120, 160)
    normal = refinement.make_template(_level(x)).normal[0]
    assert float(normal[2, 2]) > 1e3
    assert float(normal[5, 5]) < 1e-3 * float(normal[2, 2])


def test_points_of_no_weight_do_not_count() -> None:
    """The right half shows another motion than the left; the weight decides which one is found."""
    left, right = np.array([[1.0, 0, 3.0], [0, 1, 0]]), np.array([[1.0, 0, -3.0], [0, 1, 0]])
    moving = smooth_scene(3, SIZE_HW)
    parts = [
        cv2.warpAffine(moving, m, SIZE_HW[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP) for m in (left, right)
    ]
    fixed = np.hstack([parts[0][:, :160], parts[1][:, 160:]])
    for columns, expected_px in ((slice(0, 70), 3.0), (slice(90, 160), -3.0)):
        level = _features(fixed)
        weight = torch.zeros(1, 1, 120, 160)
        weight[..., columns] = 1.0
        start = torch.eye(3)[None, :2]
        template = refinement.make_template(level._replace(weight=weight))
        rounds = refinement.refine(template, _features(moving), start, SETTINGS, 15)
        centre = 80.0 if columns.start == 0 else 240.0
        matrix = geometry.theta_to_matrix(rounds[-1].theta[0].double().numpy(), SIZE_HW, SIZE_HW)
        mapped = geometry.apply_affine(matrix, np.array([centre, 120.0]))
        np.testing.assert_allclose(mapped, [centre + expected_px, 120.0], atol=0.3)


def test_slopes_of_normalised_magnitudes_are_their_derivatives() -> None:
    """Against automatic differentiation of r / (|r| + floor)."""
    generator = torch.Generator().manual_seed(0)
    r, dr = torch.rand(1, 4, 1, 5, generator=generator), torch.randn(1, 4, 2, 5, generator=generator)
    floor = torch.full((1, 1, 1, 1), 0.3)

    def normalised(vectors: torch.Tensor) -> torch.Tensor:
        return vectors / (vectors.square().sum(dim=1, keepdim=True).sqrt() + floor)

    value, slopes = refinement._normalised_with_slopes(r, dr, floor)
    torch.testing.assert_close(value, normalised(r))
    for axis in range(2):
        _, expected = torch.autograd.functional.jvp(normalised, r, dr[:, :, axis : axis + 1])
        torch.testing.assert_close(slopes[:, :, axis : axis + 1], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("step", [2, 4])
@pytest.mark.parametrize("weight_hw", [(24, 32), (12, 16), (48, 64)])
def test_weights_of_the_points_are_bilinear_samples(step: int, weight_hw: tuple[int, int]) -> None:
    """The two thin matrix products against grid_sample, also beyond the centres of the outermost cells."""
    generator = torch.Generator().manual_seed(0)
    level = refinement.Level(
        torch.rand(2, 4, 24, 32, generator=generator), torch.rand(2, 1, *weight_hw, generator=generator)
    )
    template = refinement.make_template(level, step)
    places = template.grid[:, :2].reshape(1, 1, -1, 2).expand(2, 1, -1, 2)
    torch.testing.assert_close(template.weight, refinement.sample(level.weight, places), atol=1e-5, rtol=1e-5)
    inner = level.features[:, :, 1:-1:step, 1:-1:step]
    torch.testing.assert_close(template.features, inner.flatten(2).unsqueeze(2))
    along_x = 16.0 * (level.features[:, :, 1:-1:step, 2::step] - level.features[:, :, 1:-1:step, :-2:step]) / 2.0
    torch.testing.assert_close(template.slopes[:, :, 0], along_x.flatten(2), atol=1e-5, rtol=1e-5)
