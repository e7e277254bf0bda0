"""The picture on the screen."""

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray

from vr.runtime.controls import Controls
from vr.runtime.errors import OutputError
from vr.runtime.keys import Actions, press
from vr.runtime.sinks.base import Output
from vr.runtime.sinks.window_keys import key_name, with_help, with_message
from vr.runtime.stopping import Stop

Uint8Array = NDArray[np.uint8]

TITLE = "vr-live (h shows the keys)"
_LARGEST_WH = (1280, 720)
_KEY_WAIT_S = 0.03
"""Without a new picture keys are looked at so often."""
_MESSAGE_S = 2.0
"""So long the picture says what a key has done."""
_NEWS = threading.Event()
_PROBE = "import cv2; cv2.namedWindow('vr-live'); cv2.destroyAllWindows()"
_PROBE_TIMEOUT_S = 20.0


class WindowSink:
    """Shows the newest picture; keys act at once (`vr.runtime.keys`), the window's close button sets `stop`.

    `write` never waits: the main thread, the only one from which GUI libraries work everywhere, draws in `show`.
    """

    wants_picture = True

    def __init__(
        self, stop: Stop, name: str = "", controls: Controls | None = None, actions: Actions | None = None
    ) -> None:
        """name: of the pair, where there are several. controls: what keys and mouse change. actions: what keys do that
        the window cannot by itself.
        """
        self._stop, self._name, self._controls = stop, name, controls or Controls()
        self._title = f"{name} - {TITLE}" if name else TITLE
        self._actions = replace(
            actions or Actions(), quit=stop.set, toggle_help=self._toggle_help, snapshot=self._snapshot
        )
        self._newest: Uint8Array | None = None
        self._picture: Uint8Array | None = None
        self._width_px = 1
        self._is_open = self._was_visible = self._shows_help = False
        self._message, self._message_until_s = "", 0.0

    def write(self, output: Output) -> None:
        """See `Sink`."""
        self._newest = output.picture
        _NEWS.set()

    def show(self) -> None:
        """Draws what came since the last call, and looks at the keys. From the main thread."""
        newest, self._newest = self._newest, None
        if newest is not None:
            self._picture = newest
            self._draw(newest)
        if self._is_open:
            self._look_at_keys()
            is_visible = cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) >= 1
            # On a busy machine a new window takes a while to appear; only one that was there can have been closed.
            if self._was_visible and not is_visible:
                self._stop.set()
            self._was_visible = self._was_visible or is_visible

    def _draw(self, picture: Uint8Array) -> None:
        if not self._is_open:
            self._open(picture)
        if self._shows_help:
            picture = with_help(picture)
        elif time.monotonic() < self._message_until_s:
            picture = with_message(picture, self._message)
        self._width_px = picture.shape[1]
        cv2.imshow(self._title, picture)

    def _look_at_keys(self) -> None:
        key = key_name(cv2.waitKeyEx(1))
        said = None if key is None else press(key, self._controls, self._actions)
        if said is not None:
            self._message, self._message_until_s = said, time.monotonic() + _MESSAGE_S

    def _toggle_help(self) -> None:
        self._shows_help = not self._shows_help
        if self._picture is not None:
            self._draw(self._picture)

    def _snapshot(self) -> str:
        if self._picture is None:
            raise OutputError("there is no picture yet")
        return f"stored {store_snapshot(self._picture, Path.cwd(), self._name).name}"

    def _mouse(self, event: int, x: int, _y: int, flags: int, _data: object) -> None:
        """Drags the line of the view split; x is in pixels of the picture that is shown."""
        pressed = event == cv2.EVENT_LBUTTONDOWN or (event == cv2.EVENT_MOUSEMOVE and flags & cv2.EVENT_FLAG_LBUTTON)
        if pressed and self._controls.settings.view == "split":
            self._controls.change({"split": min(max(x / self._width_px, 0.0), 1.0)})

    def _open(self, picture: Uint8Array) -> None:
        """In the picture's size if that is no larger than most screens; OpenCV's own choice is 400x300."""
        cv2.namedWindow(self._title, cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_NORMAL)
        h, w = picture.shape[:2]
        scale = min(1.0, _LARGEST_WH[0] / w, _LARGEST_WH[1] / h)
        cv2.resizeWindow(self._title, max(1, round(w * scale)), max(1, round(h * scale)))
        cv2.setMouseCallback(self._title, self._mouse)
        self._is_open = True

    def close(self, complete: bool) -> Path | None:
        """Closes the window."""
        if self._is_open:
            cv2.destroyWindow(self._title)
            self._is_open = False
        return None


def store_snapshot(picture: Uint8Array, folder: Path, name: str = "") -> Path:
    """Writes a PNG named by `name` and the UTC time; never over what is there. Raises OutputError."""
    stem = f"{_file_safe(name) or 'vr-live'}-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    content = cv2.imencode(".png", picture)[1].tobytes()
    for number in count(1):
        path = folder / (f"{stem}.png" if number == 1 else f"{stem}-{number}.png")
        try:
            file = path.open("xb")
        except FileExistsError:
            continue
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error
        _fill(file, path, content)
        return path
    raise AssertionError("numbers do not end")


def _fill(file: BinaryIO, path: Path, content: bytes) -> None:
    """Leaves no part of a picture behind. Raises OutputError."""
    try:
        with file:
            file.write(content)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def _file_safe(name: str) -> str:
    return re.sub(r"[^\w-]+", "-", name).strip("-")


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
