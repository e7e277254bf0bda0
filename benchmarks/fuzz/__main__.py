"""Shows hostile input to everything that reads files and texts: `python -m benchmarks.fuzz --count 10000`.

Each input is a valid one with a few random changes, or a hand-made evil one. It has to end in a VrError, or work:
within 5 s, within 1 GiB of address space above that of the idle process, without a file written or code executed. The
reader runs in a process of its own, so that a crash in a library counts too. `--only KIND --seed N --count 1` repeats
one.
"""

import argparse
import json
import threading
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.fuzz.kinds import KINDS
from benchmarks.fuzz.running import FINE, LIMIT_S, MEMORY_LIMIT_BYTES, Verdict, verdicts
from benchmarks.measure import machine_facts

RESULTS = Path(__file__).parents[1] / "results" / "fuzz.json"


def main(words: list[str] | None = None) -> int:
    """Command line; 1 if there was a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", choices=sorted(KINDS))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(words)
    kinds = [arguments.only] if arguments.only else sorted(KINDS)
    jobs = [(kinds[n % len(kinds)], arguments.seed + n // len(kinds)) for n in range(arguments.count)]
    jobs.sort()
    found: list[Verdict] = []
    shares = [jobs[n :: arguments.processes] for n in range(arguments.processes)]
    threads = [threading.Thread(target=_collect, args=(share, found)) for share in shares]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    report = summary(found)
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(report["kinds"], indent=1))
    return int(bool(report["faults"]))


def _collect(jobs: list[tuple[str, int]], found: list[Verdict]) -> None:
    for verdict in verdicts(jobs):
        found.append(verdict)
        if verdict.outcome not in FINE:
            print(verdict.kind, verdict.seed, verdict.outcome, verdict.detail, flush=True)


def summary(found: list[Verdict]) -> dict[str, Any]:
    """Counts, the slowest and the largest by kind, and every fault."""
    kinds: dict[str, Any] = {}
    for kind in sorted({verdict.kind for verdict in found}):
        own = [verdict for verdict in found if verdict.kind == kind]
        slowest, largest = max(own, key=lambda one: one.took_s), max(own, key=lambda one: one.memory_mb)
        kinds[kind] = {
            "inputs": len(own),
            "outcomes": dict(Counter(verdict.outcome for verdict in own)),
            "slowest": {"s": slowest.took_s, "seed": slowest.seed},
            "largest": {"mb_above_idle": largest.memory_mb, "seed": largest.seed},
        }
    limits = {"s": LIMIT_S, "address_space_above_idle_mb": MEMORY_LIMIT_BYTES >> 20}
    faults = [vars(verdict) for verdict in found if verdict.outcome not in FINE]
    return {"machine": machine_facts(), "limits": limits, "inputs": len(found), "kinds": kinds, "faults": faults}


if __name__ == "__main__":
    raise SystemExit(main())
