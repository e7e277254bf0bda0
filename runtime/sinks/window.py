"""The picture on the screen."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import cv2

from vr.runtime.sinks.base import Output

TITLE = "vr-live (q or Esc quits)"
_QUIT_KEYS = (ord("q"), ord("Q"), 27)
_PROBE = "import cv2; cv2.namedWindow('vr-live'); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 20.0


class WindowSink:
    """Shows each picture; the q and Esc keys and the window's close button set `stop`."""

    wants_picture = True

    def __init__(self, stop: threading.Event) -> None:
        self._stop = stop
        self._is_open = False

    def write(self, output: Output) -> None:
        """See `Sink`."""
        if output.picture is None:
            return
        if not self._is_open:
            cv2.namedWindow(TITLE, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO)
            self._is_open = True
        cv2.imshow(TITLE, output.picture)
        key = cv2.waitKey(1) & 0xFF
        if key in _QUIT_KEYS or cv2.getWindowProperty(TITLE, cv2.WND_PROP_VISIBLE) < 1:
            self._stop.set()

    def close(self, complete: bool) -> Path | None:
        """Closes the window."""
        if self._is_open:
            cv2.destroyAllWindows()
        return None


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
