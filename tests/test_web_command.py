"""`vr-live --web` as users start it: the address it prints, how it ends, what it keeps to itself."""

import http.client
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from tests.live_command import COMMAND, screenless, vr_live
from tests.live_models import write_theta_model
from tests.web_rig import parts

SIM = "sim:size=160x120"
START_LIMIT_S = 30.0
TERM_LIMIT_S = 2.0


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_theta_model(tmp_path_factory.mktemp("model") / "model.onnx", confidence=0.9)


@contextmanager
def running(tmp_path: Path, model: Path, *arguments: object) -> Generator[tuple[subprocess.Popen[str], str]]:
    """A run in a process of its own, and the address that it prints."""
    words = [*COMMAND, "--ir", SIM, "--rgb", SIM, "--model", str(model), "--no-window", *map(str, arguments)]
    environment = {**screenless(), "XDG_STATE_HOME": str(tmp_path / "state")}
    pipe = subprocess.PIPE
    with subprocess.Popen(words, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=tmp_path) as process:
        assert process.stdout is not None
        addresses: queue.Queue[str] = queue.Queue()
        reader = threading.Thread(target=read_addresses, args=(process.stdout, addresses))
        reader.start()
        try:
            yield process, addresses.get(timeout=START_LIMIT_S)
        finally:
            process.kill()
            reader.join()


def read_addresses(out: IO[str], addresses: "queue.Queue[str]") -> None:
    for line in out:
        if line.startswith("web page: "):
            addresses.put(line.removeprefix("web page: ").strip())


def ask(address: str, method: str = "GET", body: str | None = None, **headers: str) -> http.client.HTTPResponse:
    """The connection is closed with the answer."""
    host, _, path = address.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, f"/{path}", body, {**sent, "Connection": "close"})
    return connection.getresponse()


def status_of(address: str, method: str = "GET", body: str | None = None, **headers: str) -> int:
    with ask(address, method, body, **headers) as answer:
        answer.read()
        return answer.status


def test_term_ends_a_watched_run_in_time(tmp_path: Path, model: Path) -> None:
    with running(tmp_path, model, "--web", "localhost:0") as (process, address):
        with ask(f"{address}stream/0.mjpg") as stream, ask(f"{address}api/events") as events:
            next(parts(stream))
            assert events.readline() == b"event: settings\n"
            sent_s = time.monotonic()
            process.send_signal(signal.SIGTERM)
            stream.read()
            events.read()
            code = process.wait(20)
            took_s = time.monotonic() - sent_s
        assert process.stderr is not None
        assert (code, process.stderr.read()) == (0, "")
        assert took_s < TERM_LIMIT_S


def test_the_page_acts_on_the_run(tmp_path: Path, model: Path) -> None:
    body = json.dumps({"view": "side-by-side"})
    with running(tmp_path, model, "--web", "localhost:0") as (process, address):
        assert process.poll() is None
        with ask(f"{address}stream/0.mjpg") as stream:
            pictures = parts(stream)
            width = next(pictures).shape[1]
            assert status_of(f"{address}api/pairs/0/settings", "PATCH", body, content_type="application/json") == 200
            assert any(picture.shape[1] == 2 * width for picture, _ in zip(pictures, range(100), strict=False))


def test_a_token_that_was_made_is_printed_and_not_logged(tmp_path: Path, model: Path) -> None:
    with running(tmp_path, model, "--web", "0.0.0.0:0", "--log-file", tmp_path / "log") as (process, address):
        front, _, token = address.partition("?token=")
        own = f"http://127.0.0.1:{front.rstrip('/').rpartition(':')[2]}/"
        assert len(token) >= 32
        assert status_of(f"{own}api/pairs") == 401
        assert status_of(f"{own}api/pairs", authorization=f"Bearer {token}") == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
    log = (tmp_path / "log").read_text()
    assert "web page: " in log and "token=***" in log and token not in log


def test_a_taken_port_ends_the_command(tmp_path: Path, model: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"localhost:{taken.getsockname()[1]}"
        ended = vr_live("--ir", SIM, "--rgb", SIM, "--model", model, "--no-window", "--web", place)
    assert ended.code == 2 and ended.err.startswith(f"error: cannot serve at {place}") and ended.err.count("\n") == 1


def test_the_web_ends_with_the_recording(model: Path) -> None:
    ended = vr_live(
        *("--ir", SIM, "--rgb", SIM, "--model", model, "--no-window", "--frames", 5, "--web", "--keep", "none")
    )
    assert (ended.code, ended.err) == (0, "") and "web page: http://localhost:80" in ended.out


def test_without_the_extra_the_command_says_what_to_install(model: Path) -> None:
    """None in sys.modules is what Python itself uses to mean: cannot be imported."""
    code = (
        "import sys\n"
        "sys.modules['uvicorn'] = sys.modules['starlette'] = None\n"
        f"sys.argv = ['vr-live', '--ir', {SIM!r}, '--rgb', {SIM!r}, '--model', {str(model)!r}, '--no-window']\n"
        "sys.argv += ['--web']\n"
        "from vr.runtime.cli import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=os.environ)
    assert done.returncode == 2
    assert done.stderr == 'error: uvicorn is missing; install it with: pip install "vr-registration[web]"\n'


def test_a_run_without_a_page_does_not_load_what_serves_it(model: Path) -> None:
    code = (
        "import sys\n"
        f"sys.argv = ['vr-live', '--ir', {SIM!r}, '--rgb', {SIM!r}, '--model', {str(model)!r}, '--no-window', "
        "'--frames', '2', '--quiet']\n"
        "from vr.runtime.cli import main\n"
        "try:\n    main()\nfinally:\n    print(sorted({'uvicorn', 'starlette'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=screenless())
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
