"""The training loop of the person segmenter, with exact resume.

As in `vr.train.loop`, the data of a step follow from the seed, the epoch and the place in it alone, and a checkpoint
holds everything else: a run that is stopped after any step and resumed ends, on a CPU, with the same bits as one that
was not.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader

from vr.models.segmenter import Backbone, SegmenterNet
from vr.runtime.errors import InputError
from vr.train import checkpoint
from vr.train.augment import Key
from vr.train.batches import ignore_stop_signals
from vr.train.checkpoint import Checkpoint
from vr.train.epochs import chunks, digest, epoch_order
from vr.train.run_folder import RunFolder
from vr.train.segmenter_config import SegmenterConfig
from vr.train.segmenter_data import LabelledImage, SegmenterDataset, split_labelled

CLASSES = ("background", "person")
WARM_UP_STEPS = 30
_LAST_RATE = 0.01
# MobileNetV3's own 0.01 forgets the statistics of random weights over hundreds of steps only.
_NORM_MOMENTUM = 0.1

Batch = dict[str, Tensor]
OnStep = Callable[[int, float], None]
OnEpoch = Callable[["SegmenterTrainer"], None]


class SegmenterTrainer:
    """One run in memory: network, optimizer, data, and how far it has come.

    epoch: finished epochs. step: optimizer steps in all. history: figures of each finished epoch. losses: of the steps
    of the unfinished epoch.
    """

    def __init__(self, config: SegmenterConfig, images: list[LabelledImage], device: torch.device, run: str) -> None:
        """Raises InputError if the network cannot take `config.size_hw`, or if there are too few images."""
        self.config, self.device, self.run = config, device, run
        used = images[: config.limit] if config.limit else images
        self.split = split_labelled(used, config.val_share, config.test_share)
        if len(self.split.train) < 2:
            raise InputError("only 1 image to train on; expected at least 2, which batch normalisation needs")
        self.data_id = {"images": len(used), "sha256": digest((one.image, one.mask) for one in used)}
        torch.manual_seed(config.seed)
        self.net = _network(config).to(device)
        # This memory format makes a step on a CPU faster, and so does a fused optimizer.
        self.net.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  # missing in torch's types
        self.optimizer = torch.optim.AdamW(self.net.parameters(), config.lr, weight_decay=1e-4, fused=True)
        self.epoch = self.step = 0
        self.losses: list[float] = []
        self.history: list[dict[str, float]] = []
        self.started_from: str | None = None

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in one epoch."""
        return len(self._chunks(range(len(self.split.train))))

    @property
    def is_best(self) -> bool:
        """Whether the last finished epoch has the highest IoU of persons on the validation images so far."""
        return self.history[-1]["val_iou_person"] >= max(row["val_iou_person"] for row in self.history)

    def start_from(self, net: SegmenterNet, name: str) -> None:
        """Begins with the weights of `net`, of the same backbone; `name` is where they are from."""
        self.net.load_state_dict(net.state_dict())
        self.started_from = name

    def train_epoch(self, should_stop: Callable[[], bool], on_step: OnStep) -> bool:
        """The remaining steps of the current epoch; False if `should_stop` ended it before its last step.

        `on_step` is told the number of the step and its loss. Raises InputError if the loss is not a number.
        """
        self.net.train()
        todo = self._chunks(epoch_order(len(self.split.train), self.config.seed, self.epoch))
        for batch in self._batches("train", todo[len(self.losses) :], self.epoch):
            self.losses.append(self._one_step(batch))
            on_step(self.step, self.losses[-1])
            if should_stop():
                break
        return len(self.losses) == len(todo)

    def finish_epoch(self) -> None:
        """Validates, and adds a row to the history."""
        row: dict[str, float] = {"epoch": self.epoch + 1, "step": self.step}
        row["train_loss"] = math.fsum(self.losses) / len(self.losses)
        row |= {f"val_{name}": value for name, value in self.figures("val").items()}
        self.history.append(row)
        self.epoch += 1
        self.losses = []

    def figures(self, part: str) -> dict[str, float]:
        """`evaluate` on the images of "val" or "test", as they are."""
        every = self._chunks(range(len(getattr(self.split, part))))
        return evaluate(self.net, self._batches(part, every, 0), self.device, self.config.dice_weight)

    def checkpoint(self, resumable: bool) -> Checkpoint:
        """The run as it stands; `resumable` adds what going on needs, and triples the size."""
        state = {"settings": self.config.to_dict(), "data_id": self.data_id, "losses": list(self.losses)}
        return Checkpoint(
            network=self.net.network,
            config=self.net.config,
            weights=self.net.state_dict(),
            mode="rgb",
            run=self.run,
            training={**state, "started_from": self.started_from},
            epoch=self.epoch,
            step=self.step,
            optimizer=self.optimizer.state_dict() if resumable else None,
            rng={"torch": torch.get_rng_state()} if resumable else None,
            history=list(self.history),
        )

    def restore(self, saved: Checkpoint) -> None:
        """Goes on from a resumable checkpoint of the same settings. Raises InputError if it saw other images."""
        if saved.training["data_id"] != self.data_id:
            raise InputError(f"the images are not those that run {saved.run!r} was started with; use a new folder")
        assert saved.optimizer is not None and saved.rng is not None
        self.net.load_state_dict(saved.weights)
        self.optimizer.load_state_dict(saved.optimizer)
        torch.set_rng_state(saved.rng["torch"])
        self.run, self.epoch, self.step = saved.run, saved.epoch, saved.step
        self.losses, self.history = list(saved.training["losses"]), list(saved.history)
        self.started_from = saved.training["started_from"]

    def _one_step(self, batch: Batch) -> float:
        image = batch["image"].to(self.device, memory_format=torch.channels_last)
        person = batch["person"].to(self.device)
        loss = segmentation_loss(self.net.logits(image), person, self.config.dice_weight)
        value = float(loss.detach())
        if not math.isfinite(value):
            raise InputError(f"the loss is {value} at step {self.step + 1}; lower --lr (it is {self.config.lr})")
        self.optimizer.zero_grad()
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.lr * rate_at(self.step, self.config.epochs * self.steps_per_epoch)
        self.optimizer.step()
        self.step += 1
        return value

    def _chunks(self, indices: Sequence[int]) -> list[list[int]]:
        """Batches; a single image that is left over joins the one before, as batch normalisation needs two."""
        found = chunks(indices, self.config.batch)
        if len(found) > 1 and len(found[-1]) == 1:
            found[-2] += found.pop()
        return found

    def _batches(self, part: str, wanted: list[list[int]], epoch: int) -> Iterable[Batch]:
        config = self.config
        augment = config.augment and part == "train"
        data = SegmenterDataset(getattr(self.split, part), config.size_hw, augment, config.seed, part)
        keys: list[list[Key]] = [[(epoch, index) for index in chunk] for chunk in wanted]
        # A generator of its own: the loader would draw from torch's global state, once per epoch and per resume.
        own = torch.Generator().manual_seed(config.seed)
        return DataLoader(
            data,
            batch_sampler=keys,
            num_workers=config.workers,
            worker_init_fn=ignore_stop_signals,
            generator=own,
        )


