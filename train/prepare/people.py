"""Person masks of colour frames by torchvision's DeepLabv3; torch is loaded only if they are asked for."""

from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from vr.models.segmenter import Backbone, build_segmenter, weights_url
from vr.runtime.errors import ModelError
from vr.runtime.mask import without_specks

_SHORT_SIDE_PX = 520
_LEAST_PROBABILITY = 0.5


class PersonSegmentation:
    """Colour frames (H, W, 3) uint8 BGR to masks (H, W) uint8, person 1."""

    def __init__(self, backbone: Backbone, weights: Path | None) -> None:
        """weights: a file, or None for what torchvision has downloaded before; downloads nothing. Raises ModelError."""
        try:
            self._net = build_segmenter(backbone, weights or _cached(backbone))
        except (ValueError, OSError) as error:
            raise ModelError(f"cannot load the weights of the person segmenter: {error}") from error

    @torch.no_grad()
    def __call__(self, bgr: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See the class docstring; the network sees frames of at most 520 px on their shorter side, as in its
        training.
        """
        h, w = bgr.shape[:2]
        scale = min(1.0, _SHORT_SIDE_PX / min(h, w))
        rgb = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        if scale < 1.0:
            rgb = cv2.resize(rgb, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_AREA)
        probability = self._net(torch.from_numpy(rgb).permute(2, 0, 1)[None].float() / 255.0)[0, 0].numpy()
        person = cv2.resize(probability, (w, h)) > _LEAST_PROBABILITY
        return without_specks(person.astype(np.uint8))


def _cached(backbone: Backbone) -> Path:
    url = weights_url(backbone)
    path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
    if not path.is_file():
        raise ModelError(
            f"no weights for person masks: {path} does not exist; download {url} and give it with --weights FILE, or "
            "leave out --masks both"
        )
    return path
