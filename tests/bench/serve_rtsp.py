"""RTSP: our H.264 through GStreamer's RTSP server, which runs in the system's Python (there its bindings are)."""

import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

from tests.bench.encoders import Encoded

SYSTEM_PYTHON = "/usr/bin/python3"
_SERVER = Path(__file__).with_name("gst_server.py")


@cache
def why_no_rtsp() -> str | None:
    """What is missing for an RTSP camera, None if nothing."""
    if shutil.which(SYSTEM_PYTHON) is None:
        return f"no {SYSTEM_PYTHON}"
    done = subprocess.run([SYSTEM_PYTHON, str(_SERVER), "--check"], capture_output=True, text=True, timeout=30)
    return None if done.returncode == 0 else f"no gst-rtsp-server for {SYSTEM_PYTHON}: {done.stderr.strip()[-100:]}"


class RtspTransport:
    """Frames go to the server's standard input, which also ends it."""

    def __init__(self, login: str = "") -> None:
        """login: USER:PASSWORD, or nothing."""
        command = [SYSTEM_PYTHON, str(_SERVER), *(["--login", login] if login else [])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._stdin = self._process.stdin
        port = json.loads(self._process.stdout.readline())["port"]
        self.url = f"rtsp://127.0.0.1:{port}/cam"

    def send(self, picture: Encoded) -> None:
        """See `Transport`."""
        self._stdin.write(len(picture.data).to_bytes(4, "big") + picture.data)
        self._stdin.flush()

    def close(self) -> None:
        """Ends the server."""
        self._process.terminate()
        self._process.wait(5)