def fit(
    trainer: SegmenterTrainer, folder: RunFolder, should_stop: Callable[[], bool], on_step: OnStep, on_epoch: OnEpoch
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


def segmentation_loss(logits: Tensor, person: Tensor, dice_weight: float) -> Tensor:
    """Mean cross-entropy of logits (N, 2, H, W) against person (N, H, W) int64, and `dice_weight` times one minus the
    soft Dice of the persons in the whole batch (Milletari et al., 3DV 2016, section 3, without the squares), which does
    not drown where persons are few.
    """
    probability = logits.softmax(dim=1)[:, 1]
    both, whole = (probability * person).sum(), probability.sum() + person.sum()
    return F.cross_entropy(logits, person) + dice_weight * (1.0 - (2.0 * both + 1.0) / (whole + 1.0))


@torch.no_grad()
def evaluate(net: SegmenterNet, batches: Iterable[Batch], device: torch.device, dice_weight: float) -> dict[str, float]:
    """loss: mean over images. iou_background, iou_person: pixels of all images together, at the network's size, by
    `intersections / unions`; the network is left in eval mode.
    """
    net.eval()
    counts, losses, images = torch.zeros(2, 2, dtype=torch.int64), 0.0, 0
    for batch in batches:
        person = batch["person"].to(device)
        logits = net.logits(batch["image"].to(device))
        losses += float(segmentation_loss(logits, person, dice_weight)) * len(person)
        images += len(person)
        counts += overlap(logits.argmax(dim=1), person).cpu()
    iou = {f"iou_{name}": intersection_over_union(*row) for name, row in zip(CLASSES, counts.tolist(), strict=True)}
    return {"loss": losses / images, **iou}


def overlap(found: Tensor, truth: Tensor) -> Tensor:
    """(2, 2) int64: per class the pixels in the intersection and in the union of class maps of one shape."""
    rows = [((found == c) & (truth == c), (found == c) | (truth == c)) for c in range(len(CLASSES))]
    return torch.stack([torch.stack([part.sum() for part in row]) for row in rows])


def intersection_over_union(intersection: int, union: int) -> float:
    """The ratio; 1 of nothing found where nothing is."""
    return intersection / union if union else 1.0


def rate_at(step: int, steps: int) -> float:
    """Share of the peak step size: a linear rise over the first steps, then a cosine down to 1 % at `steps`."""
    progress = min(1.0, step / max(1, steps))
    return min(1.0, (step + 1) / WARM_UP_STEPS) * (
        _LAST_RATE + (1.0 - _LAST_RATE) * 0.5 * (1.0 + math.cos(math.pi * progress))
    )


def _network(config: SegmenterConfig) -> SegmenterNet:
    try:
        net = SegmenterNet(config.size_hw, cast(Backbone, config.backbone))
    except ValueError as error:
        raise InputError(str(error)) from error
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = _NORM_MOMENTUM
    return net
