"""The page's reckoning, in a real browser, against numpy and the server's own code."""

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from tests.page_browser import browser, needs_chromium
from vr.runtime.nudge import similarity
from vr.runtime.web.files import PAGE

pytestmark = needs_chromium
__all__ = ["browser"]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        del format, args


@pytest.fixture(scope="module")
def page(browser: Browser) -> Iterator[Page]:
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=PAGE)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"http://127.0.0.1:{server.server_port}/icon.svg")
            page.goto(f"http://127.0.0.1:{server.server_port}/login.html")
            yield page
        server.shutdown()


def matrix_of(nudge: dict[str, Any]) -> np.ndarray:
    """What the server makes of a nudge."""
    matrix = similarity((480, 640), nudge["move_xy"], nudge["rotate_deg"], nudge["scale"], nudge["about_xy"])
    return np.vstack([matrix, [0, 0, 1]])


def test_steps_by_hand_put_together_are_the_product_of_their_matrices(page: Page) -> None:
    one, two, both = page.evaluate("""async () => {
        const { Similarity } = await import("/similarity.js");
        const one = Similarity.about([100, 50], 1.2, 30, [3, -4]);
        const two = Similarity.about([400, 300], 0.7, -75, [-20, 8]);
        return [one, two, two.after(one)].map((step) => step.asNudge([319.5, 239.5]));
    }""")
    np.testing.assert_allclose(matrix_of(both), matrix_of(two) @ matrix_of(one), atol=1e-9)
    # Positive degrees turn x towards y.
    direction = matrix_of(one)[:2, 0] / 1.2
    np.testing.assert_allclose(direction, [np.cos(np.pi / 6), np.sin(np.pi / 6)], atol=1e-12)


def test_two_fingers_take_what_lies_under_them_along(page: Page) -> None:
    nudge = page.evaluate("""async () => {
        const { Similarity } = await import("/similarity.js");
        return Similarity.pinch([[100, 100], [300, 200]], [[150, 90], [280, 310]]).asNudge([0, 0]);
    }""")
    moved = matrix_of(nudge) @ np.array([[100, 300], [100, 200], [1, 1]])
    np.testing.assert_allclose(moved[:2], [[150, 280], [90, 310]], atol=1e-9)


@pytest.mark.parametrize("cut", [1, 7, 50, 10_000])
def test_parts_of_a_stream_are_found_however_it_is_cut(page: Page, cut: int) -> None:
    bodies = [bytes([number]) * (number + 1) + b"\r\n\r\n--frame" for number in range(20)]
    stream = b"".join(
        b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n" % (len(body), body)
        for body in bodies
    )
    found = page.evaluate(
        """async ([bytes, cut]) => {
            const { Parts } = await import("/stream.js");
            const parts = new Parts();
            const found = [];
            for (let i = 0; i < bytes.length; i += cut) {
                const part = parts.newest(new Uint8Array(bytes.slice(i, i + cut)));
                if (part) found.push([...part]);
            }
            return found;
        }""",
        [list(stream), cut],
    )
    expected = [list(body) for body in bodies]
    assert found == (expected if cut < 20 else [part for part in expected if part in found])
    assert found[-1] == expected[-1]


def test_a_writer_keeps_its_pace_and_sends_the_last_value(page: Page) -> None:
    sent = page.evaluate("""async () => {
        const { Writer } = await import("/net.js");
        const sent = [];
        const send = async (value) => { sent.push([performance.now(), value]); };
        const writer = new Writer(send, (a, b) => ({ ...a, ...b }), 50);
        for (let i = 0; i <= 60; i++) {
            writer.push({ last: i, [i]: true });
            await new Promise((done) => setTimeout(done, 4));
        }
        await new Promise((done) => setTimeout(done, 120));
        return sent;
    }""")
    assert sent[-1][1]["last"] == 60
    assert np.diff([time for time, _ in sent]).min() >= 49
    assert {int(key) for _, value in sent for key in value if key != "last"} == set(range(61))
