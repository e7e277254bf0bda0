"""An MP4 file that plays at any moment while it is written, also after its process was killed.

The file is a row of fragments of `FRAGMENT_S`, each complete in itself (ISO/IEC 14496-12, 8.8), without an index over
all of them: what is lost with the process is the last fragment, and memory does not grow with the length.
"""

import contextlib
import os
from fractions import Fraction
from io import FileIO
from typing import Any

import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import PictureType
from numpy.typing import NDArray

from vr.runtime.ffmpeg import av

FRAGMENT_S = 0.5
KEY_FRAME_S = 1.0
_TICKS_PER_S = 60000
"""MPEG-4 part 2 allows up to 65535; the usual frame rates divide it, and an hour's pause fits into 32 bits."""
_LEAST_STEP = _TICKS_PER_S // 1000
_CODECS: dict[str, dict[str, str]] = {
    "libx264": {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"},
    "mpeg4": {},
}
_MPEG4_QUALITY = 4 * 118
"""Quantiser 4, in FFmpeg's unit FF_QP2LAMBDA."""
_BT601 = 6
"""Colour matrix SMPTE 170M, which OpenCV converts by; without it players guess by the size."""
_LIMITED_RANGE = 1
_MUXER = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof+skip_trailer",
    "frag_duration": str(round(FRAGMENT_S * 1e6)),
    "flush_packets": "1",
}


def best_codec() -> str:
    """The first of H.264 and MPEG-4 part 2 that this build of FFmpeg can write."""
    return next(codec for codec in _CODECS if codec in av.codecs_available)


class Mp4Writer:
    """One file of pictures of one size, each at its own time (variable frame rate)."""

    def __init__(self, stream: FileIO, size_hw: tuple[int, int], fps: float, codec: str = "libx264") -> None:
        """Writes the header. stream: empty, for appending; it stays the caller's to close. size_hw: even.

        fps: nominal; the last picture is shown so long. codec: of `best_codec`. Raises OSError or FFmpegError.
        """
        self._tail = _Tail(stream)
        self._container: Any = av.open(self._tail, "w", format="mp4", container_options=_MUXER)
        self._video = self._add_stream(codec, size_hw, fps)
        self._start_s = self._last_s = 0.0
        self._pts = -1
        self._key_pts = 0
        self._container.start_encoding()
        self._header_bytes = self._whole_bytes = self._tail.written_bytes

    @property
    def duration_s(self) -> float:
        """From the first to the last picture."""
        return max(self._pts, 0) / _TICKS_PER_S

    @property
    def size_bytes(self) -> int:
        """Of the file so far."""
        return self._tail.written_bytes

    @property
    def has_pictures(self) -> bool:
        """Whether any would be found in the file as it lies there."""
        return self._whole_bytes > self._header_bytes

    def write(self, picture: NDArray[np.uint8], time_s: float) -> None:
        """Adds a picture, (H, W, 3) uint8 BGR of the writer's size. Raises OSError or FFmpegError.

        time_s: on any clock; where it does not move on, or jumps back, the picture follows 1 ms after the last one
        and time goes on from there.
        """
        planes = np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2YUV_I420), np.uint8)
        frame = av.VideoFrame.from_ndarray(planes, "yuv420p")
        frame.pts, frame.time_base = self._next_pts(time_s), Fraction(1, _TICKS_PER_S)
        if frame.pts == 0 or frame.pts - self._key_pts >= KEY_FRAME_S * _TICKS_PER_S:
            frame.pict_type = PictureType.I
            self._key_pts = frame.pts
        self._mux(frame)

    def close(self) -> None:
        """Writes what is left. Raises OSError or FFmpegError."""
        self._mux(None)
        self._container.close()
        self._whole_bytes = self._tail.written_bytes

    def abandon(self) -> None:
        """After an error: leaves the fragments that are whole. Raises nothing."""
        self._tail.swallows = True
        with contextlib.suppress(OSError, FFmpegError):
            self._container.close()
        with contextlib.suppress(OSError):
            self._tail.cut(self._whole_bytes)

    def _add_stream(self, codec: str, size_hw: tuple[int, int], fps: float) -> Any:
        rate = Fraction(fps).limit_denominator(1001)
        stream = self._container.add_stream(codec, rate=rate, options=_CODECS[codec])
        stream.height, stream.width = size_hw
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, _TICKS_PER_S)
        context.colorspace, context.color_range = _BT601, _LIMITED_RANGE
        context.thread_count = 1  # the cores are the aligner's
        if codec == "mpeg4":
            context.qscale, context.global_quality = True, _MPEG4_QUALITY
        return stream

    def _next_pts(self, time_s: float) -> int:
        if self._pts < 0:
            self._start_s = time_s
        pts = round((time_s - self._start_s) * _TICKS_PER_S)
        if pts <= self._pts:
            pts = self._pts + _LEAST_STEP
            self._start_s = time_s - pts / _TICKS_PER_S
        self._pts = pts
        return pts

    def _mux(self, frame: av.VideoFrame | None) -> None:
        """Encodes; None for what the encoder still holds."""
        for packet in self._video.encode(frame):
            self._whole_bytes = self._tail.written_bytes
            self._container.mux(packet)
        self._whole_bytes = self._tail.written_bytes


class _Tail:
    """What FFmpeg writes to: a file that only grows."""

    def __init__(self, stream: FileIO) -> None:
        self._stream = stream
        self.written_bytes = 0
        self.swallows = False

    def write(self, data: bytes) -> int:
        """All of it: a raw stream may take less. Raises OSError."""
        rest = memoryview(b"" if self.swallows else data)
        while rest:
            taken = self._stream.write(rest)
            rest = rest[taken:]
            self.written_bytes += taken
        return len(data)

    def cut(self, size_bytes: int) -> None:
        """Takes back what came after the first `size_bytes`. Raises OSError."""
        os.ftruncate(self._stream.fileno(), size_bytes)
