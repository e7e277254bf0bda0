"""The training loop of the two unsupervised networks, with exact resume.

The data of a step follow from the seed, the epoch and the place in it alone, and a checkpoint holds the
weights, their average, the optimizer, torch's random state and the losses of the unfinished epoch. A run that is
stopped or killed after any step and resumed therefore ends, on a CPU, with the same bits as one that was not.
"""

import math
from collections.abc import Callable
from functools import cached_property

import torch
from torch import nn

from vr.models import registry
from vr.models.base import RegistrationNet
from vr.runtime.errors import InputError
from vr.train import checkpoint
from vr.train.augment import Key, PairDataset
from vr.train.batches import BatchLoader
from vr.train.checkpoint import Checkpoint
from vr.train.config import TrainConfig
from vr.train.data import Pair, split_pairs
from vr.train.epochs import chunks, digest, epoch_order
from vr.train.evaluation import Batch, evaluate
from vr.train.losses import Objective
from vr.train.processes import Processes
from vr.train.run_folder import RunFolder
from vr.train.schedule import rate_factor
from vr.train.weight_average import WeightAverage

OnStep = Callable[[int, float], None]
OnEpoch = Callable[["Trainer"], None]
ALONE = Processes()


class Trainer:
    """One run in memory: network, optimizer, data, and how far it has come.

    epoch: finished epochs. step: optimizer steps in all. history: figures of each finished epoch. losses:
    of the steps of the unfinished epoch. is_stopped: whether the last step was the last one for now.
    """

    def __init__(
        self,
        config: TrainConfig,
        pairs: list[Pair],
        device: torch.device,
        run: str,
        start: Checkpoint | None = None,
        processes: Processes = ALONE,
    ) -> None:
        """start: the checkpoint to go on from, or whose network to begin with.

        Raises InputError if the network cannot take `config.size_hw`, if there are too few pairs, or if the batch is
        too small to be shared; ModelError if `start` does not fit together.
        """
        self.config, self.device, self.run, self.processes = config, device, run, processes
        if config.batch < processes.count:
            raise InputError(f"batch {config.batch} cannot be shared by {processes.count} processes; raise --batch")
        used = pairs[: config.limit] if config.limit else pairs
        self.split = split_pairs(used, config.val_share, config.test_share)
        self.data_id = {"pairs": len(used), "sha256": digest((pair.rgb, pair.ir) for pair in used)}
        self.finetuned_from = start.run if start else None
        torch.manual_seed(config.seed)
        self.net = _network(config, start).to(device)
        # This memory format makes a step on a CPU a quarter faster and saves a tenth of its memory.
        self.net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # missing in torch's types
        self.average = WeightAverage(self.net, config.ema) if config.ema else None
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=config.lr)
        self.objective = Objective(config.similarity, config.pyramid_levels, config.smoothness, config.lambda_smooth)
        self.amp = _computes_in_bfloat16(device) if config.amp is None else config.amp
        self.epoch = self.step = 0
        self.is_stopped = False
        self.losses: list[float] = []
        self.history: list[dict[str, float]] = []

    @cached_property
    def loader(self) -> BatchLoader:
        """Batches of the three parts, "train", "val" and "test"."""
        config, parts = self.config, ("train", "val", "test")
        options = config.size_hw, config.mode, config.augment, config.seed
        data = {part: PairDataset(getattr(self.split, part), *options, part) for part in parts}
        return BatchLoader(data, config.workers, self.device)

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one epoch; the last batch may be smaller."""
        return math.ceil(len(self.split.train) / self.config.batch)

    @property
    def judged_net(self) -> RegistrationNet:
        """The network that is validated and exported: the average of the weights, where one is kept."""
        return self.average.net if self.average else self.net

    @property
    def epochs_since_best(self) -> int:
        """0 if the last finished epoch is the best one so far, by `config.stop_on`; of equal ones the last counts."""
        values = [row[self.config.stop_on] for row in self.history]
        best = max(range(len(values)), key=lambda index: (-values[index], index))
        return len(values) - 1 - best

    @property
    def is_done(self) -> bool:
        """Whether all epochs are done, or the run has got no better for `config.patience` of them."""
        patience = self.config.patience
        return self.epoch >= self.config.epochs or bool(patience and self.epoch and self.epochs_since_best >= patience)

    def train_epoch(self, should_stop: Callable[[], bool], on_step: OnStep, network: nn.Module | None = None) -> bool:
        """The remaining steps of the current epoch; False if `should_stop` of any process ended it before its last
        step.

        `on_step` is told the number of the step and its loss. network: what to call instead of `net`, see
        `Processes.wrap`. Raises InputError if the loss is not a number.
        """
        self.net.train()
        shares = [self.processes.share_of(chunk) for chunk in self._epoch_chunks()[len(self.losses) :]]
        batches = self.loader.batches("train", [own for own, _weight in shares])
        for batch, (_own, weight) in zip(batches, shares, strict=True):
            loss, self.is_stopped = self._one_step(network or self.net, batch, weight, should_stop)
            self.losses.append(loss)
            on_step(self.step, loss)
            if self.is_stopped:
                break
        return len(self.losses) == self.steps_per_epoch

    def finish_epoch(self) -> None:
        """Validates, in the first process, and adds a row to the history."""
        row: dict[str, float] = {"epoch": self.epoch + 1, "step": self.step}
        sizes = [len(chunk) for chunk in self._epoch_chunks()]
        row["train_loss"] = math.fsum(map(math.prod, zip(self.losses, sizes, strict=True))) / sum(sizes)
        if self.processes.is_first:
            row |= {f"val_{name}": value for name, value in self.figures("val").items()}
        self.history.append(self.processes.from_first(row))
        self.epoch += 1
        self.losses = []

    def figures(self, split: str) -> dict[str, float]:
        """`vr.train.evaluation.evaluate` on "val" or "test", in float32; their warps are the same at every call."""
        keys = [(0, index) for index in range(len(getattr(self.split, split)))]
        batches = self.loader.batches(split, chunks(keys, self.config.batch))
        return evaluate(self.judged_net, batches, self.objective, self.device, self.config.augment)

    def checkpoint(self, resumable: bool) -> Checkpoint:
        """The run as it stands: resumable with all that going on needs, which is two to four times as large; else the
        network to export.
        """
        state = {"settings": self.config.to_dict(), "data_id": self.data_id, "losses": list(self.losses)}
        state["finetuned_from"] = self.finetuned_from
        return Checkpoint(
            network=self.config.network,
            config=self.net.config,
            weights=(self.net if resumable else self.judged_net).state_dict(),
            mode=self.config.mode,
            run=self.run,
            training=state,
            epoch=self.epoch,
            step=self.step,
            optimizer=self.optimizer.state_dict() if resumable else None,
            rng={"torch": torch.get_rng_state()} if resumable else None,
            history=list(self.history),
            average=self.average.net.state_dict() if resumable and self.average else None,
        )

    def restore(self, saved: Checkpoint) -> None:
        """Goes on from a resumable checkpoint of the same settings. Raises InputError if it saw other
        pairs.
        """
        if saved.training["data_id"] != self.data_id:
            raise InputError(f"the pairs are not those that run {saved.run!r} was started with; use a new folder")
        assert saved.optimizer is not None and saved.rng is not None
        self.net.load_state_dict(saved.weights)
        if self.average and saved.average:
            self.average.net.load_state_dict(saved.average)
        self.optimizer.load_state_dict(saved.optimizer)
        torch.set_rng_state(saved.rng["torch"])
        self.run, self.epoch, self.step = saved.run, saved.epoch, saved.step
        self.losses, self.history = list(saved.training["losses"]), list(saved.history)
        self.finetuned_from = saved.training.get("finetuned_from")

    def _one_step(
        self, network: nn.Module, batch: Batch, weight: float, should_stop: Callable[[], bool]
    ) -> tuple[float, bool]:
        """The loss over the whole batch, of which this process has the share `weight`, and whether to stop."""
        moving, fixed = batch["moving"], batch["fixed"]
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.amp):
            registration = network(moving, fixed)
        loss = self.objective(moving, fixed, registration)["loss"]
        told = torch.stack([loss.detach() * weight, loss.new_tensor(float(should_stop()))])
        value, stops = self.processes.sum(told).tolist()
        if not math.isfinite(value):
            raise InputError(f"the loss is {value} at step {self.step + 1}; lower --lr (it is {self.config.lr})")
        self.optimizer.zero_grad()
        # The processes average their gradients; this makes the mean one over pairs.
        (loss * (weight * self.processes.count)).backward()
        self._descend()
        return value, stops > 0

    def _descend(self) -> None:
        config = self.config
        if config.clip:
            nn.utils.clip_grad_norm_(self.net.parameters(), config.clip)
        factor = rate_factor(config.schedule, self.step, config.epochs * self.steps_per_epoch, config.warmup)
        for group in self.optimizer.param_groups:
            group["lr"] = config.lr * factor
        self.optimizer.step()
        self.step += 1
        if self.average:
            self.average.update(self.net, self.step)

    def _epoch_chunks(self) -> list[list[Key]]:
        """What each step of the current epoch learns from."""
        order = epoch_order(len(self.split.train), self.config.seed, self.epoch)
        return chunks([(self.epoch, index) for index in order], self.config.batch)


def fit(
    trainer: Trainer, folder: RunFolder, should_stop: Callable[[], bool], on_step: OnStep, on_epoch: OnEpoch
) -> bool:
    """Trains until `trainer.is_done`; False if `should_stop` ended it earlier.

    `last.pt` is written at the start, every `config.save_every` steps, after each epoch and at a stop, `best.pt` after
    each epoch that is the best so far; `on_epoch` is called after each epoch. All three in the first process only.
    """
    network = trainer.processes.wrap(trainer.net, trainer.device)
    every = trainer.config.save_every

    def after_step(step: int, loss: float) -> None:
        if every and step % every == 0:
            _save_last(trainer, folder)
        on_step(step, loss)

    _save_last(trainer, folder)
    while not trainer.is_done:
        complete = trainer.train_epoch(should_stop, after_step, network)
        if complete:
            trainer.finish_epoch()
            if trainer.epochs_since_best == 0 and trainer.processes.is_first:
                checkpoint.save(folder.best, trainer.checkpoint(resumable=False))
        _save_last(trainer, folder)
        if complete and trainer.processes.is_first:
            on_epoch(trainer)
        if trainer.is_stopped and not trainer.is_done:
            return False
    return True


def _save_last(trainer: Trainer, folder: RunFolder) -> None:
    if trainer.processes.is_first:
        checkpoint.save(folder.last, trainer.checkpoint(resumable=True))


def measure_test_pairs(trainer: Trainer, folder: RunFolder) -> dict[str, float]:
    """Figures of the best network on the test pairs."""
    trainer.judged_net.load_state_dict(checkpoint.load(folder.best).weights)
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


def _network(config: TrainConfig, start: Checkpoint | None) -> RegistrationNet:
    if start is None:
        try:
            return registry.build(config.network, config.network_arguments)
        except ValueError as error:
            raise InputError(str(error)) from error
    net = start.build()
    if start.average is not None:
        net.load_state_dict(start.average)
    return net


def _computes_in_bfloat16(device: torch.device) -> bool:
    """Whether it is a GPU that does so itself (NVIDIA: from Ampere on)."""
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
