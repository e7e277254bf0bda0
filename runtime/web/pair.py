"""What the page may know of one pair, and what it may ask of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vr.runtime.alignment import Alignment
from vr.runtime.by_hand import ByHand
from vr.runtime.controls import FOLLOW, Controls, as_json
from vr.runtime.errors import InputError
from vr.runtime.keys import KEY_HELP
from vr.runtime.pairing.base import PairingCounts
from vr.runtime.report import STATES
from vr.runtime.rigs import RIGS
from vr.runtime.search import SEARCHES
from vr.runtime.sinks.base import Output
from vr.runtime.status import PairStatus, Status
from vr.runtime.style import VIEWS
from vr.runtime.thermal.hot_spot import Celsius
from vr.runtime.thermal.palettes import DISPLAY
from vr.runtime.version import package_version
from vr.runtime.web.newest import WebSink

_LARGEST_MOVE_PX, _LARGEST_SCALE = 10_000.0, 10.0
_NUDGE_KEYS = ("move_xy", "rotate_deg", "scale", "about_xy", "reset")


@dataclass
class WebPair:
    """One pair, as the server reaches it; every method may be called from any thread.

    number: from 0, in addresses. celsius: of raw infrared frames, if they are temperatures. provider: of the model.
    counts: of the pairing. dropped: outputs that sinks were too slow for. offset_ms: how much later the clock of the IR
    camera is taken to be. switching: name of a model that is being loaded.
    """

    number: int
    name: str
    controls: Controls
    status: Status
    sink: WebSink
    provider: Callable[[], str]
    counts: Callable[[], PairingCounts]
    dropped: Callable[[], int]
    offset_ms: Callable[[], float]
    switching: Callable[[], str | None]
    celsius: Celsius | None = None
    by_hand: ByHand = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.by_hand = ByHand(self.controls, lambda: self.sink.newest)

    def describe(self) -> dict[str, Any]:
        """What does not change, or seldom."""
        return {
            "number": self.number,
            "name": self.name,
            "models": list(self.controls.models),
            "views": list(VIEWS),
            "palettes": list(DISPLAY),
            "rigs": list(RIGS),
            "searches": list(SEARCHES),
            "modes": list(dict.fromkeys((None, self.controls.settings.mode))),
            "follow": list(FOLLOW),
            "keys": [{"key": key, "help": text} for key, text in KEY_HELP],
            "provider": self.provider(),
            "version": package_version(),
            "celsius": self.celsius is not None,
        }

    def settings(self) -> dict[str, Any]:
        """What holds now."""
        return as_json(self.controls.settings)

    def change(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Changes some settings. Raises InputError."""
        return as_json(self.controls.change(values))

    def nudge(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Moves the infrared picture, see `vr.runtime.nudge`. Raises InputError for what is no such move, and before
        there is a picture of the RGB camera.
        """
        unknown = [key for key in asked if key not in _NUDGE_KEYS]
        if unknown:
            raise InputError(f"there is no {unknown[0]!r:.80}; expected some of {', '.join(_NUDGE_KEYS)}")
        if asked.get("reset", False) is True:
            return as_json(self.controls.estimate_anew())
        move_xy = _point(asked, "move_xy") or (0.0, 0.0)
        rotate_deg = _number(asked, "rotate_deg", 0.0, -360.0, 360.0)
        scale = _number(asked, "scale", 1.0, 1.0 / _LARGEST_SCALE, _LARGEST_SCALE)
        about_xy = _point(asked, "about_xy")
        return as_json(self.by_hand.nudge(move_xy, rotate_deg, scale, about_xy))

    def status_json(self) -> dict[str, Any]:
        """How it is right now."""
        now, newest = self.status.snapshot(), self.sink.newest
        alignment = None if newest is None else newest.alignment
        return {
            "state": now.state,
            "alignment": "refused" if newest is None else newest.state,
            "confidence": None if alignment is None else _rounded(alignment.confidence),
            "fps": round(now.fps, 2),
            "frames": now.frames,
            "latency_ms": _latency_json(now, newest),
            "skew_ms": skew_ms(newest),
            "offset_ms": _rounded(self.offset_ms()),
            "estimate_age_s": _age_s(newest),
            "provider": self.provider(),
            "model": self.controls.settings.model,
            "switching": self.switching(),
            "notices": list(now.notices),
            "cameras": {
                role: {"state": one.state, "age_s": round(one.age_s, 3), "counts": one.counts}
                for role, one in now.cameras.items()
            },
            "counters": self.counters(now),
            "recording": self.recording_json(),
            **_sizes_json(newest),
            "matrix_rgb_to_ir": _matrix_json(alignment),
            "viewers": self.sink.encoder.viewers,
            "error": now.error,
        }

    def counters(self, now: PairStatus) -> dict[str, int]:
        """What was counted since the start."""
        counts = self.counts()
        return {
            **{state: now.states.get(state, 0) for state in STATES},
            "paired": counts.paired,
            "unpaired_rgb": counts.unpaired_rgb,
            "dropped_rgb": counts.dropped_rgb,
            "skipped_ir": counts.skipped_ir,
            "dropped_by_sinks": self.dropped(),
        }

    def recording_json(self) -> dict[str, Any] | None:
        """The recording under way."""
        now = self.sink.recording.now
        return None if now is None else {"id": now[0], "seconds": round(now[1], 1)}

    def recordings_json(self) -> dict[str, Any]:
        """The recording under way and all files."""
        files = [file.as_json() for file in self.sink.recording.files()]
        return {"recording": self.recording_json(), "files": files}


def skew_ms(output: Output | None) -> float | None:
    """Of the newest output, rounded; None before the first."""
    return None if output is None or output.skew_ms is None else round(output.skew_ms, 2)


def _latency_json(now: PairStatus, newest: Output | None) -> dict[str, float | None]:
    stages = {} if newest is None else {stage: round(ms, 2) for stage, ms in newest.latency_ms.items()}
    return {"p50": _rounded(now.latency_p50_ms), "p95": _rounded(now.latency_p95_ms), **stages}


def _age_s(newest: Output | None) -> float | None:
    """Of the estimate that the newest picture is drawn by, at the time of that picture."""
    return None if newest is None or newest.alignment is None else round(newest.alignment.age_s, 3)


def _sizes_json(newest: Output | None) -> dict[str, list[int] | None]:
    frames = {
        "rgb_wh": None if newest is None or newest.rgb is None else newest.rgb.frame,
        "ir_wh": None if newest is None or newest.ir is None else newest.ir.frame,
        "picture_wh": None if newest is None else newest.picture,
    }
    return {key: None if frame is None else [frame.shape[1], frame.shape[0]] for key, frame in frames.items()}


def _matrix_json(alignment: Alignment | None) -> list[list[float]] | None:
    if alignment is None or alignment.matrix_rgb_to_ir is None:
        return None
    return alignment.matrix_rgb_to_ir.tolist()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _number(asked: Mapping[str, Any], key: str, default: float, low: float, high: float) -> float:
    value = asked.get(key, default)
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{key} is {value!r:.80}; expected a number from {low:g} to {high:g}")
    return float(value)


def _point(asked: Mapping[str, Any], key: str) -> tuple[float, float] | None:
    value: Any = asked.get(key)
    if value is None:
        return None
    if not isinstance(value, list) or len(value) != 2:  # pyright: ignore[reportUnknownArgumentType]
        raise InputError(f"{key} is {value!r:.80}; expected two numbers, x and y in pixels of the RGB frame")
    limit = _LARGEST_MOVE_PX
    x, y = (_number({key: one}, key, 0.0, -limit, limit) for one in value)  # pyright: ignore[reportUnknownVariableType]
    return x, y
