"""Fits a transform to one pair by gradient descent on the training losses: no network, no training, seconds per pair.

What a network can at best learn from a loss, one pair at a time; and a way to align a pair for which there is no
network. Coarse to fine: the images are halved while they stay above 16 px, and every scale starts where the coarser
one ended.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vr.models.base import SizeHw
from vr.models.diffeomorphism import integrate
from vr.models.geometry import affine_flow, flow_to_grid, homogeneous_grid
from vr.runtime.errors import InputError
from vr.train.config import SIMILARITIES
from vr.train.evaluation import folding_rate
from vr.train.losses import compare, smoothness

TRANSFORMS = ("affine", "dense")
MIN_SIDE_PX = 16
_SQUARINGS = 7
_LAST_RATE = 0.02
_AFFINE_BASIS = (
    ((0.0, 0.0, 1.0), (0.0, 0.0, 0.0)),
    ((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    ((0.0, -1.0, 0.0), (1.0, 0.0, 0.0)),
    ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0)),
    ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0)),
)


@dataclass(frozen=True)
class FitConfig:
    """How to fit. Raises InputError, naming the setting, on a value out of bounds.

    transform: "affine", or "dense": an affine, then the integral of a velocity field on a control grid, which does not
        fold.
    similarity: as `vr.train.config.TrainConfig`.
    scales: at most so many; 1 fits at full size only.
    starts: so many shifts per axis, up to a half height each way, are tried on the coarsest scale before the descent;
        1 starts at the identity.
    steps: of descent, per scale; an affine takes three times as many on the coarsest.
    lr: Adam's step size in half heights of the image at the start; it falls to a fiftieth.
    spacing_px: distance of the control points. lambda_smooth: weight of the velocity's squared slope (dense).
    """

    transform: str = "affine"
    similarity: str = "ngf"
    scales: int = 6
    starts: int = 17
    steps: int = 120
    lr: float = 0.05
    spacing_px: int = 8
    lambda_smooth: float = 0.02

    def __post_init__(self) -> None:
        for name, choices in (("transform", TRANSFORMS), ("similarity", SIMILARITIES)):
            if getattr(self, name) not in choices:
                raise InputError(f"{name} {getattr(self, name)!r} is unknown; expected one of {', '.join(choices)}")
        for name, low, high in (("scales", 1, 12), ("starts", 1, 101), ("steps", 1, 100_000), ("spacing_px", 2, 512)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"{name} {getattr(self, name)} is out of bounds; expected {low} to {high}")
        if not 1e-6 <= self.lr <= 1.0 or not 0.0 <= self.lambda_smooth <= 1e6:
            raise InputError(
                f"lr {self.lr} or lambda_smooth {self.lambda_smooth} is out of bounds; expected 1e-6 to 1, and 0 to 1e6"
            )


@dataclass(frozen=True)
class Fitted:
    """What was found for one pair.

    flow: (1, 2, H, W) float32, x then y, px. theta: (1, 2, 3) float32, normalised; None if dense.
    similarity_before, similarity: the loss on the full size without alignment and with this one. folding: share of
    the pixels at which the flow folds.
    """

    flow: Tensor
    theta: Tensor | None
    similarity_before: float
    similarity: float
    folding: float


class _Transform(Protocol):
    def flow(self, size_hw: SizeHw) -> Tensor: ...

    def roughness(self, size_hw: SizeHw) -> Tensor: ...

    def stages(self, sizes: list[SizeHw]) -> Iterator[SizeHw]: ...

    def parameters(self) -> Iterator[nn.Parameter]: ...


def fit_pair(moving: Tensor, fixed: Tensor, config: FitConfig, start: Tensor | None = None) -> Fitted:
    """Aligns one pair: moving, fixed (1, 1, H, W) float32 in [0, 1], of the same size, at least 16 px each way.

    start: (1, 2, 3) theta to descend from with all its freedom, for example a network's answer; `config.starts` has no
    effect then. Deterministic: nothing is drawn. Raises InputError on other shapes, and if the loss is not a number.
    """
    _check_images(moving, fixed)
    affine = _Affine(moving, start)
    if start is None:
        _start(affine, moving, fixed, config)
    _descend(affine, moving, fixed, config)
    theta = affine.theta().detach()
    found: _Transform = affine
    if config.transform == "dense":
        found = _Dense(moving, theta, config.spacing_px)
        _descend(found, moving, fixed, config)
    size_hw = moving.shape[-2], moving.shape[-1]
    with torch.no_grad():
        flow = found.flow(size_hw)
        before, after = (float(_difference(moving, fixed, f, config)) for f in (torch.zeros_like(flow), flow))
    dense = config.transform == "dense"
    return Fitted(flow, None if dense else theta, before, after, float(folding_rate(flow)))


class _Affine(nn.Module):
    """Six numbers in half heights of the image, so that a step means as much in x as in y; 0 is the identity.

    In the order in which they are let free: shift x, y; turn and growth; stretch and shear.
    """

    def __init__(self, image: Tensor, start: Tensor | None = None) -> None:
        super().__init__()
        self.amounts = nn.Parameter(torch.zeros(6, 1, 1, device=image.device))
        self.free = 6
        aspect = image.shape[-1] / image.shape[-2]
        unit = torch.tensor([[1.0, 1.0 / aspect, 1.0 / aspect], [aspect, 1.0, 1.0]])
        self.basis = (torch.tensor(_AFFINE_BASIS) * unit).to(image.device)
        self.is_started = start is not None
        if start is not None:
            with torch.no_grad():
                away = (start[0].to(self.basis) - self.theta()[0]).reshape(6, 1)
                self.amounts.copy_(torch.linalg.solve(self.basis.reshape(6, 6).T, away).unsqueeze(2))

    def theta(self) -> Tensor:
        identity = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], device=self.basis.device)
        return (identity + (self.amounts * self.basis)[: self.free].sum(dim=0)).unsqueeze(0)

    def flow(self, size_hw: SizeHw) -> Tensor:
        return affine_flow(self.theta(), *size_hw)

    def roughness(self, size_hw: SizeHw) -> Tensor:
        return torch.zeros((), device=self.basis.device)

    def stages(self, sizes: list[SizeHw]) -> Iterator[SizeHw]:
        """On the coarsest size first the shift alone, then turn and growth too: far from the truth a shear is an easy
        way to touch a mask, and a blind alley. A transform that is nearly right is let free at once.
        """
        if self.is_started:
            yield from sizes
            return
        for self.free in (2, 4):
            yield sizes[0]
        self.free = 6
        yield from sizes


class _Dense(nn.Module):
    """A fixed affine after the integral of a velocity field; the field in half heights, on a coarse grid."""

    def __init__(self, image: Tensor, theta: Tensor, spacing_px: int) -> None:
        super().__init__()
        grid_hw = [max(2, round(side / spacing_px)) for side in image.shape[-2:]]
        self.velocity = nn.Parameter(torch.zeros(1, 2, *grid_hw, device=image.device))
        self.affine = theta

    def velocity_px(self, size_hw: SizeHw) -> Tensor:
        smooth = F.interpolate(self.velocity, size_hw, mode="bicubic", align_corners=False)
        return smooth * (size_hw[0] / 2.0)

    def flow(self, size_hw: SizeHw) -> Tensor:
        height, width = size_hw
        bent = flow_to_grid(integrate(self.velocity_px(size_hw), _SQUARINGS)).flatten(1, 2).transpose(1, 2)
        source = self.affine[:, :, :2] @ bent + self.affine[:, :, 2:]
        shift = source - homogeneous_grid(height, width, source)[:2]
        half = torch.tensor([[width / 2.0], [height / 2.0]], device=source.device)
        return (shift * half).unflatten(2, (height, width))

    def roughness(self, size_hw: SizeHw) -> Tensor:
        return smoothness(self.velocity_px(size_hw), "l2")

    def stages(self, sizes: list[SizeHw]) -> Iterator[SizeHw]:
        yield from sizes


@torch.no_grad()
def _start(affine: _Affine, moving: Tensor, fixed: Tensor, config: FitConfig) -> None:
    """The shift of the least loss; of several people, a descent may end on the neighbour of the right one."""
    size_hw = _sizes(moving, config.scales)[0]
    small_moving, small_fixed = (F.interpolate(image, size_hw, mode="area") for image in (moving, fixed))
    # The identity first: it wins a tie.
    along = sorted(torch.linspace(-1.0, 1.0, config.starts).tolist(), key=abs) if config.starts > 1 else [0.0]
    best, least = (0.0, 0.0), float("inf")
    for start in itertools.product(along, along):
        affine.amounts[:2, 0, 0] = torch.tensor(start, device=affine.amounts.device)
        loss = float(_difference(small_moving, small_fixed, affine.flow(size_hw), config))
        if loss < least:
            best, least = start, loss
    affine.amounts[:2, 0, 0] = torch.tensor(best, device=affine.amounts.device)


def _descend(transform: _Transform, moving: Tensor, fixed: Tensor, config: FitConfig) -> None:
    sizes = _sizes(moving, config.scales)
    stages = len(list(transform.stages(sizes)))
    optimizer = torch.optim.Adam(transform.parameters(), lr=config.lr)
    rates = torch.optim.lr_scheduler.ExponentialLR(optimizer, _LAST_RATE ** (1.0 / (config.steps * stages)))
    for size_hw in transform.stages(sizes):
        small_moving, small_fixed = (F.interpolate(image, size_hw, mode="area") for image in (moving, fixed))
        for _ in range(config.steps):
            alike = _difference(small_moving, small_fixed, transform.flow(size_hw), config)
            loss = alike + config.lambda_smooth * transform.roughness(size_hw)
            if not bool(loss.isfinite()):
                raise InputError(f"the loss is {float(loss.detach())} while fitting; lower --lr (it is {config.lr})")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rates.step()


def _difference(moving: Tensor, fixed: Tensor, flow: Tensor, config: FitConfig) -> Tensor:
    return compare(config.similarity, moving, fixed, flow, 1)


def _sizes(image: Tensor, scales: int) -> list[SizeHw]:
    """Sizes to fit at, the coarsest first."""
    height, width = image.shape[-2:]
    sizes: list[SizeHw] = [(height, width)]
    while len(sizes) < scales and min(sizes[-1]) >= 2 * MIN_SIDE_PX:
        sizes.append((sizes[-1][0] // 2, sizes[-1][1] // 2))
    return sizes[::-1]


def _check_images(moving: Tensor, fixed: Tensor) -> None:
    good = moving.shape == fixed.shape and moving.shape[:2] == (1, 1) and min(moving.shape[-2:]) >= MIN_SIDE_PX
    if not good:
        raise InputError(
            f"images of shapes {tuple(moving.shape)} and {tuple(fixed.shape)} cannot be fitted; expected one pair, "
            f"both (1, 1, H, W), sides of at least {MIN_SIDE_PX} px"
        )
