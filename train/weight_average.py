"""A running average of a network's weights, which is steadier than the weights of any one step."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Net = TypeVar("Net", bound=nn.Module)


class WeightAverage(Generic[Net]):
    """`average = d * average + (1 - d) * weights` after each step (Polyak and Juditsky, 1992; exponential).

    d is `decay`, but at most `(1 + step) / (10 + step)`, so that the first steps of a run are soon forgotten.
    """

    def __init__(self, net: Net, decay: float) -> None:
        """Starts at the weights of `net`."""
        self.net = copy.deepcopy(net).requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, net: Net, step: int) -> None:
        """Takes in the weights of `net` after step number `step`, from 1."""
        new_share = 1.0 - min(self.decay, (1.0 + step) / (10.0 + step))
        for average, weights in zip(self.net.parameters(), net.parameters(), strict=True):
            average.lerp_(weights, new_share)
