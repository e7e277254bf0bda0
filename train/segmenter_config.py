"""What a training run of the person segmenter is made of."""

from dataclasses import dataclass
from typing import ClassVar, get_args

from vr.models.segmenter import Backbone
from vr.runtime.geometry import SizeHw
from vr.train.run_settings import RunSettings, number

LR, FINE_TUNING_LR = 2e-3, 2e-4


@dataclass(frozen=True)
class SegmenterConfig(RunSettings):
    """Settings of one run. Raises InputError, naming the setting, on a value out of bounds.

    size_hw: what every image is resized to, px. backbone: of `vr.models.segmenter`. epochs, batch: passes over the
    training images, images per step. lr: the peak of AdamW's step size, reached after a short rise; then it falls along
    a cosine to the end of the last epoch. dice_weight: of the soft Dice beside the cross-entropy. augment: change the
    training images (`vr.train.segmenter_augment`). seed: draws everything random. workers: processes that load images;
    does not change the result. limit: use only the first so many images; 0 uses all. val_share, test_share: contiguous
    blocks at the end of the sorted images, where no manifest says otherwise.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = {"backbone": get_args(Backbone)}

    size_hw: SizeHw = (240, 320)
    backbone: str = "mobilenet_v3_large"
    epochs: int = number(40, 1, 1_000_000)
    batch: int = number(8, 2, 4096)
    lr: float = number(LR, 1e-9, 1.0)
    dice_weight: float = number(1.0, 0.0, 100.0)
    augment: bool = True
    seed: int = number(0, 0, 2**31 - 1)
    workers: int = number(0, 0, 64)
    limit: int = number(0, 0, 10_000_000)
    val_share: float = number(0.1, 0.01, 0.4)
    test_share: float = number(0.1, 0.01, 0.4)
