"""Where results go: a window, a recording, transforms, flows."""

from vr.runtime.sinks.base import Output, Reopenable, Sink, Troubled
from vr.runtime.sinks.flows import FlowSink
from vr.runtime.sinks.opening import open_recording, open_transforms, unattended
from vr.runtime.sinks.png import PngSink
from vr.runtime.sinks.resuming import ResumingSink
from vr.runtime.sinks.transforms import TransformSink
from vr.runtime.sinks.video import VideoSink
from vr.runtime.sinks.window import WindowSink, can_show_windows, show_windows

__all__ = [
    "FlowSink",
    "Output",
    "PngSink",
    "Reopenable",
    "ResumingSink",
    "Sink",
    "TransformSink",
    "Troubled",
    "VideoSink",
    "WindowSink",
    "can_show_windows",
    "open_recording",
    "open_transforms",
    "show_windows",
    "unattended",
]
