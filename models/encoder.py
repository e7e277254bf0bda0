"""The learned features of the matching network: one encoder for both images.

It sees the oriented gradients of the fixed front-end (`vr.models.oriented_gradients`), which have lost most of what
tells the modalities apart, and gives features at three scales: coarse ones that tell places apart, and two finer
levels that the refinement slides along.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vr.models.oriented_gradients import OrientedGradients, OrientedStrength

COARSE_CHANNELS, MIDDLE_CHANNELS = 64, 16
ORIENTATIONS = 8
# Of the context blocks at stride 8: together they see 14 cells, 112 px, to every side.
DILATIONS = (1, 2, 4, 1, 2, 4)


class Features(NamedTuple):
    """coarse (N, 64, H/8, W/8) and middle (N, 16, H/4, W/4), unit vectors; fine (N, 8, H/2, W/2), the front-end's own;
    middle_weight, fine_weight (N, 1, H/4, W/4): what each place counts in the refinement, in (0, 1); image (N, 1, H, W)
    itself, for the finest level.
    """

    coarse: Tensor
    middle: Tensor
    fine: Tensor
    middle_weight: Tensor
    fine_weight: Tensor
    image: Tensor


class Encoder(nn.Module):
    """Two images (N, 1, H, W) in [0, 1] -> `Features` of each. H and W multiples of 16."""

    def __init__(self, width: int, deep: int) -> None:
        super().__init__()
        self.gradients = OrientedGradients(ORIENTATIONS, images=2)
        self.finest = OrientedStrength()
        self.down4 = nn.Sequential(_conv(ORIENTATIONS, width), Context(width, 1))
        self.down8 = nn.Sequential(_conv(width, deep), *[Context(deep, dilation) for dilation in DILATIONS])
        self.head8 = nn.Conv2d(deep, COARSE_CHANNELS, 1)
        self.lateral4 = nn.Conv2d(deep, width, 1)
        self.head4 = nn.Conv2d(width, MIDDLE_CHANNELS + 2, 1)

    def forward(self, moving: Tensor, fixed: Tensor) -> tuple[Features, Features]:
        """See the class docstring."""
        edges = self.gradients(torch.cat([F.avg_pool2d(moving, 2), F.avg_pool2d(fixed, 2)], dim=1))
        x4 = self.down4(edges)
        x8 = self.down8(x4)
        wide = F.interpolate(self.lateral4(x8), scale_factor=2.0, mode="bilinear", align_corners=False)
        y4 = F.relu(x4 + wide)
        middle, weights = self.head4(y4).split([MIDDLE_CHANNELS, 2], dim=1)
        middle_weight, fine_weight = weights.sigmoid().chunk(2, dim=1)
        maps = unit(self.head8(x8)), unit(middle), edges, middle_weight, fine_weight
        pairs = [one.unflatten(0, (-1, 2)).unbind(dim=1) for one in maps]
        return Features(*[one[0] for one in pairs], image=moving), Features(*[one[1] for one in pairs], image=fixed)


class Context(nn.Module):
    """Depthwise dilated convolution plus a pointwise one, added to its input: a wide view at little cost."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.wide = nn.Conv2d(width, width, 3, padding=dilation, dilation=dilation, groups=width, bias=False)
        self.mix = nn.Sequential(nn.BatchNorm2d(width), nn.Conv2d(width, width, 1, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape."""
        return F.relu(x + self.mix(self.wide(x)))


def unit(features: Tensor) -> Tensor:
    """Vectors along dim 1 scaled to Euclidean length 1."""
    return features * ((features * features).sum(dim=1, keepdim=True) + 1e-6).rsqrt()


def _conv(inputs: int, outputs: int) -> nn.Sequential:
    """Halves the size."""
    convolution = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
