"""The fixed front-end of the matching network: what an edge looks like in every modality.

Infrared and colour intensities do not correlate, and neither do the signs of their edges, but the orientations of
the edges do. Each pixel becomes the magnitudes of its gradient along a few unsigned orientations, smoothed and
locally normalised: channel features of oriented gradients (CFOG; Ye et al., IEEE TGRS 2019, section III-A), with
the smoothing along the orientation axis left out.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Keeps flat regions and camera noise from being normalised up to full strength: a floor relative to the
# image's own mean edge strength (so that a dim image works), and one in grey levels of [0, 1].
_RELATIVE_FLOOR = 0.5
_ABSOLUTE_FLOOR = 2e-3


class OrientedStrength(nn.Module):
    """(N, 1, H, W) grey in [0, 1] -> (N, 4, H, W) smoothed magnitudes along 0, 45, 90 and 135 degrees, not normalised.

    The same as inside `OrientedGradients` but for the outermost pixels, in operations that onnxruntime has at full size
    in less than half of the time: the binomial filter is two averages over 2x2 pixels. Normalising is left to whoever
    samples (`Level.floor`), as a few thousand points need less of it than all pixels.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("kernels", _gradient_kernels(4), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """See the class docstring."""
        magnitude = F.conv2d(F.pad(image, (2, 2, 2, 2), mode="replicate"), self.get_buffer("kernels")).abs()
        return F.avg_pool2d(F.avg_pool2d(magnitude, 2, stride=1), 2, stride=1)


def noise_floor(strength: Tensor) -> Tensor:
    """(N, 1, 1): what is added to a length to divide by it, from magnitudes (N, K, H, W): half the mean, and a bit."""
    length = strength[:, :, ::4, ::4].square().sum(dim=1).add(1e-12).sqrt()
    return _RELATIVE_FLOOR * length.mean(dim=(1, 2)).reshape(-1, 1, 1) + _ABSOLUTE_FLOOR


class OrientedGradients(nn.Module):
    """(N, 1, H, W) grey in [0, 1] -> (N, K, H, W), each pixel's vector of Euclidean length below 1.

    Channel k of K answers to gradients along the angle pi * k / K and to their opposites alike, so that inverting the
    image changes nothing.
    """

    def __init__(self, orientations: int) -> None:
        super().__init__()
        self.orientations = orientations
        self.register_buffer("kernels", _gradient_kernels(orientations), persistent=False)
        self.register_buffer("blur", _binomial_kernels(orientations), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """See the class docstring."""
        padded = F.pad(image, (1, 1, 1, 1), mode="replicate")
        magnitude = F.conv2d(padded, self.get_buffer("kernels")).abs()
        padded = F.pad(magnitude, (1, 1, 1, 1), mode="replicate")
        smooth = F.conv2d(padded, self.get_buffer("blur"), groups=self.orientations)
        strength = (smooth * smooth).sum(dim=1, keepdim=True).add(1e-12).sqrt()
        floor = _RELATIVE_FLOOR * strength.mean(dim=(2, 3), keepdim=True) + _ABSOLUTE_FLOOR
        return smooth / (strength + floor)


def _gradient_kernels(orientations: int) -> Tensor:
    """(K, 1, 3, 3): Sobel kernels steered to the angles, answering 1 to a slope of 1 per pixel."""
    sobel_x = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8.0
    angles = [math.pi * k / orientations for k in range(orientations)]
    return torch.stack([math.cos(a) * sobel_x + math.sin(a) * sobel_x.T for a in angles])[:, None]


def _binomial_kernels(channels: int) -> Tensor:
    """(channels, 1, 3, 3): the 3x3 binomial filter for a depthwise convolution."""
    line = torch.tensor([0.25, 0.5, 0.25])
    return torch.outer(line, line).expand(channels, 1, 3, 3).contiguous()
