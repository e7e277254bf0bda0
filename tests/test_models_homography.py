"""The projective unknowns of the homography against cv2 and against numeric differentiation."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.helpers import smooth_scene
from vr.models import homography, refinement
from vr.models.geometry import homography_flow, project
from vr.models.homography import HomographyNet, refine_homography
from vr.models.match import MatchNet
from vr.models.oriented_gradients import OrientedGradients
from vr.runtime import geometry

SIZE_HW = (240, 320)


def _level(image: np.ndarray) -> refinement.Level:
    gray = torch.from_numpy(image.astype(np.float32) / 255.0)[None, None]
    features = OrientedGradients(8)(F.avg_pool2d(gray, 2))
    return refinement.Level(features, torch.ones_like(features[:, :1]))


def _normalised_to_pixels() -> np.ndarray:
    h, w = SIZE_HW
    return np.array([[w / 2.0, 0.0, (w - 1) / 2.0], [0.0, h / 2.0, (h - 1) / 2.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("tilt", [(0.06, 0.0), (0.0, -0.06), (0.04, 0.05)])
def test_a_tilt_is_found_where_the_affine_cannot(tilt: tuple[float, float]) -> None:
    """From the best affine of a known homography, on the same scene, to a tenth of a pixel (cv2 warps)."""
    truth = np.array([[1.01, 0.02, 0.01], [-0.01, 0.99, -0.015], [*tilt, 1.0]])
    pixels = _normalised_to_pixels()
    moving = smooth_scene(3, SIZE_HW)
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    matrix = pixels @ truth @ np.linalg.inv(pixels)
    fixed = cv2.warpPerspective(moving, matrix, SIZE_HW[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    grid = np.stack([*np.meshgrid(np.linspace(-0.9, 0.9, 19), np.linspace(-0.9, 0.9, 19)), np.ones((19, 19))])
    points = grid.reshape(3, -1)
    mapped = truth @ points
    wanted = mapped[:2] / mapped[2]
    affine = np.linalg.lstsq(points.T, wanted.T, rcond=None)[0].T
    settings = refinement.Settings(torch.tensor(0.5), torch.tensor(1e-4))
    start = torch.from_numpy(geometry.to_3x3(affine)).float()[None]
    template = refinement.make_template(_level(fixed))
    found = refine_homography(template, _level(moving), start, settings, 6)
    ours = project(found, torch.from_numpy(points).float())[0].numpy()
    scale = np.array([[160.0], [120.0]])
    before = np.linalg.norm((affine @ points - wanted) * scale, axis=0).mean()
    after = np.linalg.norm((ours - wanted) * scale, axis=0).mean()
    assert before > 1.0
    assert after < 0.1


def test_flow_of_a_homography_is_where_cv2_looks() -> None:
    truth = torch.tensor([[[1.02, 0.01, 0.05], [0.02, 0.97, -0.03], [0.05, -0.04, 1.0]]])
    pixels = _normalised_to_pixels()
    matrix = pixels @ truth[0].double().numpy() @ np.linalg.inv(pixels)
    xy = np.array([[[10.0, 20.0]], [[300.0, 200.0]]])
    expected = cv2.perspectiveTransform(xy, matrix)[:, 0] - xy[:, 0]
    flow = homography_flow(truth, *SIZE_HW)[0].numpy()
    found = np.array([flow[:, 20, 10], flow[:, 200, 300]])
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_the_network_answers_in_three_by_three() -> None:
    net = HomographyNet((96, 128), width=8, deep=16).eval()
    image = torch.rand(2, 1, 96, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        answer = net(image, image)
    assert answer.theta is not None
    assert answer.theta.shape == (2, 3, 3)
    torch.testing.assert_close(answer.theta[:, 2, 2], torch.ones(2))
    assert bool(torch.isfinite(answer.flow).all())


def test_a_trained_match_network_needs_nothing_more() -> None:
    """The same weights, and the same affine to start from."""
    torch.manual_seed(0)
    match = MatchNet((96, 128), width=8, deep=16, rounds=(2, 2, 1)).eval()
    net = HomographyNet.around(match)
    assert not net.training
    assert net.config == match.config
    for name, value in match.state_dict().items():
        assert torch.equal(net.match.state_dict()[name], value)
    image = torch.rand(1, 1, 96, 128, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(net.match(image, image).theta, match(image, image).theta)
        torch.testing.assert_close(net(image, image).confidence, match(image, image).confidence)


@pytest.mark.parametrize("seed", range(3))
def test_normal_matrix_is_inverted_with_its_damping(seed: int) -> None:
    """Against numpy, on the sums written out point by point and channel by channel."""
    rng = np.random.default_rng(seed)
    fixed = _level(smooth_scene(seed, SIZE_HW))
    template = refinement.make_template(fixed)
    along_axis = template.slopes[0].numpy().astype(np.float64)
    x, y, one = template.grid.numpy().astype(np.float64).T
    nothing = np.zeros_like(x)
    along_x = np.stack([x, y, one, nothing, nothing, nothing, -x * x, -x * y])
    along_y = np.stack([nothing, nothing, nothing, x, y, one, -x * y, -y * y])
    rows = along_axis[:, :1] * along_x + along_axis[:, 1:] * along_y
    expected = np.einsum("cap,cbp,p->ab", rows, rows, template.weight[0, 0, 0].numpy())
    damping = float(rng.uniform(1e-4, 1e-3))
    amount = damping * (expected[2, 2] + expected[5, 5]) + 1.0
    held = expected + np.diag([amount] * 6 + [1.0 + 0.05 * expected[6, 6], 1.0 + 0.05 * expected[7, 7]])
    motions = homography._motions(template.grid)
    normal = homography._normal(template, motions)
    np.testing.assert_allclose(normal[0].numpy(), expected, rtol=1e-3, atol=1e-4 * expected.max())
    inverse = homography._damped_inverse(normal, torch.tensor(damping))
    np.testing.assert_allclose(inverse[0].numpy() @ held, np.eye(8), atol=2e-2)
