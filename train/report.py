"""What a run shows of itself: TensorBoard scalars and pictures, the loss curve, the final figures."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from vr.models.spatial_transformer import SpatialTransformer
from vr.runtime.errors import OutputError
from vr.train.augment import PairDataset
from vr.train.batches import to_float
from vr.train.loop import Trainer
from vr.train.run_folder import RunFolder

PICTURES = 4


class Reported(Protocol):
    """What a trainer by epochs shows."""

    step: int
    history: list[dict[str, float]]


AnyTrainer = TypeVar("AnyTrainer", bound=Reported)
Draw = Callable[[AnyTrainer], NDArray[np.uint8]]


class Reporter(Generic[AnyTrainer]):
    """Writes scalars and pictures after each epoch. Close it, or use it in a `with` statement."""

    def __init__(self, folder: RunFolder, first_step: int, picture: str, draw: Draw[AnyTrainer]) -> None:
        """first_step: events of a resumed run from there on replace those that it had written before. draw: a trainer
        to a picture (h, w, 3) uint8 RGB, which is shown by the name of `picture`.
        """
        self.folder, self._picture, self._draw = folder, picture, draw
        with _writing(folder.tensorboard):
            self.writer = SummaryWriter(str(folder.tensorboard), purge_step=first_step)

    def __enter__(self) -> "Reporter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        # An error that is on its way already says more than that the writer cannot end properly either.
        with suppress(OSError) if kind else _writing(self.folder.tensorboard):
            self.writer.close()

    def on_epoch(self, trainer: AnyTrainer) -> None:
        """Adds the newest row of the history, and the picture.

        Raises OutputError if they cannot be written.
        """
        row = trainer.history[-1]
        with _writing(self.folder.tensorboard):
            for name, value in row.items():
                self.writer.add_scalar(name.replace("_", "/", 1), value, trainer.step)
            self.writer.add_image(self._picture, self._draw(trainer), trainer.step, dataformats="HWC")
            self.writer.flush()
        write_loss_curve(self.folder.loss_curve, trainer.history)


@torch.no_grad()
def validation_picture(trainer: Trainer) -> NDArray[np.uint8]:
    """(rows * H, 2 W, 3) uint8: a row per pair, left before and right after; RGB frame in cyan, IR frame in
    red.
    """
    config = trainer.config
    data = PairDataset(trainer.split.val[:PICTURES], config.size_hw, config.mode, config.augment, config.seed, "val")
    samples = [data[0, index] for index in range(len(data))]
    stacked = (torch.stack([sample[name] for sample in samples]) for name in ("moving", "fixed"))
    moving, fixed = (to_float(images.to(trainer.device)) for images in stacked)
    net = trainer.judged_net.eval()
    moved = SpatialTransformer()(moving, net(moving, fixed).flow)
    both = torch.cat([_composite(moving, fixed), _composite(moved, fixed)], dim=3)
    return (both.permute(0, 2, 3, 1).flatten(0, 1).clamp(0, 1) * 255).byte().cpu().numpy()


def write_loss_curve(path: Path, history: list[dict[str, float]]) -> None:
    """A PNG of training and validation loss by epoch; below it the error against the drawn warps, or a segmenter's IoU,
    if there are any.

    Raises OutputError if it cannot be written.
    """
    panels = [("loss", ("train_loss", "val_loss"))]
    if "val_error_px" in history[0]:
        panels.append(("median error, px", ("val_error_before_px", "val_error_px")))
    if "val_iou_person" in history[0]:
        panels.append(("IoU", ("val_iou_background", "val_iou_person")))
    figure = Figure(figsize=(8, 3.5 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (label, names) in zip(figure.subplots(len(panels), 1, squeeze=False)[:, 0], panels, strict=True):
        for name in names:
            axes.plot([row["epoch"] for row in history], [row[name] for row in history], marker=".", label=name)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend()
        axes.grid(alpha=0.3)
    save_picture(figure, path)


def save_picture(figure: Figure, path: Path) -> None:
    """Writes a PNG beside `path`, then renames it. Raises OutputError if it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    with _writing(path):
        figure.savefig(part, format="png", dpi=120)
        part.replace(path)


def write_figures(path: Path, trainer: Trainer, figures: dict[str, float]) -> None:
    """The final figures as JSON, with what they were measured on. Raises OutputError if it cannot be
    written.
    """
    save_figures(path, {"run": trainer.run, "epochs": trainer.epoch, "test_pairs": len(trainer.split.test), **figures})


def save_figures(path: Path, content: dict[str, Any]) -> None:
    """`save_text` of the content as JSON."""
    save_text(path, json.dumps(content, indent=2) + "\n")


def save_text(path: Path, text: str) -> None:
    """Writes a file beside `path`, then renames it. Raises OutputError if it cannot be written."""
    part = path.with_name(f".{path.name}.part")
    with _writing(path):
        part.write_text(text, encoding="utf-8")
        part.replace(path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Raises OutputError in place of an OSError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror}); make room there, or name another --out") from error


def _composite(ir: Tensor, rgb: Tensor) -> Tensor:
    """(N, 1, H, W) twice to (N, 3, H, W): aligned edges are grey, others red or cyan."""
    return torch.cat([ir, rgb, rgb], dim=1)
