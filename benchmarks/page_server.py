"""`vr-live` with a web page, in a process of its own."""

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SEED = 8
_COMMAND = [sys.executable, "-m", "vr.runtime.cli"]
_STOP_S = 20.0


@contextmanager
def serving(*arguments: object, seed: int = SEED, folder: Path | None = None, port: int = 0) -> Iterator[str]:
    """Address of the page of a generated pair, on a port that the system chooses if it is 0.

    arguments: further ones of `vr-live`. folder: where it runs; a temporary one by default.
    """
    with tempfile.TemporaryDirectory() as temporary:
        scene = f"sim:seed={seed}"
        command = [*_COMMAND, "--ir", scene, "--rgb", scene, "--web", f"127.0.0.1:{port}", *map(str, arguments)]
        output, errors = subprocess.PIPE, subprocess.STDOUT
        where, environment = folder or temporary, _environment(temporary)
        with subprocess.Popen(command, text=True, cwd=where, env=environment, stdout=output, stderr=errors) as run:
            try:
                yield _address(run)
            finally:
                run.terminate()
                run.communicate(timeout=_STOP_S)


def _address(run: "subprocess.Popen[str]") -> str:
    assert run.stdout is not None
    said: list[str] = []
    for line in run.stdout:
        said.append(line)
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise RuntimeError(f"vr-live has ended without an address: {''.join(said)}")


def _environment(home: str) -> dict[str, str]:
    """Without a display, and without what other runs have kept."""
    kept = {key: value for key, value in os.environ.items() if key not in ("DISPLAY", "WAYLAND_DISPLAY")}
    return {**kept, "XDG_STATE_HOME": home, "XDG_CONFIG_HOME": home, "PYTHONUNBUFFERED": "1"}
