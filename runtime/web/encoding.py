"""JPEG pictures for viewers: the newest only, once for all viewers of the same width, and only if somebody waits."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.sinks.base import Output
from vr.runtime.web.priority import step_back

JPEG_QUALITY = 80
_LEAST_PERIOD_S = 1.0 / 36.0
"""About 30 pictures per second: a bit less than 1/30 s, so that a camera of that rate is not halved by its jitter."""


@dataclass(eq=False)
class Viewer:
    """Somebody who wants pictures one after the other.

    width: None: as wide as the picture is. take: is given (index, JPEG) in the encoder's thread.
    """

    width: int | None
    take: Callable[[int, bytes], None]
    last_index: int = field(default=-1, init=False)
    waits: bool = field(default=False, init=False)


class PictureEncoder:
    """Every method may be called from any thread, and none waits for an encoding."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._newest: Output | None = None
        self._viewers: set[Viewer] = set()
        self._thread: threading.Thread | None = None
        self._is_closed = False
        self.encoded = 0

    @property
    def viewers(self) -> int:
        """How many there are."""
        return len(self._viewers)

    def offer(self, output: Output) -> None:
        """There is a newer picture."""
        with self._changed:
            self._newest = output
            if self._viewers:
                self._changed.notify_all()

    def add(self, viewer: Viewer) -> None:
        """It gets a picture for every `ask`."""
        with self._changed:
            self._viewers.add(viewer)
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._work, name="jpeg", daemon=True)
                self._thread.start()

    def remove(self, viewer: Viewer) -> None:
        """It wants no more."""
        with self._changed:
            self._viewers.discard(viewer)

    def ask(self, viewer: Viewer) -> None:
        """The viewer has room for one picture that it has not had."""
        with self._changed:
            viewer.waits = True
            self._changed.notify_all()

    def close(self) -> None:
        """No pictures any more."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _work(self) -> None:
        step_back()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed or self._waiting())
                if self._is_closed:
                    return
                output, waiting = self._newest, self._waiting()
            start_s = time.monotonic()
            assert output is not None
            self._serve(output, waiting)
            time.sleep(max(0.0, start_s + _LEAST_PERIOD_S - time.monotonic()))

    def _waiting(self) -> list[Viewer]:
        """Those who want a picture that they have not had."""
        if self._newest is None or self._newest.picture is None:
            return []
        return [one for one in self._viewers if one.waits and one.last_index != self._newest.index]

    def _serve(self, output: Output, waiting: list[Viewer]) -> None:
        assert output.picture is not None
        by_width: dict[int, bytes] = {}
        for viewer in waiting:
            width = min(viewer.width or output.picture.shape[1], output.picture.shape[1])
            if width not in by_width:
                by_width[width] = to_jpeg(output.picture, width)
                self.encoded += 1
            viewer.last_index, viewer.waits = output.index, False
            viewer.take(output.index, by_width[width])


def to_jpeg(picture: NDArray[np.uint8], width: int | None = None) -> bytes:
    """(H, W, 3) uint8 BGR as JPEG; narrower if `width` is less than W, with the same aspect."""
    h, w = picture.shape[:2]
    if width is not None and width < w:
        size_wh = width, max(1, round(h * width / w))
        picture = cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def to_png(picture: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) uint8 BGR as PNG."""
    return cv2.imencode(".png", picture, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
