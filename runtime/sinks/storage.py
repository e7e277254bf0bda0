"""How long outputs are kept and how large they grow; opening a recording accordingly."""

from dataclasses import dataclass
from pathlib import Path

from vr.runtime.errors import InputError, OutputError
from vr.runtime.sinks.png import PngSink
from vr.runtime.sinks.segments import SegmentLimit, Segments
from vr.runtime.sinks.targets import FileTarget, FolderTarget
from vr.runtime.sinks.video import VideoSink

VIDEO_SUFFIX = ".mp4"
DEFAULT_KEEP_FREE_MB = 200.0
DEFAULT_KEEP_TRANSFORMS = 5


@dataclass(frozen=True)
class StorageOptions:
    """What `vr-live` can be told of its recordings; `vr-live --help` says what each means."""

    segment: str | None = None
    keep_days: float | None = None
    keep_gb: float | None = None
    keep_free_mb: float = DEFAULT_KEEP_FREE_MB
    transforms_max_mb: float | None = None
    transforms_keep: int = DEFAULT_KEEP_TRANSFORMS

    def check(self) -> None:
        """Raises InputError for values out of range, and for what is kept of segments where there are none."""
        if self.segment is not None:
            SegmentLimit.parse(self.segment)
        for name, value in (("days", self.keep_days), ("gb", self.keep_gb)):
            if value is not None and self.segment is None:
                raise InputError(f"--keep-{name} deletes old segments; it needs --segment, for example --segment 1h")
            if value is not None and not value > 0:
                raise InputError(f"--keep-{name} is {value:g}; expected more than 0")
        if not self.keep_free_mb >= 0:
            raise InputError(f"--keep-free-mb is {self.keep_free_mb:g}; expected 0 or more")
        if self.transforms_max_mb is not None and not self.transforms_max_mb > 0:
            raise InputError(f"--transforms-max-mb is {self.transforms_max_mb:g}; expected more than 0")
        if self.transforms_keep < 1:
            raise InputError(f"--transforms-keep is {self.transforms_keep}; expected 1 or more")


def open_recording(path: Path, overwrite: bool, storage: StorageOptions | None = None) -> VideoSink | PngSink:
    """A video if `path` ends in .mp4, a folder of PNG files if it has no suffix. Raises OutputError."""
    storage = storage or StorageOptions()
    if path.suffix.lower() == VIDEO_SUFFIX:
        return VideoSink(FileTarget(path, overwrite) if storage.segment is None else _segments(path, storage))
    if path.suffix and not path.is_dir():
        raise OutputError(
            f"cannot record to {path}; expected a name ending in {VIDEO_SUFFIX}, or a folder for PNG files"
        )
    if storage.segment is not None:
        raise OutputError(
            f"--segment divides a video, and {path} is a folder of PNG files; expected NAME{VIDEO_SUFFIX}"
        )
    return PngSink(FolderTarget(path))


def _segments(path: Path, storage: StorageOptions) -> Segments:
    return Segments(path, SegmentLimit.parse(storage.segment or ""), storage.keep_days, storage.keep_gb)
