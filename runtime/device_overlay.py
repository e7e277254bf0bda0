"""An overlay graph in two halves, with the frames on the device: uploaded once, one picture downloaded.

The one file of `vr-export --graph overlay` is cut at the transform (`vr.runtime.onnx_pruning`):

    look: ir, rgb -> theta, confidence, information, content        draw: ir, rgb, alpha, theta -> overlay

so that what the runtime makes of the transform (filter, refusal, hold) comes in between, on the host; both halves read
the same two frames. Per pair 2 frames go up, a few hundred bytes down and up again, and one picture comes down.

Sessions, buffers and bindings are made for one size of the frames, and anew when a size changes: with all dimensions
known no operator of shapes is left for the CPU, addresses stay, and the launches of a run can be recorded (CUDA graph).
Where they cannot, the sessions run without.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import DEFAULT_ALPHA
from vr.runtime.contract import ModelInfo
from vr.runtime.errors import ModelError
from vr.runtime.evidence import Transform
from vr.runtime.onnx_pruning import cut_between, read_metadata
from vr.runtime.placement import Placement, placement_of
from vr.runtime.providers import BUILDING_ENGINES, DEVICES, Opening, OrtSession, has_engines, open_session, short_name
from vr.runtime.session import check_options, import_onnxruntime, read_model

Uint8Array = NDArray[np.uint8]
FrameShape = tuple[int, int, int]
"""Height, width, channels."""
Shapes = tuple[FrameShape, FrameShape]
"""Of the IR and of the RGB frame."""

_QUALITY_SHAPES = {"confidence": (1,), "information": (1, 6, 6), "content": (1,)}


class DeviceOverlay:
    """Looks at a pair and draws it, with both frames on the device in between.

    One instance serves one video from one thread.
    """

    def __init__(
        self,
        path: Path | str,
        provider: str = "auto",
        threads: int | None = None,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        """Opens an overlay graph of an affine or homography model, but makes nothing that depends on the frames' size.

        provider, threads: as `vr.runtime.session.Session`. say: gets a line before what may take minutes, and what
        came of it. Raises InputError for a wrong option, ModelError for a file or provider that cannot be used, VrError
        if onnxruntime is not installed.
        """
        check_options(provider, threads)
        self._say, self._ort = say, import_onnxruntime()
        self._halves = _Halves.of(Path(path), threads)
        probe = self._halves.open(self._ort, self._halves.draw, provider, {}, capture=False)
        self.provider = short_name(probe.get_providers()[0])
        self._sized: _Sized | None = None

    @property
    def path(self) -> Path:
        """The model's file."""
        return self._halves.path

    @property
    def info(self) -> ModelInfo:
        """What the model file says of itself."""
        return self._halves.info

    @property
    def placement(self) -> Placement:
        """Which nodes of both halves run where, for the frames that came last; unknown before there are any."""
        return Placement(self.provider) if self._sized is None else self._sized.placement

    @property
    def is_captured(self) -> bool:
        """Whether runs replay a CUDA graph."""
        return self._sized is not None and self._sized.is_captured

    def prepare(self, ir: FrameShape, rgb: FrameShape) -> None:
        """Makes everything for frames of these shapes, unless it is there; with TensorRT this may build engines.

        Raises ModelError if the model does not run on such frames.
        """
        shapes = (ir, rgb)
        if self._sized is not None and self._sized.shapes == shapes:
            return
        if self.provider == "tensorrt" and not has_engines(self._halves.look, fixed_dims(shapes)):
            self._say(BUILDING_ENGINES)
        self._sized = None  # frees the old buffers first
        self._sized = _captured_if_possible(self._ort, self._halves, self.provider, shapes)
        if self.provider != "cpu":
            self._say(f"placement: {self.placement.text}{', as CUDA graphs' if self.is_captured else ''}")

    def look(self, ir: Uint8Array, rgb: Uint8Array) -> dict[str, NDArray[np.float32]]:
        """Takes a pair to the device and looks at it: `info.transform_names`, each with its leading axis of 1.

        ir: (h, w, 1 or 3); rgb: (H, W, 3), BGR.
        """
        self.prepare((ir.shape[0], ir.shape[1], ir.shape[2]), (rgb.shape[0], rgb.shape[1], rgb.shape[2]))
        assert self._sized is not None
        return self._sized.look(ir, rgb)

    def draw(self, theta: Transform, alpha: float = DEFAULT_ALPHA) -> Uint8Array:
        """The pair that was looked at last as `alpha * moved + (1 - alpha) * rgb`, (H, W, 3), aligned by `theta`.

        The picture of `vr.runtime.blend.mixed`. theta: (2, 3) or (3, 3), as the model's.
        """
        assert self._sized is not None, "look comes first"
        return self._sized.draw(theta, alpha)


@dataclass(frozen=True)
class _Halves:
    """Both halves of a file, and how they are to be opened."""

    path: Path
    info: ModelInfo
    look: bytes
    draw: bytes
    threads: int | None

    @classmethod
    def of(cls, path: Path, threads: int | None) -> Self:
        """Reads and cuts a file. Raises ModelError for one that is no overlay graph of a theta."""
        model = read_model(path)
        try:
            info = ModelInfo.from_metadata(read_metadata(model), str(path))
            if info.graph != "overlay" or info.kind == "dense":
                raise ModelError(
                    f"{path} is the {info.graph} graph of a model that gives a transform of kind {info.kind}; expected "
                    "an overlay graph of kind affine or homography: vr-export --graph overlay"
                )
            look = cut_between(model, set(), set(info.transform_names))
            return cls(path, info, look, cut_between(model, {"theta"}, {"overlay"}), threads)
        except ValueError as error:
            raise ModelError(f"{path} is no overlay graph of this version ({error}); export it again") from error

    def open(self, ort: Any, half: bytes, provider: str, fixed: Mapping[str, int], capture: bool) -> OrtSession:
        opening = Opening(self.path, half, self.threads, fixed, {}, self.info.precision, capture)
        return open_session(ort, opening, provider)


