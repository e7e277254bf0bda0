"""The dense network of the thesis: VoxelMorph's U-Net in two dimensions."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vr.models.base import Registration, RegistrationNet, SizeHw, full_precision
from vr.models.diffeomorphism import integrate

SIZE_MULTIPLE = 16
_ENCODER = (2, 32, 32, 32, 32)
# (inputs, outputs) of each decoder convolution; inputs include the skip connection.
_DECODER = ((32, 32), (64, 32), (64, 32), (64, 32), (32, 32), (34, 16))
_SLOPE = 0.2
_FLOW_INIT_STD = 1e-5


class VoxelMorphNet(RegistrationNet):
    """Dense flow from a U-Net over both images, after Barras (2020) and Balakrishnan et al. (IEEE TMI 2019,
    fig. 3).

    The encoder's four stride-2 convolutions have 4x4 kernels with padding 1, as in the published weights (the
    thesis's text says 3x3; the weights win); the decoder has six 3x3 convolutions with nearest-neighbour
    upsampling, and the flow head one more. Leaky ReLU of slope 0.2 everywhere but after the head.

    The flow is the head's output: (N, 2, H, W), x then y, in pixels of the input. (The old VoxelMorph code
    orders it y, x: `vr.train.thesis_weights` swaps the head's two channels once.) A new network starts near
    zero flow.

    With `integration_steps`, the head's output is a stationary velocity instead, and the flow its integral (Dalca et
    al., MICCAI 2018, section 2.1; `vr.models.diffeomorphism`): a smooth map that can be inverted.

    Args:
        size_hw: the size to use by default; the network takes any height and width that are multiples of 16.
            ValueError if `size_hw` is none.
        inverted_input: the layers see `1 - image`, see `vr.models.affine.AffineNet`.
        integration_steps: squarings of the velocity, 7 are usual; 0 takes the head's output as the flow, as the thesis
            does. ValueError if negative.
    """

    network = "voxelmorph"
    kind = "dense"
    dynamic = True
    size_multiple = SIZE_MULTIPLE

    def __init__(self, size_hw: SizeHw = (240, 320), inverted_input: bool = False, integration_steps: int = 0) -> None:
        config = {"inverted_input": bool(inverted_input), "integration_steps": int(integration_steps)}
        super().__init__((int(size_hw[0]), int(size_hw[1])), **config)
        if any(side < SIZE_MULTIPLE or side % SIZE_MULTIPLE for side in self.size_hw):
            raise ValueError(
                f"size {size_hw[0]}x{size_hw[1]} does not suit the VoxelMorph network; "
                f"expected multiples of {SIZE_MULTIPLE}, for example 240x320"
            )
        if integration_steps < 0:
            raise ValueError(f"integration_steps is {integration_steps}; expected 0 (none) or more, for example 7")
        self.inverted_input, self.integration_steps = bool(inverted_input), int(integration_steps)
        self.encoder = nn.ModuleList(nn.Conv2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(_ENCODER))
        self.decoder = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in _DECODER)
        self.head = nn.Conv2d(_DECODER[-1][1], 2, 3, padding=1)
        nn.init.normal_(self.head.weight, std=_FLOW_INIT_STD)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Moving, fixed (N, 1, H, W) float32 in [0, 1], H and W multiples of 16 -> flow (N, 2, H, W)."""
        x = torch.cat([moving, fixed], dim=1)
        if self.inverted_input:
            x = 1.0 - x
        skips = [x]
        for conv in self.encoder:
            skips.append(_activate(conv(skips[-1])))
        x = skips.pop()
        for conv in self.decoder[:3]:
            x = torch.cat([_double(_activate(conv(x))), skips.pop()], dim=1)
        for conv in self.decoder[3:5]:
            x = _activate(conv(x))
        x = torch.cat([_double(x), skips.pop()], dim=1)
        x = _activate(self.decoder[5](x))
        with full_precision(x):
            return Registration(integrate(self.head(x.float()), self.integration_steps))


def _activate(x: Tensor) -> Tensor:
    """In place of the convolution's output, which nothing else needs: half of what a training step holds."""
    return F.leaky_relu(x, _SLOPE, inplace=True)


def _double(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2.0, mode="nearest")
