"""The dashboard in a real terminal, and its preview against plain averages."""

import signal
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from benchmarks.dashboard_picture import Pair, picture
from tests.live_command import COMMAND, screenless, write_images
from tests.terminal import Terminal, plain, screen_of, shows_cursor
from vr.runtime.alignment import Alignment
from vr.runtime.controls import Controls
from vr.runtime.dashboard import Dashboard
from vr.runtime.preview import HalfBlocks, preview_hw, small_picture
from vr.runtime.sinks.base import Output
from vr.runtime.sources.base import Stamped
from vr.runtime.status import Status
from vr.runtime.style import Style

Uint8Array = NDArray[np.uint8]
SIM = ("--ir", "sim:size=320x240", "--rgb", "sim:size=320x240", "--model", "small", "--no-window")
RGB_HW = (240, 320)
IDENTITY = np.eye(3)[:2]


def output(ir: Uint8Array, rgb: Uint8Array, state: str = "estimated") -> Output:
    matrix = None if state == "refused" else IDENTITY
    alignment = Alignment(state, 0.9, matrix, None, RGB_HW, ir)  # type: ignore[arg-type]
    return Output(0, 0.0, Stamped(ir, 0.012, 0), Stamped(rgb, 0.0, 0), alignment, {"total": 9.0}, None)


def test_ctrl_c_ends_it_as_ever_and_leaves_the_terminal_as_it_was() -> None:
    terminal = Terminal([*COMMAND, *SIM], screenless())
    try:
        terminal.read_until("estimated")
        terminal.read_until("▀")
        during = plain(terminal.written)
        terminal.process.send_signal(signal.SIGINT)
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert all(word in during for word in ("state", "running", "fps", "latency", "skew", "view", "overlay, small"))
    assert shows_cursor(terminal.written) and b"\x1b[?25l" in terminal.written
    left = screen_of(terminal.written)
    assert not any("▀" in line or line.startswith("state ") for line in left), left
    assert left[0].startswith("model: small") and any(line.startswith("states ") for line in left)


def test_stdout_stays_a_list_of_lines(tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    terminal = Terminal([*COMMAND, *SIM, "--frames", "40", "--realtime"], screenless(), stdout=out)
    try:
        assert terminal.wait() == 0
    finally:
        terminal.close()
    said = out.read_bytes()
    assert b"\x1b" not in said and said.startswith(b"model: small")
    assert "of 40" in plain(terminal.written), "how many there will be"


@pytest.mark.parametrize("how", ["quiet", "recordings"])
def test_none_where_none_is_wanted(tmp_path: Path, how: str) -> None:
    images = write_images(tmp_path / "images", 3, RGB_HW)
    sources = ["--ir", str(images), "--rgb", str(images), "--no-window"]
    arguments = [*SIM, "--quiet", "--frames", "20"] if how == "quiet" else sources
    terminal = Terminal([*COMMAND, *arguments], screenless())
    try:
        assert terminal.wait() == 0
    finally:
        terminal.close()
    assert "▀" not in plain(terminal.written) and "fps  " not in plain(terminal.written)
    assert how == "recordings" or terminal.written == b""


@pytest.mark.parametrize("size", [(24, 80), (10, 60), (5, 40), (50, 200)])
def test_it_is_never_larger_than_the_terminal(size: tuple[int, int]) -> None:
    """Above all no wider: a line that wraps would stay on the screen."""
    pair = Pair(Status(), Controls(), output(np.full((60, 80), 90, np.uint8), np.full((*RGB_HW, 3), 20, np.uint8)))
    assert pair.newest is not None
    pair.status.output(pair.newest)
    console = Console(width=size[1], height=size[0], force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        console.print(Dashboard(console, console).drawn([pair]))
    lines = plain(capture.get().encode()).rstrip("\n").split("\n")
    assert max(len(line) for line in lines) <= size[1]
    previewed = [line for line in lines if "▀" in line]
    assert len(previewed) <= size[0] and (len(previewed) == 18) == (size[1] >= 80)


@pytest.mark.parametrize(
    ("rgb_hw", "columns", "rows", "expected"),
    [((480, 640), 48, 30, (36, 48)), ((480, 640), 48, 10, (20, 27)), ((1080, 1920), 48, 30, (28, 48))],
)
def test_the_preview_keeps_the_aspect(
    rgb_hw: tuple[int, int], columns: int, rows: int, expected: tuple[int, int]
) -> None:
    assert preview_hw(rgb_hw, columns, rows) == expected


def test_the_preview_is_the_picture_averaged() -> None:
    draw = np.random.default_rng(3)
    ir, rgb = (cv2.GaussianBlur(draw.integers(0, 256, shape, np.uint8), (0, 0), 6) for shape in (RGB_HW, (*RGB_HW, 3)))
    small = small_picture(output(ir, rgb), Style(alpha=0.5), 48, 18)  # type: ignore[arg-type]
    whole = 0.5 * ir[..., None] + 0.5 * rgb.astype(float)
    expected = cv2.resize(whole, (48, 36), interpolation=cv2.INTER_AREA)
    assert small is not None and np.abs(small[1:-1, 1:-1] - expected[1:-1, 1:-1]).max() < 3.0


def test_the_preview_shows_no_infrared_of_a_refused_pair() -> None:
    rgb = np.full((*RGB_HW, 3), (10, 90, 200), np.uint8)
    small = small_picture(output(np.full(RGB_HW, 255, np.uint8), rgb, "refused"), Style(alpha=1.0), 48, 18)
    assert small is not None and (small == (10, 90, 200)).all()


def test_half_blocks_have_the_colours_of_two_rows() -> None:
    """Rounded to multiples of 8."""
    picture_bgr = np.zeros((2, 3, 3), np.uint8)
    picture_bgr[0, :, 2], picture_bgr[1, :, 0] = 200, 104
    console = Console(width=20, force_terminal=True, color_system="truecolor")
    with console.capture() as capture:
        console.print(HalfBlocks(picture_bgr))
    assert "38;2;200;0;0;48;2;0;0;104m▀▀▀" in capture.get()


def test_the_picture_in_the_docs_is_what_is_drawn() -> None:
    stored = (Path(__file__).parents[1] / "docs" / "dashboard.svg").read_text(encoding="utf-8")
    assert "http" not in stored.replace("http://www.w3.org", "").replace("https://www.textualize.io", "")
    for word in ("running", "estimated", "latency", "overlay"):
        assert word in stored
    assert len(picture()) == pytest.approx(len(stored), rel=0.05), "run: python -m benchmarks.dashboard_picture"
