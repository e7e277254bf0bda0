"""Camera and proxy processes from the outside: started, told what to do, and never left behind."""

import json
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

from tests.bench.control import Fault

_ROOT = Path(__file__).parents[2]
_END_S = 5.0


class Child:
    """One process of the bench; see `tests.bench.control` for how it is spoken to."""

    def __init__(self, *arguments: object) -> None:
        """arguments: module and what follows, as after `python -m`. Waits for the first line of its output."""
        command = [sys.executable, "-m", *map(str, arguments)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, cwd=_ROOT, stdin=pipe, stdout=pipe, text=True)
        self._lock = threading.Lock()
        self.facts = self._answer()

    def fault(self, kind: str, duration_s: float) -> Fault:
        """Begins a fault at once; it ends by itself."""
        return Fault(**self._ask({"fault": kind, "duration_s": duration_s}))

    def faults(self) -> list[Fault]:
        """All faults so far with what they injected."""
        return [Fault(**facts) for facts in self._ask({"ask": "faults"})["faults"]]

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    def close(self) -> None:
        """Ends it; may be called twice."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_END_S)
        self._process.stdout.close()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self.close()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            answer = self._answer()
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait(_END_S)}")
        return json.loads(line)


def start_camera(role: str, transport: str, *options: object) -> Child:
    """A camera; its address is `facts["url"]`. options: see `python -m tests.bench.camera --help`."""
    return Child("tests.bench.camera", role, transport, *options)


class SpoiledCamera:
    """A camera, for `http` and `rtsp` behind a proxy; `url` is what a viewer opens."""

    def __init__(self, role: str, transport: str, *options: object) -> None:
        """options: see `python -m tests.bench.camera --help`; a pipe needs `--path`."""
        self.role, self.transport = role, transport
        self.camera = start_camera(role, transport, *options)
        self.proxy: Child | None = None
        self.url = str(self.camera.facts["url"])
        if transport != "pipe":
            parts = urlsplit(self.url)
            self.proxy = Child("tests.bench.proxy", parts.port, *(["--rtsp"] if transport == "rtsp" else []))
            self.url = parts._replace(netloc=f"127.0.0.1:{self.proxy.facts['port']}").geturl()

    def fault(self, kind: str, duration_s: float) -> Fault:
        """Begins a fault where it belongs: bytes in the proxy, pictures in the camera."""
        try:
            return self.camera.fault(kind, duration_s)
        except ValueError:
            if self.proxy is None:
                raise
            return self.proxy.fault(kind, duration_s)

    def faults(self) -> list[Fault]:
        """All faults so far, oldest first, with what they injected."""
        faults = self.camera.faults() + ([] if self.proxy is None else self.proxy.faults())
        return sorted(faults, key=lambda fault: fault.begin_s)

    def close(self) -> None:
        """Ends both processes."""
        if self.proxy is not None:
            self.proxy.close()
        self.camera.close()

    def __enter__(self) -> "SpoiledCamera":
        return self

    def __exit__(self, _kind: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self.close()
