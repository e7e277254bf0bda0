"""The aligner: two frames in, where each RGB pixel lies in the IR frame out."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime.alignment import Alignment, State
from vr.runtime.contract import ModelInfo
from vr.runtime.embedded import model_path
from vr.runtime.errors import InputError, ModelError
from vr.runtime.evidence import Transform
from vr.runtime.geometry import CORNERS, IDENTITY_THETA, Float64Array, theta_to_matrix, to_3x3
from vr.runtime.guesses import is_sane
from vr.runtime.lazy import lazy
from vr.runtime.mask import dice
from vr.runtime.person_masks import MaskPair, PersonMasks
from vr.runtime.preprocess import MODES, Frame, check_frame, network_input, to_8bit, to_gray, view_input
from vr.runtime.rigs import DEFAULT_RIG, rig_prior
from vr.runtime.search import DEFAULT_SEARCH, REFUSE_BELOW, Answer, Views, check_search, check_start, search_for
from vr.runtime.session import Runner, Session
from vr.runtime.temporal import DenseFilter, TemporalFilter, ThetaFilter, corner_distance
from vr.runtime.warp import Warper, flow_source_map, warp_map, warp_matrix

MIN_CONTENT_STD = 1.0 / 255.0
"""A network input with a smaller standard deviation (one grey level) shows nothing to align."""
MAX_CORNER_FRAMES = 1.0
"""A transform that moves a corner further than this many frame sides is not plausible."""
AREA_SCALE_RANGE = (0.2, 5.0)
"""Plausible local area scale of theta; the network looks at whole frames, so 1 means the same field of view."""

_HALF = 0.5
# Areas of a flow are measured between every so many-th pixel.
_FLOW_STEP = 8

MakeMasks = Callable[[Frame, Frame], MaskPair]


class PairLook:
    """One frame pair on its way into the network; see `vr.runtime.search.Look`."""

    def __init__(self, session: Runner, ir: Frame, rgb: Frame, make_masks: MakeMasks | None = None) -> None:
        """make_masks: what the network is shown instead of the frames. Raises InputError for a wrong frame."""
        check_frames(ir, rgb)
        self.rgb_hw, self.ir_hw = (rgb.shape[0], rgb.shape[1]), (ir.shape[0], ir.shape[1])
        self.timings_ms: dict[str, float] = {}
        self._session, self._info, self._made_masks, fault = session, session.info, make_masks is not None, ""
        start = time.perf_counter()
        self.ir, self.ir_8bit = ir, to_8bit(ir)
        self._ir: Frame = self.ir_8bit
        self._rgb: Frame = rgb
        self._spend("preprocess", start)
        if make_masks is not None:
            start = time.perf_counter()
            masks = make_masks(ir, rgb)
            self._ir, self._rgb, fault = masks.ir, masks.rgb, masks.fault
            self._spend("masks", start)
        start = time.perf_counter()
        self._moving = network_input(self._ir, self._info.size_hw, self._info.mode)
        self._fixed = network_input(self._rgb, self._info.size_hw, self._info.mode)
        self.has_content = not fault and _has_content(self._moving, self._fixed)
        self._ahead: tuple[Transform | None, Answer] | None = None
        self._spend("preprocess", start)

    def look_ahead(self, prior: Transform | None = None) -> None:
        """Asks for the answer under the prior that will be asked for first, in all likelihood, already now."""
        self._ahead = prior, self(prior)

    def __call__(self, prior: Transform | None = None) -> Answer:
        """The network's answer under a prior; confidence 0 where there is nothing to see."""
        if self._ahead is not None and prior is self._ahead[0]:
            return self._ahead[1]
        views = None if prior is None else Views.of(prior)
        start = time.perf_counter()
        moving, fixed = (self._moving, self._fixed) if views is None else self._seen_through(views)
        self._spend("preprocess", start)
        if not (self.has_content if views is None else _has_content(moving, fixed)):
            return Answer(confidence=0.0 if self._info.has_confidence else None)
        start = time.perf_counter()
        outputs = self._session.run({"moving": moving, "fixed": fixed}, self._info.transform_names)
        self._spend("estimate", start)
        added: Transform = outputs[self._info.transform_names[0]][0]
        confidence = float(outputs["confidence"][0]) if self._info.has_confidence else self._overlap(added)
        information: Transform | None = outputs["information"][0] if self._info.has_information else None
        if not is_trusted(added, None):
            return Answer(confidence=confidence, information=information)
        return self._answer(added, confidence, information, views)

    def _overlap(self, added: Transform) -> float | None:
        """Dice of masks that were made here, as `added` aligns them: the confidence of a model that has none itself."""
        if not self._made_masks or not np.isfinite(added).all():
            return None
        size_hw = self._info.size_hw
        moving = (self._moving[0, 0] > _HALF).astype(np.uint8)
        if added.ndim == 2:
            moved = warp_matrix(moving, theta_to_matrix(added, size_hw, size_hw), size_hw)
        else:
            moved = warp_map(moving, flow_source_map(added.astype(np.float32), size_hw, size_hw))
        return dice(moved > 0, self._fixed[0, 0] > _HALF)

    def _answer(
        self, added: Transform, confidence: float | None, information: Transform | None, views: Views | None
    ) -> Answer:
        """Of a plausible `added`."""
        total = added
        if views is not None:
            total, information = views.total(added), None if information is None else views.information(information)
            if not is_sane(total, self.rgb_hw, self.ir_hw):
                return Answer(confidence=confidence, information=information)
        return Answer(total, total if is_trusted(added, confidence) else None, confidence, information)

    def _seen_through(self, views: Views) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        size_hw = self._info.size_hw
        fixed = self._fixed if views.rgb is None else view_input(self._rgb_gray, views.rgb, size_hw)
        return view_input(self._ir_gray, views.ir, size_hw), fixed

    @lazy
    def _ir_gray(self) -> NDArray[np.uint8]:
        return to_gray(self._ir)

    @lazy
    def _rgb_gray(self) -> NDArray[np.uint8]:
        return to_gray(self._rgb)

    def _spend(self, stage: str, start: float) -> None:
        self.timings_ms[stage] = self.timings_ms.get(stage, 0.0) + ms_since(start)


