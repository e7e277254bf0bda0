"""Training of the dense head: bent pairs with known flows, on top of a matching network that stays as it is."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vr.models import affine_fit
from vr.models.dense import DenseNet, Seen
from vr.models.encoder import Features
from vr.models.match import MatchNet
from vr.runtime.errors import InputError
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint
from vr.train.data import Pair, Split
from vr.train.dense_data import BentDataset
from vr.train.dense_loss import dense_loss, error_px, truth_of
from vr.train.match_data import Augment, Pool, real_canvases
from vr.train.match_loss import grid_error_px, perturbed
from vr.train.run_folder import RunFolder
from vr.train.step_trainer import StepConfig, StepTrainer

# An affine further off than this is lost, px: the head neither learns from such starts nor is measured on them.
LOST_PX = 12.0


@dataclass(frozen=True)
class DenseConfig(StepConfig):
    """How the dense head is trained.

    Every sample is seen from two starts: the matching network's own affine, and the true one, wrong by up to about
    start_px at the corners. scenes, degrade, new_scenes, shares: as in `vr.train.match_loop.MatchConfig`.
    """

    steps: int = 3000
    lr: float = 2e-3
    hidden: int = 48
    looks: int = 3
    start_px: float = 8.0
    scenes: int = 400
    degrade: bool = True
    new_scenes: bool = True
    shares: dict[str, float] = field(default_factory=lambda: {"pairs": 0.5, "pseudo": 0.2, "scenes": 0.3})


class DenseTrainer(StepTrainer[DenseNet, DenseConfig]):
    """One run of the dense head; `base` is the checkpoint of the matching network below it."""

    def __init__(
        self, config: DenseConfig, base: Checkpoint, split: Split, folder: RunFolder, run: str, device: torch.device
    ) -> None:
        """Raises InputError if `base` is of another network."""
        torch.manual_seed(config.seed)
        self.base = base
        net = DenseNet.around(_match_net(base), config.hidden, config.looks).train()
        learned = [parameter for parameter in net.parameters() if parameter.requires_grad]
        super().__init__(net, learned, config, split, folder, run, device)

    def validate(self) -> dict[str, float]:
        """`measure` on the validation pairs and on scenes that are not trained on."""
        figures: dict[str, float] = {}
        for name, pairs in (("pairs", self.split.val), ("scenes", [])):
            if pairs or name == "scenes":
                found = self._measure(pairs, self.config.seed + 1000)
                figures |= {f"val_{name}_{key}": value for key, value in found.items()}
        return figures

    def finish(self) -> dict[str, Any]:
        """Writes `best.pt`; returns the figures of the test pairs, or of unseen scenes where there are none."""
        checkpoint.save(self.folder.best, self._checkpoint(self.net))
        return self._measure(self.split.test, self.config.seed + 2)

    def _measure(self, pairs: list[Pair], seed: int) -> dict[str, float]:
        pool = Pool(real_canvases(pairs), self._unseen_scenes)
        shares = {"pairs": 1.0} if pairs else {"scenes": 1.0}
        data = BentDataset(pool, self.net.size_hw, self.config.val_samples, seed, shares)
        return measure(self.net, DataLoader(data, self.config.batch), self.device)

    def _losses(self, sample: dict[str, Tensor]) -> dict[str, Tensor]:
        moving, fixed, theta, flow = (sample[name].to(self.device) for name in ("moving", "fixed", "theta", "flow"))
        with torch.no_grad():
            seen = self._seen(moving, fixed, theta)
        return dense_loss(seen.theta, self.net.bends(seen), truth_of(flow.repeat(2, 1, 1, 1)))

    def _seen(self, moving: Tensor, fixed: Tensor, theta: Tensor) -> Seen:
        """What the head sees of N samples from 2 N starts: the network's own, where they are not lost, and made up
        ones.
        """
        match, size_hw = self.net.match, (fixed.shape[2], fixed.shape[3])
        features = match.features(moving, fixed)
        found = match.find(*features, size_hw)
        truth = affine_fit.theta_to_centred(theta, *size_hw)
        own = affine_fit.theta_to_centred(found.theta, *size_hw)
        random, other = (perturbed(truth, self.config.start_px, size_hw[1], self.generator) for _ in range(2))
        usable = grid_error_px(own, truth, *size_hw) < LOST_PX
        starts = torch.cat([torch.where(usable.reshape(-1, 1, 1), own, other), random])
        moving2, fixed2 = (Features(*[part.repeat(2, 1, 1, 1) for part in one]) for one in features)
        return self.net.seen(moving2, fixed2, affine_fit.centred_to_theta(starts, *size_hw))

    def _samples(self, first: int, length: int) -> BentDataset:
        config = self.config
        augment = Augment(config.degrade, config.new_scenes)
        return BentDataset(self.pool, self.net.size_hw, length, config.seed, config.shares, first, augment)

    def _training(self) -> dict[str, Any]:
        return {**super()._training(), "base": {"run": self.base.run, "step": self.base.step}}


def _match_net(base: Checkpoint) -> MatchNet:
    net = base.build()
    if not isinstance(net, MatchNet):
        raise InputError(
            f"run {base.run} trained the {base.network} network; a dense head needs a checkpoint of vr-train match"
        )
    return net


@torch.no_grad()
def measure(net: DenseNet, batches: "DataLoader[dict[str, Tensor]]", device: torch.device) -> dict[str, float]:
    """Mean end-point errors, px, over all places of the samples whose affine is not lost, by whether they are bent.

    bent_px, straight_px: the network's; `_start_px`: of the affine that it starts from; bent_best_affine_px: what the
    best possible affine leaves; bent_worse, straight_worse: share of the samples that end worse than the best affine
    (bent) or than they started (straight); lost: share of the samples whose affine is lost.
    """
    net.eval()
    rows = torch.cat([_errors(net, {k: v.to(device) for k, v in sample.items()}) for sample in batches])
    net.train()
    start, end, best = rows.unbind(dim=1)
    kept, bent = start < best + LOST_PX, best > 0.1
    figures = {"lost": float((~kept).float().mean())}
    for name, chosen, before in (("bent", kept & bent, best), ("straight", kept & ~bent, start)):
        if chosen.any():
            figures[f"{name}_px"], figures[f"{name}_start_px"] = float(end[chosen].mean()), float(start[chosen].mean())
            figures[f"{name}_worse"] = float((end > before)[chosen].float().mean())
    if (kept & bent).any():
        figures["bent_best_affine_px"] = float(best[kept & bent].mean())
    return figures


def _errors(net: DenseNet, sample: dict[str, Tensor]) -> Tensor:
    """(N, 3): mean error of the affine, of the network, and of the best affine."""
    moving, fixed, theta = sample["moving"], sample["fixed"], sample["theta"]
    size_hw = (fixed.shape[2], fixed.shape[3])
    features = net.match.features(moving, fixed)
    found = net.match.find(*features, size_hw)
    seen = net.seen(*features, found.theta)
    truth = truth_of(sample["flow"])
    bend = net.bends(seen)[-1]
    still = torch.zeros_like(bend)
    errors = [error_px(found.theta, still, truth), error_px(found.theta, bend, truth), error_px(theta, still, truth)]
    return torch.stack([error.mean(dim=(1, 2)) for error in errors], dim=1)
