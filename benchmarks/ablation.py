"""What each ingredient of the training recipe brings: `python -m benchmarks.ablation DATA [--steps N] [--out FILE]`.

Trains the network once per variant at the small model's input size, always with the same seed and number of steps,
and measures it on the pairs of `held_out.json` (protocol S of `benchmarks.protocols`). Short runs: the order of the
variants means something, the figures themselves are worse than those of the embedded models. Goes on where an
interrupted call stopped.
"""

import argparse
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.accuracy import HELD_OUT
from benchmarks.measure import machine_facts, pin_threads
from benchmarks.protocols import FRAME_HW, KnownPair, held_out_files, pair_folders, protocol_s, single_frame_files

RESULTS = Path(__file__).parent / "results" / "ablation.json"
VARIANTS: dict[str, dict[str, Any]] = {
    "full recipe": {},
    "no generated scenes": {"shares": {"pairs": 0.75, "pseudo": 0.25}},
    "no pseudo-modalities": {"shares": {"pairs": 0.75, "scenes": 0.25}},
    "no real pairs (generated scenes alone)": {"shares": {"scenes": 0.8, "pseudo": 0.2}, "real": False},
    "real pairs alone": {"shares": {"pairs": 1.0}},
    "no degradations": {"degrade": False},
    "no merged, bent and covered scenes": {"new_scenes": False},
}


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args()
    pin_threads(1)
    report: dict[str, Any] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    if report.get("steps") != arguments.steps:
        report = {"steps": arguments.steps, "variants": {}}
    pairs = known_pairs(arguments.data)
    for name, changes in VARIANTS.items():
        if name in report["variants"]:
            continue
        report["variants"][name] = figures(errors_px(train(arguments.data, arguments.steps, changes), pairs))
        report["machine"] = machine_facts()
        print(name, report["variants"][name], flush=True)
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def known_pairs(data: Path) -> list[KnownPair]:
    """Protocol S on the pairs that no training has seen."""
    held_out = json.loads(HELD_OUT.read_text(encoding="utf-8"))
    folders = [(folder, single_frame_files(folder, held_out)) for folder in pair_folders(data)]
    return [pair for folder, files in folders if files for pair in protocol_s(folder, files)]


def train(data: Path, steps: int, changes: dict[str, Any]) -> Any:
    """The trained network (`vr.models.match.MatchNet`) of one variant."""
    import torch

    from vr.train.data import list_pairs, read_held_out, split_held_out
    from vr.train.match_loop import SIZES, MatchConfig, MatchTrainer
    from vr.train.memory import keep_freed_memory
    from vr.train.run_folder import RunFolder

    torch.set_num_threads(1)
    keep_freed_memory()
    held_out = json.loads(HELD_OUT.read_text(encoding="utf-8"))
    named = read_held_out(HELD_OUT)
    folders = [f for f in pair_folders(data) if len(held_out_files(f, held_out)) < len(list_pairs(f))]
    splits = [split_held_out(folder, named, 0.1) for folder in folders]
    pairs = [pair for split in splits for pair in split.train]
    settings = {key: value for key, value in changes.items() if key != "real"}
    small = SIZES["small"]
    config = MatchConfig(sizes={"small": small}, coarse_hw=small[0], steps=steps, val_every=steps + 1, **settings)
    with tempfile.TemporaryDirectory() as folder:
        split = replace(splits[0], train=pairs if changes.get("real", True) else [], val=[], test=[])
        trainer = MatchTrainer(config, split, RunFolder(Path(folder)), "ablation", torch.device("cpu"))
        trainer.train(lambda: False, lambda _trainer, _parts: None)
    return trainer.net.eval()


def errors_px(net: Any, pairs: list[KnownPair]) -> list[float]:
    """Mean grid error of every pair, px at 320x240, whatever the confidence."""
    import torch

    from vr.runtime.geometry import grid_error_px, theta_to_matrix
    from vr.runtime.preprocess import network_input

    errors: list[float] = []
    with torch.no_grad():
        for pair in pairs:
            moving, fixed = (torch.from_numpy(network_input(i, net.size_hw, "gray")) for i in (pair.ir, pair.rgb))
            theta = net(moving, fixed).theta[0].double().numpy()
            errors.append(grid_error_px(theta_to_matrix(theta, FRAME_HW, FRAME_HW), pair.matrix_rgb_to_ir, FRAME_HW))
    return errors


def figures(errors: list[float]) -> dict[str, float]:
    """Median and shares under 3, 5 and 10 px."""
    shares = {f"below_{limit}_px": round(float((np.array(errors) < limit).mean()), 3) for limit in (3, 5, 10)}
    return {"pairs": len(errors), "median_px": round(float(np.median(errors)), 2), **shares}


if __name__ == "__main__":
    main()
