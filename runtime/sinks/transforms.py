"""The transforms as JSON lines."""

import json
import math
from pathlib import Path
from typing import TextIO

from vr.runtime.errors import OutputError
from vr.runtime.sinks.base import Output
from vr.runtime.sinks.targets import FileTarget


class TransformSink:
    """One JSON object per output frame and line, flushed at once so that other programs can follow.

    Keys: `index`, `ir_time_s`, `rgb_time_s`, `state`, `confidence` (null where the model has none),
    `matrix_rgb_to_ir` (in native pixels, rows of numbers: 2x3 of an affine model, 3x3 with last entry 1 of a homography
    model; null if refused or dense), `estimate_age_ms` (how much earlier the pair that was estimated was taken; 0 for
    the frame's own), `latency_ms` (a dict by stage), `notices` (what is wrong, for example `["ir lost"]`). Where a
    camera gives no frame, its time is null and the state `refused`.

    A new file is written under its own name; one that replaces another takes its place when it is closed.
    """

    wants_picture = False

    def __init__(self, target: FileTarget) -> None:
        self._target = target
        self._replaces = target.path.exists()
        self._stream: TextIO | None = None

    def write(self, output: Output) -> None:
        """See `Sink`."""
        try:
            if self._stream is None:
                path = self._target.partial if self._replaces else self._target.path
                self._stream = path.open("w" if self._replaces else "x", encoding="utf-8")
            self._stream.write(json.dumps(to_record(output), allow_nan=False) + "\n")
            self._stream.flush()
        except OSError as error:
            raise OutputError(f"cannot write {self._target.path}: {error.strerror}") from error

    def close(self, complete: bool) -> Path | None:
        """See `Sink`."""
        if self._stream is None:
            return None
        self._stream.close()
        return self._target.finish(complete) if self._replaces else self._target.path


def to_record(output: Output) -> dict[str, object]:
    """The JSON object of one output frame."""
    alignment = output.alignment
    confidence = None if alignment is None else alignment.confidence
    matrix = None if alignment is None else alignment.matrix_rgb_to_ir
    return {
        "index": output.index,
        "ir_time_s": None if output.ir is None else output.ir.time_s,
        "rgb_time_s": None if output.rgb is None else output.rgb.time_s,
        "state": output.state,
        "confidence": confidence if confidence is not None and math.isfinite(confidence) else None,
        "matrix_rgb_to_ir": None if matrix is None else matrix.tolist(),
        "estimate_age_ms": 0.0 if alignment is None else round(alignment.age_s * 1000.0, 3),
        "latency_ms": {stage: round(ms, 3) for stage, ms in output.latency_ms.items()},
        "notices": [notice.what for notice in output.notices],
    }
