"""`Aligner` for overlay graphs: both frames and the picture stay on the device (`vr.runtime.device_overlay`)."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from vr.runtime.aligner import MIN_CONTENT_STD, check_frames, is_trusted, ms_since
from vr.runtime.alignment import DEFAULT_ALPHA, Alignment, State
from vr.runtime.contract import ModelInfo
from vr.runtime.device_overlay import DeviceOverlay
from vr.runtime.errors import InputError
from vr.runtime.evidence import Transform
from vr.runtime.geometry import theta_to_matrix
from vr.runtime.onnx_pruning import read_metadata
from vr.runtime.placement import Placement
from vr.runtime.preprocess import Frame, to_8bit
from vr.runtime.rigs import DEFAULT_RIG, rig_prior
from vr.runtime.search import DEFAULT_SEARCH, Answer, check_search
from vr.runtime.style import Style
from vr.runtime.temporal import ThetaFilter


@dataclass(frozen=True)
class DeviceAlignment(Alignment):
    """An alignment whose overlay the device has drawn already, at one alpha; any other is drawn here, as ever.

    picture: (H, W, 3) uint8 without notices; None if refused, or if none was asked for.
    """

    picture: NDArray[np.uint8] | None = field(default=None, repr=False)
    alpha: float = DEFAULT_ALPHA

    def blended(self, alpha: float) -> NDArray[np.uint8] | None:
        """See `Alignment.blended`; a copy, for notices are drawn into it."""
        return self.picture.copy() if self.picture is not None and alpha == self.alpha else None


class DeviceAligner:
    """Aligns and draws the pairs of a video with an overlay graph, by the rules of `vr.runtime.Aligner`.

    Takes the same frames, trusts and refuses the same answers, and fuses them over time by the same filter. It looks
    once: there is no search, and of a model of mode `mask` the frames have to be masks.
    """

    def __init__(self, device: DeviceOverlay, rig: str = DEFAULT_RIG, alpha: float | None = DEFAULT_ALPHA) -> None:
        """Most callers want `DeviceAligner.load`. Raises InputError for an unknown rig."""
        self._device, self._alpha, self._draws = device, alpha, alpha is not None
        self._filter = ThetaFilter(rig_prior(rig))

    @classmethod
    def load(
        cls,
        path: Path | str,
        provider: str = "auto",
        threads: int | None = None,
        rig: str = DEFAULT_RIG,
        search: str = DEFAULT_SEARCH,
        alpha: float | None = DEFAULT_ALPHA,
        say: Callable[[str], None] = lambda _text: None,
    ) -> Self:
        """Loads an overlay graph of `vr-export`. The first pair, or `warm_up`, makes what depends on the frames' size.

        path, provider, threads, rig: as `Aligner.load`. search: none; near, the default of the other aligner, means
        none here; wide is an InputError. alpha: what the device draws pictures at; None for no pictures. say: gets a
        line before what may take minutes. Raises ModelError, InputError, or VrError if onnxruntime is not installed.
        """
        rig_prior(rig)
        check_search(search)
        if search == "wide":
            raise InputError(f"{path} is an overlay graph, which looks once; --search wide needs an estimate graph")
        return cls(DeviceOverlay(path, provider, threads, say), rig, alpha)

    @property
    def info(self) -> ModelInfo:
        """What the model file says of itself."""
        return self._device.info

    @property
    def provider(self) -> str:
        """What onnxruntime really runs the model on."""
        return self._device.provider

    @property
    def placement(self) -> Placement:
        """Which nodes run where; unknown before the first pair, or `warm_up`."""
        return self._device.placement

    @property
    def search_text(self) -> None:
        """There is no search."""
        return None

    def warm_up(self, ir: Frame, rgb: Frame) -> None:
        """Makes everything for frames like these; with TensorRT this may take minutes.

        Raises InputError for a wrong frame, ModelError if the model does not run on such.
        """
        check_frames(ir, rgb)
        self._device.prepare((ir.shape[0], ir.shape[1], _channels(ir)), (rgb.shape[0], rgb.shape[1], 3))

    def draws(self, style: Style) -> None:
        """Pictures of the next pairs: on the device if it can draw that view; else none, they are drawn from the
        transform.
        """
        if self._draws:
            self._alpha = style.alpha if style.view == "overlay" and style.palette == "none" else None

    def reset(self) -> None:
        """Forgets the video so far, for example before another one."""
        self._filter.reset()

    def estimate(self, ir: Frame, rgb: Frame) -> Alignment:
        """Aligns one pair on its own: state `estimated` or `refused`. Raises InputError for a wrong frame."""
        timings_ms: dict[str, float] = {}
        one = self._look(ir, rgb, timings_ms)
        state: State = "refused" if one.transform is None else "estimated"
        return self._alignment(state, one.transform, one.confidence, (ir, rgb), timings_ms)

    def __call__(self, ir: Frame, rgb: Frame, time_s: float | None = None) -> Alignment:
        """Aligns the next pair of a video; see `Aligner.__call__`."""
        timings_ms: dict[str, float] = {}
        one = self._look(ir, rgb, timings_ms)
        start = time.perf_counter()
        weight = 1.0 if one.confidence is None else one.confidence
        fused = self._filter.update(one.transform, weight, one.information, time_s)
        timings_ms["filter"] = ms_since(start)
        return self._alignment(fused.state, fused.transform, one.confidence, (ir, rgb), timings_ms)

    def _look(self, ir: Frame, rgb: Frame, timings_ms: dict[str, float]) -> Answer:
        check_frames(ir, rgb)
        start = time.perf_counter()
        found = self._device.look(to_8bit(ir).reshape(*ir.shape[:2], _channels(ir)), to_8bit(rgb))
        timings_ms["estimate"] = ms_since(start)
        if float(found["content"][0]) < MIN_CONTENT_STD:
            return Answer(confidence=0.0 if self.info.has_confidence else None)
        confidence = float(found["confidence"][0]) if self.info.has_confidence else None
        information = found["information"][0] if self.info.has_information else None
        theta = found["theta"][0]
        return Answer(theta, theta if is_trusted(theta, confidence) else None, confidence, information)

    def _alignment(
        self,
        state: State,
        theta: Transform | None,
        confidence: float | None,
        frames: tuple[Frame, Frame],
        timings_ms: dict[str, float],
    ) -> Alignment:
        (ir, rgb), picture, matrix = frames, None, None
        rgb_hw, ir_hw = ((frame.shape[0], frame.shape[1]) for frame in (rgb, ir))
        if theta is not None:
            matrix = theta_to_matrix(theta, rgb_hw, ir_hw)
        if theta is not None and self._alpha is not None:
            start = time.perf_counter()
            picture = self._device.draw(theta, self._alpha)
            timings_ms["overlay"] = ms_since(start)
        alpha = DEFAULT_ALPHA if self._alpha is None else self._alpha
        return DeviceAlignment(state, confidence, matrix, None, rgb_hw, ir, timings_ms, picture=picture, alpha=alpha)


def is_overlay_graph(path: Path) -> bool:
    """Whether a model file is an overlay graph; False also for what is no model file at all."""
    return _graph(path) == "overlay"


def is_registration_graph(path: Path) -> bool:
    """Whether a file is a model that aligns; False also for what is no model file at all."""
    return _graph(path) in ("overlay", "estimate")


def _graph(path: Path) -> str | None:
    try:
        return read_metadata(path.read_bytes()).get("vr.graph")
    except (OSError, ValueError):
        return None


def _channels(frame: Frame) -> int:
    return 1 if frame.ndim == 2 else frame.shape[2]
