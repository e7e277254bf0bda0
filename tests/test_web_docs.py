"""What docs/web.md tells people to ask the interface works as it stands there."""

import json
import re
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.documented import Piece, commands
from tests.test_web_api import read_metrics
from tests.web_rig import Rig, decoded, wait_for_picture, web_rig

PAGE = Path("docs/web.md")
CURL = [command for command in commands() if command.page == str(PAGE) and command.text.startswith("curl ")]
TIMED_OUT = 28


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Generator[Rig]:
    with web_rig(tmp_path_factory.mktemp("recordings")) as running:
        wait_for_picture(running)
        yield running


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
@pytest.mark.parametrize("command", CURL, ids=str)
def test_command(rig: Rig, tmp_path: Path, command: Piece) -> None:
    text = command.text.replace("localhost:8080", f"localhost:{rig.port}")
    words = text.replace("curl ", "curl --fail --silent --max-time 1 ", 1)
    done = subprocess.run(["bash", "-euc", words], cwd=tmp_path, capture_output=True, text=True)
    if "/api/events" in text:
        assert done.returncode == TIMED_OUT and done.stdout.startswith("event: settings\ndata: [{")
        return
    assert done.returncode == 0, done.stderr
    if "snapshot" in text:
        assert decoded(next(tmp_path.glob("vr-live-*.png")).read_bytes()).any()
    else:
        assert isinstance(json.loads(done.stdout), dict)


def test_there_are_commands() -> None:
    assert len(CURL) >= 7


def test_metrics_that_are_named_exist(rig: Rig) -> None:
    """Those of cameras and of no skew are left out of a recording's."""
    named = set(re.findall(r"`(vr_\w+)", PAGE.read_text(encoding="utf-8")))
    told = {name for name, _ in read_metrics(rig.ask("GET", "/metrics").body.decode())} - {"vr_info"}
    assert told <= named and all(name.startswith("vr_camera") for name in named - told)
