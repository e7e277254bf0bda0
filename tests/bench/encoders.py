"""Pictures to bytes: JPEG, and H.264 as cameras send it."""

from dataclasses import dataclass, replace
from fractions import Fraction

import av
import cv2
import numpy as np

from tests.bench.coded import Bgr
from vr.runtime.geometry import SizeHw

CLOCK_HZ = 90_000
KEY_EVERY = 15
_JPEG_QUALITY = 80


@dataclass(frozen=True)
class Encoded:
    """One picture. time_s: `time.monotonic()` when it was drawn. is_key: it needs no other picture."""

    data: bytes
    time_s: float
    is_key: bool
    size_hw: SizeHw

    def first_half(self) -> "Encoded":
        """A picture whose end was lost."""
        return replace(self, data=self.data[: len(self.data) // 2])


class JpegEncoder:
    """Each picture a JPEG file."""

    def encode(self, picture: Bgr, time_s: float) -> Encoded:
        """One picture, (h, w, 3) uint8 BGR."""
        data = np.asarray(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]).tobytes()
        return Encoded(data, time_s, True, (picture.shape[0], picture.shape[1]))


class H264Encoder:
    """H.264 (Annex B) by x264 without look-ahead: a picture in, a picture out; a key picture twice a second.

    Each key picture carries its parameter sets, so that a decoder can begin, and the size can change, at any of them.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._codec: av.VideoCodecContext | None = None

    def encode(self, picture: Bgr, time_s: float) -> Encoded:
        """One picture, (h, w, 3) uint8 BGR with even sides; another size than before starts anew."""
        size_hw = (picture.shape[0], picture.shape[1])
        if self._codec is None or (self._codec.height, self._codec.width) != size_hw:
            self._codec = self._open(size_hw)
        frame = av.VideoFrame.from_ndarray(picture, format="bgr24").reformat(format="yuv420p")
        frame.pts, frame.time_base = round(time_s * CLOCK_HZ), Fraction(1, CLOCK_HZ)
        packets = self._codec.encode(frame)
        data = b"".join(bytes(packet) for packet in packets)
        return Encoded(data, time_s, any(packet.is_keyframe for packet in packets), size_hw)

    def _open(self, size_hw: SizeHw) -> av.VideoCodecContext:
        codec = av.CodecContext.create("libx264", "w")
        assert isinstance(codec, av.VideoCodecContext)
        codec.height, codec.width = size_hw
        codec.pix_fmt = "yuv420p"
        codec.framerate = Fraction(round(self._fps), 1)
        codec.time_base = Fraction(1, CLOCK_HZ)
        codec.gop_size, codec.thread_count = KEY_EVERY, 1
        codec.options = {"preset": "ultrafast", "tune": "zerolatency", "crf": "23", "forced-idr": "1"}
        return codec
