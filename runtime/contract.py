"""The contract between `vr-export` and the runtime: graph names, tensor names, metadata keys.

A model file carries everything that the runtime must know in its ONNX `metadata_props`, under `vr.*`.
"""

from dataclasses import dataclass
from typing import Literal, TypeVar

from vr.runtime.errors import ModelError
from vr.runtime.geometry import SizeHw

SCHEMA_VERSION = 1
OPSET = 18
_LARGEST_INPUT_PX = 4096
"""Of a network: beyond any in use, and what a damaged size may make the runtime allocate stays bounded."""

GraphName = Literal["estimate", "overlay"]
TransformKind = Literal["affine", "homography", "dense"]
Precision = Literal["fp32", "fp16", "int8"]
GRAPHS: tuple[GraphName, ...] = ("estimate", "overlay")
KINDS: tuple[TransformKind, ...] = ("affine", "homography", "dense")
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")
Choice = TypeVar("Choice", bound=str)

SEGMENT = "segment"
"""The graph of a person segmenter; it is no registration model, so not one of GRAPHS."""

ESTIMATE_INPUTS = ("moving", "fixed")
OVERLAY_INPUTS = ("ir", "rgb", "alpha")
SEGMENT_INPUT, SEGMENT_OUTPUT = "image", "probability"


def output_names(
    graph: GraphName, kind: TransformKind, has_confidence: bool, has_information: bool = False
) -> tuple[str, ...]:
    """Output tensor names in graph order. `content` is of overlay graphs only: whoever makes the inputs of an estimate
    graph sees for himself whether there is anything in them.
    """
    names = ("moved", "flow") if graph == "estimate" else ("overlay", "moved", "flow")
    if kind != "dense":
        names += ("theta",)
    if has_confidence:
        names += ("confidence",)
    if has_information:
        names += ("information",)
    return (*names, "content") if graph == "overlay" else names


@dataclass(frozen=True)
class ModelInfo:
    """What a model file says about itself.

    `size_hw` is the network's input size, also for a dynamic model (then the size to use by default, and
    `size_multiple` says of what height and width must be multiples). Files from before there was `has_information`
    do not have it.
    """

    graph: GraphName
    kind: TransformKind
    network: str
    mode: str
    size_hw: SizeHw
    dynamic: bool = False
    size_multiple: int = 1
    precision: Precision = "fp32"
    has_confidence: bool = False
    has_information: bool = False
    training_run: str = ""
    package_version: str = ""

    @property
    def output_names(self) -> tuple[str, ...]:
        """Output tensor names in graph order."""
        return output_names(self.graph, self.kind, self.has_confidence, self.has_information)

    @property
    def transform_names(self) -> tuple[str, ...]:
        """The outputs that say where things lie and how surely, the transform first: no pictures."""
        transform = "flow" if self.kind == "dense" else "theta"
        quality = ("confidence", "information", "content")
        return (transform, *(name for name in self.output_names if name in quality))

    @property
    def transform_shapes(self) -> dict[str, tuple[int, ...]]:
        """Of the `transform_names` of an estimate graph, without the batch."""
        known = {"theta": (3, 3) if self.kind == "homography" else (2, 3), "flow": (2, *self.size_hw), "confidence": ()}
        return {name: known[name] for name in self.transform_names if name in known}

    def to_metadata(self) -> dict[str, str]:
        """The `vr.*` strings that travel in the file."""
        return {
            "vr.schema": str(SCHEMA_VERSION),
            "vr.graph": self.graph,
            "vr.kind": self.kind,
            "vr.network": self.network,
            "vr.mode": self.mode,
            "vr.size_hw": f"{self.size_hw[0]}x{self.size_hw[1]}",
            "vr.dynamic": str(int(self.dynamic)),
            "vr.size_multiple": str(self.size_multiple),
            "vr.precision": self.precision,
            "vr.has_confidence": str(int(self.has_confidence)),
            "vr.has_information": str(int(self.has_information)),
            "vr.training_run": self.training_run,
            "vr.package_version": self.package_version,
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], path: str) -> "ModelInfo":
        """Reads what `to_metadata` wrote. Raises ModelError if `path` is not a registration model of this version's
        vr-export.
        """
        check_schema(metadata, path)
        if metadata.get("vr.graph") == SEGMENT:
            raise ModelError(f"{path} is a person segmenter, for --segmenter; expected a registration model")
        try:
            return cls._parse(metadata)
        except (KeyError, ValueError) as error:
            raise ModelError(f"{path} has damaged vr.* metadata ({error}); export it again") from error

    @classmethod
    def _parse(cls, metadata: dict[str, str]) -> "ModelInfo":
        return cls(
            graph=_one_of(metadata["vr.graph"], GRAPHS),
            kind=_one_of(metadata["vr.kind"], KINDS),
            network=metadata["vr.network"],
            mode=metadata["vr.mode"],
            size_hw=_network_size(metadata["vr.size_hw"]),
            dynamic=metadata["vr.dynamic"] == "1",
            size_multiple=_positive(metadata["vr.size_multiple"]),
            precision=_one_of(metadata["vr.precision"], PRECISIONS),
            has_confidence=metadata["vr.has_confidence"] == "1",
            has_information=metadata.get("vr.has_information") == "1",
            training_run=metadata["vr.training_run"],
            package_version=metadata["vr.package_version"],
        )


