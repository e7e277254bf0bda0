"""The page of a real `vr-live`, in a real browser."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from benchmarks.page import CONTROLS, NEUTRAL, change, measure, opened, summary
from benchmarks.page_server import serving
from tests.page_browser import browser, needs_chromium, page_at, picture_sum, settles

pytestmark = [needs_chromium, pytest.mark.slow]
__all__ = ["browser"]


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("live")
    with serving(folder=folder) as found:
        yield found


def status(page: Page) -> dict[str, Any]:
    return page.evaluate("async () => (await fetch('/api/pairs/0/status')).json()")


def test_it_loads_without_errors_and_its_picture_moves(browser: Browser, url: str) -> None:
    with page_at(browser, url) as (page, watched):
        settles(page, "document.getElementById('state-word').textContent", "ESTIMATED", 15.0)
        seen = {picture_sum(page)}
        for _ in range(10):
            page.wait_for_timeout(150)
            seen.add(picture_sum(page))
        assert len(seen) >= 5
        assert page.locator("#quick-fps").text_content() != "–"
    assert watched.elsewhere == []


def test_every_control_acts(browser: Browser, url: str) -> None:
    """How soon is measured by `benchmarks.page`."""
    page = opened(browser, url)
    try:
        rows = {control.name: summary(measure(page, control, 3)) for control in CONTROLS}
        change(page, NEUTRAL)
    finally:
        page.context.close()
    assert [name for name, row in rows.items() if row["max_ms"] is None] == [], json.dumps(rows)


def test_a_snapshot_comes_as_png_of_the_whole_picture(browser: Browser, url: str, tmp_path: Path) -> None:
    with page_at(browser, url) as (page, _):
        with page.expect_download() as coming:
            page.click("#snapshot")
        coming.value.save_as(tmp_path / "snapshot.png")
        assert coming.value.suggested_filename.endswith(".png")
    picture = cv2.imread(str(tmp_path / "snapshot.png"), cv2.IMREAD_UNCHANGED)
    assert picture is not None and picture.shape == (480, 640, 3) and picture.std() > 20


def test_a_recording_is_listed_and_what_is_downloaded_plays(browser: Browser, url: str, tmp_path: Path) -> None:
    with page_at(browser, url) as (page, _):
        page.click("#record")
        settles(page, "document.getElementById('record').ariaPressed", "true")
        page.wait_for_timeout(2500)
        assert "0:0" in (page.text_content("#record-word") or "")
        page.click("#record")
        page.wait_for_selector("#files .download")
        with page.expect_download() as coming:
            page.click("#files .download")
        coming.value.save_as(tmp_path / "recording.mp4")
    with av.open(str(tmp_path / "recording.mp4")) as video:
        frames = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
    assert len(frames) >= 15
    assert frames[0].shape == (480, 640, 3) and frames[0].std() > 20


def still_picture(page: Page) -> np.ndarray:
    """(H, W) float32: the median of pictures, in which nobody walks."""
    found: list[np.ndarray] = []
    for _ in range(9):
        data = bytes(
            page.evaluate(
                "async () => [...new Uint8Array(await (await fetch('/api/pairs/0/picture.jpg')).arrayBuffer())]"
            )
        )
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
        assert picture is not None
        found.append(picture)
        page.wait_for_timeout(150)
    return np.median(found, axis=0).astype(np.float32)


def test_a_drag_moves_the_infrared_picture_by_as_much(browser: Browser, url: str) -> None:
    with page_at(browser, url) as (page, _):
        change(page, NEUTRAL)
        settles(page, "document.getElementById('state-word').textContent", "ESTIMATED", 15.0)
        page.click("#adjust")
        change(page, {**NEUTRAL, "alpha": 1.0, "follow": "hold"})
        before, matrix = still_picture(page), np.array(status(page)["matrix_rgb_to_ir"])
        box = page.locator("#frame").bounding_box()
        assert box is not None
        scale = min(box["width"] / 640, box["height"] / 480)
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 24 * scale, y - 15 * scale, steps=12)
        page.mouse.up()
        page.wait_for_timeout(600)
        after, moved = still_picture(page), np.array(status(page)["matrix_rgb_to_ir"])
        change(page, NEUTRAL)
    # A picture moved by (24, -15) shows at p what it showed at p - (24, -15).
    np.testing.assert_allclose(moved, matrix @ [[1, 0, -24], [0, 1, 15], [0, 0, 1]], atol=0.05)
    middle = np.s_[120:360, 160:480]
    shift, _ = cv2.phaseCorrelate(before[middle], after[middle], cv2.createHanningWindow((320, 240), cv2.CV_32F))
    # The simulated rig drifts by about 1 px a second, and these are some seconds.
    np.testing.assert_allclose(shift, [24, -15], atol=4.0)


def test_three_pages_at_once_all_move(browser: Browser, url: str) -> None:
    with ExitStack() as stack:
        pages = [stack.enter_context(page_at(browser, url))[0] for _ in range(3)]
        seen: list[set[int]] = [set() for _ in pages]
        for _ in range(12):
            for page, sums in zip(pages, seen, strict=True):
                sums.add(picture_sum(page))
            pages[0].wait_for_timeout(150)
    assert min(map(len, seen)) >= 5


def test_a_page_finds_the_box_again_after_it_was_gone(browser: Browser) -> None:
    with ExitStack() as stack:
        with serving() as url:
            page = stack.enter_context(browser.new_context()).new_page()
            page.goto(url)
            page.wait_for_selector(".frame:not(.stale)")
        page.wait_for_selector(".frame.stale")
        settles(page, "document.getElementById('state-word').textContent", "STREAM LOST")
        port = url.rstrip("/").rpartition(":")[2]
        with serving(port=int(port)):
            page.wait_for_selector(".frame:not(.stale)", timeout=20_000)
            settles(page, "document.getElementById('state-word').textContent", "ESTIMATED", 15.0)
