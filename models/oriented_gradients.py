"""The fixed front-end of the matching network: what an edge looks like in every modality.

Infrared and colour intensities do not correlate, and neither do the signs of their edges, but the orientations of
the edges do. Each pixel becomes the magnitudes of its gradient along a few unsigned orientations, smoothed and
locally normalised: channel features of oriented gradients (CFOG; Ye et al., IEEE TGRS 2019, section III-A), with
the smoothing along the orientation axis left out.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Keeps flat regions and camera noise from being normalised up to full strength: a floor relative to the
# image's own mean edge strength (so that a dim image works), and one in grey levels of [0, 1].
_RELATIVE_FLOOR = 0.5
_ABSOLUTE_FLOOR = 2e-3


# Of the points of `OrientedStrength.at_points`. More of them cost time and bring nothing.
POINT_STEP = 4


class Points(NamedTuple):
    """An image's features at P points (N, C, 1, P), their slopes along x and y per pixel (N, C, 2, P), central
    differences, and its `noise_floor`, if the features are magnitudes.
    """

    values: Tensor
    slopes: Tensor
    floor: Tensor | None


class OrientedStrength(nn.Module):
    """(N, 1, H, W) grey in [0, 1] -> (N, 4, H, W) smoothed magnitudes along 0, 45, 90 and 135 degrees, not normalised.

    The same as inside `OrientedGradients` but for the outermost pixels. Normalising is left to whoever samples
    (`Level.floor`), as a few thousand points need less of it than all pixels. H and W multiples of 4.

    onnxruntime computes 16 channels at a time on current CPUs, whether there are as many or not. So 4 neighbouring
    rows, or 2x2 pixels, along 4 angles, are the channels of an image that is so much smaller.
    """

    def __init__(self) -> None:
        super().__init__()
        kernels = _gradient_kernels(4)
        self.register_buffer("rows", _at_each(kernels, 4, 1), persistent=False)
        self.register_buffer("blur", _row_filters(4), persistent=False)
        self.register_buffer("squares", _at_each(kernels, 2, 2), persistent=False)
        self.register_buffer("points", _point_filters(4), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """See the class docstring."""
        padded = F.pad(image, (2, 2, 2, 4), mode="replicate")
        magnitude = _magnitudes(padded, self.get_buffer("rows"), (4, 1))
        across = F.avg_pool2d(F.avg_pool2d(magnitude, (1, 2), stride=1), (1, 2), stride=1)
        smooth = F.conv2d(across, self.get_buffer("blur"))
        apart = smooth.unflatten(1, (4, 4)).transpose(2, 3)
        return apart.reshape(-1, 4, image.shape[2], image.shape[3])

    def at_points(self, image: Tensor) -> "Points":
        """What `forward` gives at every fourth pixel of every fourth row, from the second on, and slopes of it.

        Pixels in between are never written.
        """
        padded = F.pad(image, (2, 4, 2, 4), mode="replicate")
        magnitude = _magnitudes(padded, self.get_buffer("squares"), (2, 2))
        found = F.conv2d(magnitude, self.get_buffer("points"), stride=2).flatten(2).unflatten(1, (4, 4))
        strength, slopes, corner = found.split([1, 2, 1], dim=2)
        return Points(strength, slopes, _floor_of(corner.squeeze(2)))


def noise_floor(strength: Tensor) -> Tensor:
    """(N, 1, 1, 1): what is added to lengths to divide by them, of magnitudes (N, K, H, W): half the mean or so."""
    return _floor_of(strength[:, :, ::4, ::4].flatten(2))


def _floor_of(strength: Tensor) -> Tensor:
    length = strength.square().sum(dim=1).add(1e-12).sqrt()
    return _RELATIVE_FLOOR * length.mean(dim=1).reshape(-1, 1, 1, 1) + _ABSOLUTE_FLOOR


class OrientedGradients(nn.Module):
    """M `images` each, (N, M, H, W) grey in [0, 1] -> (N * M, K, H, W), each pixel's vector of length below 1.

    Channel k of K answers to gradients along the angle pi * k / K and to their opposites alike, so that inverting the
    image changes nothing.
    """

    def __init__(self, orientations: int, images: int = 1) -> None:
        super().__init__()
        self.orientations = orientations
        own = torch.eye(images).reshape(images, 1, images, 1, 1)
        kernels = (own * _gradient_kernels(orientations)).flatten(0, 1)
        self.register_buffer("kernels", kernels, persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """See the class docstring."""
        magnitude = _magnitudes(F.pad(image, (1, 1, 1, 1), mode="replicate"), self.get_buffer("kernels"), (1, 1))
        # The binomial filter. Averages over what lies inside are those over an image whose border pixels are repeated.
        half = F.avg_pool2d(magnitude, 2, stride=1, padding=1, count_include_pad=False)
        smooth = F.avg_pool2d(half, 2, stride=1)
        smooth = smooth.reshape(-1, self.orientations, image.shape[2], image.shape[3])
        strength = (smooth * smooth).sum(dim=1, keepdim=True).add(1e-12).sqrt()
        floor = _RELATIVE_FLOOR * strength.mean(dim=(2, 3), keepdim=True) + _ABSOLUTE_FLOOR
        return smooth * (strength + floor).reciprocal()


def _magnitudes(padded: Tensor, kernels: Tensor, stride: tuple[int, int]) -> Tensor:
    """The convolution without its sign, as |c| = 2 max(c, 0) - c. Two of them, but for `abs` onnxruntime would leave
    the layout that it convolves in, and come back to it, which takes longer.
    """
    return F.relu(F.conv2d(padded, 2.0 * kernels, stride=stride)) + F.conv2d(padded, -kernels, stride=stride)


def _gradient_kernels(orientations: int) -> Tensor:
    """(K, 1, 3, 3): Sobel kernels steered to the angles, answering 1 to a slope of 1 per pixel."""
    sobel_x = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]]) / 8.0
    angles = [math.pi * k / orientations for k in range(orientations)]
    return torch.stack([math.cos(a) * sobel_x + math.sin(a) * sobel_x.T for a in angles])[:, None]


def _at_each(kernels: Tensor, rows: int, columns: int) -> Tensor:
    """(K, 1, 3, 3) -> (K * rows * columns, 1, rows + 2, columns + 2), for strides of `rows` and `columns`: by kernel,
    row and column, the kernel at the places from there on.
    """
    places = [(i, rows - 1 - i, j, columns - 1 - j) for i in range(rows) for j in range(columns)]
    return torch.stack([F.pad(kernels, (left, right, up, down)) for up, down, left, right in places], dim=1).flatten(
        0, 1
    )


def _row_filters(angles: int) -> Tensor:
    """(4 K, 4 K, 2, 1): on channels by angle and row, as of `_at_each`, the binomial filter along y, valid part."""
    line = torch.tensor([0.25, 0.5, 0.25])
    by_row = torch.stack([F.pad(line, (i, 5 - i)) for i in range(4)]).reshape(4, 2, 4, 1).transpose(1, 2)
    return _of_each_angle(by_row, angles)


def _point_filters(angles: int) -> Tensor:
    """(4 K, 4 K, 3, 3), for a stride of 2 on channels by angle and pixel of 2x2, as of `_at_each`: four filters each.

    They cover 5x5 pixels around the point: the binomial filter there, the central differences of it along x and along
    y, and the binomial filter at the pixel above and to the left.
    """
    line = torch.tensor([0.25, 0.5, 0.25])
    binomial = torch.outer(line, line)

    def at(x: int, y: int) -> Tensor:
        return F.pad(binomial, (x, 3 - x, y, 3 - y))

    filters = torch.stack([at(1, 1), (at(2, 1) - at(0, 1)) / 2.0, (at(1, 2) - at(1, 0)) / 2.0, at(0, 0)])
    by_pixel = filters.reshape(4, 3, 2, 3, 2).permute(0, 2, 4, 1, 3).reshape(4, 4, 3, 3)
    return _of_each_angle(by_pixel, angles)


def _of_each_angle(filters: Tensor, angles: int) -> Tensor:
    """(F, C, h, w) -> (K F, K C, h, w): the same for each angle, from its own channels alone."""
    own = torch.eye(angles).reshape(angles, 1, angles, 1, 1, 1)
    count, channels, height, width = filters.shape
    return (own * filters.unsqueeze(1)).reshape(angles * count, angles * channels, height, width)
