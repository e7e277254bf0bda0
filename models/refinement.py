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

from vr.models.affine_fit import inverse_symmetric_3x3

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

    Every `step`-th row and column of the fixed image's features is a point of the template. `floor` (N, 1, 1), if there
    is one: the features are magnitudes, to be divided by their length plus `floor` where they are sampled.
    """

    features: Tensor
    weight: Tensor
    step: int = 2
    floor: Tensor | None = None


class Refined(NamedTuple):
    """theta (N, 2, 3); agreement (N,): mean robust weight of all points, in [0, 1], and share (N,): the same relative
    to the weights without the robust part; variance (N,): weighted mean square of the residuals.
    """

    theta: Tensor
    agreement: Tensor
    share: Tensor
    variance: Tensor


class Template(NamedTuple):
    """What stays the same over the rounds, at P points: features (N, C, P), their slopes along x and y per cell
    (N, 2, C, P), weights (N, P), and the points as (3, P) homogeneous normalised positions. normal (N, 6, 6): the
    weighted sum of the products of the slopes, per normalised unit: how firmly the points determine each direction of
    a (2, 3) increment, entries row by row.
    """

    features: Tensor
    slopes: Tensor
    weight: Tensor
    grid: Tensor
    normal: Tensor


def refine(
    moving: Level, fixed: Level, theta: Tensor, settings: Settings, rounds: int, unrolled: bool = False
) -> tuple[Template, list[Refined]]:
    """Improves `theta` (N, 2, 3) on features of both images; returns the template and all rounds.

    The normal matrix is the template's, for all rounds; each round scales it by the share of the weight that the
    robust weights leave (Baker & Matthews call it the constant Hessian). In training each round starts from the last
    one's theta without its gradient, unless `unrolled`: then a round also learns what it leaves to the next ones.

    Step lengths follow the pair: where the modalities differ, the moving image's slopes answer only in part to the
    fixed one's, and plain Gauss-Newton stops short. If the last step, `s` times the change that it proposed, has left
    the change `b` where it was `a`, the next is `s a.a / a.(a - b)` (Barzilai & Borwein, IMA J. Numer. Anal. 1988): 1
    for two images of one sensor, 2 to 5 across modalities.
    """
    template = make_template(fixed)
    inverse = damped_inverse(template.normal, settings.damping)
    results: list[Refined] = []
    step = torch.full_like(theta[:, :1, :1], _FIRST_STEP)
    change: Tensor | None = None
    for _ in range(rounds):
        proposed, result = _propose(template, inverse, moving, theta, settings.tolerance)
        if change is not None:
            step = next_step(step, change, proposed).detach()
        change = proposed
        # The estimate after the inverse of (identity + change), to first order; the next round sees what that leaves.
        results.append(result._replace(theta=theta - theta[:, :, :2] @ (step * change)))
        theta = results[-1].theta if unrolled else results[-1].theta.detach()
    return template, results


def make_template(fixed: Level) -> Template:
    """The fixed image's part. Slopes are central differences; the outermost cells have none and are left out."""
    features = fixed.features
    channels, height, width = features.shape[1:]
    kernels = torch.tensor(_VALUE_AND_SLOPES, device=features.device).unsqueeze(1).repeat(channels, 1, 1, 1)
    values = F.conv2d(features, kernels, stride=fixed.step, groups=channels).flatten(2).unflatten(1, (channels, 3))
    inner, slope_x, slope_y = values.unbind(dim=2)
    slopes = torch.stack([slope_x, slope_y], dim=1)
    if fixed.floor is not None:
        inner, slopes = _normalised_with_slopes(inner, slopes, fixed.floor)
    grid = _points(height, width, fixed.step, features)
    places = grid[:2].transpose(0, 1).unsqueeze(0).expand(features.shape[0], -1, 2)
    weight = sample(fixed.weight, places).squeeze(1)
    return Template(inner, slopes, weight, grid, _normal(slopes, weight, grid, (height, width)))


def _points(height: int, width: int, step: int, like: Tensor) -> Tensor:
    """(3, P) homogeneous normalised positions of the template's points, row by row."""
    x = (torch.arange(1, width - 1, step, device=like.device, dtype=torch.float32) * 2.0 + 1.0) / width - 1.0
    y = (torch.arange(1, height - 1, step, device=like.device, dtype=torch.float32) * 2.0 + 1.0) / height - 1.0
    rows, columns = y.shape[0], x.shape[0]
    xx = x.reshape(1, columns).expand(rows, columns)
    yy = y.reshape(rows, 1).expand(rows, columns)
    return torch.stack([xx, yy, torch.ones_like(xx)]).reshape(3, rows * columns)


def sample(image: Tensor, places: Tensor) -> Tensor:
    """(N, C, h, w) at normalised places (N, P, 2) -> (N, C, P)."""
    grid = places.unsqueeze(1)
    return F.grid_sample(image, grid, mode="bilinear", padding_mode="zeros", align_corners=False).squeeze(2)


def _normalised(magnitudes: Tensor, floor: Tensor) -> Tensor:
    """f = r / (|r| + floor) of vectors r along dim 1, (N, C, P)."""
    return magnitudes / (_length(magnitudes) + floor)


