"""A matching network that knows its rig's systematic error."""

from collections.abc import Sequence

import torch
from torch import Tensor

from vr.models.base import Registration, RegistrationNet, SizeHw
from vr.models.geometry import affine_flow
from vr.models.match import ROUNDS, MatchNet, Rounds

Rows = Sequence[Sequence[float]]
IDENTITY: Rows = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0))


class RigNet(RegistrationNet):
    """A `MatchNet` whose answer is corrected by a constant affine in the IR frame: theta = correction o theta_match.

    Two sensors do not see an edge at quite the same place, and what a network makes of that is nearly the same in all
    frames of a rig: it can be measured and taken off. correction: (2, 3), normalised; the other arguments are those of
    `MatchNet`, and `match` holds its weights.
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
        correction: Rows = IDENTITY,
    ) -> None:
        rows = [[float(entry) for entry in row] for row in correction]
        if [len(row) for row in rows] != [3, 3]:
            raise ValueError(f"a correction is 2x3 numbers, not {correction}")
        size_hw = int(size_hw[0]), int(size_hw[1])
        super().__init__(size_hw, width=width, deep=deep, rounds=tuple(rounds), correction=rows)
        self.match = MatchNet(size_hw, width, deep, rounds)
        self.register_buffer("correction", torch.tensor(rows), persistent=False)

    @classmethod
    def around(cls, match: MatchNet, correction: Rows) -> "RigNet":
        """The same network, corrected; shares no weights with `match`."""
        net = cls(**match.config, correction=correction)
        net.match.load_state_dict(match.state_dict())
        return net.train(match.training)

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Moving, fixed (N, 1, H, W) in [0, 1] -> flow, theta, confidence and information."""
        found = self.match(moving, fixed)
        assert found.theta is not None
        correction = self.get_buffer("correction")
        shift = torch.cat([torch.zeros_like(correction[:, :2]), correction[:, 2:]], dim=1)
        theta = correction[:, :2] @ found.theta + shift
        return Registration(affine_flow(theta, *fixed.shape[-2:]), theta, found.confidence, found.information)
