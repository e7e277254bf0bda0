"""A hook of MkDocs: pages that lie outside docs/, and links that work in the site as on a plain code host."""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[1]
PAGES = {
    "README.md": "index.md",
    "ARCHITECTURE.md": "architecture.md",
    "CHANGELOG.md": "changelog.md",
    "deploy/README.md": "deploy.md",
    **{f"runtime/defaults/{name}.md": f"models/{name}.md" for name in ("default", "small", "clean", "dense")},
}
"""Where a file of the repository lies in the site, for those that are not below docs/."""
_LINK = re.compile(r"\]\((?!https?:)([^)#\s]+\.(?:md|png|gif|jpg))(#[^)]*)?\)")

_CODE, _OPTION = re.compile(r"<code>[^<]+</code>"), re.compile(r"--?[a-z][\w-]*")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the pages that lie outside docs/."""
    for source, page in PAGES.items():
        files.append(File.generated(config, page, abs_src_path=str(ROOT / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with links between files of the repository turned into links between pages of the site."""
    return site_links(markdown, page.file.src_uri)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page with the options in its sentences kept on one line each: browsers break them at their hyphens."""
    return _CODE.sub(lambda code: _OPTION.sub(r'<span class="option">\g<0></span>', code[0]), html)


def site_links(markdown: str, page: str) -> str:
    """`markdown` of the site's page `page`; a link to a file that is not in the site stays, and MkDocs complains."""
    outside = {site: source for source, site in PAGES.items()}
    folder = posixpath.dirname(outside.get(page, f"docs/{page}"))

    def turned(link: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, link[1]))
        site = PAGES.get(target, target.removeprefix("docs/"))
        return f"]({posixpath.relpath(site, posixpath.dirname(page) or '.')}{link[2] or ''})"

    return _LINK.sub(turned, markdown)
