"""The picture on the screen."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.sinks.base import Output
from vr.runtime.stopping import Stop

TITLE = "vr-live (q or Esc quits)"
_LARGEST_WH = (1280, 720)
_KEY_WAIT_S = 0.03
"""Without a new picture keys are looked at so often."""
_NEWS = threading.Event()
_QUIT_KEYS = (ord("q"), ord("Q"), 27)
_PROBE = "import cv2; cv2.namedWindow('vr-live'); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 20.0


class WindowSink:
    """Shows the newest picture; the q and Esc keys and the window's close button set `stop`.

    `write` never waits: the main thread, the only one from which GUI libraries work everywhere, draws in `show`.
    """

    wants_picture = True

    def __init__(self, stop: Stop, name: str = "") -> None:
        """name: of the pair, where there are several."""
        self._stop = stop
        self._title = f"{name} - {TITLE}" if name else TITLE
        self._newest: NDArray[np.uint8] | None = None
        self._is_open = self._was_visible = False

    def write(self, output: Output) -> None:
        """See `Sink`."""
        self._newest = output.picture
        _NEWS.set()

    def show(self) -> None:
        """Draws what came since the last call, and looks at the keys. From the main thread."""
        picture, self._newest = self._newest, None
        if picture is not None:
            if not self._is_open:
                self._open(picture)
            cv2.imshow(self._title, picture)
        if self._is_open:
            key = cv2.waitKey(1) & 0xFF
            is_visible = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
            # On a busy machine a new window takes a while to appear; only one that was there can have been closed.
            if key in _QUIT_KEYS or (self._was_visible and not is_visible):
                self._stop.set()
            self._was_visible = self._was_visible or is_visible

    def _open(self, picture: NDArray[np.uint8]) -> None:
        """In the picture's size if that is no larger than most screens; OpenCV's own choice is 400x300."""
        cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        h, w = picture.shape[:2]
        scale = min(1.0, _LARGEST_WH[0] / w, _LARGEST_WH[1] / h)
        cv2.resizeWindow(self._title, max(1, round(w * scale)), max(1, round(h * scale)))
        self._is_open = True

    def close(self, complete: bool) -> Path | None:
        """Closes the window."""
        if self._is_open:
            cv2.destroyWindow(self._title)
            self._is_open = False
        return None


def show_windows(windows: Sequence[WindowSink], is_running: Callable[[], bool]) -> None:
    """Keeps the windows up to date while something runs; returns at once without windows."""
    while windows and is_running():
        _NEWS.wait(_KEY_WAIT_S)
        _NEWS.clear()
        for window in windows:
            window.show()


def can_show_windows() -> bool:
    """Whether OpenCV can open a window here.

    Tried in a process of its own: without a reachable display the GUI library ends the whole process, which
    would take a recording with it.
    """
    if sys.platform.startswith("linux") and not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        return False
    try:
        probe = subprocess.run([sys.executable, "-c", _PROBE], capture_output=True, timeout=_PROBE_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0
