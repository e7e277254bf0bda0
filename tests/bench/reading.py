"""Plain clients of the bench's cameras, without anything of the runtime."""

import io
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import av
import numpy as np
from av.container import InputContainer
from av.error import InvalidDataError
from numpy.typing import NDArray

Frame = NDArray[np.uint8]


@contextmanager
def opened(url: str, timeout_s: float = 5.0) -> Iterator[InputContainer]:
    """A stream or pipe opened by FFmpeg without waiting for more than the first pictures."""
    options = {"fflags": "nobuffer", "probesize": "32768", "analyzeduration": "0"}
    options |= {"rtsp_transport": "tcp"} if url.startswith("rtsp") else {}
    container = av.open(url, options=options, timeout=timeout_s)
    try:
        yield container
    finally:
        container.close()


def frames(container: InputContainer) -> Iterator[Frame]:
    """Its pictures as (h, w, 3) uint8 BGR; a damaged one is left out."""
    for packet in container.demux(video=0):
        try:
            decoded = packet.decode()
        except InvalidDataError:
            continue
        for frame in decoded:
            yield frame.to_ndarray(format="bgr24")  # type: ignore[union-attr]


def decode_h264(data: bytes) -> list[Frame]:
    """The pictures of a raw H.264 stream."""
    with av.open(io.BytesIO(data), "r", format="h264") as container:
        return [np.asarray(frame.to_ndarray(format="bgr24"), np.uint8) for frame in container.decode(video=0)]


class PlainHttp:
    """A client that reads bytes and looks for JPEG files in them; it knows when each came."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 80), timeout=3.0)
        self._socket.sendall(f"GET {parts.path} HTTP/1.0\r\n\r\n".encode())

    def receive(self, seconds: float) -> list[tuple[float, bytes]]:
        """What comes in so long: `time.monotonic()` and bytes; ends early where the connection does."""
        end_s, got = time.monotonic() + seconds, list[tuple[float, bytes]]()
        while (left_s := end_s - time.monotonic()) > 0:
            self._socket.settimeout(left_s)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                break
            if not data:
                break
            got.append((time.monotonic(), data))
        return got

    def close(self) -> None:
        """Hangs up."""
        self._socket.close()


def jpeg_files(data: bytes) -> list[bytes]:
    """The parts of a multipart stream that hold a picture, without their heads."""
    parts = data.split(b"--frame\r\n")[1:-1]
    return [part.partition(b"\r\n\r\n")[2].removesuffix(b"\r\n") for part in parts]
