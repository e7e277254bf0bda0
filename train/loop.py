"""The training loop of the two unsupervised networks, with exact resume.

The data of a step follow from the seed, the epoch and the place in it alone, and a checkpoint holds the
weights, the optimizer, torch's random state and the losses of the unfinished epoch. A run that is stopped
after any step and resumed therefore ends, on a CPU, with the same bits as one that was not.
"""

import hashlib
import math
import signal
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.utils.data import DataLoader

from vr.models import registry
from vr.runtime.errors import InputError
from vr.train import checkpoint
from vr.train.augment import Key, PairDataset
from vr.train.checkpoint import Checkpoint
from vr.train.config import TrainConfig
from vr.train.data import Pair, split_pairs
from vr.train.evaluation import Batch, evaluate
from vr.train.losses import Objective
from vr.train.run_folder import RunFolder

OnStep = Callable[[int, float], None]
OnEpoch = Callable[["Trainer"], None]


class Trainer:
    """One run in memory: network, optimizer, data, and how far it has come.

    epoch: finished epochs. step: optimizer steps in all. history: figures of each finished epoch. losses:
    of the steps of the unfinished epoch.
    """

    def __init__(self, config: TrainConfig, pairs: list[Pair], device: torch.device, run: str) -> None:
        """Raises InputError if the network cannot take `config.size_hw`, or if there are too few pairs."""
        self.config, self.device, self.run = config, device, run
        used = pairs[: config.limit] if config.limit else pairs
        self.split = split_pairs(used, config.val_share, config.test_share)
        self.data_id = _data_id(used)
        torch.manual_seed(config.seed)
        try:
            self.net = registry.build(config.network, config.network_arguments).to(device)
        except ValueError as error:
            raise InputError(str(error)) from error
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=config.lr)
        self.objective = Objective(config.similarity, config.pyramid_levels, config.smoothness, config.lambda_smooth)
        self.epoch = self.step = 0
        self.losses: list[float] = []
        self.history: list[dict[str, float]] = []

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one epoch; the last batch may be smaller."""
        return math.ceil(len(self.split.train) / self.config.batch)

    @property
    def is_best(self) -> bool:
        """Whether the last finished epoch has the lowest validation loss so far."""
        return self.history[-1]["val_loss"] <= min(row["val_loss"] for row in self.history)

    def train_epoch(self, should_stop: Callable[[], bool], on_step: OnStep) -> bool:
        """The remaining steps of the current epoch; False if `should_stop` ended it before its last step.

        `on_step` is told the number of the step and its loss. Raises InputError if the loss is not a number.
        """
        self.net.train()
        order = _epoch_order(len(self.split.train), self.config.seed, self.epoch)
        for batch in self._batches("train", [(self.epoch, index) for index in order], len(self.losses)):
            self.losses.append(self._one_step(batch))
            self.step += 1
            on_step(self.step, self.losses[-1])
            if should_stop():
                break
        return len(self.losses) == self.steps_per_epoch

    def finish_epoch(self) -> None:
        """Validates, and adds a row to the history."""
        row: dict[str, float] = {"epoch": self.epoch + 1, "step": self.step}
        row["train_loss"] = math.fsum(self.losses) / len(self.losses)
        row |= {f"val_{name}": value for name, value in self.figures("val").items()}
        self.history.append(row)
        self.epoch += 1
        self.losses = []

    def figures(self, split: str) -> dict[str, float]:
        """`vr.train.evaluation.evaluate` on "val" or "test"; their warps are the same at every call."""
        batches = self._batches(split, [(0, index) for index in range(len(getattr(self.split, split)))])
        return evaluate(self.net, batches, self.objective, self.device, self.config.augment)

    def checkpoint(self, resumable: bool) -> Checkpoint:
        """The run as it stands; `resumable` adds what going on needs, and doubles or triples the size."""
        state = {"settings": self.config.to_dict(), "data_id": self.data_id, "losses": list(self.losses)}
        return Checkpoint(
            network=self.config.network,
            config=self.net.config,
            weights=self.net.state_dict(),
            mode=self.config.mode,
            run=self.run,
            training=state,
            epoch=self.epoch,
            step=self.step,
            optimizer=self.optimizer.state_dict() if resumable else None,
            rng={"torch": torch.get_rng_state()} if resumable else None,
            history=list(self.history),
        )

    def restore(self, saved: Checkpoint) -> None:
        """Goes on from a resumable checkpoint of the same settings. Raises InputError if it saw other
        pairs.
        """
        if saved.training["data_id"] != self.data_id:
            raise InputError(f"the pairs are not those that run {saved.run!r} was started with; use a new folder")
        assert saved.optimizer is not None and saved.rng is not None
        self.net.load_state_dict(saved.weights)
        self.optimizer.load_state_dict(saved.optimizer)
        torch.set_rng_state(saved.rng["torch"])
        self.run, self.epoch, self.step = saved.run, saved.epoch, saved.step
        self.losses, self.history = list(saved.training["losses"]), list(saved.history)

    def _one_step(self, batch: Batch) -> float:
        moving, fixed = batch["moving"].to(self.device), batch["fixed"].to(self.device)
        loss = self.objective(moving, fixed, self.net(moving, fixed))["loss"]
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(f"the loss is {value} at step {self.step + 1}; lower --lr (it is {self.config.lr})")
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        return value

    def _batches(self, split: str, keys: list[Key], skipped: int = 0) -> Iterable[Batch]:
        config = self.config
        data = PairDataset(getattr(self.split, split), config.size_hw, config.mode, config.augment, config.seed, split)
        chunks = [keys[i : i + config.batch] for i in range(0, len(keys), config.batch)][skipped:]
        # A generator of its own: the loader would draw from torch's global state, once per epoch and per
        # resume.
        own = torch.Generator().manual_seed(config.seed)
        return DataLoader(
            data,
            batch_sampler=chunks,
            num_workers=config.workers,
            worker_init_fn=ignore_stop_signals,
            generator=own,
        )


def fit(
    trainer: Trainer, folder: RunFolder, should_stop: Callable[[], bool], on_step: OnStep, on_epoch: OnEpoch
) -> bool:
    """Trains up to `config.epochs`; False if `should_stop` ended it earlier.

    `last.pt` is written after each epoch and at a stop, `best.pt` after each epoch that is the best so far.
    """
    while trainer.epoch < trainer.config.epochs:
        complete = trainer.train_epoch(should_stop, on_step)
        if complete:
            trainer.finish_epoch()
            if trainer.is_best:
                checkpoint.save(folder.best, trainer.checkpoint(resumable=False))
        checkpoint.save(folder.last, trainer.checkpoint(resumable=True))
        if complete:
            on_epoch(trainer)
        if should_stop() and trainer.epoch < trainer.config.epochs:
            return False
    return True


def measure_test_pairs(trainer: Trainer, folder: RunFolder) -> dict[str, float]:
    """Figures of the best network on the test pairs."""
    trainer.net.load_state_dict(checkpoint.load(folder.best).weights)
    return trainer.figures("test")


def resolve_device(name: str) -> torch.device:
    """The device for "auto" (cuda if there is one), "cpu" or "cuda". Raises InputError on another name, or
    if there is no GPU.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise InputError(f"device {name!r} is unknown; expected auto, cpu or cuda")
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise InputError("device cuda: this PyTorch finds no CUDA GPU; use --device cpu, or install a CUDA build")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def _epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator).tolist()


def _data_id(pairs: list[Pair]) -> dict[str, Any]:
    """Which pairs a run uses: how many, and a digest of their names."""
    names = "\n".join(f"{pair.rgb.name}\t{pair.ir.name}" for pair in pairs)
    return {"pairs": len(pairs), "sha256": hashlib.sha256(names.encode()).hexdigest()}


def ignore_stop_signals(_worker: int) -> None:
    """For loader processes: Ctrl-C and SIGTERM reach them too, but the main process decides when to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
