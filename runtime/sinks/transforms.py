"""The transforms as JSON lines."""

import contextlib
import json
import math
import os
import threading
from io import FileIO
from pathlib import Path

from vr.runtime.errors import OutputError
from vr.runtime.sinks.base import Output
from vr.runtime.sinks.targets import FileTarget, check_writable
from vr.runtime.sinks.upkeep import Upkeep
from vr.runtime.thermal import HotSpot


class LogTarget:
    """A file that is continued by each run, and becomes `out.1.jsonl` when it is full; `out.1.jsonl` becomes
    `out.2.jsonl`, ..., and the one numbered `keep` is replaced.
    """

    def __init__(self, path: Path, max_mb: float, keep: int) -> None:
        """max_mb: 10^6 bytes. Raises OutputError if `path` cannot be written. Changes nothing."""
        if path.is_dir():
            raise OutputError(f"{path} is a folder; expected the name of a file")
        check_writable(path.parent)
        self.path, self.keep, self.max_bytes = path, keep, max_mb * 1e6
        self.written: Path | None = None

    def create(self) -> FileIO:
        """See `Target`; what is there is continued."""
        self.written = self.path
        return self.path.open("ab", buffering=0)

    def rotate(self) -> None:
        """Frees the name for the next file. Raises OSError."""
        for number in range(self.keep - 1, 0, -1):
            if self._numbered(number).exists():
                self._numbered(number).replace(self._numbered(number + 1))
        self.path.replace(self._numbered(1))

    def finish(self, complete: bool) -> Path | None:
        """See `Target`."""
        return self.written

    def _numbered(self, number: int) -> Path:
        return self.path.with_stem(f"{self.path.stem}.{number}")


class TransformSink:
    """One JSON object per output frame and line, written at once so that other programs can follow.

    Keys: `index`, `ir_time_s`, `rgb_time_s`, `state`, `confidence` (null where the model has none),
    `matrix_rgb_to_ir` (in native pixels, rows of numbers: 2x3 of an affine model, 3x3 with last entry 1 of a homography
    model; null if refused or dense), `estimate_age_ms` (how much earlier the pair that was estimated was taken; 0 for
    the frame's own), `latency_ms` (a dict by stage), `notices` (what is wrong, for example `["ir lost"]`), `hot_spot`
    (`{"x_ir": .., "y_ir": .., "celsius": ..}`, a pixel of the IR frame; null where temperatures are not known). Where a
    camera gives no frame, its time is null and the state `refused`.

    A new file is written under its own name; one that replaces another takes its place when it is closed.

    A line is handed to the system in one piece, so a killed process leaves whole lines. On the disk (fsync) is what was
    written up to about a second ago; a power cut may tear the last line, and a file that is continued gets a line break
    behind it first.
    """

    wants_picture = False

    def __init__(self, target: FileTarget | LogTarget) -> None:
        self._target = target
        self._upkeep = Upkeep()
        self._stream: FileIO | None = None
        self._lock = threading.Lock()

    def write(self, output: Output) -> None:
        """See `Sink`. After an error the next frame opens the file again."""
        line = json.dumps(to_record(output), allow_nan=False).encode() + b"\n"
        with self._lock:
            try:
                self._upkeep.check()
                self._rotate_if_full()
                _append_whole(self._stream or self._open(), line)
            except OSError as error:
                self._close_stream()
                raise OutputError(f"cannot write {self._target.path}: {error.strerror}") from error

    def reopen(self) -> None:
        """See `Reopenable`."""
        with self._lock:
            self._close_stream()

    def close(self, complete: bool) -> Path | None:
        """See `Sink`."""
        with self._lock:
            self._close_stream()
        try:
            self._upkeep.close()
        except OSError as error:
            raise OutputError(f"cannot finish {self._target.path}: {error.strerror}") from error
        return self._target.finish(complete)

    def _open(self) -> FileIO:
        written = self._target.written
        stream = self._stream = self._target.create() if written is None else written.open("ab", buffering=0)
        self._upkeep.follow(stream.fileno(), self._target.written or self._target.path)
        if _ends_within_a_line(self._target.written or self._target.path):
            _append_whole(stream, b"\n")
        return stream

    def _rotate_if_full(self) -> None:
        if self._stream is None or not isinstance(self._target, LogTarget):
            return
        if os.fstat(self._stream.fileno()).st_size >= self._target.max_bytes:
            self._close_stream()
            self._target.rotate()

    def _close_stream(self) -> None:
        self._upkeep.leave()
        stream, self._stream = self._stream, None
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()


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
        "hot_spot": None if output.ir is None else _spot_record(output.ir.hot_spot),
    }


def _spot_record(spot: HotSpot | None) -> dict[str, float] | None:
    return None if spot is None else {"x_ir": spot.x_ir, "y_ir": spot.y_ir, "celsius": round(spot.celsius, 3)}


def _append_whole(stream: FileIO, line: bytes) -> None:
    """The whole line, or nothing of it. Raises OSError."""
    before_bytes = os.fstat(stream.fileno()).st_size
    rest = memoryview(line)
    try:
        while rest:
            rest = rest[stream.write(rest) :]
    except OSError:
        with contextlib.suppress(OSError):
            os.ftruncate(stream.fileno(), before_bytes)
        raise


def _ends_within_a_line(path: Path) -> bool:
    """Raises OSError."""
    with path.open("rb") as stream:
        if stream.seek(0, os.SEEK_END) == 0:
            return False
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"
