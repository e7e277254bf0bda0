"""Person masks from a colour image: torchvision's DeepLabv3 (Chen et al., 2017, arXiv 1706.05587)."""

import importlib
import pickle
from pathlib import Path
from types import ModuleType
from typing import Literal, get_args

import torch
from torch import Tensor, nn

Backbone = Literal["mobilenet_v3_large", "resnet50", "resnet101"]

# torchvision's DeepLab weights know the 21 Pascal VOC classes, background first.
CLASSES = 21
PERSON_CLASS = 15
_MEAN = (0.485, 0.456, 0.406)
_STD = (0.229, 0.224, 0.225)


class PersonSegmenter(nn.Module):
    """(N, 3, H, W) float32 RGB (not BGR) in [0, 1] -> (N, 1, H, W) probability of a person in [0, 1]."""

    def __init__(self, deeplab: nn.Module) -> None:
        super().__init__()
        self.deeplab = deeplab
        self.register_buffer("mean", torch.tensor(_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(_STD).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, rgb: Tensor) -> Tensor:
        """See the class docstring."""
        logits = self.deeplab((rgb - self.get_buffer("mean")) / self.get_buffer("std"))["out"]
        return logits.softmax(dim=1)[:, PERSON_CLASS : PERSON_CLASS + 1]


def build_segmenter(backbone: Backbone = "mobilenet_v3_large", weights: Path | None = None) -> PersonSegmenter:
    """A segmenter in eval mode; downloads nothing.

    Args:
        backbone: the encoder; MobileNetV3-Large is the fast one.
        weights: a state_dict file of torchvision's model of that backbone (`deeplabv3_..._coco-*.pth`),
        which may
            hold the auxiliary head of training; None gives random weights.

    Raises ValueError on an unknown backbone, or if `weights` is not a file for it; OSError if it cannot be
    read.
    """
    if backbone not in get_args(Backbone):
        raise ValueError(f"unknown backbone {backbone!r}; expected one of {', '.join(get_args(Backbone))}")
    make = getattr(_torchvision_segmentation(), f"deeplabv3_{backbone}")
    deeplab = make(weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=False)
    if weights is not None:
        _load_weights(deeplab, weights, backbone)
    return PersonSegmenter(deeplab).eval()


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
    except (RuntimeError, AttributeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(f"{path} does not hold the weights of torchvision's deeplabv3_{backbone}: {error}") from error
