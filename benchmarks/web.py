"""What `--web` costs the pictures: `python -m benchmarks.web`; writes benchmarks/results/web.json.

Cameras: two of 640x480 at 30 frames per second. Recording: frames in memory as fast as they go. Each with a page that
nobody watches and with 1 and 3 video streams, which are read in another process; runs take turns, so that what else the
machine does meets all of them. Hostile: the cameras while another process sends requests that mean no good.
"""

import argparse
import json
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from array import array
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import machine_facts, pin_threads, summarise
from benchmarks.speed.feeds import MemoryPairs, Scene, draw_scene
from benchmarks.speed.paced import SIZE_HW, run_paced
from benchmarks.speed.whole import Counting
from vr.runtime import Aligner
from vr.runtime.controls import Controls
from vr.runtime.embedded import model_path
from vr.runtime.estimation import estimation_for, parse_every
from vr.runtime.pairing import PairingCounts
from vr.runtime.pipeline import Pipeline
from vr.runtime.rigs import DEFAULT_RIG, rig_prior
from vr.runtime.sinks import Output, Sink
from vr.runtime.status import Status
from vr.runtime.stopping import Stop
from vr.runtime.storage import StorageOptions
from vr.runtime.web.listening import Listening, Place, open_socket
from vr.runtime.web.newest import WebSink
from vr.runtime.web.pair import WebPair
from vr.runtime.web.recording import RecordingSwitch
from vr.runtime.web.server import WebServer

RESULTS = Path(__file__).parent / "results" / "web.json"
VIEWERS: tuple[int | None, ...] = (None, 0, 1, 3)
"""None: without a page."""
HOSTILE = 1000
_SETTLING_FRAMES = 30
_EVERY = "1"
Row = dict[str, Any]


class Timed(Counting):
    """Keeps when each picture was done and its latency, and tells the status."""

    def __init__(self, status: Status) -> None:
        super().__init__()
        self._status = status
        self.done_s: list[float] = []
        self._cpu_s = array("d")
        self.total_ms: list[float] = []

    def write(self, output: Output) -> None:
        """See `Sink`."""
        self.done_s.append(time.monotonic())
        self._cpu_s.append(time.process_time())
        self.total_ms.append(output.latency_ms["total"])
        self._status.output(output)

    def row(self) -> Row:
        """Frames per second and latency after the first frames."""
        done_s, cpu_s = self.done_s[_SETTLING_FRAMES:], self._cpu_s[_SETTLING_FRAMES:]
        timing = summarise(self.total_ms[_SETTLING_FRAMES:])
        return {
            "fps": round((len(done_s) - 1) / (done_s[-1] - done_s[0]), 2),
            "latency_median_ms": round(timing.median_ms, 2),
            "latency_p95_ms": round(timing.p95_ms, 2),
            "cpu_ms_per_frame": round(1000.0 * (cpu_s[-1] - cpu_s[0]) / (len(cpu_s) - 1), 2),
        }


@contextmanager
def page(folder: Path, status: Status, token: str | None = None) -> Generator[tuple[WebSink, int, WebServer]]:
    """A pair's sink, and the port and the server of its page during the block."""
    sink = WebSink(RecordingSwitch(folder, "bench", StorageOptions()))
    opened = open_socket(Place("127.0.0.1", 0))
    port = opened.getsockname()[1]
    counts = PairingCounts()
    pair = WebPair(
        *(0, "", Controls(), status, sink),
        provider=lambda: "cpu",
        counts=lambda: counts,
        dropped=lambda: 0,
        offset_ms=lambda: 0.0,
        switching=lambda: None,
    )
    server = WebServer([pair], Listening(opened, "127.0.0.1", port, "localhost", token), lambda: False)
    server.start()
    try:
        yield sink, port, server
    finally:
        server.close()
        sink.close(complete=True)


