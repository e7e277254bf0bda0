"""Playing what a long run recorded."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

Row = dict[str, Any]
HOLE_S = 1.0


@dataclass(frozen=True)
class Played:
    """One file. frame_s: times of its pictures. error: where playing ended too early."""

    name: str
    frame_s: list[float]
    error: str

    @property
    def duration_s(self) -> float:
        """From the first picture to the last."""
        return self.frame_s[-1] - self.frame_s[0] if self.frame_s else 0.0


def played(path: Path) -> Played:
    """Decodes every picture."""
    times_s: list[float] = []
    try:
        with av.open(str(path)) as container:
            times_s.extend(frame.time for frame in container.decode(video=0) if frame.time is not None)
    except FFmpegError as error:
        return Played(path.name, times_s, f"{path.name} after {len(times_s)} pictures: {error}")
    return Played(path.name, times_s, "" if times_s else f"{path.name} has no picture")


def gaps(times_s: Sequence[float]) -> list[tuple[float, float]]:
    """Begin and end of every time longer than HOLE_S between two neighbours."""
    return [(a, b) for a, b in itertools.pairwise(times_s) if b - a > HOLE_S]


def holes(files: Sequence[Played], lines: Sequence[Row]) -> Row:
    """Seconds of the run without a picture, in the files and in the outputs: the first must not exceed the second.

    A file's own times, laid one after the other, have a gap where the recorder had nothing to write.
    """
    in_files = [b - a for one in files for a, b in gaps(one.frame_s)]
    output_s = [time_s for time_s in map(time_of, lines) if time_s is not None]
    in_outputs = [b - a for a, b in gaps(output_s)]
    return {
        "in_files": len(in_files),
        "in_files_s": round(sum(in_files), 2),
        "in_outputs": len(in_outputs),
        "in_outputs_s": round(sum(in_outputs), 2),
        "pictures": sum(len(one.frame_s) for one in files),
    }


def time_of(line: Row) -> float | None:
    """When an output of `--transforms` was taken, by the camera that gave a frame."""
    return next((line[key] for key in ("time_s", "rgb_time_s", "ir_time_s") if line.get(key) is not None), None)
