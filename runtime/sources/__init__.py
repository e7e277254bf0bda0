"""Where frames come from: cameras, network streams, video files, image folders, and the simulator."""

from vr.runtime.sources.base import LiveSource, Role, Source, Stamped
from vr.runtime.sources.opening import SourceOptions, SourcePair, open_pair, open_source

__all__ = [
    "LiveSource",
    "Role",
    "Source",
    "SourceOptions",
    "SourcePair",
    "Stamped",
    "open_pair",
    "open_source",
]
