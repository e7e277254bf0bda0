"""The page before a real server and pairs that the test feeds, in a real browser."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser

from tests.page_browser import LIVE, browser, needs_chromium, page_at, picture_sum, settles
from tests.web_rig import MATRIX, RGB_HW, Rig, wait_for_picture, web_rig
from vr.runtime.controls import Controls
from vr.runtime.geometry import theta_of_numbers, theta_to_matrix

pytestmark = needs_chromium
__all__ = ["browser"]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    with web_rig(tmp_path) as found:
        wait_for_picture(found)
        yield found


def at(rig: Rig) -> str:
    return f"http://127.0.0.1:{rig.port}/"


def controls(rig: Rig, number: int = 0) -> Controls:
    return rig.pairs[number].controls


def test_the_page_loads_without_errors_and_asks_no_other_host(browser: Browser, rig: Rig) -> None:
    with page_at(browser, at(rig)) as (page, watched):
        settles(page, "document.getElementById('state-word').textContent", "ESTIMATED")
        assert page.title() == "VR Registration"
    assert watched.elsewhere == []
    assert len(watched.requests) > 10


def test_the_picture_moves(browser: Browser, rig: Rig) -> None:
    with page_at(browser, at(rig)) as (page, _):
        seen = {picture_sum(page)}
        for _ in range(10):
            page.wait_for_timeout(60)
            seen.add(picture_sum(page))
    assert len(seen) >= 5


def test_a_picture_that_is_old_is_grey_and_says_how_old_until_pictures_come_again(browser: Browser, rig: Rig) -> None:
    with page_at(browser, at(rig)) as (page, _):
        rig.feeding.clear()
        page.wait_for_selector(".frame.stale")
        settles(page, "document.getElementById('state-word').textContent", "STREAM LOST")
        assert "s old" in (page.text_content("#lost-age") or "")
        assert "grayscale" in page.evaluate("getComputedStyle(document.getElementById('picture')).filter")
        rig.feeding.set()
        page.wait_for_selector(LIVE)
        settles(page, "document.getElementById('state-word').textContent", "ESTIMATED")


@pytest.mark.slow
def test_where_no_stream_comes_through_pictures_come_one_by_one(browser: Browser, rig: Rig) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.route("**/stream/*", lambda route: route.abort())
        page.goto(at(rig))
        page.wait_for_selector(LIVE)
        seen = {picture_sum(page)}
        for _ in range(8):
            page.wait_for_timeout(150)
            seen.add(picture_sum(page))
        assert len(seen) >= 3
        rig.feeding.clear()
        page.wait_for_selector(".frame.stale")
        rig.feeding.set()
        page.wait_for_selector(LIVE)


def test_a_tap_shows_the_values_under_it_until_they_are_dismissed(browser: Browser, rig: Rig) -> None:
    with page_at(browser, at(rig)) as (page, _):
        x, y = page.evaluate("""() => {
            const box = document.getElementById("frame").getBoundingClientRect();
            const scale = Math.min(box.width / 128, box.height / 96);
            return [box.left + box.width / 2 + scale * (40.5 - 64), box.top + box.height / 2 + scale * (30.5 - 48)];
        }""")
        page.mouse.click(x, y)
        settles(page, "document.getElementById('reading-at').textContent", "40, 30")
        settles(page, "document.getElementById('reading-rgb').textContent", "40 0 7")
        # Raw infrared is 300 K and one more per column, and column 25 is what the matrix says of x = 40.
        column = round(float((MATRIX @ (40, 30, 1))[0]))
        settles(page, "document.getElementById('reading-ir').textContent", f"{column + 300 - 273.15:.1f} °C")
        page.keyboard.press("Escape")
        settles(page, "document.getElementById('marker').hidden && document.getElementById('readings').hidden", True)


def test_settings_changed_elsewhere_move_the_controls_but_not_the_one_that_is_held(browser: Browser, rig: Rig) -> None:
    with page_at(browser, at(rig)) as (page, _):
        page.hover("#alpha")
        controls(rig).change({"alpha": 0.9, "view": "split"})
        settles(page, "document.getElementById('alpha').value", "0.9")
        settles(page, "document.getElementById('view-split').checked", True)
        page.mouse.down()
        held = page.input_value("#alpha")
        page.wait_for_timeout(900)
        controls(rig).change({"alpha": 0.1, "palette": "inferno"})
        settles(page, "document.getElementById('palette').value", "inferno")
        assert page.input_value("#alpha") == held
        page.mouse.up()
        settles(page, "document.getElementById('alpha').value", "0.1")


def test_what_the_server_refuses_is_said_in_its_words_and_put_back(browser: Browser, rig: Rig) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(at(rig))
        page.wait_for_selector(LIVE)
        page.evaluate("document.getElementById('model').add(new Option('other', 'other'))")
        page.select_option("#model", "other")
        page.wait_for_selector(".toast")
        assert "model is 'other'; expected one of default, small" in (page.text_content(".toast") or "")
        settles(page, "document.getElementById('model').value", "default")


def test_several_pairs_are_tabs_with_their_own_settings(browser: Browser, tmp_path: Path) -> None:
    with web_rig(tmp_path, pairs=2) as rig:
        wait_for_picture(rig)
        with page_at(browser, at(rig)) as (page, watched):
            page.click("#pairs button:has-text('pair1')")
            page.wait_for_selector(LIVE)
            page.click("label[for=view-checkerboard]")
            settles(page, "document.getElementById('view-checkerboard').checked", True)
            page.wait_for_timeout(200)
            assert any("/stream/1.mjpg" in request.url for request in watched.requests)
        assert (controls(rig, 0).settings.view, controls(rig, 1).settings.view) == ("overlay", "checkerboard")


def test_a_token_is_asked_for_and_let_in(browser: Browser, tmp_path: Path) -> None:
    with web_rig(tmp_path, token="a secret of the box") as rig, browser.new_context() as context:
        page = context.new_page()
        page.goto(at(rig))
        page.fill("#token", "a guess")
        page.press("#token", "Enter")
        page.wait_for_selector("#wrong:not([hidden])")
        assert "token" not in page.url
        page.fill("#token", "a secret of the box")
        page.press("#token", "Enter")
        page.wait_for_selector(LIVE)
        assert "token" not in page.url


def test_a_drag_by_hand_arrives_whole_in_a_few_requests(browser: Browser, rig: Rig) -> None:
    with page_at(browser, at(rig)) as (page, watched):
        page.click("#adjust")
        box = page.locator("#frame").bounding_box()
        assert box is not None
        scale = min(box["width"] / RGB_HW[1], box["height"] / RGB_HW[0])
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.mouse.move(x, y)
        page.mouse.down()
        start_s = time.monotonic()
        for step in range(1, 41):
            page.mouse.move(x + 2 * step, y - step)
            page.wait_for_timeout(5)
        page.mouse.up()
        took_s = time.monotonic() - start_s
        page.wait_for_timeout(400)
    assert controls(rig).settings.follow == "hand"
    theta = theta_of_numbers(controls(rig).settings.theta)
    matrix = theta_to_matrix(theta, RGB_HW, (60, 80))
    moved = np.array([80.0, -40.0]) / scale
    # A picture moved by so much shows at p what it showed at p - moved.
    np.testing.assert_allclose(matrix[:, 2], MATRIX[:, 2] - MATRIX[:, :2] @ moved, atol=0.05)
    assert sum(request.url.endswith("/nudge") for request in watched.requests) <= 2 + 15 * took_s


def test_a_slider_sends_at_most_twenty_a_second_and_never_loses_the_last(browser: Browser, rig: Rig) -> None:
    with page_at(browser, at(rig)) as (page, watched):
        page.evaluate("""async () => {
            const slider = document.getElementById("alpha");
            for (let i = 0; i <= 100; i++) {
                slider.value = i / 100;
                slider.dispatchEvent(new Event("input", { bubbles: true }));
                await new Promise((done) => setTimeout(done, 5));
            }
        }""")
        page.wait_for_timeout(200)
        assert controls(rig).settings.alpha == 1.0
        assert 2 <= sum(request.method == "PATCH" for request in watched.requests) <= 30
