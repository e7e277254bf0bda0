"""Pairs as a network sees them in training, with the moving image warped by a random known affine.

Preprocessing is that of `vr.runtime.preprocess` and nothing else: what a network sees in training is what it sees
live. The IR frame becomes grey before it is warped, which takes a third of the time. Every warp has its own
generator, drawn from the seed, the epoch and the pair, so neither the number of workers nor an interruption changes
the data of a run.
"""

from typing import cast

import cv2
import numpy as np
import torch
from torch.utils.data import Dataset

from vr.runtime.geometry import IDENTITY_THETA, Float64Array, SizeHw, matrix_to_theta
from vr.runtime.preprocess import LEVEL_MODES, Frame, network_input, network_levels, to_gray
from vr.train.data import Pair, read_image, read_mask
from vr.train.match_data import WarpRange, random_matrix

LIMITS = WarpRange(shift_share=0.1, rotation_deg=10.0, scale=(0.85, 1.15), shear_deg=5.0)
# Which generator a split draws from; validation and test pairs keep their warp through all epochs.
STREAMS = {"train": 0, "val": 1, "test": 2}

Key = tuple[int, int]


class PairDataset(Dataset[dict[str, torch.Tensor]]):
    """Indexed by (epoch, pair): `moving` and `fixed` (1, H, W), and `theta` (2, 3) float32.

    moving, fixed: `vr.runtime.preprocess.network_input`; as uint8 levels, before the division by 255, where the mode
    has such (`vr.train.batches.to_float` makes float32 of them).

    theta: the drawn affine, fixed to moving in normalised coordinates: the truth if the pair on disk is
    aligned. The identity without augmentation.
    """

    def __init__(
        self, pairs: list[Pair], size_hw: SizeHw, mode: str, augment: bool, seed: int, split: str = "train"
    ) -> None:
        self.pairs, self.size_hw, self.mode, self.augment = pairs, size_hw, mode, augment
        self.seed, self.stream = seed, STREAMS[split]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, key: Key) -> dict[str, torch.Tensor]:
        epoch, index = key
        read = read_mask if self.mode == "mask" else read_image
        ir, rgb = to_gray(read(self.pairs[index].ir)), read(self.pairs[index].rgb)
        theta = IDENTITY_THETA
        if self.augment:
            rng = np.random.default_rng((self.seed, self.stream, epoch, index))
            ir, theta = warp_randomly(rng, ir, self.mode)
        return {
            "moving": self._input(ir),
            "fixed": self._input(rgb),
            "theta": torch.from_numpy(theta).float(),
        }

    def _input(self, frame: Frame) -> torch.Tensor:
        if self.mode in LEVEL_MODES:
            return torch.from_numpy(network_levels(frame, self.size_hw, self.mode)[None])
        return torch.from_numpy(network_input(frame, self.size_hw, self.mode)[0])


def warp_randomly(rng: np.random.Generator, ir: Frame, mode: str) -> tuple[Frame, Float64Array]:
    """The warped frame, and theta (2, 3): where a point of the old frame lies in the new one, normalised.

    Grey frames are mirrored at the border, since the shape of a black border would give the warp away;
    masks get 0.
    """
    size_hw = ir.shape[0], ir.shape[1]
    matrix = random_matrix(rng, size_hw, LIMITS)
    border, interpolation = cv2.BORDER_REFLECT_101, cv2.INTER_LINEAR
    if mode == "mask":
        border, interpolation = cv2.BORDER_CONSTANT, cv2.INTER_NEAREST
    warped = cv2.warpAffine(ir, matrix, size_hw[::-1], flags=interpolation, borderMode=border)
    return cast(Frame, warped), matrix_to_theta(matrix, size_hw, size_hw)