class _Sized:
    """Both halves for frames of one size: sessions, buffers on the device, and bindings between them."""

    def __init__(self, ort: Any, halves: _Halves, provider: str, shapes: Shapes, capture: bool) -> None:
        self.shapes, self.is_captured = shapes, capture
        self._results = halves.info.transform_names
        self._buffers = _Buffers(ort, DEVICES.get(provider, "cpu"), _tensors(halves.info, shapes))
        self._look, self._draw = (
            halves.open(ort, half, provider, fixed_dims(shapes), capture) for half in (halves.look, halves.draw)
        )
        self._look_binding = self._buffers.bind(self._look, {"ir": "ir", "rgb": "rgb"}, self._results)
        frames_and_transform = {"ir": "ir", "rgb": "rgb", "alpha": "alpha", "theta": "theta shown"}
        self._draw_binding = self._buffers.bind(self._draw, frames_and_transform, ["overlay"])
        self._alpha: float | None = None
        self.placement = placement_of(self._look, provider) + placement_of(self._draw, provider)

    def look(self, ir: Uint8Array, rgb: Uint8Array) -> dict[str, NDArray[np.float32]]:
        self._buffers.upload("ir", ir)
        self._buffers.upload("rgb", rgb)
        self._look.run_with_iobinding(self._look_binding)
        return {name: self._buffers.download(name) for name in self._results}

    def draw(self, theta: Transform, alpha: float) -> Uint8Array:
        if alpha != self._alpha:
            self._buffers.upload("alpha", np.asarray(alpha))
            self._alpha = alpha
        self._buffers.upload("theta shown", theta)
        self._draw.run_with_iobinding(self._draw_binding)
        return self._buffers.download("overlay")[0]

    def warm_up(self) -> None:
        """Runs both halves twice: the first run allocates and chooses kernels, after it one is recorded.

        Raises ModelError if they do not run.
        """
        ir, rgb = (np.zeros(shape, np.uint8) for shape in self.shapes)
        try:
            for _ in range(2):
                self.draw(self.look(ir, rgb)["theta"], DEFAULT_ALPHA)
        except Exception as error:  # the exceptions of onnxruntime have no common base class
            sizes = " and ".join(f"{height}x{width}x{channels}" for height, width, channels in self.shapes)
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ModelError(f"the model does not run on frames of {sizes} ({reason})") from error


class _TensorType(NamedTuple):
    shape: tuple[int, ...]
    dtype: type[np.generic]


class _Buffers:
    """Tensors by name that stay where they are on the device."""

    def __init__(self, ort: Any, device: str, types: Mapping[str, _TensorType]) -> None:
        self._device, self._types = device, types
        self._values = {
            name: ort.OrtValue.ortvalue_from_numpy(np.zeros(one.shape, one.dtype), device, 0)
            for name, one in types.items()
        }

    def upload(self, name: str, values: NDArray[Any]) -> None:
        """Copies `values`, of as many elements, into the tensor."""
        own = self._types[name]
        self._values[name].update_inplace(np.ascontiguousarray(values, own.dtype).reshape(own.shape))

    def download(self, name: str) -> NDArray[Any]:
        """A copy of the tensor; of one on the CPU onnxruntime gives a view."""
        values = self._values[name].numpy()
        return values.copy() if self._device == "cpu" else values

    def bind(self, session: OrtSession, inputs: Mapping[str, str], outputs: Sequence[str]) -> Any:
        """The session's tensors, bound to ours. inputs: our names by the session's; outputs have one name in both."""
        binding = session.io_binding()
        for theirs, ours in inputs.items():
            binding.bind_ortvalue_input(theirs, self._values[ours])
        for name in outputs:
            binding.bind_ortvalue_output(name, self._values[name])
        return binding


def _tensors(info: ModelInfo, shapes: Shapes) -> dict[str, _TensorType]:
    """What lies on the device. `theta` is what the model has found, `theta shown` what the picture is drawn with."""
    ir, rgb = (_TensorType((1, *shape), np.uint8) for shape in shapes)
    theta = _TensorType((1, 3 if info.kind == "homography" else 2, 3), np.float32)
    quality = {name: _TensorType(shape, np.float32) for name, shape in _QUALITY_SHAPES.items()}
    found = {name: theta if name == "theta" else quality[name] for name in info.transform_names}
    return {"ir": ir, "rgb": rgb, "alpha": _TensorType((), np.float32), "theta shown": theta, "overlay": rgb, **found}


def _captured_if_possible(ort: Any, halves: _Halves, provider: str, shapes: Shapes) -> _Sized:
    """Warm, and with a CUDA graph if the provider has such a thing and takes the graph as one."""
    if provider in DEVICES:
        with contextlib.suppress(ModelError):  # a model that does not run at all fails below again
            return _warm(_Sized(ort, halves, provider, shapes, capture=True))
    return _warm(_Sized(ort, halves, provider, shapes, capture=False))


def _warm(sized: _Sized) -> _Sized:
    sized.warm_up()
    return sized


def fixed_dims(shapes: Shapes) -> dict[str, int]:
    """The free dimensions of an overlay graph, by name, for one pair."""
    ir, rgb = shapes
    return {"N": 1, "h": ir[0], "w": ir[1], "C": ir[2], "H": rgb[0], "W": rgb[1]}
