"""How soon the web page's controls act: `python -m benchmarks.page [--out FILE] [--tries N]`.

From the input event in the page to the first picture of the stream (as read from the canvas) that differs by more than
the scene's own motion, or to the first event of the server with another value.
"""

import argparse
import json
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

from benchmarks.measure import machine_facts
from benchmarks.page_server import serving
from benchmarks.table_web import render_page

WITHIN_MS = 300
CHROMIUM = Path("/usr/bin/chromium")
_PROBE = Path(__file__).with_suffix("").with_name("page_probe.js")
_REST_MS = 250
_SETTLE_MS = 2000
_PAD = '#hand [data-{}="{}"]'


@dataclass(frozen=True)
class Control:
    """One control. acts: JavaScript, one way and back, in turn. sign: what changes for it: `picture`, a key of
    `settings` or `status` after a colon, or `page:` and an expression. before: settings that it is tried in; setup:
    JavaScript.
    """

    name: str
    acts: tuple[str, str]
    sign: str = "picture"
    before: dict[str, Any] = field(default_factory=dict[str, Any])
    setup: str = ""


def _pressed(selector: str) -> str:
    return f"document.querySelector(`{selector}`).click()"


def _view(name: str) -> Control:
    other = "overlay" if name != "overlay" else "split"
    return Control(
        f"view {name}", (f"probe.click('view-{name}')", f"probe.click('view-{other}')"), before={"view": other}
    )


def _chosen(key: str, one: str, other: str, sign: str = "", **before: Any) -> Control:
    acts = (f"probe.choose('{key}', '{one}')", f"probe.choose('{key}', '{other}')")
    return Control(key.replace("_", " "), acts, sign or f"settings:{key}", {key: _number(other), **before})


def _number(text: str) -> Any:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        return text


_BY_HAND = "if (document.getElementById('adjust').ariaPressed !== 'true') probe.click('adjust')"
_THETA = "settings:theta"


def _hand(name: str, one: str, other: str) -> Control:
    return Control(f"by hand: {name}", (one, other), _THETA, setup=_BY_HAND)


def _by_hand(name: str, one: str, other: str, before: dict[str, Any]) -> Control:
    return Control(name, (f"probe.click('{one}')", f"probe.click('{other}')"), "settings:follow", before, _BY_HAND)


_PLAIN = (1, 0, 0, 0, 1, 0)
_VIEWS = ("overlay", "rgb-edges", "ir-edges", "checkerboard", "split", "side-by-side", "difference")
_VIEWS += ("picture-in-picture", "threshold")
CONTROLS: tuple[Control, ...] = (
    *map(_view, _VIEWS),
    _chosen("alpha", "0.9", "0.1", "picture", view="overlay"),
    _chosen("palette", "inferno", "none", "picture", view="overlay", alpha=0.7),
    _chosen("split", "0.15", "0.85", "picture", view="split"),
    Control(
        "split, dragged", ("probe.drag([.5, .5], [.3, .5])", "probe.drag([.3, .5], [.7, .5])"), before={"view": "split"}
    ),
    _chosen("ir_above", "40", "240", "picture", view="threshold"),
    Control("hold", ("probe.click('follow-hold')", "probe.click('follow-estimate')"), "settings:follow"),
    Control("by hand", ("probe.click('follow-hand')", "probe.click('follow-estimate')"), "settings:follow"),
    _chosen("model", "small", "default"),
    _chosen("rig", "moving", "fixed"),
    _chosen("search", "wide", "near"),
    _hand("drag", "probe.drag([.5, .5], [.55, .5])", "probe.drag([.55, .5], [.5, .5])"),
    _hand("turn", "probe.drag([.7, .5], [.7, .55], true)", "probe.drag([.7, .55], [.7, .5], true)"),
    _hand("wheel", "probe.wheel(100)", "probe.wheel(-100)"),
    _hand("left, right", _pressed(_PAD.format("move", "-1,0")), _pressed(_PAD.format("move", "1,0"))),
    _hand("up, down", _pressed(_PAD.format("move", "0,-1")), _pressed(_PAD.format("move", "0,1"))),
    _hand("scale", _pressed(_PAD.format("scale", "1")), _pressed(_PAD.format("scale", "-1"))),
    _hand("turn by buttons", _pressed(_PAD.format("rotate", "1")), _pressed(_PAD.format("rotate", "-1"))),
    _by_hand("start from here", "hand-start", "follow-hand", {"follow": "hand", "theta": _PLAIN}),
    _by_hand("reset", "hand-reset", "follow-hand", {"follow": "hand", "theta": _PLAIN}),
    _by_hand("keep by hand", "hand-keep", "follow-estimate", {}),
    Control(
        "record",
        ("probe.click('record')", "probe.click('record')"),
        "page:/^Stop /.test(document.getElementById('record-word').textContent)",
    ),
    Control(
        "adjust",
        ("probe.click('adjust')", "probe.click('adjust')"),
        "page:document.getElementById('frame').dataset.gesture",
    ),
    Control(
        "theme",
        ("probe.click('theme')", "probe.click('theme')"),
        "page:document.getElementById('theme-word').textContent",
    ),
    Control(
        "help", ("probe.click('help-open')", "probe.click('help-close')"), "page:document.getElementById('help').open"
    ),
    Control("key v", ("probe.press('v')", "probe.press('V')"), "settings:view"),
    Control("key +", ("probe.press('+')", "probe.press('-')"), "settings:alpha"),
    Control("key p", ("probe.press('p')", "probe.press('P')"), "settings:palette"),
    Control("key space", ("probe.press(' ')", "probe.press(' ')"), "settings:follow"),
)
NEUTRAL: dict[str, Any] = {
    "view": "overlay",
    "alpha": 0.35,
    "palette": "none",
    "split": 0.5,
    "ir_above": 160,
    "follow": "estimate",
    "theta": None,
    "model": "default",
    "rig": "fixed",
    "search": "near",
}


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's, without a screen."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


