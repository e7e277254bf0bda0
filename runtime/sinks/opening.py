"""Opening the outputs that a run writes, as it is told to keep them."""

from pathlib import Path

from vr.runtime.errors import OutputError
from vr.runtime.loggers import LOG
from vr.runtime.sinks.base import Sink
from vr.runtime.sinks.flows import FlowSink
from vr.runtime.sinks.png import PngSink
from vr.runtime.sinks.resuming import ResumingSink
from vr.runtime.sinks.segments import Segments
from vr.runtime.sinks.targets import FileTarget, FolderTarget
from vr.runtime.sinks.transforms import LogTarget, TransformSink
from vr.runtime.sinks.video import VideoSink
from vr.runtime.storage import SegmentLimit, StorageOptions

VIDEO_SUFFIX = ".mp4"
_DEFAULTS = StorageOptions()


def open_recording(path: Path, overwrite: bool, storage: StorageOptions = _DEFAULTS) -> VideoSink | PngSink:
    """A video if `path` ends in .mp4, a folder of PNG files if it has no suffix. Raises OutputError."""
    if path.suffix.lower() == VIDEO_SUFFIX:
        return VideoSink(FileTarget(path, overwrite) if storage.segment is None else _segments(path, storage))
    if path.suffix and not path.is_dir():
        raise OutputError(
            f"cannot record to {path}; expected a name ending in {VIDEO_SUFFIX}, or a folder for PNG files"
        )
    if storage.segment is not None:
        raise OutputError(f"--segment divides a video, {path} is a folder of PNG files; expected NAME{VIDEO_SUFFIX}")
    return PngSink(FolderTarget(path))


def open_transforms(path: Path, overwrite: bool, storage: StorageOptions = _DEFAULTS) -> TransformSink:
    """One file, or with `storage.transforms_max_mb` one that is continued and rotated. Raises OutputError."""
    if storage.transforms_max_mb is None:
        return TransformSink(FileTarget(path, overwrite))
    return TransformSink(LogTarget(path, storage.transforms_max_mb, storage.transforms_keep))


def unattended(sink: Sink, path: Path, storage: StorageOptions = _DEFAULTS) -> ResumingSink:
    """The sink as cameras need it, see `ResumingSink`. path: of the output. Transforms are small: they need no room."""
    if isinstance(sink, TransformSink):
        return ResumingSink(sink, "transforms", path, LOG.warning)
    what = "flows" if isinstance(sink, FlowSink) else "recording"
    return ResumingSink(sink, what, path, LOG.warning, storage.keep_free_mb)


def _segments(path: Path, storage: StorageOptions) -> Segments:
    return Segments(path, SegmentLimit.parse(storage.segment or ""), storage.keep_days, storage.keep_gb)
