"""Person masks of frames by a network: torchvision's DeepLabv3, or one of `vr-train segmenter`; torch is loaded only if
it is needed.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from vr.runtime import cli_errors
from vr.runtime.errors import ModelError
from vr.runtime.geometry import SizeHw
from vr.runtime.mask import Mask
from vr.runtime.preprocess import Frame
from vr.runtime.segmenter import Segmenter, segment

if TYPE_CHECKING:
    from vr.models.segmenter import Backbone, PersonSegmenter
    from vr.train.prepare.masks import Segmenter as AnySegmenter

_SHORT_SIDE_PX = 520


def open_segmenter(weights: Path | None, backbone: "Backbone") -> "AnySegmenter":
    """What makes masks (h, w) uint8, person 1, of frames as OpenCV gives them.

    weights: an ONNX file of vr-export, a checkpoint of vr-train segmenter, or weights of torchvision's DeepLabv3 of
    that `backbone`; None for what torchvision has downloaded before. Downloads nothing. Raises ModelError, InputError.
    """
    if weights is not None and weights.suffix.lower() == ".onnx":
        return Segmenter(weights, provider="cpu")
    for module in ("torch", "torchvision"):
        cli_errors.require(module, "train")
    return _trained(weights) or _torchvisions(weights, backbone)


class PersonSegmentation:
    """Frames to masks (h, w) uint8, person 1, by a network in PyTorch."""

    def __init__(self, net: "PersonSegmenter", size_hw: SizeHw | None = None) -> None:
        """size_hw: at which the network sees frames; None: their own, but at most 520 px on the shorter side, as in the
        training of torchvision's weights.
        """
        self._net, self._size_hw = net, size_hw

    def __call__(self, frame: Frame) -> Mask:
        """See the class docstring."""
        return segment(frame, self._size_hw or _at_most((frame.shape[0], frame.shape[1])), self._run)

    def _run(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        import torch

        with torch.inference_mode():
            return self._net(torch.from_numpy(image)).numpy()


def _at_most(size_hw: SizeHw) -> SizeHw:
    scale = min(1.0, _SHORT_SIDE_PX / min(size_hw))
    return round(size_hw[0] * scale), round(size_hw[1] * scale)


def _trained(weights: Path | None) -> PersonSegmentation | None:
    """Of a checkpoint; None if the file is none. Raises ModelError for one of another network."""
    from vr.train import checkpoint

    if weights is None:
        return None
    try:
        saved = checkpoint.load(weights)
    except ModelError:
        return None
    net = saved.build_segmenter()
    return PersonSegmentation(net, net.size_hw)


def _torchvisions(weights: Path | None, backbone: "Backbone") -> PersonSegmentation:
    from vr.models.segmenter import build_segmenter

    try:
        return PersonSegmentation(build_segmenter(backbone, weights or _cached(backbone)))
    except (ValueError, OSError) as error:
        raise ModelError(
            f"cannot load a person segmenter: {error}; a .pt or .onnx of vr-train segmenter will do too"
        ) from error


def _cached(backbone: "Backbone") -> Path:
    import torch

    from vr.models.segmenter import weights_url

    url = weights_url(backbone)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.is_file():
        raise ModelError(
            f"no weights for person masks: {path} does not exist; download {url} and give it with --weights FILE, or "
            "the .pt or .onnx of a vr-train segmenter, or leave out --masks both"
        )
    return path
