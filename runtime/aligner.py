"""The aligner: two frames in, where each RGB pixel lies in the IR frame out."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self, cast

import numpy as np
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment, State
from vr.runtime.contract import ModelInfo
from vr.runtime.embedded import model_path
from vr.runtime.errors import InputError, ModelError
from vr.runtime.evidence import Transform
from vr.runtime.geometry import CORNERS, IDENTITY_THETA, Float64Array, theta_to_matrix, to_3x3
from vr.runtime.preprocess import MODES, Frame, check_frame, network_input
from vr.runtime.rigs import DEFAULT_RIG, rig_prior
from vr.runtime.session import Session
from vr.runtime.temporal import DenseFilter, TemporalFilter, ThetaFilter, corner_distance

REFUSE_BELOW = 0.5
"""Estimates of lower confidence are refused."""
MIN_CONTENT_STD = 1.0 / 255.0
"""A network input with a smaller standard deviation (one grey level) shows nothing to align."""
MAX_CORNER_FRAMES = 1.0
"""A transform that moves a corner further than this many frame sides is not plausible."""
AREA_SCALE_RANGE = (0.2, 5.0)
"""Plausible local area scale of theta; the network looks at whole frames, so 1 means the same field of view."""

# Areas of a flow are measured between every so many-th pixel.
_FLOW_STEP = 8


@dataclass(frozen=True)
class _Estimate:
    """One network answer; `transform` is theta (2, 3) or (3, 3), or flow (2, H, W), None if it cannot be trusted;
    `information` (6, 6), None where the model gives none.
    """

    transform: Transform | None
    confidence: float | None
    information: Transform | None
    timings_ms: dict[str, float]


class Aligner:
    """Aligns IR frames to RGB frames with one model.

    Frames are numpy arrays as OpenCV gives them: RGB camera (H, W, 3) uint8 BGR; IR (h, w), (h, w, 1) or (h,
    w, 3) uint8, or (h, w) uint16. Sizes may differ, and may change. A model of mode `mask` takes person masks
    instead (person non-zero, rest 0). One instance serves one video from one thread.
    """

    def __init__(self, session: Session, rig: str = DEFAULT_RIG) -> None:
        """Most callers want `Aligner.load`. Raises ModelError if the session's graph is not an estimate
        graph, InputError for an unknown rig.
        """
        prior, info = rig_prior(rig), session.info
        if info.graph != "estimate":
            raise ModelError(
                f"{session.path} is an {info.graph} graph; Aligner needs an estimate graph: vr-export --graph estimate"
            )
        if info.mode not in MODES:
            raise ModelError(f"{session.path} wants {info.mode} input; this version knows {', '.join(MODES)}")
        self._session = session
        self._outputs = info.transform_names
        self._filter: TemporalFilter = DenseFilter() if info.kind == "dense" else ThetaFilter(prior)
        self._warm_up()

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        provider: str = "auto",
        threads: int | None = None,
        rig: str = DEFAULT_RIG,
    ) -> Self:
        """Loads a model of `vr-export`, or one of the package by name (`vr.runtime.embedded`; None: the default), and
        runs it once.

        provider: auto, cpu, cuda, tensorrt or openvino, see `vr.runtime.session.Session`. threads: CPU
        threads, None leaves the choice to onnxruntime. rig: fixed, moving or free, how the cameras move against
        each other, see `vr.runtime.rigs`; no effect on `estimate` and on dense models. Raises ModelError, InputError,
        or VrError if onnxruntime is not installed.
        """
        rig_prior(rig)
        return cls(Session(model_path(path), provider, threads, transform_only=True), rig)

    @property
    def info(self) -> ModelInfo:
        """What the model file says of itself."""
        return self._session.info

    @property
    def provider(self) -> str:
        """What onnxruntime really runs the model on: cpu, cuda, tensorrt or openvino."""
        return self._session.provider

    def reset(self) -> None:
        """Forgets the video so far, for example before another one."""
        self._filter.reset()

    def estimate(self, ir: Frame, rgb: Frame) -> Alignment:
        """Aligns one pair on its own: state `estimated` or `refused`. Raises InputError for a wrong frame."""
        one = self._estimate(ir, rgb)
        state: State = "refused" if one.transform is None else "estimated"
        return self._alignment(state, one.transform, one, ir, rgb)

    def __call__(self, ir: Frame, rgb: Frame, time_s: float | None = None) -> Alignment:
        """Aligns the next pair of a video, through the filter of `vr.runtime.temporal`.

        time_s: when the pair was taken, any zero point; None means 1/30 s after the last one. `confidence` of
        the result is the one of this pair's own estimate, also where an earlier transform is held. Raises
        InputError for a wrong frame.
        """
        one = self._estimate(ir, rgb)
        start = time.perf_counter()
        weight = 1.0 if one.confidence is None else one.confidence
        fused = self._filter.update(one.transform, weight, one.information, time_s)
        one.timings_ms["filter"] = _ms_since(start)
        return self._alignment(fused.state, fused.transform, one, ir, rgb)

    def _warm_up(self) -> None:
        """The first run allocates; better here than at the first frame."""
        blank = np.zeros((1, 1, *self.info.size_hw), dtype=np.float32)
        self._session.run({"moving": blank, "fixed": blank}, self._outputs)

    def _estimate(self, ir: Frame, rgb: Frame) -> _Estimate:
        _check_frames(ir, rgb)
        start = time.perf_counter()
        moving = network_input(ir, self.info.size_hw, self.info.mode)
        fixed = network_input(rgb, self.info.size_hw, self.info.mode)
        has_content = min(float(moving.std()), float(fixed.std())) >= MIN_CONTENT_STD
        timings_ms = {"preprocess": _ms_since(start)}
        if not has_content:
            return _Estimate(None, 0.0 if self.info.has_confidence else None, None, timings_ms)
        start = time.perf_counter()
        outputs = self._session.run({"moving": moving, "fixed": fixed}, self._outputs)
        timings_ms["estimate"] = _ms_since(start)
        transform: Transform = outputs[self._outputs[0]][0]
        confidence = float(outputs["confidence"][0]) if self.info.has_confidence else None
        information: Transform | None = outputs["information"][0] if self.info.has_information else None
        trusted = transform if is_trusted(transform, confidence) else None
        return _Estimate(trusted, confidence, information, timings_ms)

    def _alignment(self, state: State, transform: Transform | None, one: _Estimate, ir: Frame, rgb: Frame) -> Alignment:
        rgb_hw = (rgb.shape[0], rgb.shape[1])
        matrix: Float64Array | None = None
        flow: NDArray[np.float32] | None = None
        if transform is not None and self.info.kind != "dense":
            matrix = theta_to_matrix(transform, rgb_hw, (ir.shape[0], ir.shape[1]))
        elif transform is not None:
            flow = np.asarray(transform, dtype=np.float32)
        return Alignment(state, one.confidence, matrix, flow, rgb_hw, ir, one.timings_ms)


def is_trusted(transform: Transform, confidence: float | None) -> bool:
    """Whether a network's answer may be shown: confident enough, finite, and plausible for two cameras of one
    rig.
    """
    if confidence is not None and not confidence >= REFUSE_BELOW:
        return False
    if not np.isfinite(transform).all():
        return False
    return _is_plausible_theta(transform) if transform.ndim == 2 else _is_plausible_flow(transform)


def _is_plausible_theta(theta: Transform) -> bool:
    """A homography changes areas at a point by det(H) / w^3, where w is the point's third coordinate after the map: its
    extremes are at corners, and without a point at infinity in the frame all w are positive.
    """
    matrix = to_3x3(theta)
    w = CORNERS @ matrix[2, :2] + matrix[2, 2]
    if w.min() <= 0.0:
        return False
    area_scales = np.linalg.det(matrix) / w**3
    in_range = AREA_SCALE_RANGE[0] <= area_scales.min() and area_scales.max() <= AREA_SCALE_RANGE[1]
    return bool(in_range) and corner_distance(theta, IDENTITY_THETA) <= MAX_CORNER_FRAMES


def _is_plausible_flow(flow: Transform) -> bool:
    """The median point stays within a frame side, and areas of the median place within the range of thetas; single
    points of a dense flow may be wild where nothing is seen.
    """
    _, height, width = flow.shape
    distance_frames = np.hypot(flow[0] / width, flow[1] / height)
    if float(np.median(distance_frames)) > MAX_CORNER_FRAMES:
        return False
    x, y = flow[:, ::_FLOW_STEP, ::_FLOW_STEP]
    xx, yx = (np.diff(one, axis=1)[:-1] / _FLOW_STEP for one in (x, y))
    xy, yy = (np.diff(one, axis=0)[:, :-1] / _FLOW_STEP for one in (x, y))
    area_scale = float(np.median((1.0 + xx) * (1.0 + yy) - xy * yx))
    return AREA_SCALE_RANGE[0] <= area_scale <= AREA_SCALE_RANGE[1]


def _check_frames(ir: object, rgb: object) -> None:
    """Raises InputError unless both frames are as the docstring of `Aligner` says."""
    ir_frame, rgb_frame = _checked(ir, "IR"), _checked(rgb, "RGB")
    if rgb_frame.dtype != np.uint8 or rgb_frame.ndim != 3 or rgb_frame.shape[2] != 3:
        raise InputError(
            f"RGB frame has shape {rgb_frame.shape}, dtype {rgb_frame.dtype}; expected (height, width, 3) uint8 BGR"
        )
    if ir_frame.dtype == np.uint16 and ir_frame.shape[2:] == (3,):
        raise InputError(f"IR frame has shape {ir_frame.shape}, dtype uint16; expected (height, width) for 16 bit")


def _checked(frame: object, role: str) -> Frame:
    if not isinstance(frame, np.ndarray):
        raise InputError(f"{role} frame is {type(frame).__name__}; expected a numpy array (was the file read?)")
    known = cast(Frame, frame)
    check_frame(known, role)
    return known


def _ms_since(start: float) -> float:
    return (time.perf_counter() - start) * 1000.0
