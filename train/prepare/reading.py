"""Recordings that are read twice, frame by frame; what cannot be read is counted and skipped."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

from vr.runtime.errors import InputError
from vr.runtime.preprocess import Frame, check_frame
from vr.runtime.sources import Role, Stamped
from vr.runtime.sources.files import VideoFileSource, list_images, read_image

_NAMED_AT_MOST = 5


class Recording(Protocol):
    """A video, or what can be read as one."""

    @property
    def name(self) -> str:
        """What the user called it."""
        ...

    @property
    def faults(self) -> "Faults":
        """Of the newest reading."""
        ...

    def frames(self) -> Iterator[Stamped]:
        """Every readable frame, from the first on; `index` counts unreadable ones too. Raises InputError if there
        are none.
        """
        ...


class Faults:
    """Frames that could not be used: how many, and the first few reasons."""

    def __init__(self) -> None:
        self.count = 0
        self.named: list[str] = []

    def add(self, why: str, count: int = 1) -> None:
        """Counts `count` frames that were left out because of `why`."""
        self.count += count
        if len(self.named) < _NAMED_AT_MOST:
            self.named.append(why)


def open_recording(spec: str, role: Role, fps: float) -> Recording:
    """A video file, or a folder or glob of images played at `fps`. Raises InputError if it does not exist."""
    images = list_images(spec)
    if images is not None:
        return ImageRecording(spec, images, role, fps)
    VideoFileSource(Path(spec), role).close()
    return VideoRecording(spec, role)


class VideoRecording:
    """A video file. FFmpeg leaves out what it cannot decode, so frames that the file promises may be missing."""

    def __init__(self, spec: str, role: Role) -> None:
        self.name = spec
        self.faults = Faults()
        self._role: Role = role

    def frames(self) -> Iterator[Stamped]:
        """See `Recording`."""
        self.faults = Faults()
        with closing(VideoFileSource(Path(self.name), self._role)) as source:
            count = 0
            for stamped in _same_size(iter(source.read, None), self.name, self.faults):
                count = stamped.index + 1
                yield stamped
            missing = max(source.decode_errors, (source.length or 0) - count)
            if missing > 0:
                self.faults.add(f"{self.name}: {missing} of {source.length} frames cannot be decoded", missing)


class ImageRecording:
    """Images as a video: `time_s = index / fps`."""

    def __init__(self, spec: str, paths: list[Path], role: Role, fps: float) -> None:
        """`paths` in playing order. Raises InputError if there are none."""
        if not paths:
            raise InputError(f"no images in {spec}; expected frames to prepare")
        self.name = spec
        self.faults = Faults()
        self._role: Role = role
        self._paths, self._fps = paths, fps

    def frames(self) -> Iterator[Stamped]:
        """See `Recording`."""
        self.faults = Faults()
        read = _same_size(self._readable(), self.name, self.faults)
        first = next(read, None)
        if first is None:
            raise InputError(
                f"none of the {len(self._paths)} images in {self.name} can be read: {self.faults.named[0]}"
            )
        yield first
        yield from read

    def _readable(self) -> Iterator[Stamped]:
        for index, path in enumerate(self._paths):
            try:
                frame = read_image(path, self._role)
            except InputError as error:
                self.faults.add(str(error))
                continue
            yield Stamped(frame, index / self._fps, index)


def _same_size(frames: Iterator[Stamped], name: str, faults: Faults) -> Iterator[Stamped]:
    """Leaves out frames of another shape than the first: statistics over time need one shape."""
    first: Frame | None = None
    for stamped in frames:
        if first is None:
            check_frame(stamped.frame, name)
            first = stamped.frame
        if stamped.frame.shape == first.shape and stamped.frame.dtype == first.dtype:
            yield stamped
        else:
            faults.add(f"frame {stamped.index} of {name} is {stamped.frame.shape}, the first is {first.shape}")
