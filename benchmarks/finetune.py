"""What fine-tuning to a rig is worth: `python -m benchmarks.finetune DATA [--start default] [--rigs N]`.

DATA holds aligned clips of a fixed rig (`m3svd/CLIP/{rgb,ir}`). The IR frames of a clip get one unknown misalignment;
the first three quarters of the frames are fine-tuned on (`vr-train match --finetune`), the others measured: error of
single frames and through the filter of `vr-live`, against the misalignment, which is as good as the clip itself is
aligned. "night": the same frames with 15 % of the light, half of the IR contrast, and noise.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import machine_facts, pin_threads

RESULTS = Path(__file__).parent / "results" / "finetune.json"
LEARNED_SHARE = 0.75
FPS = 25.0
LIGHTS = ("as recorded", "night")
Clip = Sequence[tuple[Any, NDArray[np.uint8]]]


def main(words: list[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--start", default="default")
    parser.add_argument("--rigs", type=int, default=2, help="misalignments per clip")
    parser.add_argument("--out", type=Path, default=RESULTS)
    arguments = parser.parse_args(words)
    pin_threads(1)
    report: dict[str, Any] = {"machine": machine_facts(), "start": arguments.start, "clips": []}
    clips = sorted((arguments.data / "m3svd").iterdir())
    for folder, seed, night in product(clips, range(arguments.rigs), (False, True)):
        row = {"clip": folder.name, "rig": seed, "light": "night" if night else "as recorded"}
        row |= measure_clip(read_clip(folder), seed, night, arguments.start)
        report["clips"].append(row)
        print(json.dumps(row), flush=True)
    report["means"] = {light: means([row for row in report["clips"] if row["light"] == light]) for light in LIGHTS}
    print(json.dumps(report["means"], indent=2))
    arguments.out.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means of the rows' errors, and in how many the single frames came nearer."""
    found: dict[str, Any] = {"rows": len(rows)}
    for name, when in product(("single_px", "video_px"), ("before", "after")):
        found[f"{name}_{when}"] = round(float(np.mean([row[when][name] for row in rows])), 3)
    found["nearer"] = sum(row["after"]["single_px"] < row["before"]["single_px"] for row in rows)
    return found


def measure_clip(clip: Clip, seed: int, night: bool, start: str) -> dict[str, Any]:
    """Errors before and after, px at 320 px width: medians over the frames that were kept out."""
    from vr.train.finetune_session import run_finetune_session

    seen, truth = as_seen(clip, seed, night)
    learned, size_hw = round(LEARNED_SHARE * len(seen)), clip[0][1].shape[:2]
    with tempfile.TemporaryDirectory() as scratch:
        write_pairs(seen[:learned], Path(scratch) / "pairs")
        out = Path(scratch) / "run"
        rig = run_finetune_session([Path(scratch) / "pairs"], Path(start), out, seed)
        before, after = (errors_px(Path(one), seen[learned:], truth) for one in (start, out / "best.pt"))
    found = {"learned": learned, "measured": len(seen) - learned, "before": before, "after": after}
    found |= {"scatter_px": round(rig["scatter_px"], 3)}
    return {**found, "rig_error_px": round(theta_error_px(rig["theta"], truth, (size_hw[0], size_hw[1])), 3)}


def as_seen(clip: Clip, seed: int, night: bool) -> tuple[Clip, NDArray[np.float64]]:
    """The pairs as the misaligned cameras see them, and the misalignment (2, 3) in native px, RGB to IR."""
    from vr.train.augment import LIMITS
    from vr.train.match_data import random_matrix

    size_hw = clip[0][1].shape[0], clip[0][1].shape[1]
    truth = random_matrix(np.random.default_rng((seed, 99)), size_hw, LIMITS)
    seen = [(cv2.warpAffine(ir, truth, size_hw[::-1]), rgb) for ir, rgb in clip]
    rng = np.random.default_rng((seed, 7))
    return [at_night(rng, ir, rgb) for ir, rgb in seen] if night else seen, truth


def read_clip(folder: Path) -> Clip:
    """Aligned (IR, RGB) frames in order."""
    from vr.runtime.preprocess import to_gray
    from vr.train.data import list_pairs, read_image

    return [(to_gray(read_image(p.ir)), read_image(p.rgb)) for p in list_pairs(folder)]  # type: ignore[misc]


def at_night(rng: np.random.Generator, ir: Any, rgb: Any) -> tuple[Any, Any]:
    """The frames as a dark night and a bad IR camera would give them, uint8."""
    faint = 128.0 + (ir.astype(np.float32) - 128.0) * 0.5 + rng.normal(0.0, 10.0, ir.shape)
    dark = rgb.astype(np.float32) * 0.15 + rng.normal(0.0, 6.0, rgb.shape)
    blurred = cv2.GaussianBlur(faint, (0, 0), 1.0)
    return np.clip(blurred, 0, 255).astype(np.uint8), np.clip(dark, 0, 255).astype(np.uint8)


def write_pairs(pairs: Clip, folder: Path) -> None:
    """As PNG, numbered."""
    for number, (ir, rgb) in enumerate(pairs):
        for role, image in (("ir", ir), ("rgb", rgb)):
            (folder / role).mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(folder / role / f"{number:04d}.png"), image)


def errors_px(checkpoint: Path, pairs: Clip, truth: NDArray[np.float64]) -> dict[str, float]:
    """Median grid error of single frames, of the filtered video, and the mean confidence."""
    from vr.runtime import Aligner
    from vr.train import checkpoint as checkpoints
    from vr.train.torch_session import TorchSession

    aligner = Aligner(TorchSession.of(checkpoints.load(checkpoint)))
    single = [aligner.estimate(ir, rgb) for ir, rgb in pairs]
    video = [aligner(ir, rgb, time_s=number / FPS) for number, (ir, rgb) in enumerate(pairs)]
    found: dict[str, float] = {}
    for name, results in (("single_px", single), ("video_px", video)):
        found[name] = round(float(np.median([error_px(one.matrix_rgb_to_ir, truth, one.rgb_hw) for one in results])), 3)
    return {**found, "confidence": round(float(np.mean([one.confidence or 0.0 for one in single])), 3)}


def error_px(matrix: NDArray[np.float64] | None, truth: NDArray[np.float64], size_hw: tuple[int, int]) -> float:
    """Mean grid error, px at 320 px width; a refused pair is infinitely wrong."""
    from vr.runtime.geometry import grid_error_px

    return float("inf") if matrix is None else grid_error_px(matrix, truth, size_hw) * 320.0 / size_hw[1]


def theta_error_px(theta: list[list[float]], truth: NDArray[np.float64], size_hw: tuple[int, int]) -> float:
    """The same of a normalised transform."""
    from vr.runtime.geometry import theta_to_matrix

    return error_px(theta_to_matrix(theta, size_hw, size_hw), truth, size_hw)


if __name__ == "__main__":
    main()
