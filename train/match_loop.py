"""Training of the matching network: known random warps, every stage supervised, then the judge.

Samples are numbered and each is drawn from its own generator (`vr.train.match_data`), so a resumed run
continues with the very sample that the interrupted one would have seen next.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vr.models import affine_fit
from vr.models.encoder import Features
from vr.models.match import FINE, MatchNet
from vr.models.refinement import Level, refine
from vr.runtime.aligner import REFUSE_BELOW
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint
from vr.train.data import Pair, Split
from vr.train.loop import ignore_stop_signals
from vr.train.match_data import Augment, Canvases, MatchDataset, Pool, real_canvases, scene_canvases
from vr.train.match_judge import fit_judge, gather, judge_figures
from vr.train.match_loss import START_ERRORS_PX, grid_error_px, perturbed, total_loss
from vr.train.match_tune import tune_damping
from vr.train.run_folder import RunFolder

OnStep = Callable[["MatchTrainer", dict[str, Tensor]], None]
_SAVE_EVERY = 100
_LOG_EVERY = 25
# Added to the seed for scenes that are measured on and not trained on.
_UNSEEN = 1_000_003
_SETTLING_ROUNDS, _SETTLING_STEP, _SETTLED_SHARE = 10, 1.8, 0.5


SIZES: dict[str, dict[str, Any]] = {
    "base": {"size_hw": (240, 320), "width": 24, "deep": 64, "rounds": (5, 5), "early_rounds": (4, 3)},
    "small": {"size_hw": (160, 208), "width": 16, "deep": 32, "rounds": (4, 3), "early_rounds": (3, 2)},
}


@dataclass(frozen=True)
class MatchConfig:
    """How the matching network is trained. The defaults are the recipe of the embedded model.

    rounds: Gauss-Newton rounds of the network at each level; early_rounds: how many of them are trained, each for
    itself, before `polish_from` (share of the steps). From there on all rounds are trained through each other, half of
    the time from where many rounds end, so that the optimum comes to lie where it should.
    scenes: generated scenes to draw; degrade: with `vr.train.photometric.degrade`; strong_from (share of the steps):
    from there on scenes are also merged and bent (`vr.train.scenes`) and partly covered.
    """

    size_hw: SizeHw = (240, 320)
    width: int = 24
    deep: int = 64
    rounds: tuple[int, int] = (5, 5)
    early_rounds: tuple[int, int] = (4, 3)
    polish_from: float = 0.6
    strong_from: float = 0.65
    scenes: int = 500
    degrade: bool = True
    steps: int = 7000
    batch: int = 8
    lr: float = 3e-3
    weight_decay: float = 1e-4
    seed: int = 0
    shares: dict[str, float] = field(default_factory=lambda: {"pairs": 0.6, "pseudo": 0.2, "scenes": 0.2})
    val_every: int = 500
    val_samples: int = 120
    tune_samples: int = 96
    judge_samples: int = 1500
    workers: int = 1

    @classmethod
    def of_size(cls, size: str, generated_only: bool = False) -> "MatchConfig":
        """The recipe of an embedded model. Raises InputError for an unknown size."""
        if size not in SIZES:
            raise InputError(f"size {size!r} is unknown; expected one of {', '.join(SIZES)}")
        data: dict[str, Any] = {"shares": {"scenes": 0.8, "pseudo": 0.2}, "scenes": 1000} if generated_only else {}
        return cls(**SIZES[size], **data)


class MatchTrainer:
    """One run: network, optimizer, schedule, data; `train` goes on until `config.steps`."""

    def __init__(self, config: MatchConfig, split: Split, folder: RunFolder, run: str, device: torch.device) -> None:
        self.config, self.split, self.folder, self.run, self.device = config, split, folder, run, device
        torch.manual_seed(config.seed)
        # This memory format makes a step on a CPU 10 % faster.
        self.net = MatchNet(config.size_hw, config.width, config.deep, config.rounds).to(device)
        self.net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # missing in torch's types
        self.optimizer = torch.optim.AdamW(self.net.parameters(), config.lr, weight_decay=config.weight_decay)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate_at)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.history: list[dict[str, Any]] = []

    @cached_property
    def pool(self) -> Pool:
        """What is trained on, drawn when first asked for: a resume that is refused need not wait for it."""
        return Pool(real_canvases(self.split.train), scene_canvases(self.config.scenes, self.config.seed))

    @cached_property
    def _unseen_scenes(self) -> Canvases:
        return scene_canvases(max(2, self.config.scenes // 10), self.config.seed + _UNSEEN)

    def restore(self, saved: Checkpoint) -> None:
        """Continues from a checkpoint of the same settings. Raises InputError if they are others."""
        if saved.training != self._training() or saved.optimizer is None or saved.rng is None:
            raise InputError(f"run {saved.run} had other settings or data; resume it with those, or name another --out")
        self.net.load_state_dict(saved.weights)
        self.optimizer.load_state_dict(saved.optimizer["optimizer"])
        self.schedule.load_state_dict(saved.optimizer["schedule"])
        self.generator.set_state(saved.rng["generator"])
        self.step, self.history, self.run = saved.step, list(saved.history), saved.run

    def train(self, stopped: Callable[[], bool], on_step: OnStep) -> bool:
        """All remaining steps, or until `stopped`; the state goes to `last.pt` every 100 steps and at the end.

        Returns whether all steps are done. `on_step` gets the trainer and the step's losses.
        """
        loader = iter(self._loader())
        try:
            while self.step < self.config.steps and not stopped():
                parts = self._one_step(next(loader))
                self._record(parts)
                on_step(self, parts)
        finally:
            self.save(self.folder.last, resumable=True)
        return self.step >= self.config.steps

    def finish(self) -> dict[str, float]:
        """Tunes the damping, fits the judge, writes `best.pt`, and returns the figures of the test split."""
        config = self.config
        tune_set = self._dataset(self.split.val, config.tune_samples, config.seed + 3, _real(self.split.val))
        tuned = tune_damping(self.net, tune_set, config.batch * 2)
        judge_pairs = [*self.split.val, *self.split.train[::8]]
        judge_set = self._dataset(judge_pairs, config.judge_samples, config.seed + 1, config.shares)
        signs, errors = gather(self.net, judge_set, config.batch * 3)
        figures = {**tuned, "judge_nats": fit_judge(self.net, signs, errors, config.seed)}
        test_set = self._dataset(self.split.test, config.val_samples * 3, config.seed + 2, _real(self.split.test))
        signs, errors = gather(self.net, test_set, config.batch * 3)
        figures |= summary(errors[~errors.isinf()])
        figures |= judge_figures(self.net, signs, errors, REFUSE_BELOW)
        self.save(self.folder.best, resumable=False)
        return figures

    def validate(self) -> dict[str, float]:
        """Error figures by stage on random warps of the validation pairs, the same ones every time."""
        config = self.config
        data = self._dataset(self.split.val, config.val_samples, config.seed + 1000, _real(self.split.val))
        errors: list[Tensor] = []
        self.net.eval()
        with torch.no_grad():
            for sample in DataLoader(data, config.batch * 2):
                moving, fixed, truth = self._on_device(sample)
                found = self.net.find(*self.net.features(moving, fixed), config.size_hw)
                ends = [affine_fit.theta_to_centred(level[-1].theta, *config.size_hw) for level in found.rounds]
                affines = [found.coarse.affine, *ends]
                errors.append(torch.stack([grid_error_px(a, truth, *config.size_hw) for a in affines]))
        self.net.train()
        by_stage = torch.cat(errors, dim=1)
        figures = {f"val_median_px_{i}": float(e.median()) for i, e in enumerate(by_stage)}
        return figures | {f"val_{k}": v for k, v in summary(by_stage[-1]).items()}

    def save(self, path: Path, resumable: bool) -> None:
        """Writes a checkpoint, with all that is needed to go on if `resumable`."""
        state = {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}
        rng = {"generator": self.generator.get_state()}
        saved = Checkpoint(
            network="match",
            config=self.net.config,
            weights=self.net.state_dict(),
            mode="gray",
            run=self.run,
            training=self._training(),
            step=self.step,
            optimizer=state if resumable else None,
            rng=rng if resumable else None,
            history=self.history,
        )
        checkpoint.save(path, saved)

    def _one_step(self, sample: dict[str, Tensor]) -> dict[str, Tensor]:
        moving, fixed, truth = self._on_device(sample)
        height, width = self.config.size_hw
        features = self.net.features(moving, fixed)
        polishing = self.step >= round(self.config.polish_from * self.config.steps)

        def start(level: int, theta: Tensor) -> Tensor:
            starts = self._starts(level, theta, truth)
            return self._settled(features, starts, truth) if polishing and level == FINE else starts

        rounds = None if polishing else self.config.early_rounds
        found = self.net.find(*features, (height, width), start, rounds)
        parts = total_loss(found, truth, height, width)
        self.optimizer.zero_grad()
        parts["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return parts

    def _starts(self, level: int, theta: Tensor, truth: Tensor) -> Tensor:
        """Where a level starts: half of the time, if it is near enough, from what the stage before found."""
        height, width = self.config.size_hw
        reach = START_ERRORS_PX[level]
        estimate = affine_fit.theta_to_centred(theta, height, width)
        random = perturbed(truth, reach, width, self.generator)
        coin = torch.rand(len(truth), generator=self.generator).to(truth.device)
        usable = (grid_error_px(estimate, truth, height, width) < reach) & (coin < 0.5)
        return affine_fit.centred_to_theta(torch.where(usable.reshape(-1, 1, 1), estimate, random), height, width)

    def _settled(self, features: tuple[Features, Features], starts: Tensor, truth: Tensor) -> Tensor:
        """Moves some of the fine level's starts to where many rounds end: a loss there moves the optimum itself."""
        height, width = self.config.size_hw
        moving, fixed = (Level(one.fine.detach(), one.fine_weight.detach()) for one in features)
        settings = self.net.settings(FINE)
        many = settings._replace(steps=torch.full((_SETTLING_ROUNDS,), _SETTLING_STEP, device=starts.device))
        with torch.no_grad():
            ends = refine(moving, fixed, starts, many, _SETTLING_ROUNDS)[1][-1].theta
        error = grid_error_px(affine_fit.theta_to_centred(ends, height, width), truth, height, width)
        coin = torch.rand(len(truth), generator=self.generator).to(truth.device)
        chosen = (coin < _SETTLED_SHARE) & (error < 2.0 * START_ERRORS_PX[FINE])
        return torch.where(chosen.reshape(-1, 1, 1), ends, starts)

    def _record(self, parts: dict[str, Tensor]) -> None:
        figures: dict[str, Any] = {}
        if self.step % _LOG_EVERY == 0:
            figures |= {name: value.item() for name, value in parts.items()}
        if self.step % self.config.val_every == 0 or self.step == self.config.steps:
            figures |= self.validate()
        if figures:
            self.history.append({"step": self.step, "time_s": round(time.time()), **figures})
        if self.step % _SAVE_EVERY == 0:
            self.save(self.folder.last, resumable=True)

    def _rate_at(self, step: int) -> float:
        """Share of the peak learning rate: 5 % linear warm-up, then a cosine down to 1 %."""
        warm = max(1, self.config.steps // 20)
        progress = min(1.0, max(0.0, (step - warm) / max(1, self.config.steps - warm)))
        return min((step + 1) / warm, 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress)))

    def _on_device(self, sample: dict[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        moving, fixed, theta = (sample[name].to(self.device) for name in ("moving", "fixed", "theta"))
        return moving, fixed, affine_fit.theta_to_centred(theta, *self.config.size_hw)

    def _dataset(self, pairs: list[Pair], length: int, seed: int, shares: dict[str, float]) -> MatchDataset:
        pool = Pool(real_canvases(pairs), self._unseen_scenes)
        return MatchDataset(pool, self.config.size_hw, length, seed, shares)

    def _loader(self) -> DataLoader[dict[str, Tensor]]:
        config = self.config
        first = self.step * config.batch
        length = (config.steps - self.step) * config.batch
        augment = Augment(config.degrade, round(config.strong_from * config.steps) * config.batch)
        data = MatchDataset(self.pool, config.size_hw, length, config.seed, config.shares, first, augment)
        return DataLoader(
            data,
            config.batch,
            num_workers=config.workers,
            prefetch_factor=4 if config.workers else None,
            worker_init_fn=ignore_stop_signals,
        )

    def _training(self) -> dict[str, Any]:
        settings = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(self.config).items()}  # pyright: ignore
        return {"settings": settings, "train_pairs": len(self.split.train)}


def _real(pairs: list[Pair]) -> dict[str, float]:
    """What to measure on: real pairs where there are any."""
    return {"pairs": 1.0} if pairs else {"scenes": 1.0}


def summary(errors_px: Tensor) -> dict[str, float]:
    """Median, and the shares below 3, 5 and 10 px."""
    shares = {f"below_{limit}_px": float((errors_px < limit).float().mean()) for limit in (3, 5, 10)}
    return {"median_px": float(errors_px.median()), **shares}