@dataclass(frozen=True)
class SegmenterInfo:
    """What the file of a person segmenter says about itself.

    Its *segment* graph: `image` float32 (N, 3, H, W) RGB in [0, 1] -> `probability` float32 (N, 1, H, W) of a person.

    `size_hw`: H and W. `backbone`: the encoder's name.
    """

    size_hw: SizeHw
    backbone: str
    precision: Precision = "fp32"
    training_run: str = ""
    package_version: str = ""

    def to_metadata(self) -> dict[str, str]:
        """The `vr.*` strings that travel in the file."""
        return {
            "vr.schema": str(SCHEMA_VERSION),
            "vr.graph": SEGMENT,
            "vr.backbone": self.backbone,
            "vr.size_hw": f"{self.size_hw[0]}x{self.size_hw[1]}",
            "vr.precision": self.precision,
            "vr.training_run": self.training_run,
            "vr.package_version": self.package_version,
        }

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], path: str) -> "SegmenterInfo":
        """Reads what `to_metadata` wrote. Raises ModelError if `path` is no segmenter of this version's vr-export."""
        check_schema(metadata, path)
        if metadata.get("vr.graph") != SEGMENT:
            raise ModelError(f"{path} is a registration model; expected a person segmenter of vr-train and vr-export")
        try:
            return cls(
                size_hw=_network_size(metadata["vr.size_hw"]),
                backbone=metadata["vr.backbone"],
                precision=_one_of(metadata["vr.precision"], PRECISIONS),
                training_run=metadata["vr.training_run"],
                package_version=metadata["vr.package_version"],
            )
        except (KeyError, ValueError) as error:
            raise ModelError(f"{path} has damaged vr.* metadata ({error}); export it again") from error


def check_schema(metadata: dict[str, str], path: str) -> None:
    """Raises ModelError unless `metadata` are of this version's vr-export."""
    if "vr.schema" not in metadata:
        raise ModelError(f"{path} carries no vr.* metadata; expected a file written by vr-export")
    if metadata["vr.schema"] != str(SCHEMA_VERSION):
        found = f"{path} has metadata schema {metadata['vr.schema']}"
        raise ModelError(f"{found}; this package reads {SCHEMA_VERSION}; export it again")


def parse_size(text: str) -> SizeHw:
    """HEIGHTxWIDTH, for example "240x320", to (240, 320). Raises ValueError with a remedy."""
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isdecimal() and len(part) <= 5 and int(part) > 0 for part in parts):
        raise ValueError(f"size {text[:20]!r} is not HEIGHTxWIDTH, for example 240x320")
    return int(parts[0]), int(parts[1])


def _network_size(text: str) -> SizeHw:
    size_hw = parse_size(text)
    if max(size_hw) > _LARGEST_INPUT_PX:
        raise ValueError(f"size {text!r} has sides of more than {_LARGEST_INPUT_PX} px")
    return size_hw


def _positive(text: str) -> int:
    if not (text.isdecimal() and len(text) <= 5 and int(text) > 0):
        raise ValueError(f"{text[:20]!r} is no whole number from 1 up")
    return int(text)


def _one_of(value: str, allowed: tuple[Choice, ...]) -> Choice:
    for choice in allowed:
        if choice == value:
            return choice
    raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")
