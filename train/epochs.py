"""What a training by epochs sees, and in which order: functions of the seed, the epoch and the names alone."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import torch

Item = TypeVar("Item")


def epoch_order(count: int, seed: int, epoch: int) -> list[int]:
    """The indices 0 to `count` - 1 in the order of this epoch."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(count, generator=generator).tolist()


def chunks(items: Sequence[Item], length: int) -> list[list[Item]]:
    """The items in lists of `length`; the last one may be shorter."""
    return [list(items[i : i + length]) for i in range(0, len(items), length)]


def digest(rows: Iterable[tuple[Path, Path]]) -> str:
    """SHA-256 of the names of files that belong together, to know a data set again."""
    names = "\n".join(f"{first.name}\t{second.name}" for first, second in rows)
    return hashlib.sha256(names.encode()).hexdigest()
