"""What no affine can align: a smooth flow on top of the affine of a trained `MatchNet`, for parallax.

Displacements of a grid of control points, SPACING_PX apart, make a flow through a uniform cubic B-spline (Rueckert et
al., IEEE TMI 1999). They are found in a few looks. Each takes one Gauss-Newton step at every control point, on the
features that the `MatchNet` has learned to refine its affine with, in Gaussian windows of several widths (Lucas &
Kanade, IJCAI 1981, with features and weights learned through the solver as in Lv et al., CVPR 2019); a small network
weighs these steps against each other and says how far to trust the result.

The flow cannot fold: no component of a control point's displacement exceeds LIMIT_PX, and below SPACING_PX / 2.0464 a
uniform cubic B-spline is injective (Choi & Lee, "Injectivity conditions of 2D and 3D uniform cubic B-spline functions",
Graphical Models 2000).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vr.models import affine_fit
from vr.models.base import Registration, RegistrationNet, SizeHw
from vr.models.encoder import MIDDLE_CHANNELS, ORIENTATIONS, Context, Features
from vr.models.geometry import affine_flow, homogeneous_grid
from vr.models.match import FINE, MIDDLE, ROUNDS, MatchNet, Rounds

SPACING_PX = 16
LIMIT_PX = 0.48 * SPACING_PX
"""Largest displacement of a control point along x and along y, in px of the fixed image."""
STRIDE = 4
_CELLS = SPACING_PX // STRIDE
# Channels of the two kinds of features at STRIDE: learned ones, and the front-end's.
_CHANNELS = (MIDDLE_CHANNELS, ORIENTATIONS)
# Width (sigma) of the windows, in control points.
WINDOWS = (0.7, 1.5, 3.0)
_STEPS = len(_CHANNELS) * len(WINDOWS)
# What each step counts at first, kinds of features before windows: steps of two modalities are too short.
_FIRST_GAINS = (0.0, 1.0, 2.0, 0.0, 0.0, 0.6)
_DAMPING = 0.03
# Longer steps, in units of LIMIT_PX, are cut.
_LONGEST = 1.5
_DILATIONS = (1, 2, 1)


class Template(NamedTuple):
    """The fixed image in one kind of features, by cell: features (N, C, h, w), their slopes along x and y per cell,
    products (N, 3, h, w) of the slopes, x x, x y, y y, summed over the channels; weight (N, 1, h, w); tolerance () as
    in `vr.models.refinement.Settings`.
    """

    features: Tensor
    slope_x: Tensor
    slope_y: Tensor
    products: Tensor
    weight: Tensor
    tolerance: Tensor


class Seen(NamedTuple):
    """What the looks compare: moving (N, 26, H/4, W/4), both kinds of features and their weights; the fixed image's
    templates; theta (N, 2, 3), the affine to start from.
    """

    moving: Tensor
    templates: list[Template]
    theta: Tensor


class DenseNet(RegistrationNet):
    """A `MatchNet`, frozen, and a small head that bends its affine; see the module docstring.

    Sizes: as `MatchNet`, but an exported file takes one only: that control points and features of an input of free size
    come out alike is more than the exporter can see. width, deep, rounds: of the `MatchNet`; hidden: channels of the
    head; looks: how often it looks. confidence: the `MatchNet`'s, of the affine.
    """

    network = "match-dense"
    kind = "dense"
    has_confidence = True

    def __init__(
        self,
        size_hw: SizeHw = (240, 320),
        width: int = 32,
        deep: int = 96,
        rounds: Rounds = ROUNDS,
        hidden: int = 48,
        looks: int = 3,
    ) -> None:
        size_hw = int(size_hw[0]), int(size_hw[1])
        super().__init__(size_hw, width=width, deep=deep, rounds=tuple(rounds), hidden=hidden, looks=looks)
        self.match = MatchNet(size_hw, width, deep, rounds).requires_grad_(False)
        self.looks = nn.ModuleList([Look(hidden) for _ in range(looks)])

    @classmethod
    def around(cls, match: MatchNet, hidden: int = 48, looks: int = 3) -> "DenseNet":
        """A new head on a copy of a trained network."""
        net = cls(**match.config, hidden=hidden, looks=looks)
        net.match.load_state_dict(match.state_dict())
        return net

    def train(self, mode: bool = True) -> "DenseNet":
        """Sets the head to training; the frozen part stays as it is used."""
        super().train(mode)
        self.match.eval()
        return self

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Moving, fixed (N, 1, H, W) in [0, 1] -> flow and confidence."""
        height, width = fixed.shape[-2:]
        features = self.match.features(moving, fixed)
        found = self.match.find(*features, (height, width))
        bends = self.bends(self.seen(*features, found.theta))
        confidence = self.match.confidence(found, (height, width))
        return Registration(bent_flow(found.theta, spline(bends[-1], SPACING_PX)), None, confidence)

    def seen(self, moving: Features, fixed: Features, theta: Tensor) -> Seen:
        """What the looks work on, from the features of both images and an affine to start from."""
        kinds = _kinds(fixed)
        tolerances = [self.match.settings(level).tolerance for level in (MIDDLE, FINE)]
        templates = [_template(*kind, tolerance) for kind, tolerance in zip(kinds, tolerances, strict=True)]
        return Seen(torch.cat([part for kind in _kinds(moving) for part in kind], dim=1), templates, theta)

    def bends(self, seen: Seen) -> list[Tensor]:
        """Displacements (N, 2, H/16, W/16) of the control points, px of the fixed image, after each look."""
        raw = torch.zeros_like(F.avg_pool2d(seen.moving[:, :2], _CELLS))
        bend, bends = raw, []
        for look in self.looks:
            raw, bend = look(seen, raw, bend)
            bends.append(bend)
        return bends


