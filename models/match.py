"""The default network: matches learned features across the modalities and fits an affine through the matches.

Coarse to fine, in one forward pass: every point of the fixed image against the whole moving image, a robust affine
through the matches, then a few rounds of matching inside a window around the current estimate on finer features
(the look-up idea of RAFT, Teed & Deng, ECCV 2020, for a global affine as in IHN, Cao et al., CVPR 2022), and at last
Gauss-Newton on the front-end's features (`vr.models.refinement`).
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
from vr.models.geometry import affine_flow, affine_sampling_grid, homogeneous_grid
from vr.models.oriented_gradients import ORIENTATIONS, OrientedGradients
from vr.models.refinement import Refined, refine


class Stage(NamedTuple):
    """One round of local matching: how far it looks, in cells of 4 px, and how strict the fit is."""

    radius: int
    tolerances_px: tuple[float, ...]


COARSE_STRIDE, MIDDLE_STRIDE = 8, 4
QUERY_SPACING_PX = 16
COARSE_TOLERANCES_PX = (64.0, 32.0, 16.0, 10.0)
STAGES = (Stage(4, (12.0, 6.0, 4.0)), Stage(4, (6.0, 4.0, 3.0)), Stage(3, (4.0, 3.0, 2.0)))
REFINE_ROUNDS_HALF, REFINE_ROUNDS = 4, 6


class Features(NamedTuple):
    """Unit feature vectors at strides 8 and 4, and the front-end's at stride 2, each (N, C, h, w)."""

    coarse: Tensor
    middle: Tensor
    edges: Tensor


