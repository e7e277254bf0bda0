"""How fast training gets its data: `python -m benchmarks.loader [--pairs 8000] [--steps 8] [--out FILE]`.

- loader: pairs per second of the loader alone, by number of workers, with the CPU time that a pair costs in all
  processes together: what other programs take away shows in the first figure, less in the second.
- training: pairs per second of whole steps of the two unsupervised networks.
- memory: the most that `vr-train` and its workers hold while they check all pairs and then train on them. "resident"
  counts pages that several processes share once for each of them, "proportional" once in all. Linux only.

At the thesis's size: 8,000 pairs of 320x240 px in batches of 20. The pairs are JPEG files, drawn by the simulator: few
scenes, each written many times under another name, warped anew for each pair as in any training.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.measure import machine_facts, pin_threads
from vr.runtime.sim import Simulator

RESULTS = Path(__file__).parent / "results" / "loader.json"
SIZE_HW = (240, 320)
BATCH = 20
WORKERS = (0, 1, 2)
TRAINING_WORKERS = 1
MEMORY_WORKERS = 2
_WINDOW = 10
_SAMPLE_S = 0.1
_MIB = 1024.0


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=8000)
    parser.add_argument("--scenes", type=int, default=200, help="different pictures among the pairs")
    parser.add_argument("--steps", type=int, default=8, help="timed steps of each training, after one of warm-up")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(words)
    pin_threads(1)
    report: dict[str, Any] = {"machine": machine_facts(), "pairs": arguments.pairs, "batch": BATCH}
    report["height_x_width"] = "x".join(map(str, SIZE_HW))
    with tempfile.TemporaryDirectory() as temporary:
        folder = write_pairs(Path(temporary) / "pairs", arguments.pairs, arguments.scenes)
        report["loader"] = [_told(measure_loader(folder, workers)) for workers in WORKERS]
        networks = "affine", "voxelmorph"
        report["training"] = [_told(measure_training(folder, name, arguments.steps)) for name in networks]
        report["memory"] = [_told(measure_memory(folder, Path(temporary) / name, name)) for name in networks]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def write_pairs(folder: Path, pairs: int, scenes: int) -> Path:
    """`folder/ir` and `folder/rgb` with `pairs` JPEG files each, of `scenes` different pictures."""
    encoded = [_draw(seed) for seed in range(min(scenes, pairs))]
    for side in ("ir", "rgb"):
        (folder / side).mkdir(parents=True)
    for number in range(pairs):
        for side, content in zip(("ir", "rgb"), encoded[number % len(encoded)], strict=True):
            (folder / side / f"{number:05d}.jpg").write_bytes(content)
    return folder


def measure_loader(folder: Path, workers: int) -> dict[str, Any]:
    """One epoch of batches, as training asks for them. Rates are those of windows of ten batches."""
    import torch

    from vr.train.augment import PairDataset
    from vr.train.batches import BatchLoader
    from vr.train.data import list_pairs

    pairs = list_pairs(folder)
    data = PairDataset(pairs, SIZE_HW, "gray", augment=True, seed=0)
    order = np.random.default_rng(0).permutation(len(pairs)).tolist()
    keys = [[(0, index) for index in order[i : i + BATCH]] for i in range(0, len(order), BATCH)]
    before_s, ends_s = _cpu_s(), [time.perf_counter()]
    loader = BatchLoader({"train": data}, workers, torch.device("cpu"))
    for _batch in loader.batches("train", keys):
        ends_s.append(time.perf_counter())
    loader.close()  # ends the workers, whose time counts from then on
    cpu_ms = (_cpu_s() - before_s) * 1000.0 / len(pairs)
    # The first batches wait for the workers to start, the last come from what they had prepared.
    windows_s = np.diff(ends_s[_WINDOW::_WINDOW]) if len(ends_s) > 3 * _WINDOW else np.diff(ends_s) * _WINDOW
    return {"workers": workers, **_rates(_WINDOW * BATCH / windows_s), "cpu_ms_per_pair": round(cpu_ms, 3)}


def measure_training(folder: Path, network: str, steps: int) -> dict[str, Any]:
    """Whole training steps, the first one untimed."""
    import torch

    from vr.train.config import TrainConfig
    from vr.train.data import list_pairs
    from vr.train.loop import Trainer

    torch.set_num_threads(1)
    config = TrainConfig(network, SIZE_HW, batch=BATCH, workers=TRAINING_WORKERS)
    trainer = Trainer(config, list_pairs(folder), torch.device("cpu"), "benchmark")
    ends_s: list[float] = []
    with closing(trainer.loader):
        trainer.train_epoch(lambda: trainer.step >= steps, lambda _step, _loss: ends_s.append(time.perf_counter()))
    return {"network": network, "workers": TRAINING_WORKERS, **_rates(BATCH / np.diff(ends_s))}


def measure_memory(folder: Path, out: Path, network: str) -> dict[str, Any]:
    """The largest memory of the whole process tree of `vr-train`, from its start until some steps are done, in MiB."""
    command = ["-m", "vr.train.cli", network, folder, "--out", out, "--batch", BATCH, "--workers", MEMORY_WORKERS]
    command += ["--save-every", 1, "--device", "cpu"]
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.DEVNULL)
    peaks = {"resident": 0.0, "proportional": 0.0}
    saved: set[int] = set()
    while process.poll() is None and len(saved) < 5:
        time.sleep(_SAMPLE_S)
        for name, value in _tree_memory_mib(process.pid).items():
            peaks[name] = max(peaks[name], value)
        last = out / "last.pt"
        saved |= {last.stat().st_mtime_ns} if last.exists() else set()
    process.send_signal(signal.SIGINT)
    process.wait()
    if len(saved) < 5:
        raise SystemExit(f"vr-train {network} ended with {process.returncode} before its steps were done")
    return {"network": network, "workers": MEMORY_WORKERS, **{f"{name}_mib": round(v) for name, v in peaks.items()}}


def _draw(seed: int) -> tuple[bytes, bytes]:
    ir, rgb = Simulator(seed, rgb_hw=SIZE_HW, ir_hw=SIZE_HW).frames(seed)
    return cv2.imencode(".jpg", ir)[1].tobytes(), cv2.imencode(".jpg", rgb)[1].tobytes()


def _rates(pairs_per_s: np.ndarray) -> dict[str, float]:
    low, median, high = np.percentile(pairs_per_s, [25, 50, 75])
    figures = {"pairs_per_s": median, "iqr": high - low, "slowest": pairs_per_s.min(), "fastest": pairs_per_s.max()}
    return {name: round(float(value), 1) for name, value in figures.items()}


def _cpu_s() -> float:
    """User and system time of this process and of those children that have ended."""
    usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def _tree_memory_mib(root: int) -> dict[str, float]:
    """Sums over a process and its descendants; one that ends meanwhile counts as nothing."""
    totals = {"resident": 0.0, "proportional": 0.0}
    for process in _tree(root):
        try:
            lines = Path(f"/proc/{process}/smaps_rollup").read_text(encoding="ascii").splitlines()
        except OSError:
            continue
        kib = {line.split(":")[0]: float(line.split()[1]) for line in lines[1:]}
        totals["resident"] += kib.get("Rss", 0.0) / _MIB
        totals["proportional"] += kib.get("Pss", 0.0) / _MIB
    return totals


def _tree(root: int) -> list[int]:
    try:
        children = Path(f"/proc/{root}/task/{root}/children").read_text(encoding="ascii").split()
    except OSError:
        children = []
    return [root, *(process for child in children for process in _tree(int(child)))]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
    return row


if __name__ == "__main__":
    main()
