"""What trainings by numbered samples have in common: optimizer, schedule, record, and a state that can be gone on from.

Samples are numbered and each is drawn from its own generator (`vr.train.match_data`), so a resumed run continues with
the very sample that the interrupted one would have seen next.
"""

import json
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from vr.models.base import RegistrationNet
from vr.runtime.errors import InputError
from vr.train import checkpoint
from vr.train.batches import ignore_stop_signals
from vr.train.checkpoint import Checkpoint
from vr.train.data import Split
from vr.train.match_data import Canvases, Pool, real_canvases, scene_canvases
from vr.train.run_folder import RunFolder

_SAVE_EVERY = 100
_LOG_EVERY = 25
# Added to the seed for scenes that are measured on and not trained on.
_UNSEEN = 1_000_003

Sample = dict[str, Tensor]


@dataclass(frozen=True)
class StepConfig:
    """What every such training is told. lr: the peak of the learning rate; scenes: generated scenes to draw; workers:
    processes that make samples.
    """

    steps: int = 13000
    batch: int = 8
    lr: float = 3e-3
    weight_decay: float = 1e-4
    seed: int = 0
    val_every: int = 1000
    val_samples: int = 120
    scenes: int = 1000
    workers: int = 1


Net = TypeVar("Net", bound=RegistrationNet)
Config = TypeVar("Config", bound=StepConfig)


class StepTrainer(ABC, Generic[Net, Config]):
    """One run: network, optimizer, schedule, data; `train` goes on until `config.steps`."""

    def __init__(
        self,
        net: Net,
        learned: Iterable[nn.Parameter],
        config: Config,
        split: Split,
        folder: RunFolder,
        run: str,
        device: torch.device,
    ) -> None:
        self.config, self.split, self.folder, self.run, self.device = config, split, folder, run, device
        self.net = net.to(device)
        # This memory format makes a step on a CPU 10 % faster.
        self.net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # missing in torch's types
        self.optimizer = torch.optim.AdamW(learned, config.lr, weight_decay=config.weight_decay)
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

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Figures on samples that are not trained on, the same ones every time."""

    @abstractmethod
    def finish(self) -> dict[str, Any]:
        """Writes the checkpoint to export, and returns the figures on the test split."""

    @abstractmethod
    def _losses(self, sample: Sample) -> dict[str, Tensor]:
        """`loss` of one batch, and its parts."""

    @abstractmethod
    def _samples(self, first: int, length: int) -> Dataset[Sample]:
        """`length` samples to train on, from number `first` on."""

    def restore(self, saved: Checkpoint) -> None:
        """Continues from a checkpoint of the same settings. Raises InputError if they are others."""
        if saved.training != self._training() or saved.optimizer is None or saved.rng is None:
            raise InputError(f"run {saved.run} had other settings or data; resume it with those, or name another --out")
        self.net.load_state_dict(saved.weights)
        self.optimizer.load_state_dict(saved.optimizer["optimizer"])
        self.schedule.load_state_dict(saved.optimizer["schedule"])
        self.generator.set_state(saved.rng["generator"])
        self.step, self.history, self.run = saved.step, list(saved.history), saved.run

    def train(self, stopped: Callable[[], bool], on_step: "OnStep") -> bool:
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
            self.save_state()
        return self.step >= self.config.steps

    def save_state(self) -> None:
        """Writes `last.pt`, from which the run can go on."""
        state = {"optimizer": self.optimizer.state_dict(), "schedule": self.schedule.state_dict()}
        rng = {"generator": self.generator.get_state()}
        checkpoint.save(self.folder.last, replace(self._checkpoint(self.net), optimizer=state, rng=rng))

    def _checkpoint(self, net: Net) -> Checkpoint:
        return Checkpoint(
            network=net.network,
            config=net.config,
            weights=net.state_dict(),
            mode="gray",
            run=self.run,
            training=self._training(),
            step=self.step,
            history=self.history,
        )

    def _one_step(self, sample: Sample) -> dict[str, Tensor]:
        parts = self._losses(sample)
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
            self.save_state()

    def _rate_at(self, step: int) -> float:
        """Share of the peak learning rate: 5 % linear warm-up, then a cosine down to 1 %."""
        warm = max(1, self.config.steps // 20)
        progress = min(1.0, max(0.0, (step - warm) / max(1, self.config.steps - warm)))
        return min((step + 1) / warm, 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * progress)))

    def _loader(self) -> DataLoader[Sample]:
        config = self.config
        return DataLoader(
            self._samples(self.step * config.batch, (config.steps - self.step) * config.batch),
            config.batch,
            num_workers=config.workers,
            prefetch_factor=4 if config.workers else None,
            worker_init_fn=ignore_stop_signals,
        )

    def _training(self) -> dict[str, Any]:
        # Through JSON, as tuples come back from a file as lists.
        return {"settings": json.loads(json.dumps(asdict(self.config))), "train_pairs": len(self.split.train)}


OnStep = Callable[[StepTrainer[Any, Any], dict[str, Tensor]], None]
