"""Chromium before the web page: what the tests of the page share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request

from benchmarks.page import CHROMIUM, chromium

DESK, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
needs_chromium = pytest.mark.skipif(not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}")
LIVE = ".frame:not(.stale)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for all tests of a module."""
    with chromium() as found:
        yield found


class Watched:
    """Errors of a page, and its requests to elsewhere."""

    def __init__(self, page: Page, url: str) -> None:
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.requests: list[Request] = []
        self._host = urlsplit(url).netloc
        page.on("console", lambda message: self.errors.append(message.text) if message.type != "log" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", self._note)

    def _note(self, request: Request) -> None:
        self.requests.append(request)
        parts = urlsplit(request.url)
        if parts.scheme != "blob" and parts.netloc != self._host:
            self.elsewhere.append(request.url)


@contextmanager
def page_at(browser: Browser, url: str, theme: str = "light", **context: Any) -> Iterator[tuple[Page, Watched]]:
    """A page of its own context that shows live pictures; its errors are the test's."""
    with browser.new_context(**{"viewport": DESK, **context}) as made:
        made.add_init_script(f"localStorage.setItem('vr-theme', '{theme}')")
        page = made.new_page()
        watched = Watched(page, url)
        page.goto(url)
        page.wait_for_selector(LIVE)
        yield page, watched
    assert watched.errors == []


def settles(page: Page, expression: str, value: Any, timeout_s: float = 5.0) -> None:
    """Waits until JavaScript gives a value; the page allows no polling by `eval`."""
    found: Any = None
    for _ in range(round(timeout_s * 50)):
        if (found := page.evaluate(expression)) == value:
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"{expression} is {found!r}; expected {value!r}")


def picture_sum(page: Page) -> int:
    """A number that follows from the pixels shown."""
    return page.evaluate(
        """() => {
            const picture = document.getElementById("picture");
            const copy = new OffscreenCanvas(picture.width, picture.height)
                .getContext("2d", { willReadFrequently: true });
            copy.drawImage(picture, 0, 0);
            const { data } = copy.getImageData(0, 0, picture.width, picture.height);
            return data.reduce((sum, value, i) => (sum * 31 + value * (i + 1)) % 1000000007, 0);
        }"""
    )
