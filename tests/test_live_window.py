"""The window on a real display: Xvfb, whose screen is a file that the test reads."""

import os
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.live_models import write_theta_model

pytestmark = pytest.mark.skipif(shutil.which("Xvfb") is None, reason="Xvfb is not installed (Debian: xvfb)")


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[tuple[str, Callable[[], NDArray[np.uint8]]]]:
    """The name of a display, and what reads its picture (H, W, 3)."""
    read_end, write_end = os.pipe()
    # Without -noreset the server starts anew when its only client leaves, and drops whoever comes just then.
    command = ["Xvfb", "-noreset", "-displayfd", str(write_end), "-screen", "0", "640x480x24", "-fbdir", str(tmp_path)]
    server = subprocess.Popen(command, pass_fds=[write_end], stderr=subprocess.DEVNULL)
    os.close(write_end)
    with os.fdopen(read_end) as pipe:
        number = pipe.readline().strip()
    yield f":{number}", lambda: read_screen(tmp_path / "Xvfb_screen0")
    server.terminate()
    server.wait(20)


def read_screen(path: Path) -> NDArray[np.uint8]:
    """An XWD file of 24 bits per pixel in 32: a header of 25 numbers, colour table, rows (X11, XWDFile.h)."""
    data = path.read_bytes()
    header = struct.unpack(">25I", data[:100])
    start, width, height, row_bytes = header[0] + header[19] * 12, header[4], header[5], header[12]
    rows = np.frombuffer(data[start : start + row_bytes * height], np.uint8).reshape(height, row_bytes // 4, 4)
    return rows[:, :width, :3]


def shows_a_picture(screen: NDArray[np.uint8]) -> bool:
    return bool(screen[:200, :300].std() >= 10)


@pytest.mark.slow
def test_the_window_shows_the_overlay_and_closes_on_a_signal(
    tmp_path: Path, screen: tuple[str, Callable[[], NDArray[np.uint8]]]
) -> None:
    display, picture = screen
    model = write_theta_model(tmp_path / "m.onnx", confidence=0.9)
    command = [sys.executable, "-m", "vr.runtime.cli", "--ir", "sim:size=320x240", "--rgb", "sim:size=320x240"]
    process = subprocess.Popen(
        [*command, "--model", str(model)],
        env={**os.environ, "DISPLAY": display},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline_s = time.monotonic() + 30
        while not shows_a_picture(picture()) and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.05)
        is_shown = shows_a_picture(picture())
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert is_shown, (out, err)
    assert (process.returncode, err) == (0, "")
    assert "no display" not in out and "estimated" in out
