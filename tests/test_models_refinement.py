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


def _features(image: np.ndarray) -> torch.Tensor:
    gray = torch.from_numpy(image.astype(np.float32) / 255.0)[None, None]
    return OrientedGradients()(F.avg_pool2d(gray, 2))


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
    found = refinement.refine(_features(moving), _features(fixed), start, rounds=12)
    estimate = geometry.theta_to_matrix(found.theta[0].double().numpy(), SIZE_HW, SIZE_HW)
    assert geometry.grid_error_px(np.eye(2, 3), matrix, SIZE_HW) > 2.0
    assert geometry.grid_error_px(estimate, matrix, SIZE_HW) < 0.1
    assert float(found.agreement) > 0.7


def test_a_scene_without_edges_leaves_the_estimate_alone() -> None:
    flat = torch.zeros(1, 8, 30, 40)
    start = torch.tensor([[[1.1, 0.0, 0.1], [0.0, 0.9, -0.2]]])
    torch.testing.assert_close(refinement.refine(flat, flat, start, 3).theta, start, atol=1e-5, rtol=0)


def test_the_block_solver_is_the_dense_solver() -> None:
    generator = torch.Generator().manual_seed(0)
    template = refinement._template(torch.rand(2, 8, 12, 16, generator=generator))
    weight = torch.rand(2, 12 * 16, generator=generator)
    slopes = torch.rand(2, 2, 12 * 16, generator=generator) - 0.5
    found = refinement._solve(template, weight, slopes)
    x = template.grid.T.double()
    for n in range(2):
        system, right = torch.zeros(6, 6, dtype=torch.float64), torch.zeros(6, dtype=torch.float64)
        for k in range(len(x)):
            sxx, sxy, syy = template.products[n, :, k].double()
            slope = torch.stack([torch.stack([sxx, sxy]), torch.stack([sxy, syy])])
            system += weight[n, k] * torch.kron(slope, torch.outer(x[k], x[k]))
            right += weight[n, k] * torch.kron(slopes[n, :, k].double(), x[k])
        diagonal = torch.diagonal(system)
        system += torch.diag(1e-3 * diagonal + 1e-3)
        expected = torch.linalg.solve(system, right).reshape(2, 3)
        torch.testing.assert_close(found[n].double(), expected, atol=1e-4, rtol=1e-3)


def test_a_change_is_undone_on_the_fixed_side() -> None:
    affine = torch.tensor([[[1.1, 0.2, 5.0], [-0.1, 0.9, -3.0]]])
    change = torch.tensor([[[0.05, -0.02, 1.5], [0.03, 0.01, -2.0]]])
    found = refinement._after(affine, change)[0].double().numpy()
    step = np.eye(2, 3) + change[0].double().numpy()
    expected = geometry.compose(affine[0].double().numpy(), geometry.invert(step))
    np.testing.assert_allclose(found, expected, atol=1e-5)
