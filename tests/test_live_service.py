"""`vr-live` under a service manager: signals, the manager's socket, its files, with real processes and sockets."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator
from pathlib import Path

import numpy as np
import pytest

from tests.live_command import COMMAND, play, screenless
from tests.live_models import write_theta_model
from tests.live_server import mjpeg_camera
from tests.pipeline_parts import make_pair
from vr.runtime.health import check
from vr.runtime.notices import Notice
from vr.runtime.notify import Notifier
from vr.runtime.sinks import Output
from vr.runtime.status import STALL_S, Status
from vr.runtime.stopping import reopen_on_hangup, stop_on_signals
from vr.runtime.supervision import Supervisor, supervised

SIM = "sim:size=160x120"
TERM_LIMIT_S = 2.0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_theta_model(tmp_path / "model.onnx", confidence=0.9)


def start(*arguments: object, stdin: int = subprocess.DEVNULL, **environment: str) -> subprocess.Popen[str]:
    pipe = subprocess.PIPE
    words = [*COMMAND, *map(str, arguments), "--no-window"]
    env = screenless() | environment
    return subprocess.Popen(words, stdin=stdin, stdout=pipe, stderr=pipe, text=True, env=env)


def wait_until(holds: Callable[[], bool], process: subprocess.Popen[str] | None = None) -> None:
    deadline_s = time.monotonic() + 30
    while not holds():
        assert process is None or process.poll() is None, process.communicate()
        assert time.monotonic() < deadline_s
        time.sleep(0.02)


def lines_in(path: Path) -> int:
    return path.read_text().count("\n") if path.exists() else 0


@pytest.mark.parametrize("cameras", ["generated", "network", "silent"])
def test_term_ends_a_run_in_time_with_whole_files(tmp_path: Path, model: Path, cameras: str) -> None:
    silence = threading.Event()

    def picture(index: int) -> np.ndarray:
        if cameras == "silent" and index >= 15:
            silence.wait(30)
        return np.full((96, 128, 3), 90, np.uint8)

    with mjpeg_camera(picture) as ir, mjpeg_camera(picture) as rgb:
        if cameras == "generated":
            ir = rgb = SIM
        out = ("--record", tmp_path / "out.mp4", "--transforms", tmp_path / "t.jsonl")
        process = start("--ir", ir, "--rgb", rgb, "--model", model, *out)
        wait_until(lambda: lines_in(tmp_path / "t.jsonl") >= 8, process)
        time.sleep(0.5)
        sent_s = time.monotonic()
        process.terminate()
        _, err = process.communicate(timeout=20)
        took_s = time.monotonic() - sent_s
        silence.set()
    assert (process.returncode, err) == (0, "")
    assert took_s < TERM_LIMIT_S
    assert len(play(tmp_path / "out.mp4")) >= 8 and (tmp_path / "t.jsonl").read_text().endswith("}\n")
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name or "incomplete" in path.name]


STUCK = """
import signal, threading, time, typer
from vr.runtime import cli_errors
from vr.runtime.stopping import stop_on_signals

app = typer.Typer()
# Whoever runs the tests in the background of a shell ignores SIGINT, and so would this.
signal.signal(signal.SIGINT, signal.default_int_handler)

@app.command()
def command():
    stuck = threading.Thread(target=time.sleep, args=(60,), daemon=True)
    with stop_on_signals() as stop:
        stuck.start()
        print("ready", flush=True)
        while not stop.is_set():
            time.sleep(0.01)
        print("stopping", flush=True)
        stuck.join()

cli_errors.run(app)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, -signal.SIGTERM), (signal.SIGINT, 130)])
def test_a_second_signal_acts_at_once_where_something_is_stuck(number: signal.Signals, code: int) -> None:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=pipe, stderr=pipe, text=True)
    assert process.stdout is not None
    for word in ("ready", "stopping"):
        assert process.stdout.readline() == f"{word}\n"
        sent_s = time.monotonic()
        process.send_signal(number)
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (code, "") and time.monotonic() - sent_s < 1.0