def opened(browser: Browser, url: str, **context: Any) -> Page:
    """A page of its own context that shows live pictures, with the probe."""
    page = browser.new_context(**context).new_page()
    page.goto(url)
    page.wait_for_selector(".frame:not(.stale)")
    page.evaluate(_PROBE.read_text())
    page.evaluate("() => probe.ready.then(() => {})")
    page.wait_for_timeout(_SETTLE_MS)
    return page


def measure(page: Page, control: Control, tries: int) -> list[float | None]:
    """ms of each try, None where nothing changed within seconds."""
    change(page, {**NEUTRAL, **control.before})
    page.evaluate(f"() => {{ {control.setup} }}")
    times: list[float | None] = []
    for index in range(tries):
        page.wait_for_timeout(_REST_MS)
        times.append(page.evaluate(_waiting(control, control.acts[index % 2])))
        if control.setup:
            page.evaluate(f"() => {{ {control.setup} }}")
    if tries % 2:
        page.evaluate(f"() => {{ {control.acts[1]} }}")
    page.evaluate("() => { if (document.getElementById('adjust').ariaPressed === 'true') probe.click('adjust') }")
    return times


def _waiting(control: Control, act: str) -> str:
    what, _, key = control.sign.partition(":")
    if what == "picture":
        return f"() => probe.untilPicture(() => {{ {act} }})"
    if what == "page":
        return f"() => probe.untilPage(() => {key}, () => {{ {act} }})"
    return f"() => probe.untilEvent('{what}', '{key}', () => {{ {act} }})"


def change(page: Page, settings: dict[str, Any]) -> None:
    """Sets settings past the page's controls, and waits until the page has heard of it."""
    page.evaluate(
        """async (settings) => {
            await new Promise((done) => setTimeout(done, 200));
            const headers = { "Content-Type": "application/json" };
            await fetch("/api/pairs/0/settings", { method: "PATCH", headers, body: JSON.stringify(settings) });
            await new Promise((done) => setTimeout(done, 900));
        }""",
        settings,
    )


def summary(times: list[float | None]) -> dict[str, Any]:
    """Median and maximum, ms; null where a try never acted."""
    found = [time for time in times if time is not None]
    whole = len(found) == len(times)
    return {
        "median_ms": round(statistics.median(found)) if found else None,
        "max_ms": round(max(found)) if whole else None,
        "tries_ms": [None if time is None else round(time) for time in times],
    }


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "page.json")
    parser.add_argument("--tries", type=int, default=5)
    parser.add_argument("--only", default="", help="names that contain this")
    arguments = parser.parse_args()
    with serving() as url, chromium() as browser:
        page = opened(browser, url)
        rows = {
            one.name: summary(measure(page, one, arguments.tries)) for one in CONTROLS if arguments.only in one.name
        }
    report = {"machine": machine_facts(), "bar_ms": WITHIN_MS, "controls": rows}
    arguments.out.write_text(json.dumps(report, indent=1) + "\n")
    print(render_page(report))


if __name__ == "__main__":
    main()
