"""Grids and flows in torch, from plain arithmetic, so that they export with dynamic height and width.

`F.affine_grid` would pin H and W in an exported graph, and in-place writes would become ScatterElements; hence
`arange` and `stack`. Conventions as in `vr.runtime.geometry`: normalised coordinates have -1 and +1 at the outer
edges of the border pixels (`align_corners=False`); flow is (N, 2, H, W), x then y, in pixels of its own grid.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_centres(length: int, like: Tensor) -> Tensor:
    """(length,) normalised coordinates of the pixel centres, `(2 i + 1) / length - 1`, on the device of `like`."""
    index = torch.arange(length, device=like.device, dtype=torch.float32)
    return (2.0 * index + 1.0) / length - 1.0


def homogeneous_grid(height: int, width: int, like: Tensor) -> Tensor:
    """(3, H * W): x, y, 1 of the pixel centres, normalised, row by row."""
    x = pixel_centres(width, like).reshape(1, width).expand(height, width)
    y = pixel_centres(height, like).reshape(height, 1).expand(height, width)
    return torch.stack([x, y, torch.ones_like(x)]).flatten(1)


def affine_sampling_grid(theta: Tensor, grid: Tensor, height: int, width: int) -> Tensor:
    """`theta` (N, 2, 3) on `homogeneous_grid` -> (N, H, W, 2) for `grid_sample`: what `F.affine_grid` gives."""
    return (theta @ grid).transpose(1, 2).unflatten(1, (height, width))


def affine_flow(theta: Tensor, height: int, width: int) -> Tensor:
    """The flow (N, 2, H, W) in pixels that `theta` (N, 2, 3) means on a grid of `height` x `width`."""
    identity = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], device=theta.device)
    shift = (theta - identity) @ homogeneous_grid(height, width, theta)
    shift = shift.unflatten(2, (height, width))
    return torch.stack([shift[:, 0] * (width / 2.0), shift[:, 1] * (height / 2.0)], dim=1)


def project(matrix: Tensor, points: Tensor) -> Tensor:
    """A homography (N, 3, 3) on homogeneous points (3, P) -> (N, 2, P)."""
    mapped = matrix @ points
    return mapped[:, :2] / mapped[:, 2:]


def homography_flow(matrix: Tensor, height: int, width: int) -> Tensor:
    """The flow (N, 2, H, W) in pixels that a homography (N, 3, 3) of normalised points means."""
    grid = homogeneous_grid(height, width, matrix)
    shift = (project(matrix, grid) - grid[:2]).unflatten(2, (height, width))
    return torch.stack([shift[:, 0] * (width / 2.0), shift[:, 1] * (height / 2.0)], dim=1)


def flow_to_grid(flow: Tensor) -> Tensor:
    """Flow (N, 2, H, W) in pixels to the sampling grid (N, H, W, 2) in normalised coordinates of `grid_sample`."""
    height, width = flow.shape[-2:]
    x = pixel_centres(width, flow).reshape(1, 1, width) + flow[:, 0] * (2.0 / width)
    y = pixel_centres(height, flow).reshape(1, height, 1) + flow[:, 1] * (2.0 / height)
    return torch.stack([x, y], dim=-1)


def sample_flow(flow: Tensor, grid: Tensor) -> Tensor:
    """Flow (N, 2, H, W) at the normalised points of `grid` (N, h, w, 2), bilinear; beyond the border the border's."""
    return F.grid_sample(flow, grid, mode="bilinear", padding_mode="border", align_corners=False)