class Match(NamedTuple):
    """What one stage found, for the losses and the confidence.

    affine (N, 2, 3) in centred px; logits (N, Q, K + 1), last column "nowhere"; points (Q, 2) the fixed points;
    base (N, 2, 3) the estimate that the window was laid around, None for the coarse stage (its candidates are the
    cells of the moving image); candidates (K, 2) those cells, or offsets in the window; weights, inliers (N, Q).
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
    """(N, 1, H, W) in [0, 1] -> `Features`. H and W multiples of 16."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gradients = OrientedGradients()
        deep = 3 * width
        self.down4 = nn.Sequential(_conv(ORIENTATIONS, width, kernel=5), Context(width, 1))
        self.down8 = nn.Sequential(_conv(width, deep, kernel=3), *[Context(deep, d) for d in (1, 2, 4, 2, 1)])
        self.head8 = nn.Conv2d(deep, 64, 1)
        self.head4 = nn.Conv2d(width, 32, 1)
        self.lateral4 = nn.Conv2d(deep, 32, 1)

    def forward(self, image: Tensor) -> Features:
        """See the class docstring."""
        edges = self.gradients(F.avg_pool2d(image, 2))
        x4 = self.down4(edges)
        x8 = self.down8(x4)
        deep = F.interpolate(self.lateral4(x8), scale_factor=2.0, mode="bilinear", align_corners=False)
        return Features(_unit(self.head8(x8)), _unit(self.head4(x4) + deep), edges)


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

    def __init__(self, size_hw: SizeHw = (240, 320), width: int = 32) -> None:
        super().__init__((int(size_hw[0]), int(size_hw[1])), width=width)
        self.encoder = Encoder(width)
        self.logit_scale = nn.Parameter(torch.full((1 + len(STAGES),), 12.0))
        self.nowhere = nn.Parameter(torch.full((1 + len(STAGES),), 4.0))
        self.judge = nn.Sequential(nn.Linear(_EVIDENCE, 24), nn.ReLU(), nn.Linear(24, 1))

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Moving, fixed (N, 1, H, W) in [0, 1] -> flow, theta and confidence."""
        height, width = fixed.shape[-2:]
        matches, refined = self.register(moving, fixed)
        confidence = torch.sigmoid(self.judge(evidence(matches, refined, height, width)).squeeze(1))
        return Registration(affine_flow(refined.theta, height, width), refined.theta, confidence)

    def register(self, moving: Tensor, fixed: Tensor) -> tuple[list[Match], Refined]:
        """All stages and the refined theta after them."""
        of_moving, of_fixed = self.features(moving, fixed)
        matches = self.match(of_moving, of_fixed)
        theta = affine_fit.centred_to_theta(matches[-1].affine, fixed.shape[-2], fixed.shape[-1])
        half = [F.avg_pool2d(features.edges, 2) for features in (of_moving, of_fixed)]
        theta = refine(half[0], half[1], theta, REFINE_ROUNDS_HALF).theta
        return matches, refine(of_moving.edges, of_fixed.edges, theta, REFINE_ROUNDS)

    def features(self, moving: Tensor, fixed: Tensor) -> tuple[Features, Features]:
        """Features of both images, (N, 1, H, W) each."""
        count = moving.shape[0]
        features = self.encoder(torch.cat([moving, fixed]))
        return Features(*[f[:count] for f in features]), Features(*[f[count:] for f in features])

    def match(self, moving: Features, fixed: Features, start: Start | None = None) -> list[Match]:
        """All stages in order. `start` (training) replaces the estimate that local stage number i starts from."""
        matches = [self._coarse(moving.coarse, fixed.coarse)]
        for index, stage in enumerate(STAGES):
            estimate = matches[-1].affine.detach()
            base = estimate if start is None else start(index, estimate)
            matches.append(self._local(stage, index + 1, moving.middle, fixed.middle, base))
        return matches

    def _coarse(self, moving: Tensor, fixed: Tensor) -> Match:
        height, width = fixed.shape[-2:]
        step = QUERY_SPACING_PX // COARSE_STRIDE
        points = correlation.centred_grid(height, width, COARSE_STRIDE, fixed, step)
        candidates = correlation.centred_grid(height, width, COARSE_STRIDE, fixed)
        query = fixed[:, :, ::step, ::step].flatten(2).transpose(1, 2)
        logits = correlation.with_nowhere(self.logit_scale[0] * (query @ moving.flatten(2)), self.nowhere[0])
        targets, weights = correlation.soft_match(logits.softmax(dim=2)[:, :, :-1], candidates)
        identity = torch.eye(3, device=fixed.device)[:2].expand(fixed.shape[0], 2, 3)
        scale_px = width * COARSE_STRIDE / 2.0
        affine, inliers = affine_fit.robust_affine(points, targets, weights, identity, scale_px, COARSE_TOLERANCES_PX)
        return Match(affine, logits, points, candidates, None, weights, inliers)

    def _local(self, stage: Stage, index: int, moving: Tensor, fixed: Tensor, base: Tensor) -> Match:
        height, width = fixed.shape[-2:]
        theta = affine_fit.centred_to_theta(base, height * MIDDLE_STRIDE, width * MIDDLE_STRIDE)
        grid = affine_sampling_grid(theta, homogeneous_grid(height, width, fixed), height, width)
        warped = F.grid_sample(moving, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        step = QUERY_SPACING_PX // MIDDLE_STRIDE
        logits = correlation.local_logits(fixed, warped, stage.radius, step, step // 2)
        logits = correlation.with_nowhere(self.logit_scale[index] * logits, self.nowhere[index])
        points = correlation.centred_grid(height, width, MIDDLE_STRIDE, fixed, step, step // 2)
        offsets = correlation.window_offsets(stage.radius, MIDDLE_STRIDE, fixed)
        shift, weights = correlation.soft_match(logits.softmax(dim=2)[:, :, :-1], offsets)
        targets = affine_fit.apply(base, points + shift)
        scale_px = width * MIDDLE_STRIDE / 2.0
        affine, inliers = affine_fit.robust_affine(points, targets, weights, base, scale_px, stage.tolerances_px)
        return Match(affine, logits, points, offsets, base, weights, inliers)


_EVIDENCE = 3 * (1 + len(STAGES)) + (1 + len(STAGES)) + 3


def evidence(matches: list[Match], refined: Refined, height: int, width: int) -> Tensor:
    """(N, _EVIDENCE) signs of a good registration, each of order 1.

    Per stage: share of the match mass that found a place, mean sharpness, share of the weight on the affine. From
    stage to stage and to the refined affine: how far the corners still moved (log px). At last: the agreement of the
    edges, how much of the fixed frame the moving one covers, and how far the linear part is from the identity.
    """
    signs: list[Tensor] = []
    for match in matches:
        found = 1.0 - match.logits.softmax(dim=2)[:, :, -1]
        on_affine = (match.weights * match.inliers).sum(dim=1) / (match.weights.sum(dim=1) + 1e-6)
        signs += [found.mean(dim=1), match.weights.mean(dim=1), on_affine]
    final = affine_fit.theta_to_centred(refined.theta, height, width)
    corners = _corners(height, width, final)
    for before, after in pairwise([*[match.affine for match in matches], final]):
        moved = affine_fit.apply(after, corners) - affine_fit.apply(before, corners)
        signs.append(torch.log1p(moved.abs().mean(dim=(1, 2))) / 3.0)
    mapped = affine_fit.apply(final, matches[-1].points)
    inside = (mapped[:, :, 0].abs() < width / 2.0) & (mapped[:, :, 1].abs() < height / 2.0)
    linear = final[:, :, :2] - torch.eye(2, device=corners.device)
    signs += [refined.agreement, inside.float().mean(dim=1), linear.square().sum(dim=(1, 2)).clamp(max=4.0)]
    return torch.stack(signs, dim=1).detach()


def _corners(height: int, width: int, like: Tensor) -> Tensor:
    """(4, 2) corners in centred px."""
    signs = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [-0.5, 0.5], [0.5, 0.5]], device=like.device)
    return signs * torch.tensor([float(width), float(height)], device=like.device)


def _unit(features: Tensor) -> Tensor:
    return features * (features.square().sum(dim=1, keepdim=True) + 1e-6).rsqrt()


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Halves the size."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


class Context(nn.Module):
    """Depthwise dilated convolution plus a pointwise one, added to its input: a wide view at little cost."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, groups=width, bias=False)
        self.mix = nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return F.relu(x + self.mix(self.wide(x)))
