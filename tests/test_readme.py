"""What the README tells people to type works as it stands there."""

import re
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from tests.helpers import REPOSITORY
from vr.runtime.sim import Simulator

README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def test_the_python_example_runs(tmp_path: Path) -> None:
    block = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert block is not None
    ir, rgb = Simulator(0).frames(0)
    cv2.imwrite(str(tmp_path / "ir.png"), ir)
    cv2.imwrite(str(tmp_path / "rgb.png"), rgb)
    done = subprocess.run([sys.executable, "-c", block[1]], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("estimated 0.")
    overlay = cv2.imread(str(tmp_path / "overlay.png"))
    assert overlay is not None
    assert overlay.shape == rgb.shape


@pytest.mark.parametrize("command", ["vr-live", "vr-train", "vr-export"])
def test_every_option_that_is_named_exists(command: str) -> None:
    uses = re.findall(rf"^{command} (.*?)(?:#.*)?$", README, re.MULTILINE)
    assert uses
    program = Path(sys.executable).with_name(command)
    for use in uses:
        words = use.split()
        subcommand = [words[0]] if command == "vr-train" else []
        shown = subprocess.run(
            [program, *subcommand, "--help"], capture_output=True, text=True, env={"COLUMNS": "200", "PATH": ""}
        ).stdout
        for option in (word for word in words if word.startswith("-")):
            assert option in shown, f"{command} has no {option}"


def test_the_tables_are_those_of_the_results() -> None:
    done = subprocess.run([sys.executable, "-m", "benchmarks.table", "--check"], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 0, done.stderr
