"""What a training run is made of: one frozen dataclass, stored in every checkpoint."""

from dataclasses import dataclass
from typing import Any, ClassVar

from vr.runtime import contours
from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.runtime.preprocess import MODES
from vr.train.run_settings import RESUMABLE, RunSettings, number

NETWORKS = ("affine", "voxelmorph")
SIMILARITIES = ("ngf", "ncc", "mi", "mind", "mse", "dice")
MODE_SIMILARITY = {"gray": "ngf", **dict.fromkeys(contours.FILTERS, "ncc"), "mask": "dice"}
"""The similarity of a new run that names none."""
SMOOTHNESSES = ("l2", "l1")
SCHEDULES = ("constant", "cosine", "step")
MEASURES = ("val_loss", "val_error_px")
"""What tells the best epoch, by its column in a run's history."""

_CHOICES = {
    "network": NETWORKS,
    "mode": MODES,
    "similarity": SIMILARITIES,
    "smoothness": SMOOTHNESSES,
    "schedule": SCHEDULES,
    "stop_on": MEASURES,
}


@dataclass(frozen=True)
class TrainConfig(RunSettings):
    """Settings of one run. Raises InputError, naming the setting, on a value out of bounds.

    network: "affine" or "voxelmorph".
    size_hw: the network's input, px; affine at least 222 each way, voxelmorph multiples of 16.
    mode: what the network looks at (`vr.runtime.preprocess`): "gray", contours by one of the filters "sobel", "canny",
    "adaptive" and "laplacian", or "mask" for folders of person masks.
    similarity: for pictures and contours, "ngf" compares edges, "ncc" local contrasts, "mi" the statistics of the
    levels, "mind" self-similarities; for masks, "dice" compares them at all widths, and slopes however far apart they
    are; "mse" compares levels, as the thesis does, and needs masks that overlap.
    pyramid_levels: the similarity is averaged over the full size, 1/2, 1/4, ...: a slope further from the
    optimum; "dice" has a pyramid of its own.
    integration_steps: above 0 the network's output is a velocity that is squared so often into a flow, which hardly
    folds; 7 is usual. 0: the output is the flow, as in the thesis (voxelmorph).
    smoothness: penalty on the flow's gradient, "l2" squared or "l1" absolute (voxelmorph). lambda_smooth: its weight
    (voxelmorph). An affine flow is smooth already and is not penalised.
    augment: warp the moving image by a random known affine, anew each epoch. The loss does not look at the affine;
        without it, a folder of aligned pairs would teach the network to answer "identity".
    epochs, batch, lr: passes over the training pairs, pairs per step (of all processes together), Adam's step size.
    schedule: "constant", "cosine" down to a hundredth of `lr`, or "step": a tenth of it after half of the steps, a
    hundredth after three quarters. warmup: so many steps rise linearly to `lr` first (`vr.train.schedule`).
    With other `epochs` on resume, what is left follows the schedule of the new length.
    clip: largest norm of the gradient; 0 does not clip.
    ema: decay of the running average of the weights that is validated and exported (`vr.train.weight_average`);
    0 keeps none.
    amp: the network's forward pass in bfloat16; grids, warps and losses stay in float32. None: on GPUs that compute in
    bfloat16, and only there.
    stop_on: the column of the history that tells the best epoch. patience: ends the run after so many epochs without a
    better one; 0 never does.
    save_every: steps between two writes of `last.pt`, which is written after every epoch and at a stop besides; 0: only
    then.
    seed: draws the initial weights, the order of the pairs and the warps.
    workers: processes that load images; 0 loads in the main process. Does not change the result.
    limit: use only the first so many pairs; 0 uses all.
    val_share, test_share: shares of the pairs, as contiguous blocks at the end of the sorted list.
    """

    choices: ClassVar[dict[str, tuple[str, ...]]] = _CHOICES
    resumable: ClassVar[tuple[str, ...]] = (*RESUMABLE, "patience", "save_every")

    network: str = "affine"
    size_hw: SizeHw = (240, 320)
    mode: str = "gray"
    similarity: str = "ngf"
    pyramid_levels: int = number(4, 1, 6)
    integration_steps: int = number(0, 0, 12)
    smoothness: str = "l2"
    lambda_smooth: float = number(0.6, 0.0, 1e6)
    augment: bool = True
    epochs: int = number(100, 1, 1_000_000)
    batch: int = number(8, 1, 4096)
    lr: float = number(3e-4, 1e-9, 1.0)
    schedule: str = "constant"
    warmup: int = number(0, 0, 10_000_000)
    clip: float = number(0.0, 0.0, 1e9)
    ema: float = number(0.0, 0.0, 0.99999)
    amp: bool | None = None
    stop_on: str = "val_loss"
    patience: int = number(0, 0, 1_000_000)
    save_every: int = number(500, 0, 1_000_000_000)
    seed: int = number(0, 0, 2**31 - 1)
    workers: int = number(0, 0, 64)
    limit: int = number(0, 0, 10_000_000)
    val_share: float = number(0.1, 0.01, 0.4)
    test_share: float = number(0.1, 0.01, 0.4)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.stop_on == "val_error_px" and not self.augment:
            raise InputError("stop_on val_error_px needs warps that are known; leave augment on, or use val_loss")

    @property
    def network_arguments(self) -> dict[str, Any]:
        """What the network's constructor takes of these settings."""
        dense = {"integration_steps": self.integration_steps} if self.network == "voxelmorph" else {}
        return {"size_hw": self.size_hw, **dense}
