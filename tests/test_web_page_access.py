"""Keyboard, screen reader and contrast."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.page_browser import DESK, PHONE, browser, needs_chromium, page_at, settles
from tests.web_rig import IR_HW, MATRIX, RGB_HW, Rig, wait_for_picture, web_rig
from vr.runtime.geometry import theta_of_numbers, theta_to_matrix
from vr.runtime.keys import KEY_HELP

pytestmark = needs_chromium
__all__ = ["browser"]
THEMES = ["light", pytest.param("dark", marks=pytest.mark.slow), pytest.param("sun", marks=pytest.mark.slow)]
SECTIONS = ("picture", "alignment", "recordings", "health")
_REACHABLE = """() => [...document.querySelectorAll("button, select, input, a, [tabindex='0']")]
    .filter((one) => one.checkVisibility() && !one.disabled && one.closest("dialog") === null)
    .filter((one) => one.type !== "radio" || one.checked).map((one) => one.id || one.ariaLabel || one.textContent)"""
_FOCUSED = "(document.activeElement.id || document.activeElement.ariaLabel || document.activeElement.textContent)"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    folder: Path = tmp_path_factory.mktemp("web")
    with web_rig(folder, pairs=2) as found:
        wait_for_picture(found)
        yield found


def at(rig: Rig) -> str:
    return f"http://127.0.0.1:{rig.port}/"


def serious(page: Page) -> list[str]:
    found = Axe().run(page).response["violations"]
    bad = [one for one in found if one["impact"] in ("serious", "critical")]
    return [f"{one['id']}: {node['target']} {node['any'][:1]}" for one in bad for node in one["nodes"]]


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious_at_a_desk(browser: Browser, rig: Rig, theme: str) -> None:
    with page_at(browser, at(rig), theme, viewport=DESK, reduced_motion="reduce") as (page, _):
        page.click("#adjust")
        page.click("label[for=view-threshold]")
        assert serious(page) == []
        page.click("#adjust")
        page.click("#frame")
        page.click("#help-open")
        assert serious(page) == []


@pytest.mark.parametrize("theme", THEMES)
def test_axe_finds_nothing_serious_on_a_phone(browser: Browser, rig: Rig, theme: str) -> None:
    with page_at(browser, at(rig), theme, viewport=PHONE, has_touch=True, reduced_motion="reduce") as (page, _):
        for section in SECTIONS:
            page.click(f"[data-shows={section}]")
            assert serious(page) == [], section


def test_axe_finds_nothing_serious_where_the_token_is_asked_for(browser: Browser, tmp_path: Path) -> None:
    with web_rig(tmp_path, token="a secret of the box") as rig, browser.new_context() as context:
        page = context.new_page()
        page.goto(at(rig))
        assert serious(page) == []


def test_every_control_is_reached_by_tab(browser: Browser, rig: Rig) -> None:
    with page_at(browser, at(rig)) as (page, _):
        page.click("#adjust")
        page.evaluate("document.activeElement.blur()")
        expected = set(page.evaluate(_REACHABLE))
        reached: set[str] = set()
        for _ in range(2 * len(expected)):
            page.keyboard.press("Tab")
            reached.add(page.evaluate(_FOCUSED))
        assert expected - reached == set()
        assert len(expected) > 25


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_whatever_is_touched_is_44_px_large(browser: Browser, rig: Rig, size: dict[str, int]) -> None:
    with page_at(browser, at(rig), viewport=size) as (page, _):
        page.click("#adjust")
        for section in SECTIONS if size is PHONE else ("picture",):
            if size is PHONE:
                page.click(f"[data-shows={section}]")
            small = page.evaluate("""() =>
                [...document.querySelectorAll("button, select, input[type=range], fieldset label, a")]
                .filter((one) => one.checkVisibility() && !one.classList.contains("skip"))
                .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
                .filter(([, { width, height }]) => Math.min(width, height) < 43.9).map(([name]) => name)""")
            assert small == []


def test_keys_change_settings_and_open_help(browser: Browser, rig: Rig) -> None:
    controls = rig.pairs[0].controls
    with page_at(browser, at(rig)) as (page, _):
        for key, setting, value in (
            ("5", "view", "split"),
            ("v", "view", "side-by-side"),
            ("V", "view", "split"),
            ("+", "alpha", 0.4),
            (".", "split", 0.52),
            ("Space", "follow", "hold"),
            ("e", "follow", "estimate"),
            ("m", "model", "small"),
        ):
            page.keyboard.press(key)
            page.wait_for_timeout(150)
            assert getattr(controls.settings, setting) == value, key
        page.keyboard.press("?")
        settles(page, "document.getElementById('help').open", True)
        page.keyboard.press("Escape")
        settles(page, "document.getElementById('help').open", False)
    controls.change({"view": "overlay", "alpha": 0.35, "split": 0.5, "model": "default"})


def test_the_help_lists_every_key_of_the_window_but_its_end(browser: Browser, rig: Rig) -> None:
    written = {"h": "h?", "arrows": "←→↑↓", "1 ... 9": "1to9"}
    expected = {written.get(label, label.replace(" ", "")) for label, _ in KEY_HELP if label != "q Esc"}
    with page_at(browser, at(rig)) as (page, _):
        page.keyboard.press("h")
        listed = page.evaluate("[...document.querySelectorAll('#help-keys dt')].map((one) => one.textContent)")
        assert expected - set(listed) == set()
        assert "move infrared" in (page.text_content("#help-keys") or "")
        assert dict(KEY_HELP)["[ ]"] in (page.text_content("#help-keys") or "")


def test_arrows_move_the_infrared_picture_while_adjusting(browser: Browser, rig: Rig) -> None:
    controls = rig.pairs[0].controls
    with page_at(browser, at(rig)) as (page, _):
        page.keyboard.press("a")
        page.focus("#frame")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowRight")
        page.wait_for_timeout(300)
        theta = controls.settings.theta
        assert controls.settings.follow == "hand" and theta is not None
        moved = theta_to_matrix(theta_of_numbers(theta), RGB_HW, IR_HW)
        # A picture moved by 11 px shows at x what it showed at x - 11.
        assert moved[0, 2] == pytest.approx(MATRIX[0, 2] - 11 * MATRIX[0, 0], abs=1e-3)
        page.click("#hand-reset")
        page.wait_for_timeout(200)
    assert controls.settings.follow == "estimate" and controls.settings.theta is None


def test_a_change_of_state_is_announced_once(browser: Browser, rig: Rig) -> None:
    with page_at(browser, at(rig)) as (page, _):
        page.wait_for_timeout(1000)
        settles(page, "document.getElementById('said').textContent", "State: estimated")
        page.evaluate("""() => {
            window.said = 0;
            const count = () => { window.said += 1; };
            new MutationObserver(count).observe(document.getElementById("said"), { childList: true });
        }""")
        page.wait_for_timeout(1500)
        assert page.evaluate("window.said") == 0
