"""The spatial transformer: samples the moving image where a flow points (Jaderberg et al., 2015, section 3)."""

import torch.nn.functional as F
from torch import Tensor, nn

from vr.models.geometry import flow_to_grid


class SpatialTransformer(nn.Module):
    """`moved(x, y) = moving(x + flow_x, y + flow_y)`, bilinear, 0 outside the moving image.

    Has no parameters and no buffers: the grid is arithmetic, so one instance serves every size.
    """

    def forward(self, moving: Tensor, flow: Tensor) -> Tensor:
        """moving (N, C, H, W), flow (N, 2, H, W) in pixels -> moved (N, C, H, W)."""
        grid = flow_to_grid(flow.float())
        return F.grid_sample(moving.float(), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