class Look(nn.Module):
    """One look around the present estimate, and what follows from it."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(4 * _STEPS + len(_CHANNELS) + 2, hidden, 1)
        self.think = nn.Sequential(*[Context(hidden, dilation) for dilation in _DILATIONS])
        self.answer = nn.Conv2d(hidden, _STEPS + 3, 1)
        with torch.no_grad():
            self.answer.weight.zero_()
            self.answer.bias.copy_(torch.tensor([*_FIRST_GAINS, 0.0, 0.0, 2.0]))  # pyright: ignore[reportOptionalMemberAccess]

    def forward(self, seen: Seen, raw: Tensor, bend: Tensor) -> tuple[Tensor, Tensor]:
        """Displacements (N, 2, h, w) before limits and confidence, in units of LIMIT_PX, and displacements in px."""
        # Where to look is not learned through what is seen there.
        here = bend.detach()
        steps, signs = look_around(seen, here)
        state = self.think(F.relu(self.enter(torch.cat([steps.flatten(1, 2), signs, here / LIMIT_PX], dim=1))))
        gains, change, sure = self.answer(state).split([_STEPS, 2, 1], dim=1)
        raw = raw + (gains.unsqueeze(2) * steps).sum(dim=1) + change
        return raw, LIMIT_PX * torch.tanh(raw) * torch.sigmoid(sure)


def look_around(seen: Seen, bend: Tensor) -> tuple[Tensor, Tensor]:
    """Gauss-Newton steps (N, S, 2, h, w) at the control points, in units of LIMIT_PX, by kind of features and window,
    and signs (N, 2 S + 2, h, w) of what they are worth: by step how much structure there is, relative to the picture,
    and whether it goes both ways; by kind what the places count.
    """
    sums = _sums(seen, bend)
    steps, signs = [], [one[:, 5:] for one in sums]
    for one in sums:
        for window in WINDOWS:
            step, structure = _solve(_blur(one, window))
            steps.append(step)
            signs.append(structure)
    return torch.stack(steps, dim=1), torch.cat(signs, dim=1)


def _sums(seen: Seen, bend: Tensor) -> list[Tensor]:
    """By kind of features (N, 6, h, w), means over the cells around a control point: force along x and y, products of
    the slopes x x, x y, y y, and weight.
    """
    grid = places(seen.theta, spline(bend, _CELLS), STRIDE)
    sampled = F.grid_sample(seen.moving, grid, align_corners=False)
    parts = sampled.split([size for channels in _CHANNELS for size in (channels, 1)], dim=1)
    sums = []
    for template, features, weight in zip(seen.templates, parts[::2], parts[1::2], strict=True):
        residual = features - template.features
        relative = 1.0 + residual.square().sum(dim=1, keepdim=True) / template.tolerance.square()
        robust = template.weight * weight / relative.square()
        force = [(slope * residual).sum(dim=1, keepdim=True) for slope in (template.slope_x, template.slope_y)]
        everything = torch.cat([*force, template.products, torch.ones_like(robust)], dim=1) * robust
        sums.append(F.avg_pool2d(everything, _CELLS))
    return sums


def _solve(sums: Tensor) -> tuple[Tensor, Tensor]:
    """Steps (N, 2, h, w), in units of LIMIT_PX, and structure (N, 2, h, w) in [0, 1], from `_sums` in a window."""
    force_x, force_y, xx, xy, yy, _ = sums.split(1, dim=1)
    trace = xx + yy
    usual = trace.mean(dim=(2, 3), keepdim=True) + 1e-6
    xx, yy = xx + _DAMPING * usual, yy + _DAMPING * usual
    determinant = xx * yy - xy * xy
    step = torch.cat([xy * force_y - yy * force_x, xy * force_x - xx * force_y], dim=1) / determinant
    structure = torch.cat([trace / (trace + usual), 4.0 * determinant / (xx + yy).square()], dim=1)
    return (step * (STRIDE / LIMIT_PX)).clamp(-_LONGEST, _LONGEST), structure


def _blur(values: Tensor, sigma: float) -> Tensor:
    """(N, C, h, w) smoothed by a Gaussian of `sigma` cells, cut off at the border."""
    down, across = (_gaussian(length, sigma, values) for length in values.shape[-2:])
    return down @ values @ across


def _gaussian(length: int, sigma: float, like: Tensor) -> Tensor:
    """(length, length), symmetric."""
    place = torch.arange(length, device=like.device, dtype=torch.float32)
    return torch.exp((place.unsqueeze(1) - place).square() * (-0.5 / sigma**2))


def _kinds(features: Features) -> list[tuple[Tensor, Tensor]]:
    """Both kinds of features at STRIDE, with the weights of their places."""
    front_end = F.avg_pool2d(features.fine, 2)
    return [(features.middle, features.middle_weight), (front_end, features.fine_weight)]


def _template(features: Tensor, weight: Tensor, tolerance: Tensor) -> Template:
    """Slopes are central differences, the outermost cells repeated."""
    padded = F.pad(features, (1, 1, 1, 1), mode="replicate")
    slope_x = 0.5 * (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2])
    slope_y = 0.5 * (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1])
    pairs = (slope_x, slope_x), (slope_x, slope_y), (slope_y, slope_y)
    products = torch.stack([(a * b).sum(dim=1) for a, b in pairs], dim=1)
    return Template(features, slope_x, slope_y, products, weight, tolerance)


def spline(control: Tensor, per_point: int) -> Tensor:
    """Uniform cubic B-spline: control (N, C, h, w) -> (N, C, h * per_point, w * per_point).

    Control points lie in the centres of cells of per_point x per_point values; the outermost are repeated.
    """
    padded = F.pad(control, (2, 2, 2, 2), mode="replicate")
    down, across = (_spline_weights(length, per_point, control) for length in control.shape[-2:])
    return down @ padded @ across.transpose(0, 1)


def _spline_weights(count: int, per_point: int, like: Tensor) -> Tensor:
    """(count * per_point, count + 4): what each control point, two repeated ones at both ends, counts at each place.

    The cubic B-spline at a distance a is (2 - a)+^3 / 6 - 4 (1 - a)+^3 / 6.
    """
    place = (torch.arange(count * per_point, device=like.device, dtype=torch.float32) + 0.5) / per_point - 0.5
    point = torch.arange(count + 4, device=like.device, dtype=torch.float32) - 2.0
    distance = (place.unsqueeze(1) - point).abs()
    wide, narrow = (2.0 - distance).clamp(min=0.0), (1.0 - distance).clamp(min=0.0)
    return (wide * wide * wide - 4.0 * narrow * narrow * narrow) / 6.0


def places(theta: Tensor, bend: Tensor, stride: int) -> Tensor:
    """Sampling grid (N, h, w, 2) of the moving image: theta at the cells' centres, each displaced by bend (N, 2, h, w),
    px of an input `stride` times as large.
    """
    height, width = bend.shape[-2:]
    scale = torch.tensor([2.0 / (width * stride), 2.0 / (height * stride)], device=bend.device).reshape(2, 1)
    points = theta @ homogeneous_grid(height, width, bend) + theta[:, :, :2] @ (bend.flatten(2) * scale)
    return points.transpose(1, 2).unflatten(1, (height, width))


def bent_flow(theta: Tensor, bend: Tensor) -> Tensor:
    """The flow (N, 2, H, W) that takes a point p to theta(p + bend(p)); theta (N, 2, 3), bend (N, 2, H, W) in px."""
    height, width = bend.shape[-2:]
    linear = affine_fit.theta_to_centred(theta, height, width)[:, :, :2]
    return affine_flow(theta, height, width) + (linear @ bend.flatten(2)).unflatten(2, (height, width))
