"""A sequence of faults that plays by the clock."""

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.bench.control import Fault
from tests.bench.processes import SpoiledCamera


@dataclass(frozen=True)
class Step:
    """at_s: from the start of the script. camera: a key of the cameras it is played on."""

    at_s: float
    kind: str
    camera: str
    duration_s: float


def play(steps: Sequence[Step], cameras: Mapping[str, SpoiledCamera]) -> Iterator[tuple[Step, Fault]]:
    """Begins each fault when it is due, in the order of their times; gives it once it has begun."""
    start_s = time.monotonic()
    for step in sorted(steps, key=lambda step: step.at_s):
        time.sleep(max(0.0, start_s + step.at_s - time.monotonic()))
        yield step, cameras[step.camera].fault(step.kind, step.duration_s)


def random_steps(
    rng: random.Random, durations_s: Mapping[str, float], cameras: Sequence[str], total_s: float
) -> list[Step]:
    """A fault every 10 to 30 s, of random kind at a random camera, until `total_s`; the first after 30 s."""
    steps, at_s = list[Step](), 30.0
    while at_s < total_s:
        kind = rng.choice(sorted(durations_s))
        steps.append(Step(round(at_s, 3), kind, rng.choice(list(cameras)), durations_s[kind]))
        at_s += rng.uniform(10.0, 30.0)
    return steps