class Bench:
    """One model, one scene, runs of so many frames."""

    def __init__(self, frames: int, recorded_frames: int) -> None:
        self._path, self._scene = model_path(None), draw_scene(SIZE_HW)
        self._frames = {"cameras": frames, "recording": recorded_frames}

    def row(self, feed: str, viewers: int | None) -> Row:
        """A run with so many viewers."""
        status = Status()
        timed = Timed(status)
        with tempfile.TemporaryDirectory() as folder:
            if viewers is None:
                self._run(feed, [timed])
                return {"feed": feed, "viewers": None, **timed.row()}
            with page(Path(folder), status) as (sink, port, server):
                seen = self._watched(feed, timed, sink, viewers, port, server)
                return {"feed": feed, "viewers": viewers, **timed.row(), **seen, "encoded": sink.encoder.encoded}

    def hostile(self, count: int) -> Row:
        """The cameras under attack, and how it was answered."""
        status, token = Status(), secrets.token_urlsafe(24)
        timed = Timed(status)
        with tempfile.TemporaryDirectory() as folder, page(Path(folder), status, token) as (sink, port, _):
            with client("attack", port, token, count) as answers:
                self._run("cameras", [timed, sink], until=lambda: not answers.is_alive)
            return {"feed": "cameras", **timed.row(), "answers": answers.result}

    def _watched(self, feed: str, timed: Timed, sink: WebSink, viewers: int, port: int, server: WebServer) -> Row:
        if viewers == 0:
            self._run(feed, [timed, sink])
            return {}
        with client("view", port, viewers) as seen:
            while sink.encoder.viewers < viewers:
                time.sleep(0.05)
            self._run(feed, [timed, sink])
            server.close()
        return seen.result

    def _run(self, feed: str, sinks: list[Sink], until: Any = None) -> None:
        aligner, frames = Aligner.load(self._path, "cpu", 1), self._frames[feed]
        if feed == "recording":
            run_recording(aligner, self._scene, frames, sinks)
            return
        run_paced(aligner, self._scene, frames, _EVERY, sinks)
        while until is not None and not until():
            run_paced(aligner, self._scene, frames // 2, _EVERY, sinks)


def run_recording(aligner: Aligner, scene: Scene, frames: int, sinks: Sequence[Sink]) -> None:
    """As fast as it goes."""
    pipeline = Pipeline(
        MemoryPairs(scene, frames),
        estimation_for(aligner, parse_every(_EVERY), rig_prior(DEFAULT_RIG), live=False, workers=1),
        sinks,
        Stop(),
        lambda _output: None,
        live=False,
        controls=Controls(),
    )
    pipeline.start()
    pipeline.join()


class client:
    """Runs `benchmarks.web_clients` during the block and waits for it; `result` is what it has printed."""

    def __init__(self, *words: object) -> None:
        self._words = [sys.executable, "-m", "benchmarks.web_clients", *map(str, words)]
        self.result: Row = {}

    def __enter__(self) -> "client":
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE, text=True)
        self._thread = threading.Thread(target=self._read)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether it still runs."""
        return self._thread.is_alive()

    def _read(self) -> None:
        out, _ = self._process.communicate()
        self.result = json.loads(out)


def summary(rows: Sequence[Row]) -> list[Row]:
    """The median of each kind of run over the rounds, and what it loses against the one without a page."""
    found: list[Row] = []
    for feed in ("cameras", "recording"):
        alone = 0.0
        for viewers in VIEWERS:
            same = [row for row in rows if (row["feed"], row["viewers"]) == (feed, viewers)]
            fps = float(np.median([row["fps"] for row in same]))
            alone = fps if viewers is None else alone
            medians = {
                key: round(float(np.median([row[key] for row in same])), 2) for key in same[0] if key in _FIGURES
            }
            lost = _against({"fps": alone}, {"fps": fps})
            found.append({"feed": feed, "viewers": viewers, **medians, **lost})
    return found


_FIGURES = ("fps", "latency_median_ms", "latency_p95_ms", "cpu_ms_per_frame", "viewer_fps", "kb_per_picture")


def _against(alone: Row, row: Row) -> Row:
    """What a run loses against the one without a page."""
    return {"fps_lost_percent": round(100.0 * (1.0 - row["fps"] / alone["fps"]), 2)}


def refused_share(answers: dict[str, dict[str, int]]) -> float:
    """Of all answers, those of 4xx and closed connections."""
    by_status = [(status, count) for of_kind in answers.values() for status, count in of_kind.items()]
    refused = sum(count for status, count in by_status if status == "closed" or status.startswith("4"))
    return refused / sum(count for _, count in by_status)


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--frames", type=int, default=600, help="of the cameras, per run")
    parser.add_argument("--recorded-frames", type=int, default=600)
    parser.add_argument("--requests", type=int, default=HOSTILE)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(words)
    pin_threads(1)
    bench = Bench(arguments.frames, arguments.recorded_frames)
    feeds = [(feed, viewers) for feed in ("cameras", "recording") for viewers in VIEWERS]
    rows = [_told(bench.row(*feed)) for _ in range(arguments.rounds) for feed in feeds]
    hostile = _told(bench.hostile(arguments.requests))
    medians = summary(rows)
    report = {
        "machine": machine_facts(),
        "rounds": arguments.rounds,
        "medians": medians,
        "hostile": {
            **hostile,
            **_against(medians[0], hostile),
            "refused_share": round(refused_share(hostile["answers"]), 4),
        },
        "runs": rows,
    }
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _told(row: Row) -> Row:
    print(json.dumps(row), flush=True)
    return row


if __name__ == "__main__":
    main()
