"""From keys of a data set to batches on the device that trains.

Worker processes read, warp and assemble. Through the pipe goes what is smallest: grey levels and masks as uint8, a
quarter of float32; the step to float32 is left to the device.
"""

import signal
from collections.abc import Iterator

import cv2
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, default_collate

from vr.runtime.errors import InputError
from vr.train.augment import Key, PairDataset
from vr.train.evaluation import Batch

_WHITE = 255.0

SplitKey = tuple[str, Key]


class BatchLoader:
    """Batches of several data sets, from the same worker processes for the whole run.

    Workers that were started anew for each epoch would each time hold on to what the training process had in memory
    when it forked them. Close it.
    """

    def __init__(self, data: dict[str, PairDataset], workers: int, device: torch.device) -> None:
        """data: by the name of the split. workers: processes; 0 loads in this one. They start with the first batch."""
        self.device = device
        self._keys: list[list[SplitKey]] = []
        if workers:
            # Here and not in the workers: there, OpenCV would wait for threads that stayed behind at the fork.
            cv2.setNumThreads(1)
        self._loader = DataLoader(
            _Splits(data),
            batch_sampler=self._keys,
            num_workers=workers,
            collate_fn=_collated,
            worker_init_fn=ignore_stop_signals,
            persistent_workers=workers > 0,
            # A generator of its own: the loader would draw from torch's global state, once per epoch and per resume.
            generator=torch.Generator().manual_seed(0),
            pin_memory=device.type == "cuda",
        )

    def batches(self, split: str, keys: list[list[Key]]) -> Iterator[Batch]:
        """A batch for each list of keys, in this order, on the device; one call at a time.

        `moving`, `fixed` (N, 1, H, W) float32 in [0, 1] as `vr.runtime.preprocess.network_input` gives them, and
        `theta` (N, 2, 3). Raises InputError if an image cannot be read any more.
        """
        self._keys[:] = [[(split, key) for key in chunk] for chunk in keys]
        for batch in self._loader:
            if isinstance(batch, InputError):
                raise batch
            yield {name: to_float(values.to(self.device, non_blocking=True)) for name, values in batch.items()}

    def close(self) -> None:
        """Ends the workers. Python would do so at its exit by SIGTERM, which they ignore, and wait for ever."""
        shut_down = getattr(self._loader._iterator, "_shutdown_workers", None)
        if shut_down is not None:
            shut_down()


class _Splits(Dataset[Batch | InputError]):
    """Hands errors over as what they are; raised in a worker, they would arrive with its traceback in their message."""

    def __init__(self, data: dict[str, PairDataset]) -> None:
        self.data = data

    def __getitem__(self, key: SplitKey) -> Batch | InputError:
        split, inner = key
        try:
            return self.data[split][inner]
        except InputError as error:
            return error


def _collated(samples: list[Batch | InputError]) -> Batch | InputError:
    errors = [sample for sample in samples if isinstance(sample, InputError)]
    return errors[0] if errors else default_collate(samples)


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
