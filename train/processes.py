"""One training run in several processes, as `torchrun` starts them: who they are, and what they agree on.

Every process sees the same seed, order and history, and takes its share of each batch. The first one alone writes,
prints and validates.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from vr.runtime.errors import InputError, VrError

# The others wait as long as the first process validates.
_PATIENCE = timedelta(hours=6)
_LOST_PEER = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Socket closed")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Processes:
    """rank: which of the `count` processes this is, from 0; local_rank: which of those on this machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @classmethod
    def from_environment(cls) -> "Processes":
        """What `torchrun` has set; a process of its own without it."""
        names = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
        if not all(name in os.environ for name in names):
            return cls()
        return cls(*(int(os.environ[name]) for name in names))

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, prints and validates."""
        return self.rank == 0

    def share_of(self, batch: list[Item]) -> tuple[list[Item], float]:
        """The part of a batch that is this process's own, and the weight of its mean in that of the batch.

        Nobody may stand aside while gradients are added up: where there are more processes than items, the rest get
        the first one, at weight 0.
        """
        own = batch[self.rank :: self.count]
        return own or batch[:1], len(own) / len(batch)

    def device_of(self, device: torch.device) -> torch.device:
        """One GPU for each process. Raises InputError if there are not enough."""
        if device.type != "cuda" or self.count == 1:
            return device
        if self.local_rank >= torch.cuda.device_count():
            raise InputError(
                f"no GPU for process {self.local_rank + 1}, this machine has {torch.cuda.device_count()}; start "
                "torchrun with as many processes as GPUs, or use --device cpu"
            )
        return torch.device("cuda", self.local_rank)

    @contextmanager
    def joined(self, device: torch.device) -> Iterator[None]:
        """The processes can talk to each other: by nccl between GPUs, by gloo otherwise.

        Raises VrError where another process ended before its time.
        """
        if self.count == 1:
            yield
            return
        if device.type == "cuda":
            torch.cuda.set_device(device)
        try:
            # Within: one that has ended already may be lost while the others still connect.
            dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
            yield
            self.wait()
        except RuntimeError as error:
            if not isinstance(error, dist.DistError) and not any(text in str(error) for text in _LOST_PEER):
                raise
            raise VrError("another process of this run has ended; its own message says why") from error
        finally:
            if dist.is_initialized():
                dist.destroy_process_group()

    def wrap(self, net: nn.Module, device: torch.device) -> nn.Module:
        """The network to call in training: it averages gradients over the processes."""
        if self.count == 1:
            return net
        return DistributedDataParallel(net, device_ids=[device.index] if device.type == "cuda" else None)

    def wait(self) -> None:
        """Until all are here."""
        if self.count > 1:
            dist.barrier()

    def sum(self, values: Tensor) -> Tensor:
        """The sum over the processes."""
        if self.count > 1:
            dist.all_reduce(values)
        return values

    def from_first(self, value: Any) -> Any:
        """What the first process has."""
        if self.count == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0)
        return box[0]
