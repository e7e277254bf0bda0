"""The unit of systemd: valid, and in agreement with the program that it starts."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.helpers import REPOSITORY
from vr.runtime.options import OPTIONS
from vr.runtime.status import STALL_S

UNIT = (REPOSITORY / "deploy" / "vr-live.service").read_text()
PAGE = (REPOSITORY / "docs" / "running.md").read_text()


def setting(name: str) -> str:
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return value


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    program = shlex.split(setting("ExecStart"))[0]
    path = tmp_path / "vr-live.service"
    path.write_text(UNIT.replace(program, "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    path.write_text(UNIT.replace(program, "/bin/true").replace("RestartSec=5", "RestartSeconds=5"))
    done = subprocess.run(["systemd-analyze", "verify", str(path)], capture_output=True, text=True, timeout=60)
    assert "RestartSeconds" in done.stderr, "it would say so"


def test_its_options_exist_and_its_patience_fits() -> None:
    flags = {option.flag for option in OPTIONS.values()} | {"--no-window"}
    words = shlex.split(setting("ExecStart"))[1:]
    assert {word for word in words if word.startswith("--")} <= flags
    assert setting("Type") == "notify" and setting("Restart") == "on-failure"
    assert float(setting("WatchdogSec")) >= 2 * STALL_S


def test_the_page_names_the_options_that_exist() -> None:
    flags = {option.flag for option in OPTIONS.values()}
    negated = {f"--no-{option.flag[2:]}" for option in OPTIONS.values() if option.kind is bool}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", PAGE)) - {"--max-age"}
    assert named and named <= flags | negated
