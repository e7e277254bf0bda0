"""The default network: finds the affine between the two images and refines it, in one forward pass.

Coarse to fine: every point of the fixed image against the whole moving image (`vr.models.coarse`), then Gauss-Newton
on learned features at a quarter of the input's size, and on oriented gradients at half and at full size
(`vr.models.refinement`). The confidence is judged from signs that these stages leave behind.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vr.models import affine_fit
from vr.models.base import Registration, RegistrationNet, SizeHw
from vr.models.coarse import Coarse, search
from vr.models.encoder import Encoder, Features
from vr.models.geometry import affine_flow
from vr.models.oriented_gradients import POINT_STEP, noise_floor
from vr.models.refinement import Level, Refined, Settings, Template, make_template, refine, template_of

MIDDLE, FINE, FINEST = 0, 1, 2
LEVELS = (MIDDLE, FINE, FINEST)


class Found(NamedTuple):
    """All stages: the coarse search, then every round of each level; normal (N, 6, 6) of the last level's template."""

    coarse: Coarse
    rounds: list[list[Refined]]
    normal: Tensor

    @property
    def theta(self) -> Tensor:
        """(N, 2, 3): the answer."""
        return self.rounds[-1][-1].theta

    @property
    def information(self) -> Tensor:
        """(N, 6, 6): how firmly the points that still count determine the answer, see `Registration`."""
        last = self.rounds[-1][-1]
        return self.normal * (last.share / last.variance).unsqueeze(2)


Start = Callable[[int, Tensor], Tensor]
Rounds = tuple[int, ...]
ROUNDS: Rounds = (3, 2, 2)


class MatchNet(RegistrationNet):
    """Affine registration across modalities by learned matching and refinement; see the module docstring.

    Sizes: any height and width that are multiples of 16, from 96 up; trained at 240x320.
    width, deep: channels at 1/4 and 1/8 of the input; rounds: Gauss-Newton rounds at 1/4, 1/2 and full size.
    confidence: probability that the mean grid error is below 5 px at 320 px width, as learned from pairs with known
    transforms and from pairs that do not belong together.
    """

    network = "match"
    kind = "affine"
    dynamic = True
    size_multiple = 16
    has_confidence = True
    has_information = True

    def __init__(self, size_hw: SizeHw = (240, 320), width: int = 32, deep: int = 96, rounds: Rounds = ROUNDS) -> None:
        rounds = tuple(int(count) for count in rounds)
        if len(rounds) != len(LEVELS) or min(rounds) < 1:
            raise ValueError(f"rounds {rounds} do not suit the match network; expected three counts from 1 up")
        super().__init__((int(size_hw[0]), int(size_hw[1])), width=width, deep=deep, rounds=rounds)
        self.rounds = rounds
        self.encoder = Encoder(width, deep)
        self.logit_scale = nn.Parameter(torch.tensor(12.0))
        self.nowhere = nn.Parameter(torch.tensor(4.0))
        # The finest level has no tolerance of its own: nothing there is trained.
        self.log_tolerance = nn.Parameter(torch.tensor([0.5, 0.5]).log())
        self.log_damping = nn.Parameter(torch.tensor([1e-3, 1e-3, 1e-3]).log())
        self.judge = nn.Sequential(nn.Linear(EVIDENCE, 24), nn.ReLU(), nn.Linear(24, 1))

    def resized(self, size_hw: SizeHw, rounds: Rounds) -> "MatchNet":
        """The same weights, copied, for inputs of another size and with as many rounds."""
        net = MatchNet(**{**self.config, "size_hw": size_hw, "rounds": rounds})
        net.load_state_dict(self.state_dict())
        return net.to(self.nowhere.device).train(self.training)

    def forward(self, moving: Tensor, fixed: Tensor) -> Registration:
        """Moving, fixed (N, 1, H, W) in [0, 1] -> flow, theta, confidence and information."""
        height, width = fixed.shape[-2:]
        found = self.find(*self.features(moving, fixed), (height, width))
        confidence = self.confidence(found, (height, width))
        return Registration(affine_flow(found.theta, height, width), found.theta, confidence, found.information)

    def confidence(self, found: Found, size_hw: SizeHw) -> Tensor:
        """(N,) in [0, 1], see the class docstring."""
        return torch.sigmoid(self.judge(evidence(found, *size_hw)).squeeze(1))

    def features(self, moving: Tensor, fixed: Tensor) -> tuple[Features, Features]:
        """Features of both images, (N, 1, H, W) each."""
        return self.encoder(moving, fixed)

    def settings(self, level: int) -> Settings:
        """The learned scalars of a refinement level."""
        return Settings(self.log_tolerance[min(level, FINE)].exp(), self.log_damping[level].exp())

    def search(self, moving: Features, fixed: Features) -> Coarse:
        """The coarse stage alone."""
        return search(moving.coarse, fixed.coarse, self.logit_scale, self.nowhere)

    def level(self, moving: Features, number: int) -> Level:
        """What the refinement looks at in the moving image."""
        if number == MIDDLE:
            return Level(moving.middle, moving.middle_weight)
        if number == FINE:
            return Level(moving.fine, moving.fine_weight)
        strength = self.encoder.finest(moving.image)
        return Level(strength, moving.fine_weight, noise_floor(strength))

    def template(self, fixed: Features, number: int) -> Template:
        """What it compares that with."""
        if number == FINEST:
            found = self.encoder.finest.at_points(fixed.image)
            return template_of(found, fixed.fine_weight, (fixed.image.shape[2], fixed.image.shape[3]), POINT_STEP)
        return make_template(self.level(fixed, number))

    def find(
        self,
        moving: Features,
        fixed: Features,
        size_hw: SizeHw,
        start: Start | None = None,
        rounds: Rounds | None = None,
        unrolled: bool = False,
    ) -> Found:
        """All stages in order. For training: `start` replaces the theta that a level starts from, given its number;
        `rounds` of the first levels instead of the network's own; `unrolled` as in `refine`.
        """
        coarse = self.search(moving, fixed)
        theta = affine_fit.centred_to_theta(coarse.affine, *size_hw)
        levels: list[list[Refined]] = []
        template: Template | None = None
        for number, count in enumerate(self.rounds if rounds is None else rounds):
            theta = theta.detach() if start is None else start(number, theta.detach())
            template = self.template(fixed, number)
            done = refine(template, self.level(moving, number), theta, self.settings(number), count, unrolled)
            levels.append(done)
            theta = done[-1].theta
        assert template is not None
        return Found(coarse, levels, template.normal)


