"""One input after the other in processes of their own, which may die of it."""

import contextlib
import importlib
import io
import multiprocessing as mp
import os
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

LIMIT_S = 5.0
MEMORY_LIMIT_BYTES = 1 << 30
"""Of address space above that of the process before its first input."""
_PATIENCE_S = 30.0
_WARM_UP_SEED = 1_000_000


@dataclass(frozen=True)
class Verdict:
    """What came of one input. outcome: "refused" (a VrError or exit code 2), "accepted", or what is a fault: "raised",
    "hung", "memory", "died", "wrote", "executed". detail: the message. memory_mb: peak resident memory above idle.
    """

    kind: str
    seed: int
    outcome: str
    detail: str
    took_s: float
    memory_mb: float


FINE = ("refused", "accepted")


class _Hung(BaseException):
    """The alarm; no `except Exception` may swallow it."""


def judge(kind: str, seed: int) -> Verdict:
    """Makes one input and shows it to its reader, in a folder of its own below the working folder."""
    from benchmarks.fuzz.kinds import KINDS, MARKER

    rng = np.random.default_rng([seed, sorted(KINDS).index(kind)])
    content = KINDS[kind].content(rng)
    home = Path.cwd()
    before = _listing(home)
    folder = Path(tempfile.mkdtemp(dir=home, prefix="input-"))
    path = folder / f"input{rng.choice(KINDS[kind].suffixes)}"
    path.write_bytes(content)
    idle_kb, start = _reset_peak_kb(), time.perf_counter()
    try:
        outcome, detail = _outcome(lambda: KINDS[kind].use(path, rng))
        took_s = time.perf_counter() - start
        wrote = _listing(home) - before - {folder.name}
        if (home / MARKER).exists() or (folder / MARKER).exists():
            outcome, detail = "executed", detail
        elif wrote:
            outcome, detail = "wrote", ", ".join(sorted(wrote))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Verdict(kind, seed, outcome, detail, round(took_s, 3), round(max(0, _peak_kb() - idle_kb) / 1024, 1))


def _outcome(use: Any) -> tuple[str, str]:
    from vr.runtime.errors import VrError

    error_text = io.StringIO()
    signal.signal(signal.SIGALRM, _on_alarm)
    signal.setitimer(signal.ITIMER_REAL, LIMIT_S)
    try:
        with contextlib.redirect_stderr(error_text), contextlib.redirect_stdout(error_text):
            use()
        return "accepted", ""
    except VrError as error:
        return "refused", str(error)
    except SystemExit as error:
        return ("refused" if error.code in (0, 2) else "raised"), f"exit {error.code}: {error_text.getvalue()[-300:]}"
    except _Hung:
        return "hung", ""
    except MemoryError:
        return "memory", traceback.format_exc(limit=-3)
    except BaseException:
        return "raised", traceback.format_exc(limit=-4)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)


def _on_alarm(_number: int, _frame: object) -> None:
    raise _Hung


def _listing(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.iterdir()}


def _reset_peak_kb() -> int:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_kb()


def _peak_kb() -> int:
    return _status_kb("VmHWM")


def _status_kb(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next((int(line.split()[1]) for line in lines if line.startswith(name + ":")), 0)


def _work(jobs: list[tuple[str, int]], answers: Connection) -> None:
    """In the process: loads all libraries, which take address space too, warms up on one input, then sets the limit."""
    from benchmarks.fuzz.kinds import KINDS

    home = tempfile.mkdtemp(prefix="vr-fuzz-")
    os.chdir(home)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libraries of C write there what Python does not see
    try:
        for kind in {kind for kind, _ in jobs}:
            for module in KINDS[kind].modules:
                importlib.import_module(module)
            judge(kind, _WARM_UP_SEED)
        limit = _status_kb("VmSize") * 1024 + MEMORY_LIMIT_BYTES
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        for job in jobs:
            answers.send(("begun", job))
            answers.send(("done", judge(*job)))
        answers.send(("end", None))
    finally:
        os.chdir("/")
        shutil.rmtree(home, ignore_errors=True)


def verdicts(jobs: list[tuple[str, int]]) -> Iterator[Verdict]:
    """Of all jobs (kind, seed), in one process at a time; a new one where it died or hangs for good."""
    context = mp.get_context("spawn")
    left = list(jobs)
    while left:
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(left, theirs), daemon=True)
        process.start()
        theirs.close()
        current: tuple[str, int] | None = None
        try:
            while ours.poll(_PATIENCE_S + (60.0 if current is None else 0.0)):
                what, value = ours.recv()
                if what == "begun":
                    current = value
                elif what == "done":
                    left.pop(0)
                    yield value
                else:
                    break
        except EOFError:
            pass
        process.kill()
        process.join()
        if left and (current is None or current == left[0]):
            kind, seed = left.pop(0)
            yield Verdict(kind, seed, "died", f"exit code {process.exitcode}", 0.0, 0.0)
