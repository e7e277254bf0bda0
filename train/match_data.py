"""Pairs with known transforms for the matching network, made as fast as they are consumed.

Three sources, none of which needs labels; all take an aligned pair of canvases and warp it by a known random affine:

- `pairs`: real IR/RGB pairs that are aligned already;
- `pseudo`: one image, and a copy whose grey levels went through a random smooth map, as if another sensor had seen
  the scene;
- `scenes`: generated scenes of `vr.runtime.sim`, seen by both simulated cameras from one place.

Every sample is drawn from its own generator, `(seed, index)`: the data of a run do not depend on the number of
workers, and a resumed run sees what the uninterrupted one would have seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from vr.runtime.geometry import IDENTITY_THETA, SizeHw, compose, invert, matrix_to_theta
from vr.runtime.preprocess import to_8bit, to_gray
from vr.runtime.sim import Simulator
from vr.train import photometric, scenes
from vr.train.data import Pair, read_image

CANVAS_WIDTH = 534
CANVAS_HW: SizeHw = (400, CANVAS_WIDTH)
SCENE_FRAMES = 600
BORDERS = (cv2.BORDER_REFLECT_101, cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT)

Gray = NDArray[np.uint8]
Canvases = list[tuple[Gray, Gray]]
Shares = dict[str, float]


@dataclass(frozen=True)
class Pool:
    """What samples are cut from: aligned (IR, RGB) canvases, uint8, of real pairs and of generated scenes."""

    real: Canvases
    scenes: Canvases


@dataclass(frozen=True)
class Augment:
    """degrade: with night, glare, noise, text and the like (`vr.train.photometric`). new_scenes: scenes are merged with
    others, bent, and partly covered, so that none can be learned by heart.
    """

    degrade: bool = True
    new_scenes: bool = False


def real_canvases(pairs: list[Pair]) -> Canvases:
    """The pairs' images, 534 px wide. Raises InputError for an unreadable one."""
    return [(_canvas(pair.ir), _canvas(pair.rgb)) for pair in pairs]


def scene_canvases(count: int, seed: int) -> Canvases:
    """`count` generated scenes, the same ones for the same seed. Takes about 0.1 s each."""
    return [_scene(seed, number) for number in range(count)]


def _scene(seed: int, number: int) -> tuple[Gray, Gray]:
    rng = np.random.default_rng((seed, number))
    scene = Simulator(int(rng.integers(1 << 31)), CANVAS_HW, CANVAS_HW, misalignment=IDENTITY_THETA, drift_px_s=0.0)
    return scene.frames(int(rng.integers(SCENE_FRAMES)))


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
    """Samples by number: moving, fixed (1, H, W) float32 in [0, 1] and theta (2, 3), fixed to moving, normalised."""

    def __init__(
        self,
        pool: Pool,
        size_hw: SizeHw | Callable[[int], SizeHw],
        length: int,
        seed: int,
        shares: Shares,
        first: int = 0,
        augment: Augment | None = None,
    ) -> None:
        """`length` samples from number `first` on; size_hw: of all of them, or what a sample's number says."""
        self.pool, self.length, self.seed, self.first = pool, length, seed, first
        self._size_of = size_hw if callable(size_hw) else lambda _number: size_hw
        self.limits, self.augment = WarpRange(), augment or Augment()
        usable = {
            "pairs": bool(pool.real),
            "scenes": bool(pool.scenes),
            "pseudo": bool(pool.real or pool.scenes),
        }
        chosen = {name: share for name, share in shares.items() if share > 0 and usable[name]}
        self.names = list(chosen)
        self.shares = np.array(list(chosen.values())) / sum(chosen.values())

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        number = self.first + index
        size_hw = self._size_of(number)
        rng = np.random.default_rng((self.seed, number))
        ir, rgb = self._scene(rng, self.names[rng.choice(len(self.names), p=self.shares)])
        moving, fixed, truth = self._warped(rng, ir, rgb, size_hw)
        if self.augment.degrade:
            moving, fixed = photometric.degrade(rng, moving, polarity=True), photometric.degrade(rng, fixed)
        if self.augment.new_scenes:
            moving, fixed = (photometric.occlude(rng, image) for image in (moving, fixed))
        return {"moving": _tensor(moving), "fixed": _tensor(fixed), **truth}

    def _scene(self, rng: np.random.Generator, name: str) -> scenes.Pair:
        """Both views (h, w) of a scene, aligned."""
        pair = self._views(rng, name)
        if not self.augment.new_scenes:
            return pair
        if rng.random() < 0.6:
            pair = scenes.merged(rng, pair, self._views(rng, name))
        return scenes.bent(rng, pair) if rng.random() < 0.6 else pair

    def _views(self, rng: np.random.Generator, name: str) -> scenes.Pair:
        """Both views (h, w) of a canvas, as two cameras see it."""
        canvases = self.pool.scenes if name == "scenes" or not self.pool.real else self.pool.real
        ir, rgb = canvases[rng.integers(len(canvases))]
        if name == "pseudo":
            source = rgb if rng.random() < 0.8 else ir
            return photometric.pseudo_modality(rng, source), to_gray(source)
        gray = to_gray(rgb) if rng.random() < 0.7 else photometric.mix_channels(rng, rgb)
        one_channel = to_gray(ir)
        return (photometric.pseudo_modality(rng, one_channel) if rng.random() < 0.1 else one_channel), gray

    def _warped(
        self, rng: np.random.Generator, ir: Gray, gray: Gray, size_hw: SizeHw
    ) -> tuple[Gray, Gray, dict[str, torch.Tensor]]:
        """Two views of one canvas, and the truth between them; what lies outside the canvas is filled in one of three
        ways.
        """
        view = random_view(rng, (ir.shape[0], ir.shape[1]), size_hw)
        matrix = random_matrix(rng, size_hw, self.limits)
        border = int(rng.choice(BORDERS))
        fixed = sample(gray, view, size_hw, border)
        moving = sample(ir, compose(view, invert(matrix)), size_hw, border)
        return moving, fixed, {"theta": theta_tensor(matrix, size_hw)}


def _canvas(path: Path) -> Gray:
    image = to_8bit(read_image(path))
    height = round(image.shape[0] * CANVAS_WIDTH / image.shape[1])
    shrink = image.shape[1] > CANVAS_WIDTH
    return cv2.resize(image, (CANVAS_WIDTH, height), interpolation=cv2.INTER_AREA if shrink else cv2.INTER_LINEAR)  # type: ignore[return-value]


def random_view(rng: np.random.Generator, canvas_hw: SizeHw, size_hw: SizeHw) -> NDArray[np.float64]:
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


def sample(canvas: Gray, to_canvas: NDArray[np.float64], size_hw: SizeHw, border: int) -> Gray:
    """The view (h, w) of a canvas that `to_canvas` (2, 3) gives, pixels of the frame to pixels of the canvas."""
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(canvas, to_canvas, size_hw[::-1], flags=flags, borderMode=border)  # type: ignore[return-value]


def theta_tensor(matrix: NDArray[np.float64], size_hw: SizeHw) -> torch.Tensor:
    """(2, 3) float32: a matrix between pixels of two frames of one size, normalised."""
    return torch.from_numpy(matrix_to_theta(matrix, size_hw, size_hw)).float()


def _tensor(gray: Gray) -> torch.Tensor:
    return torch.from_numpy(gray.astype(np.float32) / np.float32(255.0))[None]
