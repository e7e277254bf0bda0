"""Where results go: a window, a recording, transforms, flows."""

from vr.runtime.sinks.base import Output, Sink
from vr.runtime.sinks.flows import FlowSink
from vr.runtime.sinks.transforms import TransformSink
from vr.runtime.sinks.video import PngSink, VideoSink, open_recording
from vr.runtime.sinks.window import WindowSink, can_show_windows, show_windows

__all__ = [
    "FlowSink",
    "Output",
    "PngSink",
    "Sink",
    "TransformSink",
    "VideoSink",
    "WindowSink",
    "can_show_windows",
    "open_recording",
    "show_windows",
]
