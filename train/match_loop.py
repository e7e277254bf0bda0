"""Training of the matching network: known random warps, every stage supervised, then the judge.

Samples are numbered and each is drawn from its own generator (`vr.train.match_data`), so a resumed run
continues with the very sample that the interrupted one would have seen next.
"""

import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vr.models import affine_fit
from vr.models.match import MatchNet
from vr.runtime.aligner import REFUSE_BELOW
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint
from vr.train.data import Pair, Split
from vr.train.loop import ignore_stop_signals
from vr.train.match_data import MatchDataset
from vr.train.match_judge import fit_judge, gather, judge_figures
from vr.train.match_loss import START_ERRORS_PX, grid_error_px, perturbed, total_loss
from vr.train.run_folder import RunFolder

OnStep = Callable[["MatchTrainer", dict[str, Tensor]], None]
_SAVE_EVERY = 100
_LOG_EVERY = 25


@dataclass(frozen=True)
class MatchConfig:
    """How the matching network is trained. The defaults are the recipe of the embedded model."""

    size_hw: SizeHw = (240, 320)
    width: int = 32
    steps: int = 3000
    batch: int = 8
    lr: float = 3e-3
    weight_decay: float = 1e-4
    seed: int = 0
    shares: dict[str, float] = field(default_factory=lambda: {"pairs": 0.5, "pseudo": 0.2, "scenes": 0.3})
    val_every: int = 500
    val_samples: int = 120
    judge_samples: int = 1500
    workers: int = 1


class MatchTrainer:
    """One run: network, optimizer, schedule, data; `train` goes on until `config.steps`."""

    def __init__(self, config: MatchConfig, split: Split, folder: RunFolder, run: str, device: torch.device) -> None:
        self.config, self.split, self.folder, self.run, self.device = config, split, folder, run, device
        torch.manual_seed(config.seed)
        # This memory format makes a step on a CPU 10 % faster.
        self.net = MatchNet(config.size_hw, config.width).to(device)
        self.net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # missing in torch's types
        self.optimizer = torch.optim.AdamW(self.net.parameters(), config.lr, weight_decay=config.weight_decay)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self._rate_at)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0
        self.history: list[dict[str, Any]] = []

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
        """Fits the judge, measures the test split, writes `final.pt` and `figures.json`; returns the
        figures.
        """
        config = self.config
        judge_pairs = [*self.split.val, *self.split.train[::8]]
        judge_set = self._dataset(judge_pairs, config.judge_samples, config.seed + 1, config.shares)
        signs, errors = gather(self.net, judge_set, config.batch * 3)
        figures = {"judge_nats": fit_judge(self.net, signs, errors, config.seed)}
        test_set = self._dataset(
            self.split.test, config.val_samples * 3, config.seed + 2, {"pairs": 1.0, "scenes": 0.0}
        )
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
                matches, refined = self.net.register(moving, fixed)
                final = affine_fit.theta_to_centred(refined.theta, *config.size_hw)
                affines = [*[match.affine for match in matches], final]
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

        def start(index: int, estimate: Tensor) -> Tensor:
            reach = START_ERRORS_PX[index]
            random = perturbed(truth, reach, width, self.generator)
            coin = torch.rand(len(truth), generator=self.generator).to(truth.device)
            usable = (grid_error_px(estimate, truth, height, width) < reach) & (coin < 0.5)
            return torch.where(usable.reshape(-1, 1, 1), estimate, random)

        matches = self.net.match(*self.net.features(moving, fixed), start)
        parts = total_loss(matches, truth, height, width)
        self.optimizer.zero_grad()
        parts["loss"].backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        self.schedule.step()
        self.step += 1
        return parts

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
        return MatchDataset(pairs, self.config.size_hw, length, seed, shares)

    def _loader(self) -> DataLoader[dict[str, Tensor]]:
        config = self.config
        first = self.step * config.batch
        length = (config.steps - self.step) * config.batch
        data = MatchDataset(self.split.train, config.size_hw, length, config.seed, config.shares, first)
        return DataLoader(
            data,
            config.batch,
            num_workers=config.workers,
            prefetch_factor=4 if config.workers else None,
            worker_init_fn=ignore_stop_signals,
        )

    def _training(self) -> dict[str, Any]:
        settings = {**asdict(self.config), "size_hw": list(self.config.size_hw)}
        return {"settings": settings, "train_pairs": len(self.split.train)}


def _real(pairs: list[Pair]) -> dict[str, float]:
    """What to measure on: real pairs where there are any."""
    return {"pairs": 1.0} if pairs else {"scenes": 1.0}


def summary(errors_px: Tensor) -> dict[str, float]:
    """Median, and the shares below 3, 5 and 10 px."""
    shares = {f"below_{limit}_px": float((errors_px < limit).float().mean()) for limit in (3, 5, 10)}
    return {"median_px": float(errors_px.median()), **shares}