def _normalised_with_slopes(magnitudes: Tensor, slopes: Tensor, floor: Tensor) -> tuple[Tensor, Tensor]:
    """`_normalised`, and its slopes (N, 2, C, P) by the chain rule: df = (dr - f (r . dr) / |r|) / (|r| + floor)."""
    length = _length(magnitudes)
    normalised = magnitudes / (length + floor)
    # Where there is no edge at all. The exporter takes sums with numbers as small as in `_length` for sums with 0.
    along = (slopes * magnitudes.unsqueeze(1)).sum(dim=2, keepdim=True) / length.clamp(min=_SHORTEST).unsqueeze(1)
    return normalised, (slopes - normalised.unsqueeze(1) * along) / (length + floor).unsqueeze(1)


def _length(vectors: Tensor) -> Tensor:
    """(N, 1, P)."""
    return (vectors * vectors).sum(dim=1, keepdim=True).add(1e-12).sqrt()


def _normal(slopes: Tensor, weight: Tensor, grid: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """See `Template.normal`."""
    x = grid.transpose(0, 1)
    design = (x.unsqueeze(2) * x.unsqueeze(1)).flatten(1)
    xx, xy, yy = (slope_products(slopes, weight) @ design).unflatten(2, (3, 3)).unbind(dim=1)
    blocks = torch.cat([torch.cat([xx, xy], dim=2), torch.cat([xy, yy], dim=2)], dim=1)
    scale = cells_per_unit(size_hw, weight)
    return blocks * scale.reshape(6, 1) * scale


def slope_products(slopes: Tensor, weight: Tensor) -> Tensor:
    """(N, 3, P): weighted sums over the channels of slopes x x, x y, y y; arguments as in `Template`."""
    along_x, along_y = slopes[:, 0], slopes[:, 1]
    pairs = (along_x, along_x), (along_x, along_y), (along_y, along_y)
    return torch.stack([(a * b).sum(dim=1) for a, b in pairs], dim=1) * weight.unsqueeze(1)


def cells_per_unit(size_hw: tuple[int, int], like: Tensor) -> Tensor:
    """(6,): half widths and half heights, three times each."""
    height, width = size_hw
    return torch.tensor([width / 2.0, height / 2.0], device=like.device).reshape(2, 1).expand(2, 3).reshape(6)


def damped_inverse(normal: Tensor, damping: Tensor) -> Tensor:
    """Inverse of the damped normal matrix (N, 6, 6), through the Schur complement of its first block.

    The damping also keeps images without any edge solvable.
    """
    a, b, c = normal[:, :3, :3], normal[:, :3, 3:], normal[:, 3:, 3:]
    eye = torch.eye(3, device=normal.device)
    amount = damping * (a + c)[:, 2:, 2:] + 1.0
    a, c = a + amount * eye, c + amount * eye
    a_inverse = inverse_symmetric_3x3(a)
    b_a = b @ a_inverse
    schur = inverse_symmetric_3x3(c - b_a @ b)
    across = schur @ b_a
    upper = torch.cat([a_inverse + b_a.transpose(1, 2) @ across, -across.transpose(1, 2)], dim=2)
    return torch.cat([upper, torch.cat([-across, schur], dim=2)], dim=1)


class Pull(NamedTuple):
    """What one look at the moving image says, at P points: force (N, 2, P), along x and y per cell, the weighted slopes
    times the residual; base and weight (N, P) without and with the robust part; squared (N, P) residuals.
    """

    force: Tensor
    base: Tensor
    weight: Tensor
    squared: Tensor


def pull(template: Template, moving: Level, places: Tensor, tolerance: Tensor) -> Pull:
    """Compares the template with the moving image at normalised places (N, P, 2)."""
    found = sample(moving.features, places)
    residual = (found if moving.floor is None else _normalised(found, moving.floor)) - template.features
    base = template.weight * sample(moving.weight, places).squeeze(1)
    squared = (residual * residual).sum(dim=1)
    relative = 1.0 + squared / (tolerance * tolerance)
    weight = base / (relative * relative)
    force = (template.slopes * residual.unsqueeze(1)).sum(dim=2) * weight.unsqueeze(1)
    return Pull(force, base, weight, squared)


def next_step(step: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """(N, 1, 1) from the last step and the last two proposed changes, see `refine`."""
    left = (before * (before - after)).sum(dim=(1, 2), keepdim=True)
    ratio = (before * before).sum(dim=(1, 2), keepdim=True) / left.clamp(min=1e-12)
    return (step * ratio).clamp(*_STEP_RANGE)


def _propose(
    template: Template, inverse: Tensor, moving: Level, theta: Tensor, tolerance: Tensor
) -> tuple[Tensor, Refined]:
    """The change (N, 2, 3) that Gauss-Newton proposes, and the state of things before it."""
    places = (theta @ template.grid).transpose(1, 2)
    found = pull(template, moving, places, tolerance)
    scale = cells_per_unit((moving.features.shape[-2], moving.features.shape[-1]), theta)
    right = (found.force @ template.grid.transpose(0, 1)).flatten(1) * scale
    total = found.weight.sum(dim=1)
    left = template.weight.sum(dim=1) / (total + 1e-3)
    change = (inverse @ (right * left.unsqueeze(1)).unsqueeze(2)).reshape(-1, 2, 3)
    share = total / (found.base.sum(dim=1) + 1e-6)
    variance = (found.weight * found.squared).sum(dim=1) / (total + 1e-6) + 1e-4
    return change, Refined(theta, found.weight.mean(dim=1), share, variance)
