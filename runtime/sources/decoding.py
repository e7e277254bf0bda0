"""Video through FFmpeg (PyAV): files, named pipes and network streams alike.

A frame that is damaged is not given: FFmpeg would fill the hole with grey or with what was there before, and the
picture would be aligned by what it does not show. It is counted, and where later frames build on it (H.264), so are
they until the next key frame, at most two seconds.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from av.container import InputContainer
from av.error import EOFError as AvEndOfFile
from av.error import FFmpegError
from av.video.stream import VideoStream

from vr.runtime.errors import InputError, StreamError
from vr.runtime.ffmpeg import av
from vr.runtime.preprocess import MAX_SIDE_PX, Frame
from vr.runtime.sources.base import Role

DECODER_OPTIONS = {"err_detect": "explode"}
_WITH_CLOCK = {"rtsp", "mpegts", "flv", "hls", "dash", "matroska", "webm", "mov", "mp4", "asf", "nut", "rtp", "sdp"}
_LONGEST_SPOILT_S = 2.0
_AT_ONCE_S = 0.001
_MOST_IN_LINE = 2
"""So many pictures in a row may have been there already: networks deliver some two at a time."""
FALLBACK_FPS = 30.0
_GRAY_8BIT = ("gray",)
_GRAY_DEEPER = ("gray9le", "gray10le", "gray10be", "gray12le", "gray14le", "gray16le", "gray16be")


@dataclass(frozen=True)
class Decoded:
    """One frame: as `vr.runtime.preprocess.check_frame` says, and its time in the container, seconds, if it has one.

    was_there: it had arrived before it was asked for, so whoever reads may be behind.
    """

    frame: Frame = field(repr=False)
    time_s: float | None
    was_there: bool = False


class Decoder:
    """The frames of one container's first video stream, in order.

    role: IR keeps grey and its 16 bits, (h, w) uint8 or uint16, RGB is always (H, W, 3) uint8 BGR. live: frames are
    decoded one by one, without looking ahead; of a stream whose pictures stand alone (MJPEG) those are skipped that
    wait in line because whoever reads is too slow. `errors` counts packets and frames that could not be decoded,
    `skipped` those that were skipped.
    """

    def __init__(self, container: InputContainer, name: str, role: Role, live: bool) -> None:
        """`container` is open and belongs to this object. Raises InputError if there is no video in it."""
        self.errors = self.skipped = 0
        self._container, self._role = container, role
        if not container.streams.video:
            raise InputError(f"there is no video in {name}; expected a stream or file with pictures")
        self._stream = container.streams.video[0]
        if self._stream.codec_context is None:  # pyright: ignore[reportUnnecessaryComparison] - of an unknown codec
            raise InputError(f"no decoder for the video in {name}; convert it, for example to H.264 in MP4")
        _prepare(self._stream, live)
        self._skips = live and self._stream.codec_context.codec.intra_only
        self._in_line = 0
        self._pending: list[av.VideoFrame] = []
        self._packets: Iterator[av.Packet[VideoStream]] = container.demux(self._stream)
        self._spoilt_until_s: float | None = None
        self._last_s = 0.0

    @property
    def fps(self) -> float:
        """What the container says, 0 where it says nothing."""
        rate = self._stream.average_rate or self._stream.guessed_rate
        return float(rate) if rate else 0.0

    @property
    def length(self) -> int | None:
        """Number of frames as far as the container tells; a guess from the duration in fragmented files."""
        if self._stream.frames > 0:
            return self._stream.frames
        duration = self._container.duration
        frames = round(duration / av.time_base * self.fps) if duration else 0
        return frames or None

    @property
    def has_clock(self) -> bool:
        """Whether its timestamps are of the camera: bare JPEGs have none, and FFmpeg makes some up."""
        return bool(_WITH_CLOCK & set(self._container.format.name.split(",")))

    def read(self) -> Decoded | None:
        """The next whole frame; None at the end. Raises StreamError where reading breaks off."""
        while (frame := self._next()) is not None:
            if self._is_whole(frame):
                time_s = None if frame.pts is None else frame.time
                return Decoded(self._to_array(frame), time_s, was_there=self._in_line > 0)
            self.errors += 1
        return None

    def close(self) -> None:
        """Frees what FFmpeg holds."""
        self._container.close()

    def _next(self) -> av.VideoFrame | None:
        while not self._pending:
            packet = self._next_packet()
            if packet is None:
                return None
            if self._skips and self._in_line > _MOST_IN_LINE:
                self.skipped += 1
            else:
                self._decode(packet)
        return self._pending.pop(0)

    def _next_packet(self) -> "av.Packet[VideoStream] | None":
        asked_s = time.monotonic()
        try:
            packet = next(self._packets, None)
        except FFmpegError as error:
            raise StreamError(f"reading broke off: {describe(error)}") from None
        was_there = time.monotonic() - asked_s < _AT_ONCE_S
        self._in_line = self._in_line + 1 if was_there else 0
        return packet

    def _decode(self, packet: "av.Packet[VideoStream]") -> None:
        if packet.is_corrupt:
            self._spoil()
            return
        try:
            self._pending = packet.decode()
        except AvEndOfFile:
            return
        except FFmpegError:
            self._spoil()

    def _spoil(self) -> None:
        """A damaged packet, and the frames that build on it."""
        self.errors += 1
        if not self._stream.codec_context.codec.intra_only:
            self._spoilt_until_s = self._last_s + _LONGEST_SPOILT_S

    def _is_whole(self, frame: av.VideoFrame) -> bool:
        self._last_s = self._last_s if frame.pts is None else frame.time
        if self._spoilt_until_s is not None and (frame.key_frame or self._last_s > self._spoilt_until_s):
            self._spoilt_until_s = None
        return not frame.is_corrupt and self._spoilt_until_s is None

    def _to_array(self, frame: av.VideoFrame) -> Frame:
        if max(frame.width, frame.height) > MAX_SIDE_PX:
            raise StreamError(f"a frame is {frame.width}x{frame.height} px; expected sides up to {MAX_SIDE_PX}")
        layout = "bgr24"
        if self._role == "ir":
            name = frame.format.name
            layout = "gray" if name in _GRAY_8BIT else "gray16le" if name in _GRAY_DEEPER else layout
        array = frame.to_ndarray(format=layout)
        turns = round(frame.rotation / 90.0) % 4
        return np.ascontiguousarray(np.rot90(array, turns)) if turns else array  # type: ignore[return-value]


def describe(error: FFmpegError) -> str:
    """FFmpeg's words without the address, which may hold a password."""
    return (error.strerror or type(error).__name__).strip()


def plausible_fps(fps: float, low: float, high: float) -> float:
    """`fps`, or 30 where a container claims something outside of the range."""
    return fps if low <= fps <= high else FALLBACK_FPS


def _prepare(stream: VideoStream, live: bool) -> None:
    context = stream.codec_context
    context.options = {**context.options, **DECODER_OPTIONS}
    # Threads by frame look ahead, which costs a live stream as many frames of delay.
    context.thread_type = "SLICE" if live else "AUTO"
    if live:
        context.thread_count = 1
