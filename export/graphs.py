"""The two graphs that go into ONNX files, as modules around any registration network.

Only for export: training never sees them. Names and order of the outputs are those of `vr.runtime.contract`.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vr.export import preprocess
from vr.models.base import Registration, RegistrationNet, SizeHw
from vr.models.geometry import affine_flow, flow_to_grid, homography_flow
from vr.models.spatial_transformer import SpatialTransformer

BORDER_SLACK_PX = 1.0 / 512.0
"""What mixes in less than half a grey level of the black outside still counts as inside, as in
`vr.runtime.blend`.
"""


class EstimateGraph(nn.Module):
    """Network and spatial transformer.

    moving, fixed (N, 1, H, W) float32 in [0, 1] -> moved (N, 1, H, W) in [0, 1], flow (N, 2, H, W) in pixels,
    then theta, (N, 2, 3) of affine and (N, 3, 3) of homography networks, and confidence (N,) and information (N, 6, 6)
    of networks that have them.
    """

    def __init__(self, net: RegistrationNet) -> None:
        super().__init__()
        self.net = net
        self.transformer = SpatialTransformer()

    def forward(self, moving: Tensor, fixed: Tensor) -> tuple[Tensor, ...]:
        """See the class docstring."""
        found = self.net(moving, fixed)
        return self.transformer(moving, found.flow), found.flow, *_transform_outputs(found)


class OverlayGraph(nn.Module):
    """Camera frames in, overlay out: everything between the upload and the download of two frames.

    ir (N, h, w, 1 or 3) and rgb (N, H, W, 3) uint8 BGR at native size, alpha () float32 in [0, 1] -> overlay,
    moved (N, H, W, 3) uint8; flow (N, 2, H, W) float32 on the RGB grid, in pixels of that grid (the IR frame
    thought of as stretched to it); then theta, confidence and information as `EstimateGraph`; content (N,): standard
    deviation of the emptier of the two network inputs, by which the runtime tells a pair without anything to align.

    overlay = alpha * moved + (1 - alpha) * rgb where the source point lies among the IR frame's pixel
    centres, rgb elsewhere, as `vr.runtime.blend`. The network sees both frames at `size_hw`. Sampling is in
    float32: half-precision coordinates are off by 0.2 px at 1080p.
    """

    def __init__(self, net: RegistrationNet, mode: str, size_hw: SizeHw) -> None:
        super().__init__()
        self.net = net
        self.mode = mode
        self.size_hw = size_hw

    def forward(self, ir: Tensor, rgb: Tensor, alpha: Tensor) -> tuple[Tensor, ...]:
        """See the class docstring."""
        ir_planes, rgb_planes = preprocess.to_bgr_planes(ir), preprocess.planes(rgb)
        moving = preprocess.network_input(ir_planes, self.size_hw, self.mode)
        fixed = preprocess.network_input(rgb_planes, self.size_hw, self.mode)
        found: Registration = self.net(moving, fixed)
        flow = native_flow(found, rgb.shape[1], rgb.shape[2])
        grid = flow_to_grid(flow)
        moved = F.grid_sample(ir_planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
        moved = torch.round(moved)
        overlay = torch.where(
            ir_has_data(grid, ir.shape[1], ir.shape[2]),
            alpha * moved + (1.0 - alpha) * rgb_planes,
            rgb_planes,
        )
        content = torch.minimum(_deviation(moving), _deviation(fixed))
        return _to_uint8(torch.round(overlay)), _to_uint8(moved), flow, *_transform_outputs(found), content


def ir_has_data(grid: Tensor, ir_height: int, ir_width: int) -> Tensor:
    """(N, 1, H, W) bool: whether a point of the sampling grid (N, H, W, 2) lies among the IR frame's pixel
    centres.
    """
    in_x = grid[..., 0].abs() <= 1.0 - (1.0 - 2.0 * BORDER_SLACK_PX) / ir_width
    in_y = grid[..., 1].abs() <= 1.0 - (1.0 - 2.0 * BORDER_SLACK_PX) / ir_height
    return (in_x & in_y).unsqueeze(1)


def native_flow(found: Registration, height: int, width: int) -> Tensor:
    """The transform as a flow (N, 2, height, width) in pixels of a grid of that size.

    Theta is evaluated there; a dense flow is interpolated linearly (borders repeated), then rescaled.
    """
    if found.theta is not None:
        flow_of = homography_flow if found.theta.shape[-2] == 3 else affine_flow
        return flow_of(found.theta, height, width)
    net_h, net_w = found.flow.shape[-2:]
    up = preprocess.resize(found.flow, (height, width), linear=True)
    return torch.stack([up[:, 0] * (width / net_w), up[:, 1] * (height / net_h)], dim=1)


def _transform_outputs(found: Registration) -> list[Tensor]:
    return [output for output in (found.theta, found.confidence, found.information) if output is not None]


def _deviation(images: Tensor) -> Tensor:
    """(N,): standard deviation of each image (N, 1, H, W), as numpy's `std`."""
    centred = images - images.mean(dim=(1, 2, 3), keepdim=True)
    return centred.square().mean(dim=(1, 2, 3)).sqrt()


def _to_uint8(planes: Tensor) -> Tensor:
    """(N, 3, H, W) float32 in [0, 255] to (N, H, W, 3) uint8."""
    return planes.clamp(0.0, 255.0).permute(0, 2, 3, 1).to(torch.uint8)
