"""What each ingredient of the training recipe brings: `python -m benchmarks.ablation DATA [--steps N] [--scenes N]`.

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

from benchmarks.accuracy import HELD_OUT, find_work
from benchmarks.accuracy_sections import Amount
from benchmarks.measure import machine_facts, pin_threads
from benchmarks.protocols import FRAME_HW, KnownPair, pair_folders, protocol_s

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


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--scenes", type=int, default=300)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--held-out", type=Path, default=HELD_OUT)
    arguments = parser.parse_args(words)
    pin_threads(1)
    recipe = {"steps": arguments.steps, "scenes": arguments.scenes}
    report: dict[str, Any] = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    if report.get("recipe") != recipe:
        report = {"recipe": recipe, "variants": {}}
    folders = find_work(arguments.data, arguments.held_out, Amount()).folders
    pairs = [pair for folder, files in folders for pair in protocol_s(folder, files)]
    for name in [name for name in VARIANTS if name not in report["variants"]]:
        net = train(arguments.data, arguments.held_out, {**recipe, **VARIANTS[name]})
        report["variants"][name] = figures(net, pairs)
        report["machine"] = machine_facts()
        print(name, report["variants"][name], flush=True)
        arguments.out.parent.mkdir(exist_ok=True)
        arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def train(data: Path, held_out_file: Path, settings: dict[str, Any]) -> Any:
    """A network (`vr.models.match.MatchNet`) trained with these settings, and without real pairs if `real` is False."""
    import torch

    from vr.train.data import read_held_out, split_held_out
    from vr.train.match_loop import SIZES, MatchConfig, MatchTrainer
    from vr.train.memory import keep_freed_memory
    from vr.train.run_folder import RunFolder

    torch.set_num_threads(1)
    keep_freed_memory()
    held_out = read_held_out(held_out_file)
    splits = [split_held_out(folder, held_out, 0.1) for folder in pair_folders(data)]
    pairs = [pair for split in splits for pair in split.train]
    real = settings.get("real", True)
    chosen = {key: value for key, value in settings.items() if key != "real"}
    small = SIZES["small"]
    config = MatchConfig(sizes={"small": small}, coarse_hw=small[0], val_every=settings["steps"] + 1, **chosen)
    with tempfile.TemporaryDirectory() as folder:
        split = replace(splits[0], train=pairs if real else [], val=[], test=[])
        trainer = MatchTrainer(config, split, RunFolder(Path(folder)), "ablation", torch.device("cpu"))
        trainer.train(lambda: False, lambda _trainer, _parts: None)
    return trainer.net.eval()


def figures(net: Any, pairs: list[KnownPair]) -> dict[str, float]:
    """Median and shares of the mean grid error, px at 320x240, whatever the confidence."""
    import torch

    from vr.runtime.geometry import grid_error_px, theta_to_matrix
    from vr.runtime.preprocess import network_input
    from vr.train.match_loop import summary

    errors: list[float] = []
    with torch.no_grad():
        for pair in pairs:
            moving, fixed = (torch.from_numpy(network_input(i, net.size_hw, "gray")) for i in (pair.ir, pair.rgb))
            theta = net(moving, fixed).theta[0].double().numpy()
            errors.append(grid_error_px(theta_to_matrix(theta, FRAME_HW, FRAME_HW), pair.matrix_rgb_to_ir, FRAME_HW))
    return {"pairs": len(errors)} | {name: round(value, 3) for name, value in summary(torch.tensor(errors)).items()}


if __name__ == "__main__":
    main()
