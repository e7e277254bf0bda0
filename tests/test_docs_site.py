"""The documentation site builds without a warning and loads nothing from elsewhere; links work on a code host too."""

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.documented import pages, prose
from tests.helpers import REPOSITORY

_LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)(?:#([^)]*))?\)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


class Resources(HTMLParser):
    """Collects what a browser would load for a page by itself."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        keys = {"link": "href", "a": "", "form": ""}.get(tag, "src")
        if tag == "link" and values.get("rel") in ("canonical", "next", "prev"):
            return
        self.found += [value for value in (values.get(keys), values.get("poster")) if value]


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    built = list(site.rglob("*.html"))
    assert len(built) > 20
    for page in built:
        resources = Resources(page).found
        assert any(name.endswith(".css") for name in resources)
        for name in resources:
            assert not re.match(r"(https?:)?//", name), f"{page.name} loads {name}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import", sheet.read_text(encoding="utf-8")), sheet


def test_every_page_of_docs_can_be_reached(site: Path) -> None:
    start = (site / "index.html").read_text(encoding="utf-8")
    for page in (REPOSITORY / "docs").rglob("*.md"):
        name = page.relative_to(REPOSITORY / "docs").with_suffix(".html")
        assert f'href="{name}"' in start, f"{name} is not in the navigation of mkdocs.yml"


def test_links_within_the_site_end_at_pages_and_headings(site: Path) -> None:
    for page in set(site.rglob("*.html")) - {site / "404.html"}:
        text = page.read_text(encoding="utf-8")
        for target, anchor in re.findall(r'<a [^>]*href="(?!https?:|mailto:)([^"#]*)(?:#([^"]*))?"', text):
            path = page if not target else page.parent / unquote(target)
            path = path / "index.html" if path.is_dir() else path
            assert path.exists(), f"{page.name} links to {target}"
            if anchor and path.suffix == ".html" and not anchor.startswith("__"):
                assert f'id="{anchor}"' in path.read_text(encoding="utf-8"), f"{page.name}: {target}#{anchor}"


@pytest.mark.parametrize("page", [*pages(), REPOSITORY / "ARCHITECTURE.md"], ids=lambda path: path.name)
def test_links_work_on_a_plain_code_host(page: Path) -> None:
    for target, _ in _LINK.findall(prose(page)):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_the_tables_are_those_of_the_results() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks.table", "--check"], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 0, done.stderr
