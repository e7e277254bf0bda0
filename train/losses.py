"""Losses that need no labels: how alike moved and fixed image are, and how smooth the flow is.

Each similarity loss takes moved, fixed and valid, all (N, 1, H, W), and gives one number, the lower the better;
`valid` is 1 where the moving image covers the fixed one. The correlation losses count uncovered pixels as
the worst case, and so do not reward a transform that pushes the moving image out of sight.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from vr.models.base import Registration
from vr.models.spatial_transformer import SpatialTransformer
from vr.train.mask_losses import mask_pyramid
from vr.train.multimodal_losses import mind_ssc, mutual_information

Similarity = Callable[[Tensor, Tensor, Tensor], Tensor]

NCC_WINDOW_PX = 9
# Windows whose contrast is far below a standard deviation of 0.03 (of [0, 1]) carry noise, and count little.
_NCC_FLOOR = 1e-6
_NGF_FLOOR = 1e-4
_MIN_SIDE_PX = 16


def mse(moved: Tensor, fixed: Tensor, valid: Tensor) -> Tensor:
    """Mean squared difference over all pixels; what is not covered counts as level 0, so `valid` is not
    needed.
    """
    return (moved - fixed).square().mean()


def local_ncc(moved: Tensor, fixed: Tensor, valid: Tensor) -> Tensor:
    """1 - mean of the squared correlation in 9x9 windows (Balakrishnan et al., IEEE TMI 2019, eq. 6), in
    [0, 1].

    Squared, so that it does not matter whether warm is bright or dark. Only whole windows count.
    """
    mean_m, mean_f = _box(moved), _box(fixed)
    var_m = (_box(moved * moved) - mean_m * mean_m).clamp(min=0.0)
    var_f = (_box(fixed * fixed) - mean_f * mean_f).clamp(min=0.0)
    cross = _box(moved * fixed) - mean_m * mean_f
    correlation = cross.square() / (var_m * var_f + _NCC_FLOOR)
    return 1.0 - (correlation * _box(valid)).mean()


def ngf(moved: Tensor, fixed: Tensor, valid: Tensor) -> Tensor:
    """Normalised gradient fields (Haber and Modersitzki, MICCAI 2006, eq. 4), in [0, 1].

    1 - mean of `<gm, gf>^2 / ((|gm|^2 + em^2) (|gf|^2 + ef^2))` with central differences on the inner
    pixels, and each image's mean gradient length as its edge threshold `e`. Blind to the sign of an edge.
    """
    mx, my = _gradient(moved)
    fx, fy = _gradient(fixed)
    energy_m, energy_f = mx * mx + my * my, fx * fx + fy * fy
    aligned = (mx * fx + my * fy).square() / ((energy_m + _edge(energy_m)) * (energy_f + _edge(energy_f)))
    return 1.0 - (aligned * valid[:, :, 1:-1, 1:-1]).mean()


SIMILARITY: dict[str, Similarity] = {
    "ngf": ngf,
    "ncc": local_ncc,
    "mi": mutual_information,
    "mind": mind_ssc,
    "mse": mse,
    "dice": mask_pyramid,
}
SELF_SCALED = frozenset({"dice"})
"""Losses that are a pyramid of their own already."""


def compare(similarity: str, moving: Tensor, fixed: Tensor, flow: Tensor, levels: int) -> Tensor:
    """How unlike the fixed image is the moving one, moved by `flow`: the loss of this name over `levels` scales.

    moving, fixed (N, 1, H, W) in [0, 1]; flow (N, 2, H, W), x then y, px of that grid.
    """
    transformer = SpatialTransformer()
    moved, valid = transformer(moving, flow), transformer(torch.ones_like(moving), flow)
    return multi_scale(SIMILARITY[similarity], moved, fixed, valid, 1 if similarity in SELF_SCALED else levels)


def multi_scale(similarity: Similarity, moved: Tensor, fixed: Tensor, valid: Tensor, levels: int) -> Tensor:
    """Mean of `similarity` over the images at full size, 1/2, 1/4, ...; sizes below 16 px are left out."""
    losses = [similarity(moved, fixed, valid)]
    while len(losses) < levels and min(moved.shape[-2:]) >= 2 * _MIN_SIDE_PX:
        moved, fixed, valid = (F.avg_pool2d(image, 2) for image in (moved, fixed, valid))
        losses.append(similarity(moved, fixed, valid))
    return torch.stack(losses).mean()


def smoothness(flow: Tensor, norm: str) -> Tensor:
    """Mean over x and y of the flow's squared ("l2") or absolute ("l1") forward differences, px per px."""
    dx, dy = flow[:, :, :, 1:] - flow[:, :, :, :-1], flow[:, :, 1:] - flow[:, :, :-1]
    if norm == "l2":
        return (dx.square().mean() + dy.square().mean()) / 2.0
    return (dx.abs().mean() + dy.abs().mean()) / 2.0


@dataclass(frozen=True)
class Objective:
    """`similarity + lambda_smooth * smoothness`; the smoothness counts for dense networks only."""

    similarity: str
    pyramid_levels: int
    smoothness: str
    lambda_smooth: float

    def __call__(self, moving: Tensor, fixed: Tensor, registration: Registration) -> dict[str, Tensor]:
        """`loss` and its parts `similarity` and `smoothness`, each a scalar."""
        alike = compare(self.similarity, moving, fixed, registration.flow, self.pyramid_levels)
        rough = smoothness(registration.flow, self.smoothness)
        weight = self.lambda_smooth if registration.theta is None else 0.0
        return {"loss": alike + weight * rough, "similarity": alike, "smoothness": rough}


def _box(image: Tensor) -> Tensor:
    return F.avg_pool2d(image, NCC_WINDOW_PX, stride=1)


def _gradient(image: Tensor) -> tuple[Tensor, Tensor]:
    dx = (image[:, :, 1:-1, 2:] - image[:, :, 1:-1, :-2]) / 2.0
    dy = (image[:, :, 2:, 1:-1] - image[:, :, :-2, 1:-1]) / 2.0
    return dx, dy


def _edge(energy: Tensor) -> Tensor:
    """(N, 1, 1, 1) squared edge threshold of each image."""
    # The square root has no finite slope at 0, where flat regions are.
    length = (energy + 1e-12).sqrt().mean(dim=(1, 2, 3), keepdim=True)
    return (length + _NGF_FLOOR).square()
