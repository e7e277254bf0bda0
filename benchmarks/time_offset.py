"""How well the offset in time between two cameras is found while they run: `python -m benchmarks.time_offset`.

Generated scenes of 60 s, infrared at 9 and colour at 30 frames per second, each frame drawn at its exact time and
stamped up to 5 ms wrong, the infrared stamps shifted by an offset; every scene with every offset. `vr.runtime.
time_offset` sees the frames in order. Of two different scenes nothing may be found. With `--data DIR`, a folder with
`m3svd/CLIP/{ir,rgb}`, also real pictures: those clips are far too short (20 frames), so a random walk leads back and
forth through each, 15 pictures per second; the pictures are real, when they change is not.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import machine_facts, measure, pin_threads
from vr.runtime.sim import Simulator
from vr.runtime.sources.base import Role
from vr.runtime.time_offset import OffsetEstimator

RESULTS = Path(__file__).parent / "results" / "time_offset.json"
OFFSETS_MS = (0, 400, -400, 1100)
RATES: dict[Role, float] = {"ir": 9.0, "rgb": 30.0}
FRAME_HW = (120, 160)
DURATION_S = 60.0
JITTER_S = 0.005
GOAL_MS, WRONG_MS = 20.0, 100.0
_WALK_FPS = 15.0
Frame = NDArray[np.uint8]
Films = dict[Role, list[tuple[float, Frame]]]


@dataclass(frozen=True)
class Trial:
    """One run. found_s: when an offset was first taken, None: never. first, last, worst_ms: error then, at the end, and
    the largest of all that were ever in use.
    """

    name: str
    offset_ms: int
    found_s: float | None
    first_ms: float = 0.0
    last_ms: float = 0.0
    worst_ms: float = 0.0


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=200)
    parser.add_argument("--data", type=Path, help="folder with m3svd/CLIP/{ir,rgb}")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--picture", type=Path, help="PNG of all errors over the time until found")
    arguments = parser.parse_args(words)
    pin_threads(1)
    films = [film_scene(arguments.first_seed + n, RATES, DURATION_S) for n in range(arguments.scenes)]
    scenes = run_trials({f"scene {arguments.first_seed + n}": film for n, film in enumerate(films)})
    report: dict[str, Any] = {"machine": machine_facts(), "rates": RATES, "duration_s": DURATION_S}
    report["scenes"] = summary(scenes)
    report["different scenes"] = summary(run_trials(dict(mixed(films)), (0,)))
    clips = film_clips(arguments.data) if arguments.data else {}
    walked = run_trials(clips)
    if clips:
        report["real pictures, made-up motion"] = summary(walked)
    report["see_640x480_ms"] = time_of_see().to_json()
    report["trials"] = [vars(trial) for trial in scenes + walked]
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    if arguments.picture:
        draw(scenes, walked, arguments.picture)


def film_scene(seed: int, rates: dict[Role, float], duration_s: float) -> Films:
    """Exact times and frames of both cameras; each camera starts somewhere within its first interval."""
    simulator = Simulator(seed, FRAME_HW, FRAME_HW, fps=1000.0)
    return _film(
        lambda role, time_s: simulator.frames(round(1000 * (5.0 + time_s)))[role == "rgb"], rates, duration_s, seed
    )


def _film(shot: Callable[[Role, float], Frame], rates: dict[Role, float], duration_s: float, seed: int) -> Films:
    rng = np.random.default_rng([seed, 1])
    films: Films = {}
    for role, rate in rates.items():
        begin_s = rng.uniform(0.0, 1.0 / rate)
        times_s = [round(begin_s + n / rate, 3) for n in range(round(duration_s * rate))]
        films[role] = [(time_s, shot(role, time_s)) for time_s in times_s]
    return films


def mixed(films: list[Films]) -> Iterator[tuple[str, Films]]:
    """The infrared of each scene with the colour of the next."""
    for n, film in enumerate(films):
        yield f"ir of {n}, rgb of {n + 1}", {"ir": film["ir"], "rgb": films[(n + 1) % len(films)]["rgb"]}


def film_clips(data: Path) -> dict[str, Films]:
    """Three random walks through each real clip."""
    found: dict[str, Films] = {}
    for folder in sorted((data / "m3svd").iterdir()):
        pictures: dict[Role, list[Frame]] = {"ir": _pictures(folder / "ir"), "rgb": _pictures(folder / "rgb")}
        for seed in range(3):
            found[f"{folder.name} walk {seed}"] = _walk(pictures, seed)
    return found


def _walk(pictures: dict[Role, list[Frame]], seed: int) -> Films:
    """Speed changes at random, and the walk turns back at both ends."""
    rng = np.random.default_rng([seed, 2])
    steps = np.convolve(rng.normal(0.0, 2.5, round((DURATION_S + 1) * _WALK_FPS)), np.ones(6) / 6, mode="same")
    last = len(pictures["ir"]) - 1
    places = np.abs((np.cumsum(steps) + last) % (2 * last) - last).round().astype(int)

    def shot(role: Role, time_s: float) -> Frame:
        return pictures[role][places[int(time_s * _WALK_FPS)]]

    return _film(shot, RATES, DURATION_S, seed)


def _pictures(folder: Path) -> list[Frame]:
    read = (cv2.imread(str(path)) for path in sorted(folder.iterdir()))
    return [cv2.resize(picture, FRAME_HW[::-1], interpolation=cv2.INTER_AREA) for picture in read]  # type: ignore[misc]


def run_trials(films: dict[str, Films], offsets_ms: tuple[int, ...] = OFFSETS_MS) -> list[Trial]:
    """Every film with every offset."""
    trials: list[Trial] = []
    for name, film in films.items():
        for offset_ms in offsets_ms:
            trials.append(run_trial(name, film, offset_ms))
            print(trials[-1], flush=True)
    return trials


def in_order(films: Films) -> list[tuple[float, Role, Frame]]:
    """The frames of both cameras by their times."""
    events: list[tuple[float, Role, Frame]] = [
        (time_s, role, frame) for role, film in films.items() for time_s, frame in film
    ]
    return sorted(events, key=lambda event: event[:2])


def run_trial(name: str, films: Films, offset_ms: int) -> Trial:
    """Shows both films to an estimator in the order of their times."""
    rng = np.random.default_rng([offset_ms + 10_000, 3])
    estimator, errors_ms, found_s = OffsetEstimator(), list[float](), None
    for time_s, role, frame in in_order(films):
        shift_s = offset_ms / 1000.0 if role == "ir" else 0.0
        estimator.see(role, frame, time_s + rng.uniform(-JITTER_S, JITTER_S) - shift_s)
        state = estimator.poll(time_s, wait=True)
        if state.offset_ms is not None:
            found_s = time_s if found_s is None else found_s
            errors_ms.append(state.offset_ms - offset_ms)
    if not errors_ms:
        return Trial(name, offset_ms, None)
    first_ms, last_ms, worst_ms = (round(v, 1) for v in (errors_ms[0], errors_ms[-1], max(errors_ms, key=abs)))
    return Trial(name, offset_ms, found_s, first_ms, last_ms, worst_ms)


def summary(trials: list[Trial]) -> dict[str, Any]:
    """Shares of all trials, errors and times of those in which an offset was found."""
    found = [trial for trial in trials if trial.found_s is not None]
    figures: dict[str, Any] = {"trials": len(trials), "found": len(found)}
    figures["wrong (ever off by more than 100 ms)"] = sum(abs(trial.worst_ms) > WRONG_MS for trial in found)
    if found:
        errors_ms = np.abs([(trial.first_ms, trial.last_ms, trial.worst_ms) for trial in found])
        figures["within 20 ms: first, last, always"] = (errors_ms <= GOAL_MS).sum(axis=0).tolist()
        figures["median error ms: first, last"] = np.round(np.median(errors_ms, axis=0), 1).tolist()[:2]
        figures["largest error ms: first, last"] = errors_ms.max(axis=0).tolist()[:2]
        after_s = np.percentile([trial.found_s or 0.0 for trial in found], [50, 90])
        figures["found after s: median, p90"] = np.round(after_s, 1).tolist()
    print(figures, flush=True)
    return figures


def time_of_see() -> Any:
    """Wall time per 640x480 colour frame, as a camera's thread spends it."""
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 255, (480, 640, 3), dtype=np.uint8) for _ in range(8)]
    estimator, count = OffsetEstimator(), iter(range(1_000_000))

    def see() -> None:
        n = next(count)
        estimator.see("rgb", frames[n % 8], n / 30.0)

    return measure(see)


def draw(scenes: list[Trial], walked: list[Trial], path: Path) -> None:
    """Every found offset: when it was first taken, and how far off it is at the end."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.axhspan(-GOAL_MS, GOAL_MS, color="0.92")
    for label, trials in (("generated scenes", scenes), ("real pictures, made-up motion", walked)):
        found = [(trial.found_s, trial.last_ms) for trial in trials if trial.found_s is not None]
        if found:
            axes.plot(*zip(*found, strict=True), ".", label=f"{label}: {len(found)} of {len(trials)} found")
    axes.set(xlabel="s until an offset is found", ylabel="error after 60 s [ms]", xlim=(0, DURATION_S))
    axes.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    start = time.perf_counter()
    main()
    print(f"{time.perf_counter() - start:.0f} s")
