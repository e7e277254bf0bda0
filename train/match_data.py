"""Pairs with known transforms for the matching network, made as fast as they are consumed.

Three sources, none of which needs labels:

- `pairs`: real IR/RGB pairs that are aligned already; both sides are warped by a known random affine;
- `pseudo`: one real RGB image, and a copy whose grey levels went through a random smooth map, as if another
sensor
  had seen the scene;
- `scenes`: the generated scenes of `vr.runtime.sim`, seen by both simulated cameras, with exact truth.

Every sample is drawn from its own generator, `(seed, index)`: the data of a run do not depend on the number
of workers, and a resumed run sees what the uninterrupted one would have seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from vr.runtime.geometry import SizeHw, compose, invert, matrix_to_theta
from vr.runtime.preprocess import to_8bit, to_gray
from vr.runtime.sim import Simulator, random_misalignment
from vr.train import photometric
from vr.train.data import Pair, read_image

CANVAS_WIDTH = 534
SCENE_FRAMES = 600

Gray = NDArray[np.uint8]


@dataclass(frozen=True)
class WarpRange:
    """Bounds of the random misalignment; the drawn affine is `scale * R(rotation) * [[1, tan(shear)], [0,
    1]]`.

    shift_share: of the frame's width and height. The defaults are the range that the network promises.
    """

    shift_share: float = 0.15
    rotation_deg: float = 15.0
    scale: tuple[float, float] = (0.7, 1.4)
    shear_deg: float = 5.0


def random_matrix(rng: np.random.Generator, size_hw: SizeHw, limits: WarpRange) -> NDArray[np.float64]:
    """A random (2, 3) affine in px about the centre of a frame of `size_hw`; half of the draws are from
    half the range.
    """
    strength = 1.0 if rng.random() < 0.6 else 0.5
    h, w = size_hw
    shift = rng.uniform(-1, 1, 2) * limits.shift_share * strength * (w, h)
    angle, shear = np.deg2rad(rng.uniform(-1, 1, 2) * strength * (limits.rotation_deg, limits.shear_deg))
    scale = np.exp(rng.uniform(*np.log(limits.scale)) * strength)
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = scale * rotation @ np.array([[1.0, np.tan(shear)], [0.0, 1.0]])
    centre = np.array([(w - 1) / 2.0, (h - 1) / 2.0])
    return np.column_stack([linear, centre + shift - linear @ centre])


class MatchDataset(Dataset[dict[str, torch.Tensor]]):
    """`length` samples: moving, fixed (1, H, W) float32 in [0, 1] and theta (2, 3), fixed to moving,
    normalised.
    """

    def __init__(
        self,
        pairs: list[Pair],
        size_hw: SizeHw,
        length: int,
        seed: int,
        shares: dict[str, float],
        first_index: int = 0,
    ) -> None:
        self.size_hw, self.length, self.seed, self.first_index = size_hw, length, seed, first_index
        self.limits = WarpRange()
        self.canvases = [(_canvas(pair.ir), _canvas(pair.rgb)) for pair in pairs]
        usable = {name: share for name, share in shares.items() if share > 0 and (self.canvases or name == "scenes")}
        self.names = list(usable)
        self.shares = np.array(list(usable.values())) / sum(usable.values())

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        rng = np.random.default_rng((self.seed, self.first_index + index))
        source: Callable[[np.random.Generator], tuple[Gray, Gray, NDArray[np.float64]]]
        source = getattr(self, "_" + self.names[rng.choice(len(self.names), p=self.shares)])
        moving, fixed, matrix = source(rng)
        theta = matrix_to_theta(matrix, self.size_hw, self.size_hw)
        return {"moving": _tensor(moving), "fixed": _tensor(fixed), "theta": torch.from_numpy(theta).float()}

    def _pairs(self, rng: np.random.Generator) -> tuple[Gray, Gray, NDArray[np.float64]]:
        ir, rgb = self.canvases[rng.integers(len(self.canvases))]
        gray = to_gray(rgb) if rng.random() < 0.7 else photometric.mix_channels(rng, rgb)
        return self._warped(rng, to_gray(ir), gray)

    def _pseudo(self, rng: np.random.Generator) -> tuple[Gray, Gray, NDArray[np.float64]]:
        ir, rgb = self.canvases[rng.integers(len(self.canvases))]
        source = rgb if rng.random() < 0.8 else ir
        return self._warped(rng, photometric.pseudo_modality(rng, source), to_gray(source))

    def _scenes(self, rng: np.random.Generator) -> tuple[Gray, Gray, NDArray[np.float64]]:
        h, w = self.size_hw
        limits = self.limits
        theta = random_misalignment(rng, limits.shift_share, limits.rotation_deg, limits.scale, limits.shear_deg)
        scene = Simulator(int(rng.integers(1 << 31)), (h, w), (h, w), misalignment=theta, drift_px_s=0.0)
        index = int(rng.integers(SCENE_FRAMES))
        ir, rgb = scene.frames(index)
        moving, fixed = photometric.degrade(rng, ir), photometric.degrade(rng, to_gray(rgb))
        return moving, fixed, scene.matrix_rgb_to_ir(index)

    def _warped(self, rng: np.random.Generator, ir: Gray, gray: Gray) -> tuple[Gray, Gray, NDArray[np.float64]]:
        """Two views of one canvas, `matrix` apart; what lies outside the canvas is filled in one of three
        ways.
        """
        view = _random_view(rng, (ir.shape[0], ir.shape[1]), self.size_hw)
        matrix = random_matrix(rng, self.size_hw, self.limits)
        border = int(rng.choice([cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT]))
        fixed = _sample(gray, view, self.size_hw, border)
        moving = _sample(ir, compose(view, invert(matrix)), self.size_hw, border)
        return photometric.degrade(rng, moving, polarity=True), photometric.degrade(rng, fixed), matrix


def _canvas(path: Path) -> Gray:
    image = to_8bit(read_image(path))
    height = round(image.shape[0] * CANVAS_WIDTH / image.shape[1])
    shrink = image.shape[1] > CANVAS_WIDTH
    return cv2.resize(image, (CANVAS_WIDTH, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)  # type: ignore[return-value]


def _random_view(rng: np.random.Generator, canvas_hw: SizeHw, size_hw: SizeHw) -> NDArray[np.float64]:
    """(2, 3): pixels of a frame to pixels of the canvas: a crop at random place, zoom, stretch, tilt and
    mirror.
    """
    h, w = size_hw
    fit = min(canvas_hw[0] / h, canvas_hw[1] / w)
    zoom = fit * rng.uniform(0.5, 0.95) * np.array([1.0, rng.uniform(0.85, 1.15)])
    tilt = np.deg2rad(rng.uniform(-4, 4))
    rotation = np.array([[np.cos(tilt), -np.sin(tilt)], [np.sin(tilt), np.cos(tilt)]])
    linear = rotation @ np.diag(zoom * (1 if rng.random() < 0.5 else -1, 1))
    slack = np.maximum(np.array(canvas_hw[::-1]) - zoom * (w, h), 0.0) / 2.0
    centre = np.array(canvas_hw[::-1]) / 2.0 - 0.5 + rng.uniform(-1, 1, 2) * slack
    return np.column_stack([linear, centre - linear @ ((w - 1) / 2.0, (h - 1) / 2.0)])


def _sample(canvas: Gray, to_canvas: NDArray[np.float64], size_hw: SizeHw, border: int) -> Gray:
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(canvas, to_canvas, size_hw[::-1], flags=flags, borderMode=border)  # type: ignore[return-value]


def _tensor(gray: Gray) -> torch.Tensor:
    return torch.from_numpy(gray.astype(np.float32) / np.float32(255.0))[None]
