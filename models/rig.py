"""A matching network that knows its rig."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vr.models.base import Registration, RegistrationNet, SizeHw
from vr.models.geometry import affine_flow
from vr.models.match import ROUNDS, MatchNet, Rounds

Rows = Sequence[Sequence[float]]
IDENTITY: Rows = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))
STANDARD_WIDTH_PX = 320.0
REACH_SCATTERS = 3.0
"""So many times its usual distance from the rig's transform an answer may be and is still pulled half of the way."""


class RigNet(RegistrationNet):
    """A `MatchNet` with a prior: its answer is drawn to the known transform of a rig as long as it is near it.

    With d the distance of the answer from `rig` (root mean square over the frame, px at 320 px width) and the usual
    one, `scatter_px`, the result is `rig + w (answer - rig)` with `w = d^4 / (d^4 + (3 scatter_px)^4)`: what frames of
    the rig scatter is taken off, what a knock moves is not. confidence and information are those of the answer.

    rig: (2, 3), theta, normalised. The other arguments are those of `MatchNet`, and `match` holds its weights.
    """

    network = "match-rig"
    kind = "affine"
    dynamic = True
    size_multiple = MatchNet.size_multiple
    has_confidence = True
    has_information = True

    def __init__(
        self,
        size_hw: SizeHw = (240, 320),
        width: int = 32,
        deep: int = 96,
        rounds: Rounds = ROUNDS,
        rig: Rows = IDENTITY,
        scatter_px: float = 1.0,
    ) -> None:
        rows = [[float(entry) for entry in row] for row in rig]
        if [len(row) for row in rows] != [3, 3] or not scatter_px > 0.0:
            raise ValueError(f"rig {rig} and scatter_px {scatter_px} are no 2x3 numbers and a length above 0")
        size_hw = int(size_hw[0]), int(size_hw[1])
        super().__init__(size_hw, width=width, deep=deep, rounds=tuple(rounds), rig=rows, scatter_px=float(scatter_px))
        self.match = MatchNet(size_hw, width, deep, rounds)
        self.scatter_px = float(scatter_px)
        self.register_buffer("rig", torch.tensor(rows), persistent=False)

    @classmethod
    def around(cls, match: MatchNet, rig: Rows, scatter_px: float) -> "RigNet":
        """The same network with a prior; shares no weights with `match`."""
        net = cls(**match.config, rig=rig, scatter_px=scatter_px)
        net.match.load_state_dict(match.state_dict())
        return net.train(match.training)

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Moving, fixed (N, 1, H, W) in [0, 1] -> flow, theta, confidence and information."""
        found = self.match(moving, fixed)
        assert found.theta is not None
        theta = self.drawn(found.theta)
        return Registration(affine_flow(theta, *fixed.shape[-2:]), theta, found.confidence, found.information)

    def drawn(self, theta: Tensor) -> Tensor:
        """(N, 2, 3) to the same, drawn to the rig's transform."""
        offset = theta - self.get_buffer("rig")
        reach = (REACH_SCATTERS * self.scatter_px) ** 4
        power = self._mean_square_px(offset).square()
        return self.get_buffer("rig") + (power / (power + reach)).reshape(-1, 1, 1) * offset

    def _mean_square_px(self, offset: Tensor) -> Tensor:
        """(N,) mean over the frame of the squared displacement: x^2 and y^2 have the mean 1/3 over [-1, 1]."""
        height, width = self.size_hw
        half = STANDARD_WIDTH_PX / 2.0
        along = offset.square()
        by_axis = along[:, :, 0] / 3.0 + along[:, :, 1] / 3.0 + along[:, :, 2]
        return by_axis[:, 0] * half**2 + by_axis[:, 1] * (half * height / width) ** 2
