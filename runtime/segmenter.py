"""Person masks of frames by a segmenter of `vr-export`."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.contract import SEGMENT_INPUT, SEGMENT_OUTPUT, SegmenterInfo
from vr.runtime.geometry import SizeHw
from vr.runtime.mask import Mask, without_specks
from vr.runtime.preprocess import Frame, resize, to_bgr
from vr.runtime.session import OnnxFile

_LEAST_PROBABILITY = 0.5


class SegmenterSession(OnnxFile):
    """A loaded segmenter: `info` is what the file says of itself, `output_names` what it computes."""

    output_names = (SEGMENT_OUTPUT,)

    def __init__(self, path: Path | str, provider: str = "auto", threads: int | None = None) -> None:
        """As `vr.runtime.session.Session`. Raises ModelError also for a registration model."""
        super().__init__(path, provider, threads)
        self.info = SegmenterInfo.from_metadata(self.metadata, str(self.path))
        self.check_tensors((SEGMENT_INPUT,), self.output_names, (3, *self.info.size_hw))


class Segmenter:
    """Frames of one camera to masks (h, w) uint8 of the frame's size, person 1.

    Frames as OpenCV gives them: (h, w, 3) uint8 BGR, or IR (h, w) uint8 or uint16, which is shown to the network as a
    grey picture.
    """

    def __init__(self, path: Path | str, provider: str = "auto", threads: int | None = None) -> None:
        """Loads a file of `vr-export` and runs it once; as `vr.runtime.session.Session`."""
        self._session = SegmenterSession(path, provider, threads)
        self._run(np.zeros((1, 3, *self.info.size_hw), np.float32))

    @property
    def info(self) -> SegmenterInfo:
        """What the file says of itself."""
        return self._session.info

    def __call__(self, frame: Frame) -> Mask:
        """The mask of a frame."""
        return segment(frame, self.info.size_hw, self._run)

    def _run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        found = self._session.run({SEGMENT_INPUT: image}, self._session.output_names)
        return np.asarray(found[SEGMENT_OUTPUT], dtype=np.float32)


def segment(frame: Frame, size_hw: SizeHw, run: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> Mask:
    """The mask (h, w) uint8, person 1, of a frame by a network that sees it at `size_hw`.

    run: (1, 3, H, W) float32 RGB in [0, 1] to the probability (1, 1, H, W). Where that is above one half, linearly
    interpolated to the frame's size, is a person; specks are left out.
    """
    probability = run(segmenter_input(frame, size_hw))[0, 0]
    native = np.asarray(cv2.resize(probability, (frame.shape[1], frame.shape[0])), dtype=np.float32)
    return without_specks((native > _LEAST_PROBABILITY).astype(np.uint8))


def segmenter_input(frame: Frame, size_hw: SizeHw) -> NDArray[np.float32]:
    """A frame to what a segmenter sees, (1, 3, H, W) float32 RGB in [0, 1], at `size_hw` by area or linearly as
    `vr.runtime.preprocess.resize`.
    """
    return to_tensor(planes(frame, size_hw))


def planes(frame: Frame, size_hw: SizeHw) -> NDArray[np.uint8]:
    """A frame to (3, H, W) uint8 RGB of `size_hw`."""
    bgr = to_bgr(frame)
    return np.stack([resize(np.ascontiguousarray(bgr[:, :, channel]), size_hw) for channel in (2, 1, 0)])


def to_tensor(rgb_planes: NDArray[np.uint8]) -> NDArray[np.float32]:
    """(3, H, W) uint8 to (1, 3, H, W) float32 in [0, 1]."""
    return rgb_planes[None].astype(np.float32) / np.float32(255.0)
