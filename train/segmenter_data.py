"""Images with person masks, and how they are changed in training.

A data set is a folder with `images/` and `masks/`: files with the same stem and of the same size; persons are bright.
A `manifest.jsonl` in it says which belong to which part (`vr.train.data`). Every change is drawn from (seed, epoch,
index), so neither the number of workers nor an interruption changes the data of a run.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import Dataset

from vr.runtime.errors import InputError
from vr.runtime.geometry import SizeHw
from vr.runtime.segmenter import planes, to_tensor
from vr.train.augment import STREAMS, Key
from vr.train.data import PARTS, assign_parts, check_all, match_stems, read_image, read_mask
from vr.train.segmenter_augment import changed, resized_mask


@dataclass(frozen=True)
class LabelledImage:
    """An image and its mask. part: "train", "val" or "test" by the manifest, None without one."""

    stem: str
    image: Path
    mask: Path
    part: str | None = None


@dataclass(frozen=True)
class LabelledSplit:
    """Images for learning, for choosing the best epoch, and for the final figures."""

    train: list[LabelledImage]
    val: list[LabelledImage]
    test: list[LabelledImage]


def list_labelled(folder: Path) -> list[LabelledImage]:
    """The images of `folder` that have masks, sorted by stem. Raises InputError as `vr.train.data.list_pairs`."""
    return [LabelledImage(*row) for row in match_stems(folder, ("images", "masks"))]


def split_labelled(images: list[LabelledImage], val_share: float, test_share: float) -> LabelledSplit:
    """By the manifest, or else in contiguous blocks. Raises InputError as `vr.train.data.split_pairs`."""
    parts = assign_parts([image.part for image in images], val_share, test_share)
    return LabelledSplit(*([i for i, part in zip(images, parts, strict=True) if part == name] for name in PARTS))


def check_labelled(split: LabelledSplit) -> None:
    """Reads every file once, so that a run does not end on a broken one after hours.

    Raises InputError naming files that cannot be read, masks of another size than their image, and if a part has no
    person in any of its masks.
    """
    check_all(_fault, [*split.train, *split.val, *split.test])
    for name in PARTS:
        images: list[LabelledImage] = getattr(split, name)
        if not any(read_mask(image.mask).any() for image in images):
            raise InputError(
                f"none of the {len(images)} masks for {name} shows a person, for example {images[0].mask}; "
                "expected persons bright, the rest 0"
            )


def _fault(labelled: LabelledImage) -> str:
    try:
        image, mask = read_image(labelled.image), read_mask(labelled.mask)
    except InputError as error:
        return str(error)
    (h, w), (mask_h, mask_w) = image.shape[:2], mask.shape
    if (h, w) != (mask_h, mask_w):
        return f"{labelled.mask} is {mask_w}x{mask_h} px, its image {labelled.image.name} is {w}x{h}"
    return ""


class SegmenterDataset(Dataset[dict[str, torch.Tensor]]):
    """Indexed by (epoch, image): `image` (3, H, W) float32 RGB in [0, 1], `person` (H, W) int64, 1 or 0."""

    def __init__(
        self, images: list[LabelledImage], size_hw: SizeHw, augment: bool, seed: int, part: str = "train"
    ) -> None:
        """augment: change images and masks alike; meant for training."""
        self.images, self.size_hw, self.augment = images, size_hw, augment
        self.seed, self.stream = seed, STREAMS[part]

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, key: Key) -> dict[str, torch.Tensor]:
        epoch, index = key
        frame, mask = read_image(self.images[index].image), read_mask(self.images[index].mask)
        if self.augment:
            rng = np.random.default_rng((self.seed, self.stream, epoch, index))
            image, person = changed(rng, frame, mask, self.size_hw)
        else:
            image, person = planes(frame, self.size_hw), resized_mask(mask, self.size_hw)
        return {"image": torch.from_numpy(to_tensor(image)[0]), "person": torch.from_numpy(person.astype(np.int64))}
