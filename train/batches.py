"""From keys of a data set to batches on the device that trains.

Worker processes read, warp and assemble. Through the pipe goes what is smallest: grey levels and masks as uint8, a
quarter of float32; the step to float32 is left to the device.
"""

import signal
from collections.abc import Iterable

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from vr.train.augment import Key, PairDataset
from vr.train.evaluation import Batch

_WHITE = 255.0


def batches_of(data: PairDataset, keys: list[list[Key]], workers: int, device: torch.device) -> Iterable[Batch]:
    """A batch for each list of keys, in this order, on `device`: `moving`, `fixed` (N, 1, H, W) float32 in [0, 1] as
    `vr.runtime.preprocess.network_input` gives them, and `theta` (N, 2, 3).
    """
    if workers:
        # Here and not in the workers: there, OpenCV would wait for threads that stayed behind when they were forked.
        cv2.setNumThreads(1)
    # A generator of its own: the loader would draw from torch's global state, once per epoch and per resume.
    own = torch.Generator().manual_seed(0)
    loader = DataLoader(
        data,
        batch_sampler=keys,
        num_workers=workers,
        worker_init_fn=ignore_stop_signals,
        generator=own,
        pin_memory=device.type == "cuda",
    )
    for batch in loader:
        yield {name: to_float(values.to(device, non_blocking=True)) for name, values in batch.items()}


def to_float(values: Tensor) -> Tensor:
    """uint8 levels to float32 in [0, 1], on their device; anything else unchanged."""
    if values.dtype != torch.uint8:
        return values
    # By a tensor: a GPU would multiply by the rounded reciprocal of a number.
    return values.float() / torch.tensor(_WHITE, device=values.device)


def ignore_stop_signals(_worker: int) -> None:
    """For loader processes: Ctrl-C and SIGTERM reach them too, but the main process decides when to stop."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
