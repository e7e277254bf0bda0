"""Pictures of the web page for the documentation: `python -m benchmarks.page_shots [--folder docs]`."""

import argparse
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from benchmarks.page import chromium
from benchmarks.page_server import serving

DESK = {"viewport": {"width": 1440, "height": 900}}
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
_HISTORY_MS = 110_000
"""So much of the plots is filled."""
_REST_MS = 1200


def _opened(browser: Browser, url: str, theme: str, context: dict[str, Any]) -> Page:
    page = browser.new_context(**context).new_page()
    page.add_init_script(f"localStorage.setItem('vr-theme', '{theme}')")
    page.goto(url)
    page.wait_for_selector(".frame:not(.stale)")
    return page


def shoot(browser: Browser, url: str, folder: Path) -> None:
    """Writes `web-desktop.png` and `web-phone.png`."""
    desk = _opened(browser, url, "dark", DESK)
    desk.select_option("#palette", "inferno")
    desk.fill("#alpha", "0.6")
    desk.wait_for_timeout(_HISTORY_MS)
    desk.evaluate("document.activeElement.blur()")
    desk.screenshot(path=folder / "web-desktop.png")
    phone = _opened(browser, url, "light", PHONE)
    phone.click("label[for=view-split]")
    phone.evaluate("document.activeElement.blur()")
    phone.wait_for_timeout(_REST_MS)
    phone.screenshot(path=folder / "web-phone.png")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path(__file__).parents[1] / "docs")
    folder = parser.parse_args().folder
    with serving() as url, chromium() as browser:
        shoot(browser, url, folder)
    for name in ("web-desktop.png", "web-phone.png"):
        print(f"{folder / name}: {(folder / name).stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
