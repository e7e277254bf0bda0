"""The last pixels: Gauss-Newton on learned features, where matching by cells ends.

Minimises the robust, weighted difference between the fixed image's features and the moving image's features under the
current affine (Lucas-Kanade on feature images; the inverse compositional form of Baker & Matthews, IJCV 2004,
section 3.2, with features and weights learned through the solver as in Lv et al., CVPR 2019). Small symmetric systems
in closed form, a fixed number of rounds: it exports to ONNX like any other layer.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vr.models.affine_fit import COFACTORS, cofactor_inverse, inverse_symmetric_3x3
from vr.models.base import SizeHw
from vr.models.oriented_gradients import Points

# Length of the first step of a level, and the range of the later ones.
_FIRST_STEP, _STEP_RANGE = 2.5, (1.0, 5.0)
_SHORTEST = 1e-4
_VALUE_AND_SLOPES = (
    ((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)),
    ((0.0, 0.0, 0.0), (-0.5, 0.0, 0.5), (0.0, 0.0, 0.0)),
    ((0.0, -0.5, 0.0), (0.0, 0.0, 0.0), (0.0, 0.5, 0.0)),
)


class Settings(NamedTuple):
    """Learned scalars of one level: a point whose feature vectors differ by `tolerance` counts a quarter of one that
    agrees; `damping` pulls towards the estimate that a round starts from, relative to all points' summed slopes.
    """

    tolerance: Tensor
    damping: Tensor


class Level(NamedTuple):
    """One image at one level: features (N, C, h, w), and weights (N, 1, h', w') in (0, 1) of places at any size.

    `floor` (N, 1, 1, 1), if there is one: the features are magnitudes, to be divided by their length plus `floor` where
    they are sampled.
    """

    features: Tensor
    weight: Tensor
    floor: Tensor | None = None


class Refined(NamedTuple):
    """theta (N, 2, 3); agreement (N, 1): mean robust weight of all points, in [0, 1], and share (N, 1): the same
    relative to the weights without the robust part; variance (N, 1): weighted mean square of the residuals.
    """

    theta: Tensor
    agreement: Tensor
    share: Tensor
    variance: Tensor


class Template(NamedTuple):
    """What stays the same over the rounds, at P points: features (N, C, 1, P), their slopes along x and y per
    normalised unit (N, C, 2, P), weights (N, 1, 1, P), and the points as (P, 3) homogeneous normalised positions.
    normal (N, 6, 6): the weighted sum of the products of the slopes: how firmly the points determine each direction of
    a (2, 3) increment, entries row by row.
    """

    features: Tensor
    slopes: Tensor
    weight: Tensor
    grid: Tensor
    normal: Tensor


def refine(
    template: Template, moving: Level, theta: Tensor, settings: Settings, rounds: int, unrolled: bool = False
) -> list[Refined]:
    """Improves `theta` (N, 2, 3) on what the template says of the fixed image; returns all rounds.

    The normal matrix is the template's, for all rounds; each round scales it by the share of the weight that the
    robust weights leave (Baker & Matthews call it the constant Hessian). In training each round starts from the last
    one's theta without its gradient, unless `unrolled`: then a round also learns what it leaves to the next ones.

    Step lengths follow the pair: where the modalities differ, the moving image's slopes answer only in part to the
    fixed one's, and plain Gauss-Newton stops short. If the last step, `s` times the change that it proposed, has left
    the change `b` where it was `a`, the next is `s a.a / a.(a - b)` (Barzilai & Borwein, IMA J. Numer. Anal. 1988): 1
    for two images of one sensor, 2 to 5 across modalities.
    """
    inverse = damped_inverse(template.normal, settings.damping).unsqueeze(1)
    results: list[Refined] = []
    step: Tensor | float = _FIRST_STEP
    change: Tensor | None = None
    theta = theta.unsqueeze(1)
    for _ in range(rounds):
        found = pull(template, moving, template.grid @ theta.transpose(2, 3), settings.tolerance)
        right = (found.force @ template.grid).reshape(-1, 1, 6, 1)
        proposed = inverse @ (right * left_over(template, found))
        if change is not None:
            step = next_step(step, change, proposed).detach()
        change = proposed
        # The estimate after the inverse of (identity + change), to first order; the next round sees what that leaves.
        after = theta - theta[..., :2] @ (step * change).reshape(-1, 1, 2, 3)
        results.append(_state(found, after))
        theta = after if unrolled else after.detach()
    return results


def make_template(fixed: Level, step: int = 2) -> Template:
    """The fixed image's part, with a point at every `step`-th row and column of its features, from the second on.

    Slopes are central differences; the outermost cells have none and are left out.
    """
    channels = fixed.features.shape[1]
    kernels = torch.tensor(_VALUE_AND_SLOPES, device=fixed.features.device).unsqueeze(1).repeat(channels, 1, 1, 1)
    found = F.conv2d(fixed.features, kernels, stride=step, groups=channels).flatten(2).unflatten(1, (channels, 3))
    values, slopes = found.split([1, 2], dim=2)
    return template_of(
        Points(values, slopes, fixed.floor), fixed.weight, (fixed.features.shape[2], fixed.features.shape[3]), step
    )


def template_of(points: Points, fixed_weight: Tensor, size_hw: SizeHw, step: int) -> Template:
    """The same, if the features at the points of an image of `size_hw` are known already."""
    height, width = size_hw
    values, slopes, floor = points
    if floor is not None:
        values, slopes = _normalised_with_slopes(values, slopes, floor)
    slopes = slopes * torch.tensor([width / 2.0, height / 2.0], device=slopes.device).reshape(2, 1)
    x, y = point_centres(width, step, slopes), point_centres(height, step, slopes)
    # Bilinear samples on a grid are two thin matrix products.
    across, down = (_interpolation(*axis) for axis in ((x, fixed_weight.shape[3]), (y, fixed_weight.shape[2])))
    weight = (down @ fixed_weight @ across.transpose(0, 1)).flatten(2).unsqueeze(2)
    grid = _homogeneous(x, y)
    return Template(values, slopes, weight, grid, _normal(slopes, weight, grid))


def point_centres(length: int, step: int, like: Tensor) -> Tensor:
    """Normalised positions along one axis of the cells 1, 1 + step, ... of `length`, but for the last."""
    return (torch.arange(1, length - 1, step, device=like.device, dtype=torch.float32) * 2.0 + 1.0) / length - 1.0


def _interpolation(places: Tensor, length: int) -> Tensor:
    """(P, length): what each of `length` cells counts at normalised places (P,) between them, linear; 0 beyond."""
    cells = torch.arange(length, device=places.device, dtype=torch.float32)
    distance = ((places.unsqueeze(1) + 1.0) * (length / 2.0) - 0.5 - cells).abs()
    return (1.0 - distance).clamp(min=0.0)


def _homogeneous(x: Tensor, y: Tensor) -> Tensor:
    """(P, 3): x, y, 1 of all places of a grid, row by row."""
    rows, columns = y.shape[0], x.shape[0]
    xx = x.reshape(1, columns).expand(rows, columns)
    yy = y.reshape(rows, 1).expand(rows, columns)
    return torch.stack([xx, yy, torch.ones_like(xx)], dim=2).reshape(rows * columns, 3)


def sample(image: Tensor, places: Tensor) -> Tensor:
    """(N, C, h, w) at normalised places (N, 1, P, 2) -> (N, C, 1, P)."""
    return F.grid_sample(image, places, mode="bilinear", padding_mode="zeros", align_corners=False)


def _normalised(magnitudes: Tensor, floor: Tensor) -> Tensor:
    """f = r / (|r| + floor) of vectors r along dim 1, (N, C, 1, P)."""
    return magnitudes * (_length(magnitudes) + floor).reciprocal()


def _normalised_with_slopes(magnitudes: Tensor, slopes: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """`_normalised`, and its slopes (N, C, 2, P) by the chain rule: df = (dr - f (r . dr) / |r|) / (|r| + floor)."""
    length = _length(magnitudes)
    shrink = (length + floor).reciprocal()
    normalised = magnitudes * shrink
    # Where there is no edge at all. The exporter takes sums with numbers as small as in `_length` for sums with 0.
    along = over_channels(slopes * magnitudes) / length.clamp(min=_SHORTEST)
    return normalised, (slopes - normalised * along) * shrink


def _length(vectors: Tensor) -> Tensor:
    """(N, 1, 1, P)."""
    return over_channels(vectors * vectors).add(1e-12).sqrt()


def over_channels(values: Tensor) -> Tensor:
    """The sum (N, 1, A, P) over dim 1 of (N, C, A, P), as a matrix product: for a few channels of many values,
    onnxruntime takes less than half of the time of its reduction for that.
    """
    ones = torch.ones(1, values.shape[1], device=values.device)
    return (ones @ values.flatten(2)).reshape(-1, 1, values.shape[2], values.shape[3])


def _normal(slopes: Tensor, weight: Tensor, grid: Tensor) -> Tensor:
    """See `Template.normal`."""
    x, y, one = grid[:, :1], grid[:, 1:2], grid[:, 2:]
    design = torch.cat([x * x, x * y, x, y * y, y, one], dim=1)
    sums = (slope_products(slopes, weight) @ design).reshape(-1, 18)
    blocks = torch.kron(torch.eye(3), torch.tensor(_SYMMETRIC)) @ torch.tensor(_BLOCKS)
    return (sums @ blocks.to(slopes.device)).reshape(-1, 6, 6)


def _block_layout() -> list[list[float]]:
    """(27, 36): entries of the 3x3 blocks x x, y y and x y to those of the 6x6 matrix that they make."""
    layout = [[0.0] * 36 for _ in range(27)]
    for block, down, right in ((0, 0, 0), (1, 3, 3), (2, 0, 3), (2, 3, 0)):
        for i in range(3):
            for j in range(3):
                layout[9 * block + 3 * i + j][6 * (down + i) + right + j] = 1.0
    return layout


_BLOCKS = _block_layout()
# (6, 9): the upper triangle of a symmetric 3x3 matrix, row by row, to all its entries.
_SYMMETRIC = [
    [float({i, j} == set(pair)) for i in range(3) for j in range(3)]
    for pair in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
]


def slope_products(slopes: Tensor, weight: Tensor) -> Tensor:
    """(N, 1, 3, P): weighted sums over the channels of slopes x x, y y, x y; arguments as in `Template`."""
    along_x, along_y = slopes.split(1, dim=2)
    return torch.cat([over_channels(slopes * slopes), over_channels(along_x * along_y)], dim=2) * weight


def damped_inverse(normal: Tensor, damping: Tensor) -> Tensor:
    """Inverse of the damped normal matrix (N, 6, 6), through the Schur complement of its first block.

    The damping also keeps images without any edge solvable.
    """
    bias, layout = _damped_layout(damping, normal)
    parts = torch.addmm(bias, normal.flatten(1), layout).chunk(7, dim=1)
    a_inverse, c, b = cofactor_inverse(parts[:5]), parts[5].reshape(-1, 3, 3), parts[6].reshape(-1, 3, 3)
    b_a = b @ a_inverse.reshape(-1, 3, 3)
    schur = inverse_symmetric_3x3(c - b_a @ b)
    eye = torch.eye(6, device=normal.device)
    first, second = eye[:3], eye[3:]
    eliminate = second - b_a @ first
    of_a = (a_inverse @ torch.tensor(_BLOCKS[:9], device=normal.device)).reshape(-1, 6, 6)
    return eliminate.transpose(1, 2) @ (schur @ eliminate) + of_a


def _damped_layout(damping: Tensor, like: Tensor) -> tuple[Tensor, Tensor]:
    """Bias (63,) and matrix (36, 63) from the entries of a normal matrix to those of the damped one, by blocks: factors
    (`affine_fit.COFACTORS`) and entries of the first, entries of the last, entries of the mixed one.

    All of this is linear, and one product costs less time in onnxruntime than the few operations that it stands for.
    """
    eye, blocks = torch.eye(6, device=like.device).flatten(), torch.tensor(_BLOCKS, device=like.device)
    # Both shifts: the mean slopes along x and along y.
    trace = torch.tensor([float(entry in (14, 35)) for entry in range(36)], device=like.device)
    damped = torch.eye(36, device=like.device) + damping * torch.outer(trace, eye)
    # The mixed block is in two places.
    share = torch.tensor([1.0] * 18 + [0.5] * 9, device=like.device)
    by_block = blocks.transpose(0, 1) * share
    layout = torch.cat([by_block[:, :9] @ torch.tensor(COFACTORS, device=like.device), by_block], dim=1)
    return eye @ layout, damped @ layout


class Pull(NamedTuple):
    """What one look at the moving image says, at P points: force (N, 1, 2, P), along x and y per normalised unit, the
    weighted slopes times the residual; base and weight (N, 1, 1, P) without and with the robust part; squared
    (N, 1, 1, P) residuals.
    """

    force: Tensor
    base: Tensor
    weight: Tensor
    squared: Tensor


def pull(template: Template, moving: Level, places: Tensor, tolerance: Tensor) -> Pull:
    """Compares the template with the moving image at normalised places (N, 1, P, 2)."""
    found = sample(moving.features, places)
    residual = (found if moving.floor is None else _normalised(found, moving.floor)) - template.features
    base = template.weight * sample(moving.weight, places)
    squared = over_channels(residual * residual)
    relative = 1.0 + squared * (tolerance * tolerance).reciprocal()
    weight = base / (relative * relative)
    force = over_channels(template.slopes * residual) * weight
    return Pull(force, base, weight, squared)


def next_step(step: Tensor | float, before: Tensor, after: Tensor) -> Tensor:
    """(N, 1, 1, 1) from the last step and the last two proposed changes (N, 1, K, 1), see `refine`."""
    along = before.transpose(2, 3)
    ratio = (along @ before) / (along @ (before - after)).clamp(min=1e-12)
    return (step * ratio).clamp(*_STEP_RANGE)


def left_over(template: Template, found: Pull) -> Tensor:
    """(N, 1, 1, 1): one over the share of the template's weight that still counts, by which a change grows."""
    return template.weight.sum(dim=3, keepdim=True) / (found.weight.sum(dim=3, keepdim=True) + 1e-3)


def _state(found: Pull, theta: Tensor) -> Refined:
    """The state of things that the look `found` saw, which led to `theta` (N, 1, 2, 3)."""
    total = found.weight.sum(dim=(2, 3))
    agreement = found.weight.mean(dim=(2, 3))
    share = total / (found.base.sum(dim=(2, 3)) + 1e-6)
    variance = (found.weight * found.squared).sum(dim=(2, 3)) / (total + 1e-6) + 1e-4
    return Refined(theta.squeeze(1), agreement, share, variance)
