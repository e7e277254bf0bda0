"""Registration networks whose answer is known, for tests of what is built around networks."""

import torch
from torch import Tensor, nn

from vr.models.base import Registration, RegistrationNet, SizeHw
from vr.models.geometry import affine_flow, homography_flow

THETA = ((1.04, 0.03, 0.06), (-0.02, 0.97, -0.05))
TILT = (0.07, -0.05, 1.0)


class FixedAffine(RegistrationNet):
    """Always the same theta, shifted in x by the mean of the moving image; confidence is the mean of the
    fixed one.
    """

    network = "fixed-affine"
    kind = "affine"
    dynamic = True
    size_multiple = 8
    has_confidence = True

    def __init__(
        self, size_hw: SizeHw = (48, 64), theta: tuple[tuple[float, ...], ...] = THETA, gain: float = 0.0
    ) -> None:
        super().__init__(size_hw, theta=theta, gain=gain)
        self.theta = nn.Parameter(torch.tensor(theta))
        self.gain = gain

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        shift = torch.stack([moving.mean(dim=(1, 2, 3)), moving.mean(dim=(1, 2, 3))], dim=1).unsqueeze(2)
        theta = torch.cat([self.theta[:, :2].expand(moving.shape[0], 2, 2), self.theta[:, 2:] + self.gain * shift], 2)
        flow = affine_flow(theta, moving.shape[2], moving.shape[3])
        return Registration(flow, theta, fixed.mean(dim=(1, 2, 3)))


class FixedHomography(RegistrationNet):
    """Always the same homography, tilted in x by the mean of the moving image; confidence as `FixedAffine`."""

    network = "fixed-homography"
    kind = "homography"
    dynamic = True
    size_multiple = 8
    has_confidence = True

    def __init__(self, size_hw: SizeHw = (48, 64), gain: float = 0.0) -> None:
        super().__init__(size_hw, gain=gain)
        self.theta = nn.Parameter(torch.tensor([*THETA, TILT]))
        self.gain = gain

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        tilt = nn.functional.pad(self.gain * moving.mean(dim=(2, 3)).unsqueeze(2), (0, 2, 2, 0))
        theta = self.theta + tilt
        flow = homography_flow(theta, moving.shape[2], moving.shape[3])
        return Registration(flow, theta, fixed.mean(dim=(1, 2, 3)))


class InformedAffine(FixedAffine):
    """The same with an information matrix that follows the moving image; symmetric, entries of about 1e6."""

    network = "informed-affine"
    has_information = True

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        found = super().forward(moving, fixed)
        level = 1e6 * moving.mean(dim=(2, 3)).unsqueeze(2)
        return found._replace(information=level * (torch.eye(6) + 0.2))


class SmoothFlow(RegistrationNet):
    """A dense flow of a few pixels that bends over the frame and follows the moving image's local mean."""

    network = "smooth-flow"
    kind = "dense"
    dynamic = True
    size_multiple = 8

    def __init__(self, size_hw: SizeHw = (48, 64)) -> None:
        super().__init__(size_hw)
        self.conv = nn.Conv2d(1, 8, 3, padding=1)
        self.head = nn.Conv2d(8, 2, 1)
        for layer, seed in ((self.conv, 0), (self.head, 1)):
            generator = torch.Generator().manual_seed(seed)
            with torch.no_grad():
                layer.weight.copy_(torch.randn(layer.weight.shape, generator=generator))

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        del fixed
        smooth = nn.functional.avg_pool2d(moving, 9, stride=1, padding=4)
        return Registration(self.head(self.conv(smooth)))
