"""One live run in this process, on cameras in others."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.faults.witness import Seen, Witness, recovered_at_s
from vr.runtime import Aligner
from vr.runtime.controls import Controls
from vr.runtime.embedded import embedded_path
from vr.runtime.estimation import estimation_for, parse_every
from vr.runtime.pairing import PairingCounts, pair_sources
from vr.runtime.pipeline import Pipeline
from vr.runtime.rigs import DEFAULT_RIG, rig_prior
from vr.runtime.sources import open_pair
from vr.runtime.sources.base import Source
from vr.runtime.sources.opening import Steps
from vr.runtime.sources.repeats import RepeatWatch
from vr.runtime.stopping import Stop

_POLL_S = 0.05


@dataclass
class LiveRun:
    """What a benchmark sees of a run."""

    witness: Witness
    pipeline: Pipeline
    sources: dict[str, Source]
    pairing: PairingCounts

    def wait_recovered(self, from_s: float, limit_ms: float, timeout_s: float) -> float | None:
        """When the run showed right pairs again, at the earliest at `from_s`; None if not in time, or it ended."""
        first = len(self.witness.seen)
        while first > 0 and self.witness.seen[first - 1].at_s >= from_s:
            first -= 1
        while time.monotonic() < from_s + timeout_s:
            if (at_s := recovered_at_s(self.witness.seen[first:], from_s, limit_ms)) is not None:
                return at_s
            if not self.pipeline.running:
                return None
            time.sleep(_POLL_S)
        return None

    def counts(self, role: str) -> dict[str, int]:
        """What the run has counted of a camera; empty where it does not count."""
        counts = getattr(self.sources[role], "counts", None)
        return {} if counts is None else asdict(counts)


@contextmanager
def live_run(aligner: Aligner, ir: str, rgb: str, seen: list[Seen]) -> Generator[LiveRun]:
    """As `vr-live --estimate-every auto` does it; outputs are appended to `seen`. Raises what ended the run."""
    witness, stop = Witness(), Stop()
    witness.seen = seen
    steps = Steps(ir=[RepeatWatch()], rgb=[RepeatWatch()])
    with open_pair(ir, rgb, steps=steps) as sources:
        pairing = pair_sources(sources.ir, sources.rgb)
        estimation = estimation_for(aligner, parse_every("auto"), rig_prior(DEFAULT_RIG), live=sources.rgb.live)
        pipeline = Pipeline(
            *(pairing, estimation, [witness], stop, lambda _output: None),
            live=sources.rgb.live,
            controls=Controls(),
        )
        pipeline.start()
        try:
            yield LiveRun(witness, pipeline, {"ir": sources.ir, "rgb": sources.rgb}, pairing.counts)
        finally:
            stop.set()
            pipeline.join()


def load_aligner() -> Aligner:
    """The small model on one thread."""
    return Aligner.load(embedded_path("small"), "cpu", 1)


def settled_resources() -> dict[str, float]:
    """Of this process, the least of each within a second: closing and opening take threads for a moment."""
    taken = [resources()]
    for _ in range(5):
        time.sleep(0.2)
        taken.append(resources())
    return {name: min(one[name] for one in taken) for name in taken[0]}


def resources(pid: int | str = "self") -> dict[str, float]:
    """Memory that is no file (MB), threads, and file handles of a process (Linux)."""
    process = Path(f"/proc/{pid}")
    rollup = dict(line.split(":", 1) for line in (process / "smaps_rollup").read_text().splitlines()[1:])
    return {
        "anonymous_mb": round(int(rollup["Anonymous"].split()[0]) * 1024 / 1e6, 1),
        "threads": sum(1 for _ in (process / "task").iterdir()),
        "handles": sum(1 for _ in (process / "fd").iterdir()),
    }
