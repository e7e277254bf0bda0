"""What the README and the pages of docs/ tell people to type works as it stands there."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
import pytest

from tests.documented import Piece, blocks, commands, pages, prose
from tests.documented_files import write_checkpoints, write_files
from tests.documented_stand_ins import NOT_RUN, PYTHON_NOT_RUN, SLOW, STAND_INS
from tests.helpers import REPOSITORY
from tests.live_command import screenless
from vr.runtime.config import read_config

BIN = Path(sys.executable).parent
OURS = ("vr-live", "vr-train", "vr-export", "vr-health")
COMMANDS = commands()
_SUBCOMMAND = {"vr-train": r"[a-z-]+", "vr-live": r"doctor|calibrate"}
_WRITTEN = re.compile(r"(?:--out|-o|--transforms|--triton|(?<!<)>) ([\w./-]+)")


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the pages name."""
    folder = tmp_path_factory.mktemp("documented")
    write_files(folder)
    (folder / "pairs.toml").write_text(_stood_in(_block("README.md", "[[pair]]")))
    return folder


@pytest.fixture(scope="session")
def checkpoints(prepared: Path) -> None:
    """Further files of it, which need PyTorch."""
    write_checkpoints(prepared)


def _block(page: str, part: str) -> str:
    return next(block.text for block in blocks("toml") if block.page == page and part in block.text)


def _stood_in(text: str) -> str:
    for pattern, replacement in STAND_INS:
        text = re.sub(pattern, replacement, text)
    return text


def _reason(command: Piece) -> str | None:
    """Why a command is not run; None if it is."""
    return next((reason for pattern, reason in NOT_RUN if re.search(pattern, command.text)), None)


def _is_slow(command: Piece) -> bool:
    return any(re.search(pattern, command.text) for pattern in SLOW)


@pytest.fixture
def here(request: pytest.FixtureRequest, prepared: Path, tmp_path: Path) -> Path:
    """A copy of the prepared folder, to work in."""
    if request.node.get_closest_marker("slow"):
        request.getfixturevalue("checkpoints")
    return Path(shutil.copytree(prepared, tmp_path / "here", copy_function=os.link))


@pytest.fixture(scope="session")
def served(prepared: Path) -> Iterator[str]:
    """HOST:PORT of a run with a page."""
    command = [
        str(BIN / "vr-live"),
        *["--ir", "sim:", "--rgb", "sim:", "--web", "localhost:0", "--no-window", "--keep", "none"],
    ]
    with subprocess.Popen(command, cwd=prepared, stdout=subprocess.PIPE, text=True, env=screenless()) as process:
        assert process.stdout is not None
        line = next(line for line in process.stdout if line.startswith("web page: "))
        yield line.split("/")[2]
        process.terminate()


def run(command: str | list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs a command line by the shell, or a program, in a folder and with a home of its own."""
    environment = screenless() | {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(folder), "COLUMNS": "200"}
    shell = ["bash", "-euc", command] if isinstance(command, str) else command
    return subprocess.run(shell, cwd=folder, capture_output=True, text=True, timeout=280, env=environment)


RUN = [
    pytest.param(command, marks=[pytest.mark.slow] if _is_slow(command) else [], id=str(command))
    for command in COMMANDS
    if _reason(command) is None
]


@pytest.mark.parametrize("command", RUN)
def test_command_runs(command: Piece, here: Path, request: pytest.FixtureRequest) -> None:
    text = _stood_in(command.text)
    written = [here / name for name in _WRITTEN.findall(text)]
    for path in written:
        _remove(path)
    if "$SERVED" in text:
        text = text.replace("$SERVED", request.getfixturevalue("served"))
    done = run(text, here)
    assert done.returncode == 0, f"{command}: {text}\n{done.stdout}{done.stderr}"
    for path in written:
        assert path.exists(), f"{command}: {text} did not write {path.name}"


def _remove(path: Path) -> None:
    """What the page before wrote under the same name, if anything."""
    if path.is_dir():
        shutil.rmtree(path)
        return
    path.unlink(missing_ok=True)


@pytest.mark.parametrize("command", [pytest.param(c, id=str(c)) for c in COMMANDS if _reason(c) is not None])
def test_command_that_cannot_be_run_has_options_that_exist(command: Piece) -> None:
    words = command.text.split()
    for extra in re.findall(r'"(?:\.|vr-registration)\[([\w,]+)\]"', command.text):
        known = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert set(extra.split(",")) <= set(known), command
    if words[0] in OURS:
        shown = _help(words[0], words[1])
        for option in (word for word in words if word.startswith("-")):
            assert option in shown, f"{command}: {words[0]} has no {option}"


@cache
def _help(program: str, word: str = "") -> set[str]:
    """The options of a program, or of its subcommand where `word` is one."""
    subcommand = [word] if re.fullmatch(_SUBCOMMAND.get(program, "-"), word) else []
    shown = run([str(BIN / program), *subcommand, "--help"], REPOSITORY)
    assert shown.returncode == 0, shown.stderr
    return set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", shown.stdout))


@pytest.mark.parametrize("pattern", [pattern for pattern, _ in (*STAND_INS, *NOT_RUN)])
def test_no_entry_of_the_tables_is_left_over(pattern: str) -> None:
    texts = [command.text for command in COMMANDS]
    texts += [block.text for block in blocks("toml")]
    assert any(re.search(pattern, text) for text in texts), f"nothing is written as {pattern} any more"


@pytest.mark.parametrize("block", [pytest.param(b, id=str(b)) for b in blocks("python")])
def test_python_runs(block: Piece, here: Path) -> None:
    code = compile(block.text, str(block), "exec")
    if block.page in PYTHON_NOT_RUN:
        return
    assert code is not None
    done = run([sys.executable, "-W", "error", "-c", block.text], here)
    assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_the_example_of_the_readme_aligns(here: Path) -> None:
    example = next(block for block in blocks("python") if block.page == "README.md")
    assert run([sys.executable, "-c", example.text], here).stdout.startswith("estimated 0.")
    written, rgb = cv2.imread(str(here / "overlay.png")), cv2.imread(str(here / "rgb.png"))
    assert written is not None and rgb is not None
    assert written.shape == rgb.shape


@pytest.mark.parametrize("block", [pytest.param(b, id=str(b)) for b in blocks("toml")])
def test_toml_is_a_configuration(block: Piece, tmp_path: Path) -> None:
    (tmp_path / "rig.toml").write_text(block.text)
    config = read_config(tmp_path / "rig.toml", needs_pairs="[[pair]]" in block.text)
    assert config.values or config.pairs


@pytest.mark.parametrize("block", [pytest.param(b, id=str(b)) for b in blocks("json")])
def test_json_can_be_read(block: Piece) -> None:
    assert json.loads(block.text)


def test_every_fenced_block_is_of_a_language_that_is_checked() -> None:
    known = [len(blocks(language)) for language in ("sh", "python", "toml", "json", "ini", "nginx", "yaml", "text")]
    fences = sum(len(re.findall(r"(?m)^ *```", page.read_text(encoding="utf-8"))) for page in pages())
    assert sum(known) * 2 == fences


@pytest.mark.parametrize("program", OURS)
def test_a_command_within_a_sentence_has_options_that_exist(program: str) -> None:
    for page in pages():
        for use in re.findall(rf"`{program} ([^`]+)`", prose(page)):
            for option in re.findall(r"(?<!\S)--?[a-z][\w-]*", use):
                assert option in _help(program, use.split()[0]), f"{page.name}: {program} has no {option}"
