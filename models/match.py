"""The default network: matches learned features across the modalities and fits an affine through the matches.

Coarse to fine, in one forward pass: every point of the fixed image against the whole moving image, a robust affine
through the matches, then a few rounds of matching inside a window around the current estimate on finer features
(the look-up idea of RAFT, Teed & Deng, ECCV 2020, for a global affine as in IHN, Cao et al., CVPR 2022).
One encoder serves both images: the fixed front-end has removed most of what tells the modalities apart.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vr.models import affine_fit, correlation
from vr.models.base import Registration, RegistrationNet, SizeHw
from vr.models.geometry import affine_flow, flow_to_grid
from vr.models.oriented_gradients import ORIENTATIONS, OrientedGradients


class Stage(NamedTuple):
    """One round of local matching: on which features, how far, which queries, how strict the fit."""

    level: str
    stride: int
    radius: int
    step: int
    first: int
    tolerances_px: tuple[float, ...]


COARSE_STRIDE = 8
COARSE_TOLERANCES_PX = (64.0, 32.0, 16.0, 10.0)
STAGES = (
    Stage("middle", stride=4, radius=4, step=4, first=2, tolerances_px=(12.0, 6.0, 4.0)),
    Stage("middle", stride=4, radius=3, step=4, first=2, tolerances_px=(6.0, 4.0, 3.0)),
    Stage("fine", stride=2, radius=3, step=8, first=4, tolerances_px=(4.0, 2.0, 1.5)),
    Stage("fine", stride=2, radius=3, step=8, first=0, tolerances_px=(3.0, 2.0, 1.0)),
)


class Features(NamedTuple):
    """Unit feature vectors at strides 8, 4 and 2 of the input, each (N, C, h, w)."""

    coarse: Tensor
    middle: Tensor
    fine: Tensor


class Match(NamedTuple):
    """What one stage found, for the losses and the confidence.

    affine (N, 2, 3) in centred px; logits (N, Q, K + 1), last column "nowhere"; points (Q, 2) the fixed points;
    base (N, 2, 3) the estimate that the window was laid around, None for the coarse stage (its candidates are the
    cells of the moving image); weights, inliers (N, Q).
    """

    affine: Tensor
    logits: Tensor
    points: Tensor
    candidates: Tensor
    base: Tensor | None
    weights: Tensor
    inliers: Tensor


Start = Callable[[int, Tensor], Tensor]


class Encoder(nn.Module):
    """(N, 1, H, W) in [0, 1] -> `Features`. H and W multiples of 8."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gradients = OrientedGradients()
        w1, w2, w3 = width, 2 * width, 6 * width
        self.down2 = _conv(ORIENTATIONS, w1)
        self.down4 = _conv(w1, w2, stride=2)
        self.down8 = nn.Sequential(_conv(w2, w3, stride=2), *[Context(w3, dilation) for dilation in (1, 2, 4, 2, 1)])
        self.head8 = nn.Conv2d(w3, 64, 1)
        self.head4 = nn.Conv2d(w2, 32, 1)
        self.lateral4 = nn.Conv2d(w3, 32, 1)
        self.head2 = nn.Conv2d(w1, 16, 1)
        self.lateral2 = nn.Conv2d(32, 16, 1)

    def forward(self, image: Tensor) -> Features:
        """See the class docstring."""
        x2 = self.down2(self.gradients(F.avg_pool2d(image, 2)))
        x4 = self.down4(x2)
        x8 = self.down8(x4)
        middle = self.head4(x4) + _double(self.lateral4(x8))
        fine = self.head2(x2) + _double(self.lateral2(middle))
        return Features(_unit(self.head8(x8)), _unit(middle), _unit(fine))


