"""The dense network's flow: convention, the spline against plain sums, and that it cannot fold."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vr.models import dense, registry
from vr.models.dense import (
    LIMIT_PX,
    SPACING_PX,
    DenseNet,
    bent_flow,
    places,
    spline,
)
from vr.models.geometry import affine_flow
from vr.models.match import MatchNet
from vr.models.spatial_transformer import SpatialTransformer

SIZE_HW = (96, 128)
THETA = torch.tensor([[[1.05, 0.08, 0.06], [-0.06, 0.95, -0.04]]])


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def _picture(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """A smooth picture that is known everywhere, at points in px."""
    return 0.5 + 0.2 * torch.sin(x / 5.0 + 0.3 * torch.cos(y / 9.0)) + 0.2 * torch.cos(y / 6.0 + x / 11.0)


def _net(size_hw: tuple[int, int] = SIZE_HW) -> DenseNet:
    """Small, random, and with a head that answers."""
    torch.manual_seed(0)
    net = DenseNet(size_hw, width=8, deep=16, rounds=(1, 2, 1), hidden=16)
    for look in net.looks:
        torch.nn.init.normal_(look.answer.weight, std=0.3)  # type: ignore[union-attr]
    return net.eval()


def test_warping_with_the_flow_gives_the_fixed_image() -> None:
    """The fixed image is what `moving` shows at theta(p + bend(p)), by arithmetic that knows no flow."""
    height, width = 64, 96
    control = 5.0 * (2.0 * _random(1, 2, height // SPACING_PX, width // SPACING_PX) - 1.0)
    bend = spline(control, SPACING_PX)
    y, x = torch.meshgrid(torch.arange(height) + 0.0, torch.arange(width) + 0.0, indexing="ij")
    bent_x, bent_y = x + bend[0, 0], y + bend[0, 1]
    normal_x, normal_y = (2 * bent_x + 1) / width - 1, (2 * bent_y + 1) / height - 1
    source = [THETA[0, i, 0] * normal_x + THETA[0, i, 1] * normal_y + THETA[0, i, 2] for i in range(2)]
    source_x, source_y = ((source[i] + 1) * size / 2 - 0.5 for i, size in ((0, width), (1, height)))
    fixed = _picture(source_x, source_y)
    moved = SpatialTransformer()(_picture(x, y)[None, None], bent_flow(THETA, bend))[0, 0]
    inside = (source_x > 1) & (source_x < width - 2) & (source_y > 1) & (source_y < height - 2)
    assert float(inside.float().mean()) > 0.7
    assert float((moved - fixed)[inside].abs().max()) < 0.01
    still = SpatialTransformer()(_picture(x, y)[None, None], affine_flow(THETA, height, width))[0, 0]
    assert float((still - fixed)[inside].abs().max()) > 0.2


def test_places_are_the_flow_s_source_points() -> None:
    bend = 4.0 * _random(1, 2, *SIZE_HW) - 2.0
    grid = places(THETA, bend, 1)
    flow = bent_flow(THETA, bend)
    x = ((grid[0, :, :, 0] + 1) * SIZE_HW[1] - 1) / 2 - torch.arange(SIZE_HW[1])
    y = ((grid[0, :, :, 1] + 1) * SIZE_HW[0] - 1) / 2 - torch.arange(SIZE_HW[0])[:, None]
    torch.testing.assert_close(torch.stack([x, y])[None], flow, atol=1e-4, rtol=0.0)


@pytest.mark.parametrize("per_point", [16, 4, 2])
def test_the_spline_is_the_sum_over_sixteen_control_points(per_point: int) -> None:
    control = _random(3, 5, seed=2).double().numpy()
    found = spline(torch.from_numpy(control).float()[None, None], per_point)[0, 0].numpy()
    assert found.shape == (3 * per_point, 5 * per_point)
    for row, column in [(0, 0), (1, 3 * per_point), (3 * per_point - 1, 5 * per_point - 1), (per_point, per_point + 1)]:
        assert found[row, column] == pytest.approx(_spline_at(control, row, column, per_point), abs=1e-6)


def _spline_at(control: NDArray[np.float64], row: int, column: int, per_point: int) -> float:
    """By the four cubic pieces of a uniform B-spline, control points beyond the border being the nearest ones."""
    y, x = (row + 0.5) / per_point - 0.5, (column + 0.5) / per_point - 0.5
    total = 0.0
    for i, weight_y in enumerate(_pieces(y - np.floor(y))):
        for j, weight_x in enumerate(_pieces(x - np.floor(x))):
            near_y = int(np.clip(np.floor(y) - 1 + i, 0, control.shape[0] - 1))
            near_x = int(np.clip(np.floor(x) - 1 + j, 0, control.shape[1] - 1))
            total += weight_y * weight_x * control[near_y, near_x]
    return total


def _pieces(t: float) -> tuple[float, float, float, float]:
    return (1 - t) ** 3 / 6, (3 * t**3 - 6 * t**2 + 4) / 6, (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6, t**3 / 6


@pytest.mark.parametrize("pattern", ["random", "squeeze", "checks", "diagonal"])
def test_extreme_displacements_do_not_fold(pattern: str) -> None:
    """All control points at their limit, in the worst arrangements: the map's Jacobian stays positive."""
    rows, columns = 8, 10
    j, i = np.meshgrid(np.arange(columns), np.arange(rows))
    signs = {
        "random": np.sign(np.random.default_rng(0).standard_normal((2, rows, columns))),
        "squeeze": np.stack([np.where(j < columns // 2, 1.0, -1.0), np.where(i < rows // 2, 1.0, -1.0)]),
        "checks": np.stack([(-1.0) ** j, (-1.0) ** i]),
        "diagonal": _diagonal_signs(rows, columns),
    }[pattern]
    control = torch.from_numpy(LIMIT_PX * signs).float()[None]
    assert _smallest_determinant(spline(control, SPACING_PX)) > 0.0


def test_the_bound_is_tight() -> None:
    """Three per cent more does fold, by the arrangement that Choi and Lee's bound is made for."""
    control = torch.from_numpy(1.03 * LIMIT_PX * _diagonal_signs(8, 8)).float()[None]
    assert _smallest_determinant(spline(control, SPACING_PX)) < 0.0


def _diagonal_signs(rows: int, columns: int) -> NDArray[np.float64]:
    """(2, rows, columns): everything towards a line between two diagonals."""
    i, j = np.mgrid[:rows, :columns]
    signs = np.where(i + j < 7, 1.0, -1.0)
    return np.stack([signs, signs])


def _smallest_determinant(bend: torch.Tensor) -> float:
    """Of p + bend(p), by differences of neighbouring pixels."""
    x, y = bend[0].double()
    xx, yx = x.diff(dim=1)[:-1] + 1.0, y.diff(dim=1)[:-1]
    xy, yy = x.diff(dim=0)[:, :-1], y.diff(dim=0)[:, :-1] + 1.0
    return float((xx * yy - xy * yx).min())


def test_the_head_cannot_ask_for_more_than_the_limit() -> None:
    net = _net()
    with torch.no_grad():
        for look in net.looks:
            look.answer.bias[-3:] = 50.0  # type: ignore[union-attr]
        image = _random(1, 1, *SIZE_HW)
        bend = net.bends(net.seen(*net.match.features(image, image), torch.eye(3)[None, :2]))[-1]
    assert 0.95 * LIMIT_PX < float(bend.abs().max()) <= LIMIT_PX


def test_a_step_is_the_solution_of_the_normal_equations() -> None:
    """In windows over all of the frame, against numpy on the sums over all cells."""
    sums = _random(1, 6, 3, 4) + torch.tensor([0.0, 0.0, 2.0, 0.0, 2.0, 0.0]).reshape(1, 6, 1, 1)
    step, structure = dense._solve(dense._blur(sums, 1e4))
    force_x, force_y, xx, xy, yy, _ = sums.sum(dim=(2, 3))[0].double().numpy()
    normal = np.array([[xx, xy], [xy, yy]]) + 0.03 * (xx + yy) * np.eye(2)
    expected = -np.linalg.solve(normal, [force_x, force_y]) * 4.0 / LIMIT_PX
    np.testing.assert_allclose(step[0, :, 1, 2].numpy(), expected, rtol=1e-4)
    assert structure[0, 0, 0, 0].item() == pytest.approx(0.5, abs=1e-4)


def test_a_window_is_a_gaussian() -> None:
    point = torch.zeros(1, 1, 5, 7)
    point[0, 0, 2, 3] = 1.0
    found = dense._blur(point, 1.5)[0, 0].double().numpy()
    y, x = np.mgrid[:5, :7]
    np.testing.assert_allclose(found, np.exp(-((y - 2) ** 2 + (x - 3) ** 2) / (2 * 1.5**2)), atol=1e-6)


def test_looks_find_a_shift_without_any_training() -> None:
    """The moving image shows the fixed one 3 px further right; the front-end, which needs no training, sees it."""
    net = _net()
    with torch.no_grad():
        for look in net.looks:
            look.answer.weight.zero_()  # type: ignore[union-attr]
            look.answer.bias.copy_(torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 9.0]))  # type: ignore[union-attr]
        y, x = torch.meshgrid(torch.arange(SIZE_HW[0]) + 0.0, torch.arange(SIZE_HW[1]) + 0.0, indexing="ij")
        moving, fixed = (_picture(x - shift, y)[None, None] for shift in (3.0, 0.0))
        seen = net.seen(*net.match.features(moving, fixed), torch.eye(3)[None, :2])
        errors = [(bend[:, :, 1:-1, 1:-1] - _shift(3.0)).norm(dim=1).mean().item() for bend in net.bends(seen)]
    assert 0.2 > errors[0] > errors[-1]
    assert errors[-1] < 0.1


def _shift(x_px: float) -> torch.Tensor:
    return torch.tensor([x_px, 0.0]).reshape(1, 2, 1, 1)


def test_a_silent_head_leaves_the_affine_and_its_confidence() -> None:
    match = MatchNet(SIZE_HW, width=8, deep=16, rounds=(1, 2, 1)).eval()
    net = DenseNet.around(match).eval()
    moving, fixed = _random(2, 1, *SIZE_HW), _random(2, 1, *SIZE_HW, seed=1)
    with torch.no_grad():
        for look in net.looks:
            look.answer.bias.zero_()  # type: ignore[union-attr]
        found, expected = net(moving, fixed), match(moving, fixed)
    torch.testing.assert_close(found.flow, expected.flow, atol=1e-4, rtol=0.0)
    torch.testing.assert_close(found.confidence, expected.confidence)
    assert found.theta is None


def test_the_network_below_is_frozen() -> None:
    net = _net().train()
    assert not net.match.training and net.looks.training
    assert not any(parameter.requires_grad for parameter in net.match.parameters())


def test_other_sizes_and_batches_are_taken() -> None:
    net = _net()
    moving, fixed = _random(2, 1, 112, 160), _random(2, 1, 112, 160, seed=1)
    with torch.no_grad():
        both, second = net(moving, fixed).flow, net(moving[1:], fixed[1:]).flow
    assert both.shape == (2, 2, 112, 160)
    torch.testing.assert_close(both[1:], second, atol=1e-3, rtol=0.0)


def test_the_registry_builds_it() -> None:
    net = registry.build("match-dense", {"size_hw": [96, 128], "looks": 2})
    assert isinstance(net, DenseNet) and len(net.looks) == 2 and net.kind == "dense"
