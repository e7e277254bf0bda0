"""Training of the matching network: known random warps, every stage supervised, then the judge."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vr.models import affine_fit
from vr.models.encoder import Features
from vr.models.match import FINE, ROUNDS, Found, MatchNet, Rounds
from vr.models.refinement import refine
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.runtime.search import REFUSE_BELOW
from vr.train import checkpoint
from vr.train.data import Pair, Split
from vr.train.match_data import Augment, MatchDataset, Pool, real_canvases
from vr.train.match_judge import fit_judge, gather, judge_figures
from vr.train.match_loss import START_ERRORS_PX, coarse_loss, grid_error_px, perturbed, total_loss
from vr.train.match_tune import tune_damping
from vr.train.run_folder import RunFolder
from vr.train.step_trainer import StepConfig, StepTrainer

_SETTLING_ROUNDS, _SETTLED_SHARE = 10, 0.5

SIZES: dict[str, tuple[SizeHw, Rounds]] = {"base": ((240, 320), ROUNDS), "small": ((160, 208), (3, 2, 1))}
"""Input size and Gauss-Newton rounds of the models that one training makes: the same weights, for two kinds of box."""
GENERATED_ONLY = {"scenes": 0.8, "pseudo": 0.2}
"""Shares of the samples where there are no real pairs."""


@dataclass(frozen=True)
class MatchConfig(StepConfig):
    """How the matching network is trained. The defaults are the recipe of the embedded model.

    Until `refine_from` (share of the steps) only the coarse search is trained, at `coarse_hw`; from there on
    everything, at the sizes of `sizes` by turns. `early_rounds` of the middle and the fine level are trained, each for
    itself, until `polish_from`; then `late_rounds` through each other, half of the time from where many rounds end, so
    that the optimum comes to lie where it should. The finest level has nothing to train: its features are fixed, and
    its weights those of the fine level.
    degrade: with `vr.train.photometric.degrade`; new_scenes: made by merging, bending and covering others
    (`vr.train.scenes`).
    """

    sizes: dict[str, tuple[SizeHw, Rounds]] = field(default_factory=lambda: dict(SIZES))
    coarse_hw: SizeHw = (192, 256)
    width: int = 32
    deep: int = 96
    early_rounds: Rounds = (4, 3)
    late_rounds: Rounds = (5, 5)
    refine_from: float = 0.6
    polish_from: float = 0.85
    degrade: bool = True
    new_scenes: bool = True
    shares: dict[str, float] = field(default_factory=lambda: {"pairs": 0.6, "pseudo": 0.2, "scenes": 0.2})
    tune_samples: int = 96
    judge_samples: int = 1500

    @property
    def size_hw(self) -> SizeHw:
        """Input size of the main model, the first one."""
        return next(iter(self.sizes.values()))[0]

    def size_at(self, step: int) -> SizeHw:
        """Size of the samples of a step."""
        if step < round(self.refine_from * self.steps):
            return self.coarse_hw
        choices = list(self.sizes.values())
        return choices[step % len(choices)][0]


class MatchTrainer(StepTrainer[MatchNet, MatchConfig]):
    """One run of the matching network."""

    def __init__(self, config: MatchConfig, split: Split, folder: RunFolder, run: str, device: torch.device) -> None:
        torch.manual_seed(config.seed)
        size_hw, rounds = next(iter(config.sizes.values()))
        net = MatchNet(size_hw, config.width, config.deep, rounds)
        super().__init__(net, net.parameters(), config, split, folder, run, device)

    def start_from(self, weights: dict[str, Tensor]) -> None:
        """Weights of another run to begin with. Raises InputError if they do not fit this network."""
        try:
            self.net.load_state_dict(weights)
        except RuntimeError as error:
            raise InputError(f"--start: the weights are of another network ({str(error).splitlines()[0]})") from error

    def finish(self) -> dict[str, Any]:
        """For every size: tunes the damping, fits the judge, measures the test split, and writes the checkpoint,
        `best.pt` of the first, `NAME.pt` of the others. Returns the figures of the first, and the others' by name.
        """
        figures: dict[str, Any] = {}
        for name, (size_hw, rounds) in self.config.sizes.items():
            net = self.net.resized(size_hw, rounds)
            found = self._finish(net)
            path = self.folder.best if not figures else self.folder.root / f"{name}.pt"
            checkpoint.save(path, self._checkpoint(net))
            figures = {**figures, name: found} if figures else found
        return figures

    def _finish(self, net: MatchNet) -> dict[str, float]:
        config = self.config
        tune_set = self._dataset(self.split.val, net.size_hw, config.tune_samples, config.seed + 3)
        tuned = tune_damping(net, tune_set, config.batch * 2)
        judge_pairs = [*self.split.val, *self.split.train[::8]]
        judge_set = self._dataset(judge_pairs, net.size_hw, config.judge_samples, config.seed + 1, config.shares)
        signs, errors = gather(net, judge_set, config.batch * 3)
        figures = {**tuned, "judge_nats": fit_judge(net, signs, errors, config.seed)}
        test_set = self._dataset(self.split.test, net.size_hw, config.val_samples * 3, config.seed + 2)
        signs, errors = gather(net, test_set, config.batch * 3)
        return {**figures, **summary(errors[~errors.isinf()]), **judge_figures(net, signs, errors, REFUSE_BELOW)}

    def validate(self) -> dict[str, float]:
        """Error figures by stage on random warps of the validation pairs, the same ones every time."""
        size_hw = self.config.size_hw
        data = self._dataset(self.split.val, size_hw, self.config.val_samples, self.config.seed + 1000)
        errors: list[Tensor] = []
        self.net.eval()
        with torch.no_grad():
            for sample in DataLoader(data, self.config.batch * 2):
                moving, fixed, truth = self._on_device(sample)
                found = self.net.find(*self.net.features(moving, fixed), size_hw)
                ends = [affine_fit.theta_to_centred(level[-1].theta, *size_hw) for level in found.rounds]
                errors.append(torch.stack([grid_error_px(a, truth, *size_hw) for a in (found.coarse.affine, *ends)]))
        self.net.train()
        by_stage = torch.cat(errors, dim=1)
        figures = {f"val_median_px_{i}": float(e.median()) for i, e in enumerate(by_stage)}
        figures["val_coarse_below_10_px"] = float((by_stage[0] < 10.0).float().mean())
        return figures | {f"val_{k}": v for k, v in summary(by_stage[-1]).items()}

    def _losses(self, sample: dict[str, Tensor]) -> dict[str, Tensor]:
        moving, fixed, truth = self._on_device(sample)
        size_hw = (fixed.shape[2], fixed.shape[3])
        features = self.net.features(moving, fixed)
        if self.step < round(self.config.refine_from * self.config.steps):
            return coarse_loss(self.net.search(*features), truth, *size_hw)
        return total_loss(self._find(features, truth, size_hw), truth, *size_hw)

    def _find(self, features: tuple[Features, Features], truth: Tensor, size_hw: SizeHw) -> Found:
        """All stages, each started from near the truth."""
        polishing = self.step >= round(self.config.polish_from * self.config.steps)

        def start(level: int, theta: Tensor) -> Tensor:
            starts = self._starts(level, theta, truth, size_hw)
            return self._settled(features, starts, truth, size_hw) if polishing and level == FINE else starts

        rounds = self.config.late_rounds if polishing else self.config.early_rounds
        return self.net.find(*features, size_hw, start, rounds, unrolled=polishing)

    def _starts(self, level: int, theta: Tensor, truth: Tensor, size_hw: SizeHw) -> Tensor:
        """Where a level starts: half of the time, if it is near enough, from what the stage before found."""
        height, width = size_hw
        reach = START_ERRORS_PX[level]
        estimate = affine_fit.theta_to_centred(theta, height, width)
        random = perturbed(truth, reach, width, self.generator)
        coin = torch.rand(len(truth), generator=self.generator).to(truth.device)
        usable = (grid_error_px(estimate, truth, height, width) < reach) & (coin < 0.5)
        return affine_fit.centred_to_theta(torch.where(usable.reshape(-1, 1, 1), estimate, random), height, width)

    def _settled(self, features: tuple[Features, Features], starts: Tensor, truth: Tensor, size_hw: SizeHw) -> Tensor:
        """Moves some of the fine level's starts to where many rounds end: a loss there moves the optimum itself."""
        height, width = size_hw
        moving, fixed = features
        with torch.no_grad():
            template, level = self.net.template(fixed, FINE), self.net.level(moving, FINE)
            ends = refine(template, level, starts, self.net.settings(FINE), _SETTLING_ROUNDS)[-1].theta
        error = grid_error_px(affine_fit.theta_to_centred(ends, height, width), truth, height, width)
        coin = torch.rand(len(truth), generator=self.generator).to(truth.device)
        chosen = (coin < _SETTLED_SHARE) & (error < 2.0 * START_ERRORS_PX[FINE])
        return torch.where(chosen.reshape(-1, 1, 1), ends, starts)

    def _on_device(self, sample: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        moving, fixed, theta = (sample[name].to(self.device) for name in ("moving", "fixed", "theta"))
        return moving, fixed, affine_fit.theta_to_centred(theta, fixed.shape[2], fixed.shape[3])

    def _dataset(
        self, pairs: list[Pair], size_hw: SizeHw, length: int, seed: int, shares: dict[str, float] | None = None
    ) -> MatchDataset:
        """Samples that are not trained on; without `shares` of real pairs, where there are any."""
        pool = Pool(real_canvases(pairs), self._unseen_scenes)
        return MatchDataset(pool, size_hw, length, seed, shares or ({"pairs": 1.0} if pairs else {"scenes": 1.0}))

    def _samples(self, first: int, length: int) -> MatchDataset:
        config = self.config
        augment = Augment(config.degrade, config.new_scenes)

        def size_of(number: int) -> SizeHw:
            return config.size_at(number // config.batch)

        return MatchDataset(self.pool, size_of, length, config.seed, config.shares, first, augment)


def summary(errors_px: Tensor) -> dict[str, float]:
    """Median, and the shares below 3, 5 and 10 px."""
    shares = {f"below_{limit}_px": float((errors_px < limit).float().mean()) for limit in (3, 5, 10)}
    return {"median_px": float(errors_px.median()), **shares}
