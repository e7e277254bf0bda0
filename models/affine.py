"""The affine network of the thesis."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from vr.models.base import Registration, RegistrationNet, SizeHw, full_precision
from vr.models.geometry import affine_flow

_CHANNELS = (2, 32, 48, 64, 80, 100, 120)
_KERNELS = (7, 5, 5, 5, 3, 3)
_HIDDEN = (100, 50)
MIN_SIDE_PX = 222


class AffineNet(RegistrationNet):
    """Regresses one affine per pair from both images at once, after Barras (2020) and Jaderberg et al.
    (2015).

    Six unpadded convolutions, each followed by 2x2 max-pooling and ReLU, then three fully connected layers.
    The published weights have these shapes; where the thesis's text differs, the weights win. The fully
    connected part ties the network to `size_hw`; at 240x320 it reads 240 features, as the thesis's does.

    A new network starts at the identity: the last layer's weights are 0 and its bias is (1, 0, 0, 0, 1, 0).

    The last layer's six numbers are `theta` as the project defines it (`align_corners=False`). Which of the
    two readings the thesis used is not recorded, and its published pair cannot tell: they differ there by
    at most 0.06 px and 0.001 in Dice.

    Args:
        size_hw: height and width of both inputs, each at least 222 px. ValueError below.
        inverted_input: the layers see `1 - image`. The thesis's networks learned on masks with person 0 and
        rest 1;
            inside this project a person is 1, so their imported weights need this.
    """

    network = "affine"
    kind = "affine"

    def __init__(self, size_hw: SizeHw = (240, 320), inverted_input: bool = False) -> None:
        super().__init__((int(size_hw[0]), int(size_hw[1])), inverted_input=bool(inverted_input))
        self.inverted_input = bool(inverted_input)
        features = feature_count(self.size_hw)
        shapes = zip(pairwise(_CHANNELS), _KERNELS, strict=True)
        self.convs = nn.ModuleList(nn.Conv2d(*channels, kernel) for channels, kernel in shapes)
        widths = (features, *_HIDDEN, 6)
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))
        self.pool_relu = nn.Sequential(nn.MaxPool2d(2), nn.ReLU())
        last = self.linears[-1]
        assert isinstance(last, nn.Linear)
        nn.init.zeros_(last.weight)
        with torch.no_grad():
            last.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.0, 1.0, 0.0]))

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Moving, fixed (N, 1, H, W) float32 in [0, 1] of `size_hw` -> theta (N, 2, 3) and its flow (N, 2,
        H, W).
        """
        x = torch.cat([moving, fixed], dim=1)
        if self.inverted_input:
            x = 1.0 - x
        for conv in self.convs:
            x = self.pool_relu(conv(x))
        with full_precision(x):
            x = x.float().flatten(1)
            for linear in self.linears[:-1]:
                x = torch.relu(linear(x))
            theta = self.linears[-1](x).reshape(-1, 2, 3)
            return Registration(affine_flow(theta, *self.size_hw), theta)


def feature_count(size_hw: SizeHw) -> int:
    """How many features the convolutions leave of inputs of `size_hw`. Raises ValueError if none are left."""
    sides = list(size_hw)
    for kernel in _KERNELS:
        sides = [(side - kernel + 1) // 2 for side in sides]
    if min(sides) < 1:
        raise ValueError(
            f"size {size_hw[0]}x{size_hw[1]} is too small for the affine network; "
            f"expected at least {MIN_SIDE_PX} px each way, for example 240x320"
        )
    return _CHANNELS[-1] * sides[0] * sides[1]