EVIDENCE = 17


def evidence(found: Found, height: int, width: int) -> Tensor:
    """(N, EVIDENCE) signs of a good registration, each of order 1.

    Of the coarse search: share of the points that found a place, sharpness of their matches, share of it around the
    affine. Of each level: agreement of the weighted points, and relative to their weights. How far the corners moved
    from stage to stage (log px). At last: how well the least determined direction of the shift is determined, how much
    of the fixed frame the moving one covers, how far the linear part is from the identity, and its change of area.
    """
    coarse, ends = found.coarse, [level[-1] for level in found.rounds]
    signs = [coarse.found, coarse.sharpness, coarse.mass, coarse.mass / (coarse.sharpness + 1e-6)]
    for last in ends:
        signs += [last.agreement, last.share]
    start = affine_fit.centred_to_theta(coarse.affine, height, width)
    moved = _moved_px(torch.cat([start, *[last.theta for last in ends]], dim=1), height, width)
    signs += [torch.log1p(moved) / 3.0, _determined(found.information)]
    signs += [_covered(found.theta, coarse.points, height, width), *_change_of_shape(found.theta, height, width)]
    return torch.cat(signs, dim=1).detach()


def _moved_px(path: Tensor, height: int, width: int) -> Tensor:
    """(N, 3) mean of how far the corners move, along x and along y, between the thetas of path (N, 4 * 2, 3)."""
    corners = torch.tensor([[-1.0, 1.0, -1.0, 1.0], [-1.0, -1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0]], device=path.device)
    half_sides = torch.tensor([width / 2.0, height / 2.0], device=path.device).repeat(4).unsqueeze(1)
    places = (path @ corners * half_sides).reshape(-1, 4, 8)
    return (places[:, 1:] - places[:, :-1]).abs().mean(dim=2)


def _covered(theta: Tensor, points: Tensor, height: int, width: int) -> Tensor:
    """(N, 1) share of points (Q, 2), centred px of the fixed image, that lie within the moving one."""
    design = affine_fit.design(points, 1.0) / torch.tensor([width / 2.0, height / 2.0, 1.0], device=theta.device)
    farthest = (design @ theta.transpose(1, 2)).abs().amax(dim=2)
    return (farthest < 1.0).float().mean(dim=1, keepdim=True)


def _change_of_shape(theta: Tensor, height: int, width: int) -> tuple[Tensor, Tensor]:
    """(N, 1) each: squared distance of the linear part, in px, from the identity, and log of its change of area."""
    identity, linear_part = torch.eye(2, 3, device=theta.device), torch.tensor([1.0, 1.0, 0.0], device=theta.device)
    unit_px = affine_fit.theta_to_centred(linear_part.expand(1, 2, 3), height, width)
    distance = ((theta - identity) * unit_px).flatten(1).square().sum(dim=1, keepdim=True)
    a, b, _, c, d, _ = theta.flatten(1).split(1, dim=1)
    return distance.clamp(max=4.0), (a * d - b * c).abs().add(1e-3).log().clamp(-3.0, 3.0)


def _determined(information: Tensor) -> Tensor:
    """(N, 1) log of the smaller eigenvalue of the information on the shift."""
    mean, half_difference, mixed = {14: 0.5, 35: 0.5}, {14: 0.5, 35: -0.5}, {17: 1.0}
    picks = [[part.get(entry, 0.0) for part in (mean, half_difference, mixed)] for entry in range(36)]
    half_trace, apart = (information.flatten(1) @ torch.tensor(picks, device=information.device)).split([1, 2], dim=1)
    spread = apart.square().sum(dim=1, keepdim=True).add(1e-12).sqrt()
    return (half_trace - spread).clamp(min=1e-2).log() / 10.0
