"""What every registration network has in common."""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from torch import Tensor, nn

SizeHw = tuple[int, int]


class Registration(NamedTuple):
    """A transform from the fixed (RGB) to the moving (IR) image, as a network estimates it.

    flow: (N, 2, H, W) float32 in pixels of the network's grid, see `vr.models.geometry`.
    theta: float32, normalised; (N, 2, 3) of an affine, (N, 3, 3) with last entry 1 of a homography; None for a dense
        network.
    confidence: (N,) in [0, 1]; None where the network has none.
    information: (N, 6, 6) float32, how strongly the pair determines an increment D (2, 3), x row before y row, on the
        fixed side in normalised coordinates (theta_true = theta o (I + D)^-1): the normal matrix of a least-squares
        fit, symmetric, in any unit that is the same for all pairs; None where the network has none.
    """

    flow: Tensor
    theta: Tensor | None = None
    confidence: Tensor | None = None
    information: Tensor | None = None


class RegistrationNet(nn.Module, ABC):
    """A network `forward(moving, fixed) -> Registration`; both inputs (N, 1, H, W) float32 in [0, 1].

    `size_hw` is the size it was built for; a `dynamic` network takes any multiple of `size_multiple` from there.
    `config` holds the constructor's arguments: a checkpoint needs nothing else to build the network again.
    """

    network: ClassVar[str]
    kind: ClassVar[Literal["affine", "homography", "dense"]]
    dynamic: ClassVar[bool] = False
    size_multiple: ClassVar[int] = 1
    has_confidence: ClassVar[bool] = False
    has_information: ClassVar[bool] = False

    def __init__(self, size_hw: SizeHw, **config: Any) -> None:
        super().__init__()
        self.size_hw = size_hw
        self.config: dict[str, Any] = {"size_hw": list(size_hw), **config}

    @abstractmethod
    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Estimates the transform; sizes as in the class docstring."""


def full_precision(like: Tensor) -> AbstractContextManager[Any]:
    """Leaves a `torch.autocast` of the device of `like`, for what must be computed in float32.

    A bfloat16 has 8 significant bits: near 1, as in theta, it is off by 0.6 px at the border of an image of 320 px.
    """
    kind = like.device.type
    # An exporter that traces this shall see no context at all.
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
