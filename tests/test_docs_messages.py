"""The messages that the troubleshooting page quotes are those of the program."""

import ast
import re
from functools import cache

import pytest

from tests.helpers import REPOSITORY

PAGE = REPOSITORY / "docs/tutorials/troubleshooting.md"
_NOTICE = re.compile(r"[A-Z ]+( \d+ s)?")
_LEAST_LETTERS = 10
"""A message whose fixed part is shorter would fit everything."""


def quotes() -> list[str]:
    """What stands in code in the first column of the tables."""
    rows = re.findall(r"^\| (.*?) \| ", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [quote for row in rows for quote in re.findall(r"`([^`]+)`", row)]


@cache
def texts() -> list[list[str]]:
    """The fixed parts of every text in the source, in order; between them something is filled in."""
    found: list[list[str]] = []
    for folder in ("runtime", "train", "export"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
            filled = [node for node in nodes if isinstance(node, ast.JoinedStr)]
            parts = {id(part) for node in filled for part in node.values}
            found += [[_fixed(part) for part in node.values] for node in filled]
            found += [[_fixed(node)] for node in nodes if id(node) not in parts and _fixed(node)]
    return found


def _fixed(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def is_written(message: str) -> bool:
    """Whether some text of the source could be filled in to be this message."""
    for parts in texts():
        pattern = "".join(re.escape(part) if part else ".*" for part in parts)
        if len("".join(parts)) >= _LEAST_LETTERS and re.fullmatch(pattern, message):
            return True
    return False


@pytest.mark.parametrize("quote", [quote for quote in quotes() if not _NOTICE.fullmatch(quote)])
def test_a_quoted_message_is_written_by_the_program(quote: str) -> None:
    assert is_written(quote)


@pytest.mark.parametrize("quote", [quote for quote in quotes() if _NOTICE.fullmatch(quote)])
def test_words_on_the_picture_are_in_the_source(quote: str) -> None:
    words = re.sub(r" \d+ s$", "", quote)
    constants = {part for parts in texts() for part in parts}
    role, _, trouble = words.lower().partition(" ")
    known = {words, words.lower()} & constants
    assert known or (role in constants and any(trouble in part.split() for part in constants))


def test_a_made_up_message_is_not_found() -> None:
    assert len(quotes()) > 30
    assert not is_written("the camera has been stolen; call the police")
    assert not is_written("cannot open the window")
