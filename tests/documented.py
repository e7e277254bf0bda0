"""The README and the pages of docs/ as tests read them: fenced blocks, and the commands in those of a shell."""

import re
from dataclasses import dataclass
from pathlib import Path

from tests.helpers import REPOSITORY

_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)
_COMMENT = re.compile(r"(^|\s)#.*$")


@dataclass(frozen=True)
class Piece:
    """A block, or a command of one line, and where it begins."""

    page: str
    line: int
    text: str

    def __str__(self) -> str:
        """As pytest and editors write a place."""
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    """All that tell people what to type."""
    return [REPOSITORY / "README.md", REPOSITORY / "deploy/README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]


def blocks(language: str) -> list[Piece]:
    """Every fenced block of a language, in all pages."""
    found: list[Piece] = []
    for page in pages():
        text = page.read_text(encoding="utf-8")
        for fence in _FENCE.finditer(text):
            if fence[2] == language:
                line = text.count("\n", 0, fence.start(3)) + 1
                found.append(Piece(str(page.relative_to(REPOSITORY)), line, fence[3]))
    return found


def commands() -> list[Piece]:
    """Every line of the `sh` blocks, without comments, continued lines in one; what stands on several pages once."""
    found: dict[str, Piece] = {}
    for block in blocks("sh"):
        for piece in _lines(block):
            found.setdefault(piece.text, piece)
    return list(found.values())


def _lines(block: Piece) -> list[Piece]:
    found: list[Piece] = []
    begun = ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        text = f"{begun}{_COMMENT.sub('', line).strip()}"
        begun = f"{text[:-1].rstrip()} " if text.endswith("\\") else ""
        if text and not begun:
            found.append(Piece(block.page, number, text))
    return found


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))
