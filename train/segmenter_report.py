"""What a training of the person segmenter shows of itself: scalars, loss curve, and pictures to look at."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from vr.models.segmenter import SegmenterNet
from vr.train.evaluate.measures import iou
from vr.train.report import save_picture
from vr.train.segmenter_data import SegmenterDataset
from vr.train.segmenter_loop import SegmenterTrainer

PICTURES = 8
_RIGHT_RGB, _WRONG_RGB, _MISSED_RGB = (255, 255, 255), (230, 60, 40), (60, 120, 255)

Picture = NDArray[np.uint8]


class Panels(NamedTuple):
    """One image as the network sees it, its true mask, and what the network finds; all (H, W, 3) uint8 RGB.

    found: white where rightly found, red where wrongly, blue where a person is missed. iou: of the persons.
    """

    image: Picture
    truth: Picture
    found: Picture
    iou: float


def validation_picture(trainer: SegmenterTrainer) -> Picture:
    """Some validation images, a row each: image, truth, found."""
    return np.vstack([np.hstack(panels[:3]) for panels in look(trainer, "val", 4)])


def look(trainer: SegmenterTrainer, part: str, count: int) -> list[Panels]:
    """Up to `count` images of "val" or "test", spread over all of them, as the network sees them now."""
    images, config = getattr(trainer.split, part), trainer.config
    data = SegmenterDataset(images, config.size_hw, False, config.seed, part)
    chosen = np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int).tolist()
    return [_panels(trainer.net, data[0, index], trainer.device) for index in chosen]


def write_picture(path: Path, panels: list[Panels]) -> None:
    """A PNG with a row for each image: image, truth, found. Raises OutputError if it cannot be written."""
    height, width = panels[0].image.shape[:2]
    figure = Figure(figsize=(12, len(panels) * 4 * height / width + 0.6), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, row in zip(figure.subplots(len(panels), 3, squeeze=False), panels, strict=True):
        titles = "image", "truth", f"found, IoU {row.iou:.2f}; red: wrong, blue: missed"
        for one, title, picture in zip(axes, titles, row[:3], strict=True):
            one.imshow(picture)
            one.set_title(title, fontsize=9)
            one.set_axis_off()
    save_picture(figure, path)


@torch.no_grad()
def _panels(net: SegmenterNet, sample: dict[str, torch.Tensor], device: torch.device) -> Panels:
    found = net.eval()(sample["image"][None].to(device))[0, 0].cpu().numpy() > 0.5
    truth = sample["person"].numpy() > 0
    image = (sample["image"].numpy().transpose(1, 2, 0) * 255.0).round().astype(np.uint8)
    return Panels(image, _coloured(truth, truth), _coloured(found, truth), iou(found, truth))


def _coloured(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Picture:
    picture = np.zeros((*found.shape, 3), np.uint8)
    for where, colour in ((found & truth, _RIGHT_RGB), (found & ~truth, _WRONG_RGB), (truth & ~found, _MISSED_RGB)):
        picture[where] = colour
    return picture
