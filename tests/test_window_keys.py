"""`vr-live` with its window on a screen of its own, and keys really pressed; what they do is read from `--keep`.

A key acts on a window only once it is there and has the focus, and OpenCV remembers no more than one key between two
looks. So every press is waited for, and the first one, which may be lost, is one that may be repeated.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import cv2
import pytest

from tests.live_command import COMMAND, screenless

MISSING = [tool for tool in ("Xvfb", "xdotool") if shutil.which(tool) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux") or bool(MISSING), reason=f"needs {' and '.join(MISSING)}"),
]
PATIENCE_S = 60.0


@pytest.fixture
def screen() -> Generator[dict[str, str]]:
    """The environment of a new X server without a window manager; unless told not to, it begins anew, and refuses
    whoever comes then, once its last client has left: between the look for a screen and the window.
    """
    reading, writing = os.pipe()
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1000x800x24", "-noreset"]
    server = subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL)
    os.close(writing)
    try:
        with os.fdopen(reading) as number:
            yield {**screenless(), "DISPLAY": f":{number.readline().strip()}", "QT_LOGGING_RULES": "*=false"}
    finally:
        server.terminate()
        server.wait()


class Window:
    """A run whose window gets keys."""

    def __init__(self, folder: Path, environment: dict[str, str], *arguments: str) -> None:
        self._folder, self._environment, self._kept = folder, environment, folder / "kept.json"
        self._errors = (folder / "stderr.txt").open("w")
        sources = ["--ir", "sim:size=320x240", "--rgb", "sim:size=320x240", "--model", "small", "--keep", "kept.json"]
        self.process = subprocess.Popen(
            [*COMMAND, *sources, *arguments], cwd=folder, env=environment, stdout=self._errors, stderr=self._errors
        )

    def settings(self) -> dict[str, object]:
        """What has been changed so far."""
        try:
            return json.loads(self._kept.read_text())
        except FileNotFoundError:
            return {}

    def tool(self, *arguments: str) -> str:
        """Output of xdotool; nothing where it fails, for example because there is no window yet."""
        done = subprocess.run(["xdotool", *arguments], env=self._environment, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    def until(self, what: str, holds: Callable[[], bool]) -> None:
        """Waits until something holds; the run has to live meanwhile."""
        end_s = time.monotonic() + PATIENCE_S
        while not holds():
            said = (self._folder / "stderr.txt").read_text()
            assert self.process.poll() is None, f"ended before {what}: {said}"
            assert time.monotonic() < end_s, f"no {what} within {PATIENCE_S:g} s; settings {self.settings()}; {said}"
            time.sleep(0.05)

    def first_press(self) -> None:
        """5 until the view is split: from then on the window has the focus."""

        def pressed() -> bool:
            window = self.tool("search", "--name", "^vr-live").partition("\n")[0]
            if window:
                self.tool("windowfocus", window)
                self.tool("key", "5")
                time.sleep(0.7)
            return self.settings().get("view") == "split"

        self.until("split", pressed)

    def press(self, key: str, **settings: object) -> None:
        """One key, once, and then these settings."""
        self.tool("key", key)
        self.until(f"{settings} after {key}", lambda: settings.items() <= self.settings().items())

    def end(self) -> int:
        """Waits for the exit code."""
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()
            self._errors.close()


def test_keys_and_mouse_change_what_is_shown(tmp_path: Path, screen: dict[str, str]) -> None:
    window = Window(tmp_path, screen)
    try:
        window.first_press()
        window.press("comma", split=0.48)
        window.press("plus", alpha=0.4)
        window.press("p", palette="white-hot")
        window.press("bracketright", ir_above=165)
        number = window.tool("search", "--name", "^vr-live").partition("\n")[0]
        to = ["mousemove", "--window", number]
        window.tool(*to, "80", "120", "mousedown", "1", *to, "200", "120", *to, "240", "120")
        window.tool("mouseup", "1")
        window.until("line where the mouse is", lambda: abs(float(str(window.settings()["split"])) - 0.75) < 0.02)
        window.press("b", view="checkerboard")
        window.press("Left", follow="hand")
        window.tool("key", "n")
        window.until("the hand forgotten", lambda: "follow" not in window.settings())
        window.tool("key", "h")
        time.sleep(0.5)
        window.press("9", view="threshold")
        window.tool("key", "s")
        window.until("a snapshot", lambda: any(tmp_path.glob("vr-live-*.png")))
        window.tool("key", "q")
        assert window.end() == 0, (tmp_path / "stderr.txt").read_text()
    finally:
        window.process.kill()
    (stored,) = tmp_path.glob("vr-live-*.png")
    picture = cv2.imread(str(stored))
    assert picture is not None and picture.shape == (240, 320, 3)