class MatchNet(RegistrationNet):
    """Affine registration across modalities by learned matching; see the module docstring.

    Sizes: any height and width that are multiples of 16, from 96 up; trained at 240x320.
    confidence: probability that the mean grid error is below 5 px at 320 px width, as learned from pairs with known
    transforms and from pairs that do not belong together.
    """

    network = "match"
    kind = "affine"
    dynamic = True
    size_multiple = 16
    has_confidence = True

    def __init__(self, size_hw: SizeHw = (240, 320), width: int = 16) -> None:
        super().__init__((int(size_hw[0]), int(size_hw[1])), width=width)
        self.encoder = Encoder(width)
        self.logit_scale = nn.Parameter(torch.full((1 + len(STAGES),), 12.0))
        self.nowhere = nn.Parameter(torch.full((1 + len(STAGES),), 4.0))
        self.judge = nn.Sequential(nn.Linear(_EVIDENCE, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Moving, fixed (N, 1, H, W) in [0, 1] -> flow, theta and confidence."""
        height, width = fixed.shape[-2:]
        matches = self.match(moving, fixed)
        theta = affine_fit.centred_to_theta(matches[-1].affine, height, width)
        confidence = torch.sigmoid(self.judge_logit(matches, height, width))
        return Registration(affine_flow(theta, height, width), theta, confidence)

    def match(self, moving: Tensor, fixed: Tensor, start: Start | None = None) -> list[Match]:
        """All stages in order. `start` (training) replaces the estimate that local stage number i starts from."""
        count = moving.shape[0]
        features = self.encoder(torch.cat([moving, fixed]))
        of_moving = Features(*[f[:count] for f in features])
        of_fixed = Features(*[f[count:] for f in features])
        matches = [self._coarse(of_moving.coarse, of_fixed.coarse)]
        for index, stage in enumerate(STAGES):
            estimate = matches[-1].affine.detach()
            base = estimate if start is None else start(index, estimate)
            pair = getattr(of_moving, stage.level), getattr(of_fixed, stage.level)
            matches.append(self._local(stage, index + 1, *pair, base))
        return matches

    def _coarse(self, moving: Tensor, fixed: Tensor) -> Match:
        height, width = fixed.shape[-2:]
        points = correlation.centred_grid(height, width, COARSE_STRIDE, fixed, step=2)
        candidates = correlation.centred_grid(height, width, COARSE_STRIDE, fixed)
        query = fixed[:, :, ::2, ::2].flatten(2).transpose(1, 2)
        logits = correlation.with_nowhere(self.logit_scale[0] * (query @ moving.flatten(2)), self.nowhere[0])
        targets, weights = correlation.soft_match(logits.softmax(dim=2)[:, :, :-1], candidates)
        identity = torch.eye(3, device=fixed.device)[:2].expand(fixed.shape[0], 2, 3)
        scale_px = width * COARSE_STRIDE / 2.0
        affine, inliers = affine_fit.robust_affine(points, targets, weights, identity, scale_px, COARSE_TOLERANCES_PX)
        return Match(affine, logits, points, candidates, None, weights, inliers)

    def _local(self, stage: Stage, index: int, moving: Tensor, fixed: Tensor, base: Tensor) -> Match:
        height, width = fixed.shape[-2:]
        theta = affine_fit.centred_to_theta(base, height * stage.stride, width * stage.stride)
        grid = flow_to_grid(affine_flow(theta, height, width))
        warped = F.grid_sample(moving, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        logits = correlation.local_logits(fixed, warped, stage.radius, stage.step, stage.first)
        logits = correlation.with_nowhere(self.logit_scale[index] * logits, self.nowhere[index])
        points = correlation.centred_grid(height, width, stage.stride, fixed, stage.step, stage.first)
        offsets = correlation.window_offsets(stage.radius, stage.stride, fixed)
        shift, weights = correlation.soft_match(logits.softmax(dim=2)[:, :, :-1], offsets)
        targets = affine_fit.apply(base, points + shift)
        scale_px = width * stage.stride / 2.0
        affine, inliers = affine_fit.robust_affine(points, targets, weights, base, scale_px, stage.tolerances_px)
        return Match(affine, logits, points, offsets, base, weights, inliers)

    def judge_logit(self, matches: list[Match], height: int, width: int) -> Tensor:
        """(N,) logit of the confidence from what the stages found."""
        return self.judge(evidence(matches, height, width)).squeeze(1)


_EVIDENCE = 3 * (1 + len(STAGES)) + len(STAGES) + 2


def evidence(matches: list[Match], height: int, width: int) -> Tensor:
    """(N, _EVIDENCE) signs of a good registration, each of order 1.

    Per stage: share of the match mass that found a place, mean sharpness, share of the weight on the affine. From
    stage to stage: how far the corners still moved (log px). At last: how much of the fixed frame the moving one
    covers, and how far the linear part is from a rotation.
    """
    corners = _corners(height, width, matches[0].affine)
    signs: list[Tensor] = []
    for match in matches:
        found = 1.0 - match.logits.softmax(dim=2)[:, :, -1]
        on_affine = (match.weights * match.inliers).sum(dim=1) / (match.weights.sum(dim=1) + 1e-6)
        signs += [found.mean(dim=1), match.weights.mean(dim=1), on_affine]
    for before, after in pairwise(matches):
        moved = affine_fit.apply(after.affine, corners) - affine_fit.apply(before.affine, corners)
        signs.append(torch.log1p(moved.abs().mean(dim=(1, 2))) / 3.0)
    last = matches[-1]
    mapped = affine_fit.apply(last.affine, last.points)
    inside = (mapped[:, :, 0].abs() < width / 2.0) & (mapped[:, :, 1].abs() < height / 2.0)
    signs.append(inside.float().mean(dim=1))
    linear = last.affine[:, :, :2]
    signs.append((linear - torch.eye(2, device=linear.device)).square().sum(dim=(1, 2)).clamp(max=4.0))
    return torch.stack(signs, dim=1).detach()


def _corners(height: int, width: int, like: Tensor) -> Tensor:
    """(4, 2) corners in centred px."""
    signs = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]], device=like.device)
    return signs * torch.tensor([float(width), float(height)], device=like.device)


def _unit(features: Tensor) -> Tensor:
    return features * (features.square().sum(dim=1, keepdim=True) + 1e-6).rsqrt()


def _double(features: Tensor) -> Tensor:
    return F.interpolate(features, scale_factor=2.0, mode="bilinear", align_corners=False)


def _conv(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    layers = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
    return nn.Sequential(*layers)


class Context(nn.Module):
    """Depthwise dilated convolution plus a pointwise one, added to its input: a wide view at little cost."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, groups=width, bias=False)
        self.mix = nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return F.relu(x + self.mix(self.wide(x)))
