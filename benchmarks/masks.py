"""How often a fit on person masks finds its way: `python -m benchmarks.masks [--pairs N] [--out FILE]`.

The thesis's main failure measured: masks of generated people, seen by cameras on random rigs; half of the pairs are
drawn so that the two masks do not overlap at all. Every row fits the same affine at 120x160 with as many steps of the
same descent (`vr.train.fit`). "mse (thesis)" is the thesis's loss at full size; "mse, coarse to fine" and "dice" use
halved sizes and try shifts before they descend; "dice, descent alone" starts at the identity. A pair counts as
converged if Dice rises to at least 90 % of what the true rig gives.
"""

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import machine_facts, pin_threads

RESULTS = Path(__file__).parent / "results" / "masks.json"
FRAME_HW = (240, 320)
SHARE_OF_TRUTH = 0.9
FIT_HW = (120, 160)
_COARSE_TO_FINE = {"scales": 3}
# A mask without a slope is carried away by large steps: the thesis's loss gets a smaller one. Its one scale has three
# stages, three scales have five.
LOSSES: dict[str, dict[str, Any]] = {
    "mse (thesis)": {"similarity": "mse", "scales": 1, "starts": 1, "lr": 0.01, "stretch": 5 / 3},
    "mse, coarse to fine": {"similarity": "mse", **_COARSE_TO_FINE},
    "dice, descent alone": {"similarity": "dice", "starts": 1, **_COARSE_TO_FINE},
    "dice": {"similarity": "dice", **_COARSE_TO_FINE},
}
Mask = NDArray[np.uint8]


@dataclass(frozen=True)
class MaskPair:
    """IR and RGB masks (240, 320), person 1; Dice without alignment and under the true rig."""

    ir: Mask
    rgb: Mask
    dice_before: float
    dice_truth: float


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(words)
    pin_threads(1)
    half = arguments.pairs // 2
    groups = {"no overlap": draw_pairs(half, overlap=False), "overlap": draw_pairs(half, overlap=True)}
    report: dict[str, Any] = {"machine": machine_facts(), "steps": arguments.steps, "share_of_truth": SHARE_OF_TRUTH}
    report["groups"] = {name: measure_group(pairs, arguments.steps) for name, pairs in groups.items()}
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def draw_pairs(count: int, overlap: bool) -> list[MaskPair]:
    """The first `count` generated pairs whose masks do (or do not) overlap without alignment.

    Rigs: shifts up to 30 % of the frame, rotation 10 degrees, scale 0.85 to 1.15. Left out are pairs whose masks are
    below 1 % of the frame, or whose people are not the same in both frames (Dice below 0.85 under the true rig).
    """
    pairs: list[MaskPair] = []
    seed = 0
    while len(pairs) < count:
        pair = _draw(seed)
        seed += 1
        if pair is not None and (pair.dice_before > 0.0) == overlap:
            pairs.append(pair)
    return pairs


def _draw(seed: int) -> MaskPair | None:
    from benchmarks.thesis_scenes import find_people
    from vr.runtime.mask import dice

    people = find_people(seed, one_rig=False)
    if people is None:
        return None
    return MaskPair(people.ir_mask, people.rgb_mask, dice(people.ir_mask > 0, people.rgb_mask > 0), people.dice_truth)


def measure_group(pairs: list[MaskPair], steps: int) -> dict[str, Any]:
    """Medians of Dice and the share of converged pairs, per loss."""
    figures: dict[str, Any] = {"pairs": len(pairs)}
    figures["dice_before"] = round(float(np.median([pair.dice_before for pair in pairs])), 3)
    figures["dice_truth"] = round(float(np.median([pair.dice_truth for pair in pairs])), 3)
    for name in LOSSES:
        start = time.perf_counter()
        found = [fitted_dice(pair, name, steps) for pair in pairs]
        converged = [dice >= SHARE_OF_TRUTH * pair.dice_truth for dice, pair in zip(found, pairs, strict=True)]
        figures[name] = {
            "dice_after": round(float(np.median(found)), 3),
            "dice_worst": round(min(found), 3),
            "converged": round(float(np.mean(converged)), 3),
            "s_per_pair": round((time.perf_counter() - start) / len(pairs), 2),
        }
        print(name, figures[name], flush=True)
    return figures


def fitted_dice(pair: MaskPair, loss: str, steps: int) -> float:
    """Dice of the pair after an affine fit with this loss; the same number of steps for all."""
    import torch

    from vr.models.spatial_transformer import SpatialTransformer
    from vr.runtime.mask import dice
    from vr.runtime.preprocess import network_input
    from vr.train.fit import FitConfig, fit_pair

    torch.set_num_threads(1)
    moving, fixed = (torch.from_numpy(network_input(mask, FIT_HW, "mask")) for mask in (pair.ir, pair.rgb))
    settings = {"stretch": 1.0, **LOSSES[loss]}
    config = FitConfig(steps=round(steps * settings.pop("stretch")), **settings)
    moved = SpatialTransformer()(moving, fit_pair(moving, fixed, config).flow)
    return dice(moved[0, 0].numpy() > 0.5, fixed[0, 0].numpy() > 0.5)


if __name__ == "__main__":
    main()
