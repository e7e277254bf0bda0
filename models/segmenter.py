"""Person masks from an image: torchvision's DeepLabv3 (Chen et al., 2017, arXiv 1706.05587)."""

import importlib
import pickle
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from vr.models.base import SizeHw

Backbone = Literal["mobilenet_v3_large", "resnet50", "resnet101"]

# torchvision's DeepLab weights know the 21 Pascal VOC classes, background first.
CLASSES = 21
PERSON_CLASS = 15
LEAST_SIDE_PX = 32
_LAST_LAYER = "classifier.4."
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class PersonSegmenter(nn.Module):
    """(N, 3, H, W) float32 RGB (not BGR) in [0, 1] -> (N, 1, H, W) probability of a person in [0, 1]."""

    def __init__(self, deeplab: nn.Module, person_class: int = PERSON_CLASS) -> None:
        super().__init__()
        self.deeplab = deeplab
        self.person_class = person_class
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).reshape(1, 3, 1, 1), persistent=False)

    def logits(self, rgb: Tensor) -> Tensor:
        """(N, C, H, W): of each class, as the losses take them."""
        return self.deeplab((rgb - self.get_buffer("mean")) / self.get_buffer("std"))["out"]

    def forward(self, rgb: Tensor) -> Tensor:
        """See the class docstring."""
        return self.logits(rgb).softmax(dim=1)[:, self.person_class : self.person_class + 1]


class SegmenterNet(PersonSegmenter):
    """A segmenter of two classes, background and person, for images of one size: what `vr-train segmenter` trains.

    `config` holds the constructor's arguments: a checkpoint needs nothing else to build the network again.
    """

    network: ClassVar[str] = "segmenter"

    def __init__(self, size_hw: SizeHw, backbone: Backbone = "mobilenet_v3_large") -> None:
        """Random weights. Raises ValueError on an unknown backbone, and on sides below 32 px."""
        if min(size_hw) < LEAST_SIDE_PX:
            raise ValueError(f"size {size_hw[0]}x{size_hw[1]} is too small; expected sides of at least {LEAST_SIDE_PX}")
        super().__init__(_deeplab(backbone, classes=2), person_class=1)
        self.size_hw = size_hw[0], size_hw[1]
        self.config: dict[str, Any] = {"size_hw": list(size_hw), "backbone": backbone}

    def start_from(self, weights: Path) -> None:
        """Takes over the weights of a state_dict file of torchvision's model of this backbone: of its last layer the
        rows of background and person. Raises ValueError if it is not such a file, OSError if it cannot be read.
        """
        state = dict(build_segmenter(self.config["backbone"], weights).deeplab.state_dict())
        for name in (name for name in state if name.startswith(_LAST_LAYER)):
            state[name] = state[name][[0, PERSON_CLASS]]
        self.deeplab.load_state_dict(state)


def build_segmenter(backbone: Backbone = "mobilenet_v3_large", weights: Path | None = None) -> PersonSegmenter:
    """A segmenter of torchvision's 21 classes in eval mode; downloads nothing.

    Args:
        backbone: the encoder; MobileNetV3-Large is the fast one.
        weights: a state_dict file of torchvision's model of that backbone (`deeplabv3_..._coco-*.pth`),
        which may
            hold the auxiliary head of training; None gives random weights.

    Raises ValueError on an unknown backbone, or if `weights` is not a file for it; OSError if it cannot be
    read.
    """
    deeplab = _deeplab(backbone, CLASSES)
    if weights is not None:
        _load_weights(deeplab, weights, backbone)
    return PersonSegmenter(deeplab).eval()


def _deeplab(backbone: str, classes: int) -> nn.Module:
    if backbone not in get_args(Backbone):
        raise ValueError(f"unknown backbone {backbone!r}; expected one of {', '.join(get_args(Backbone))}")
    make = getattr(_torchvision_segmentation(), f"deeplabv3_{backbone}")
    return make(weights=None, weights_backbone=None, num_classes=classes, aux_loss=False)


def weights_url(backbone: Backbone) -> str:
    """Where torchvision offers the trained weights of a backbone; downloads nothing."""
    name = {"mobilenet_v3_large": "MobileNet_V3_Large", "resnet50": "ResNet50", "resnet101": "ResNet101"}[backbone]
    return getattr(_torchvision_segmentation(), f"DeepLabV3_{name}_Weights").DEFAULT.url


def _torchvision_segmentation() -> ModuleType:
    """The segmentation models of torchvision, also beside a torch that torchvision's compiled operators
    were not built for.

    `import torchvision` then fails on its missing operators `nms` and `qnms`. DeepLab calls neither, so
    declaring them is enough.
    """
    try:
        return importlib.import_module("torchvision.models.segmentation")
    except RuntimeError as error:
        if "nms" not in str(error):
            raise
    _declare_missing_operators()
    return importlib.import_module("torchvision.models.segmentation")


def _declare_missing_operators() -> None:
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, name):
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    # The declarations end with the object.
    _declared.append(library)


_declared: list[torch.library.Library] = []


def _load_weights(deeplab: nn.Module, path: Path, backbone: str) -> None:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        state = {name: tensor for name, tensor in state.items() if not name.startswith("aux_classifier.")}
        deeplab.load_state_dict(state)
    except (RuntimeError, AttributeError, EOFError, LookupError, ValueError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} does not hold the weights of torchvision's deeplabv3_{backbone}: {error}") from error
