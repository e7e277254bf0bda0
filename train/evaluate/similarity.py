"""How alike two pictures are where both show something: the training losses, turned into figures."""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from vr.runtime.preprocess import resize
from vr.train.evaluate.measures import FIGURE_HW
from vr.train.losses import NCC_WINDOW_PX, SIMILARITY
from vr.train.multimodal_losses import mind_ssc

DEFAULT_MEASURES = ("ncc", "ngf", "mi", "mind")
_LEAST_COVERED = 0.01
_COUNTED: dict[str, Callable[[Tensor], Tensor]] = {
    "ncc": lambda valid: F.avg_pool2d(valid, NCC_WINDOW_PX, stride=1).mean(),
    "ngf": lambda valid: valid[:, :, 1:-1, 1:-1].mean(),
    "mi": lambda valid: valid.mean(),
    # Two pictures without any structure are alike everywhere, so that only what is not covered counts against them.
    "mind": lambda valid: 1.0 - mind_ssc(valid, torch.ones_like(valid), valid),
}
"""The share of the picture that each loss looks at."""

Gray = NDArray[np.uint8]


@torch.no_grad()
def alikeness(measure: str, moved: Gray, fixed: Gray, covered: Gray) -> float | None:
    """How alike two grey pictures (H, W) are where `covered` (H, W) is non-zero; the higher the better, in [0, 1].

    measure: one of DEFAULT_MEASURES; `(1 - loss) / share of the picture that the loss looks at`, of the loss of
    `vr.train.losses` that has this name, on pictures brought to 320x240. None if under 1 % is covered. The edge
    thresholds of ngf are means over the whole picture: compare its figures at one and the same `covered`.
    """
    valid = (_image(np.where(covered > 0, np.uint8(255), np.uint8(0))) > 0.99).float()
    counted = float(_COUNTED[measure](valid))
    if counted < _LEAST_COVERED:
        return None
    loss = float(SIMILARITY[measure](_image(moved) * valid, _image(fixed), valid))
    return min(max((1.0 - loss) / counted, 0.0), 1.0)


def _image(gray: Gray) -> Tensor:
    return torch.from_numpy(resize(gray, FIGURE_HW).astype(np.float32) / np.float32(255.0))[None, None]