class Aligner:
    """Aligns IR frames to RGB frames with one model.

    Frames are numpy arrays as OpenCV gives them: RGB camera (H, W, 3) uint8 BGR; IR (h, w), (h, w, 1) or (h,
    w, 3) uint8, or (h, w) uint16. Sizes may differ, and may change. A model of mode `mask` takes person masks
    instead (person non-zero, rest 0), or frames if it is given what makes masks of them (`vr.runtime.person_masks`).
    Of masks made so, Dice after the alignment is the confidence if the model has none.
    One instance serves one video from one thread.
    """

    def __init__(
        self,
        session: Runner,
        rig: str = DEFAULT_RIG,
        search: str = DEFAULT_SEARCH,
        masks: PersonMasks | None = None,
    ) -> None:
        """Most callers want `Aligner.load`. Raises ModelError if the session's graph is not an estimate
        graph, or is given masks and has another mode; InputError for an unknown rig, and for a search that is unknown
        or not for this model.
        """
        prior, info = rig_prior(rig), session.info
        if info.graph != "estimate":
            raise ModelError(
                f"{session.path} is an {info.graph} graph; Aligner needs an estimate graph: vr-export --graph estimate"
            )
        if info.mode not in MODES:
            raise ModelError(f"{session.path} wants {info.mode} input; this version knows {', '.join(MODES)}")
        if masks is not None and info.mode != "mask":
            raise ModelError(
                f"{session.path} looks at {info.mode} frames; --mode mask needs a model of masks: "
                "vr-train affine DIR/masks --mode mask"
            )
        self._session, self._masks = session, masks
        self._search = search_for(search, info)
        self._filter: TemporalFilter = DenseFilter() if info.kind == "dense" else ThetaFilter(prior)
        self._warper: Warper | None = None
        self._warm_up()

    @classmethod
    def load(
        cls,
        path: Path | str | None = None,
        provider: str = "auto",
        threads: int | None = None,
        rig: str = DEFAULT_RIG,
        search: str = DEFAULT_SEARCH,
        masks: PersonMasks | None = None,
    ) -> Self:
        """Loads a model of `vr-export`, one of the package by name (None: the default), or one of the Hugging Face Hub
        (hf://ORG/NAME), see `vr.runtime.embedded`, and runs it once.

        provider: auto, cpu, cuda, tensorrt or openvino, see `vr.runtime.session.Session`. threads: CPU
        threads, None leaves the choice to onnxruntime. rig: fixed, moving or free, how the cameras move against
        each other, see `vr.runtime.rigs`; no effect on `estimate` and on dense models. search: what is tried where
        one look of the network is not sure: none, near (somewhat turned or scaled) or wide (any turn, other fields of
        view, larger shifts), see `vr.runtime.search`. masks: makes masks of the frames for a model of mode `mask`; the
        transform is that of the frames. Raises ModelError, InputError, or VrError if onnxruntime is not installed.
        """
        rig_prior(rig)
        check_search(search)
        return cls(Session(model_path(path), provider, threads, transform_only=True), rig, search, masks)

    @property
    def info(self) -> ModelInfo:
        """What the model file says of itself."""
        return self._session.info

    @property
    def provider(self) -> str:
        """What onnxruntime really runs the model on: cpu, cuda, tensorrt or openvino."""
        return self._session.provider

    def start_from(self, theta: ArrayLike | None) -> None:
        """Makes estimates begin at a transform that is roughly known: one that was set by hand, or when the rig was
        calibrated. It forgets the video so far; the start itself outlives `reset`.

        The network sees pairs through it, and adds what is missing. So nothing is shown because of it alone, but far
        turns and other fields of view are found at the first look. If it misses 5 times in a row, every other look is
        without it. theta: (2, 3) or (3, 3); None begins without, as at first. Raises InputError for one that cannot be
        that of two cameras of one scene, and for a model that cannot use it: dense, not of grey frames, or without
        confidence.
        """
        start = check_start(None if theta is None else np.asarray(theta, dtype=np.float64), self.info)
        self._search.start_from(start)
        self.reset()

    def reset(self) -> None:
        """Forgets the video so far, for example before another one."""
        self._filter.reset()
        self._search.reset()
        if self._masks is not None:
            self._masks.reset()

    @property
    def search_text(self) -> str | None:
        """What the wide search has come to in the video so far, for people; None with a near one."""
        return self._search.text

    def estimate(self, ir: Frame, rgb: Frame) -> Alignment:
        """Aligns one pair on its own: state `estimated` or `refused`. Raises InputError for a wrong frame."""
        look = PairLook(self._session, ir, rgb, None if self._masks is None else self._masks.single)
        one = self._search.whole(look)
        state: State = "refused" if one.transform is None else "estimated"
        return self._alignment(state, one.transform, one.confidence, look)

    def __call__(self, ir: Frame, rgb: Frame, time_s: float | None = None) -> Alignment:
        """Aligns the next pair of a video, through the filter of `vr.runtime.temporal`.

        time_s: when the pair was taken, any zero point; None means 1/30 s after the last one. `confidence` of
        the result is the one of this pair's own estimate, also where an earlier transform is held. Raises
        InputError for a wrong frame.
        """
        make_masks = None if self._masks is None else partial(self._masks.next, time_s=time_s)
        return self.finish(PairLook(self._session, ir, rgb, make_masks), time_s)

    @property
    def can_prepare(self) -> bool:
        """Whether `prepare` may be used: masks follow the video, so they cannot be made ahead."""
        return self._masks is None

    def prepare(self, ir: Frame, rgb: Frame) -> PairLook:
        """The part of aligning a pair of a video that does not depend on the pairs before: may run ahead, and in
        several threads at once. Raises InputError for a wrong frame.
        """
        look = PairLook(self._session, ir, rgb)
        look.look_ahead(self._search.prior)
        return look

    def finish(self, look: PairLook, time_s: float | None = None) -> Alignment:
        """The rest, in the order of the video; `finish(prepare(ir, rgb), t)` is `aligner(ir, rgb, t)`."""
        one = self._search.follow(look)
        start = time.perf_counter()
        weight = 1.0 if one.confidence is None else one.confidence
        fused = self._filter.update(one.transform, weight, one.information, time_s)
        self._search.lost = fused.state == "refused"
        look.timings_ms["filter"] = ms_since(start)
        return self._alignment(fused.state, fused.transform, one.confidence, look)

    def _warm_up(self) -> None:
        """The first run allocates; better here than at the first frame."""
        blank = np.zeros((1, 1, *self.info.size_hw), dtype=np.float32)
        outputs = self._session.run({"moving": blank, "fixed": blank}, self.info.transform_names)
        for name, shape in self.info.transform_shapes.items():
            if outputs[name].shape != (1, *shape) or outputs[name].dtype != np.float32:
                found = f"{outputs[name].dtype} {outputs[name].shape}"
                raise ModelError(
                    f"{self._session.path}: its {name} is {found}; expected float32 {(1, *shape)}; export it again"
                )

    def _alignment(
        self, state: State, transform: Transform | None, confidence: float | None, look: PairLook
    ) -> Alignment:
        matrix: Float64Array | None = None
        flow: NDArray[np.float32] | None = None
        warper: Warper | None = None
        if transform is not None and self.info.kind != "dense":
            matrix = theta_to_matrix(transform, look.rgb_hw, look.ir_hw)
        elif transform is not None:
            flow = np.asarray(transform, dtype=np.float32)
            warper = self._warper = self._warper_for(flow, look)
        return Alignment(
            state, confidence, matrix, flow, look.rgb_hw, look.ir, look.timings_ms, 0.0, warper, look.ir_8bit
        )

    def _warper_for(self, flow: NDArray[np.float32], look: PairLook) -> Warper:
        """The one of the last flow if that hardly differs: its source map takes longer to make than the picture."""
        if self._warper is not None and self._warper.draws_like(flow, look.rgb_hw, look.ir_hw):
            return self._warper
        return Warper(look.rgb_hw, look.ir_hw, flow=flow)


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


def check_frames(ir: object, rgb: object) -> None:
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


def _has_content(moving: NDArray[np.float32], fixed: NDArray[np.float32]) -> bool:
    return min(float(moving.std()), float(fixed.std())) >= MIN_CONTENT_STD


def ms_since(start: float) -> float:
    """Of `time.perf_counter()`."""
    return (time.perf_counter() - start) * 1000.0