@pytest.mark.parametrize("is_stuck", [True, False])
def test_a_thread_that_hangs_does_not_disturb_the_end(is_stuck: bool) -> None:
    code = (
        "import atexit, sys, threading, time; from vr.runtime.stopping import leave_stuck_threads\n"
        "atexit.register(print, 'torn down')\n"
        "with leave_stuck_threads():\n"
        f"    threading.Thread(target=time.sleep, args=({60 if is_stuck else 0},), daemon=True).start()\n"
        "    time.sleep(0.2)\n"
        "    print('said')\n"
        "    sys.exit(3)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stderr) == (3, "")
    assert done.stdout.split("\n")[:-1] == (["said"] if is_stuck else ["said", "torn down"])


def test_a_lost_camera_is_seen_by_supervisors(tmp_path: Path, model: Path) -> None:
    silence, status = threading.Event(), tmp_path / "status.json"
    gray = np.full((96, 128, 3), 90, np.uint8)

    def falls_silent(index: int) -> np.ndarray:
        if index >= 20:
            silence.wait(30)
        return gray

    def state() -> str:
        return json.loads(status.read_text())["state"] if status.exists() else ""

    with mjpeg_camera(falls_silent) as ir, mjpeg_camera(lambda _index: gray) as rgb:
        words = ("--ir", ir, "--rgb", rgb, "--model", model, "--stall-after", 1, "--log-file", tmp_path / "vr.log")
        process = start(*words, "--status-file", status)
        wait_until(lambda: state() == "degraded", process)
        code, text = check(status)
        camera = json.loads(status.read_text())["pairs"][0]["cameras"]["ir"]
        process.terminate()
        _, err = process.communicate(timeout=20)
        silence.set()
    assert (process.returncode, err, code) == (0, "", 1) and "ir lost" in text
    assert camera["state"] == "lost" and camera["age_s"] > 0.9 and camera["counts"]["frames"] <= 20
    assert "WARNING vr.camera." in (tmp_path / "vr.log").read_text()


def test_hangup_opens_the_files_again(tmp_path: Path, model: Path) -> None:
    log, status = tmp_path / "vr.log", tmp_path / "status.json"
    lines = tmp_path / "t.jsonl"
    words = ("--ir", SIM, "--rgb", SIM, "--model", model, "--log-file", log, "--status-file", status)
    process = start(*words, "--transforms", lines)
    wait_until(lambda: status.exists() and json.loads(status.read_text())["state"] == "running", process)
    for path in (log, lines):
        path.rename(f"{path}.1")
    process.send_signal(signal.SIGHUP)
    wait_until(lambda: log.exists() and lines.exists(), process)
    process.terminate()
    _, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    numbers = [
        json.loads(line)["index"] for part in (f"{lines}.1", lines) for line in Path(part).read_text().splitlines()
    ]
    assert numbers == list(range(len(numbers))), "no line is lost between the two files"
    assert "files are opened again" in log.read_text() and "ended" in log.read_text()
    assert json.loads(status.read_text())["state"] == "ended"


def test_hangup_of_a_terminal_ends_the_run(tmp_path: Path, model: Path) -> None:
    terminal, stdin = os.openpty()
    out = ("--record", tmp_path / "out.mp4", "--transforms", tmp_path / "t.jsonl")
    process = start("--ir", SIM, "--rgb", SIM, "--model", model, *out, stdin=stdin)
    wait_until(lambda: lines_in(tmp_path / "t.jsonl") >= 3, process)
    process.send_signal(signal.SIGHUP)
    _, err = process.communicate(timeout=20)
    for end in (terminal, stdin):
        os.close(end)
    assert (process.returncode, err) == (0, "") and len(play(tmp_path / "out.mp4")) >= 3


def test_hangup_reaches_every_file_even_if_one_cannot_be_opened(caplog: pytest.LogCaptureFixture) -> None:
    opened: list[str] = []
    before = signal.getsignal(signal.SIGHUP)  # ignored where the tests run under nohup

    def fails() -> None:
        raise OSError("no such folder")

    with (
        stop_on_signals() as stop,
        reopen_on_hangup(stop) as reopen,
        supervised(Supervisor([Status()]), stop, reopen, [fails, lambda: opened.append("t.jsonl")]),
    ):
        os.kill(os.getpid(), signal.SIGHUP)
        wait_until(lambda: bool(opened))
        assert not reopen.is_set() and not stop.is_set()
    assert "no such folder" in caplog.text and signal.getsignal(signal.SIGHUP) == before


@pytest.fixture(params=["path", "abstract"])
def manager(tmp_path: Path, request: pytest.FixtureRequest) -> Generator[tuple[str, socket.socket]]:
    """What $NOTIFY_SOCKET is, and the socket behind it."""
    name = str(tmp_path / "notify") if request.param == "path" else f"@vr-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(name.replace("@", "\0", 1) if name[0] == "@" else name)
        channel.settimeout(20)
        yield name, channel


def received(channel: socket.socket) -> dict[str, str]:
    return dict(line.split("=", 1) for line in channel.recv(4096).decode().split("\n"))


def test_the_manager_hears_of_the_start_the_progress_and_the_end(
    manager: tuple[str, socket.socket], model: Path
) -> None:
    name, channel = manager
    process = start(
        *("--ir", SIM, "--rgb", SIM, "--model", model), NOTIFY_SOCKET=name, WATCHDOG_USEC="500000", WATCHDOG_PID=""
    )
    messages = [received(channel)]
    while "READY" not in messages[-1]:
        messages.append(received(channel))
    assert messages[-1]["STATUS"].startswith("running, ")
    ready_s = time.monotonic()
    for _ in range(3):
        messages.append(received(channel))
        assert messages[-1]["WATCHDOG"] == "1" and "READY" not in messages[-1]
    assert time.monotonic() - ready_s < 3 * 0.5, "twice within the manager's patience"
    process.terminate()
    while "STOPPING" not in messages[-1]:
        messages.append(received(channel))
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert sum("READY" in message for message in messages) == 1


def test_the_watchdog_is_fed_only_while_there_is_progress(manager: tuple[str, socket.socket]) -> None:
    now_s = [1000.0]
    status = Status(clock=lambda: now_s[0])
    name, channel = manager
    address = name.replace("@", "\0", 1) if name[0] == "@" else name
    supervisor = Supervisor([status], notifier=Notifier(address, 30.0), clock=lambda: now_s[0])
    pair = make_pair(0)
    status.output(Output(0, 0.0, pair.ir, pair.rgb, None, {"total": 1.0}, None))
    supervisor.look()
    assert received(channel).keys() == {"STATUS", "READY", "WATCHDOG"}
    now_s[0] += STALL_S + 1
    supervisor.look()
    assert received(channel) == {"STATUS": "stalled, 1 frames, 0.0 fps, last picture 11 s ago"}
    status.output(Output(1, 0.0, None, None, None, {"total": 1.0}, None, (Notice("ir lost", 11.0),)))
    supervisor.look()
    message = received(channel)
    assert message["WATCHDOG"] == "1" and message["STATUS"].endswith("ir lost")
    supervisor.end(None)
    assert received(channel)["STOPPING"] == "1"


def test_nobody_is_told_where_nobody_listens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "tcp:1", "relative"):
        monkeypatch.setenv("NOTIFY_SOCKET", value)
        assert Notifier.from_environment() is None
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    notifier = Notifier.from_environment()
    assert notifier is not None and notifier.watchdog_s is None and not notifier.send(READY=1)
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    notifier = Notifier.from_environment()
    assert notifier is not None and notifier.watchdog_s == 3.0
