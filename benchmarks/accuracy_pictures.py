"""Pictures of an accuracy run: each pair before and after, where the error lies, and plots over all pairs.

Needs matplotlib; draws without a screen.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy_figures import GOOD_PX, errors_px, source_error_px
from benchmarks.accuracy_methods import Answer, Model
from benchmarks.accuracy_sections import Bench
from benchmarks.protocols import ALIGNED, KnownPair
from vr.runtime.preprocess import Frame, to_gray
from vr.runtime.warp import affine_source_map, matrix_source_map, warp_map

ERROR_SCALE_PX = 10.0
CDF_RANGE_PX = (0.3, 30.0)
_INCH = (12.6, 3.5)


def draw_all(folder: Path, bench: Bench, report: dict[str, Any]) -> None:
    """Writes `MODEL/FOLDER_STEM.png` for every model and pair of protocol S, `errors.png` and `reliability.png`."""
    pairs = bench.narrow_pairs()
    for model in bench.models:
        place = folder / model.name
        place.mkdir(parents=True, exist_ok=True)
        for pair in pairs:
            draw_pair(place / f"{pair.folder}_{pair.name}.png", pair, model)
    draw_errors(folder / "errors.png", {name: errors_px(one) for name, one in bench.trials["protocol_s"].items()})
    curves = {name: one["bins"] for name, one in report.get("confidence", {}).items()}
    draw_reliability(folder / "reliability.png", curves)


def draw_pair(path: Path, pair: KnownPair, model: Model) -> None:
    """Before, after and error map side by side; of a refused pair the answer that was held back, and says so."""
    answer = model(pair.ir, pair.rgb)
    size_hw = (pair.rgb.shape[0], pair.rgb.shape[1])
    figure, axes = plt.subplots(1, 3, figsize=_INCH, layout="constrained")
    axes[0].imshow(false_colour(pair.ir, pair.rgb, affine_source_map(ALIGNED, size_hw)))
    axes[0].set_title("before", fontsize=9)
    after = pair.rgb[..., ::-1]
    if answer.ungated is not None:
        found = answer.ungated if answer.ungated.ndim == 3 else matrix_source_map(answer.ungated, size_hw)
        after = false_colour(pair.ir, pair.rgb, found.astype(np.float32))
        distance = np.linalg.norm(found - affine_source_map(pair.matrix_rgb_to_ir, size_hw), axis=2)
        shown = axes[2].imshow(distance, cmap="inferno", vmin=0.0, vmax=ERROR_SCALE_PX)
        figure.colorbar(shown, ax=axes[2], label="error, px", extend="max")
    axes[1].imshow(after)
    axes[1].set_title("after", fontsize=9)
    for axis in axes:
        axis.set_axis_off()
    figure.suptitle(title_of(pair, answer), fontsize=10)
    figure.savefig(path, dpi=80)
    plt.close(figure)


def title_of(pair: KnownPair, answer: Answer) -> str:
    """Which pair, how far off, how sure, and what the program would show."""
    error = source_error_px(answer.ungated, pair)
    said = "no answer" if error is None else f"{error:.2f} px"
    confidence = "no confidence" if answer.confidence is None else f"confidence {answer.confidence:.2f}"
    return f"{pair.folder} {pair.name}: {said}, {confidence}, {answer.state}"


def false_colour(ir: Frame, rgb: Frame, source_map_xy: NDArray[np.float32]) -> NDArray[np.uint8]:
    """(H, W, 3) uint8 RGB: the moved IR frame in red, the RGB frame's grey level in green and blue."""
    moved, fixed = (cv2.equalizeHist(one) for one in (warp_map(to_gray(ir), source_map_xy), to_gray(rgb)))
    return np.dstack([moved, fixed, fixed]).astype(np.uint8)


def draw_errors(path: Path, errors: dict[str, NDArray[np.float64]]) -> None:
    """Share of the pairs within an error, by method."""
    figure, axis = plt.subplots(figsize=(7.0, 4.5), layout="constrained")
    for name, one in errors.items():
        reached = np.minimum(np.sort(one), 10.0 * CDF_RANGE_PX[1])
        axis.step(reached, np.arange(len(one)) / len(one), where="pre", label=name)
    axis.set(xscale="log", xlim=CDF_RANGE_PX, ylim=(0.0, 1.0), xlabel="error, px at 320x240", ylabel="share of pairs")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="upper left")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def draw_reliability(path: Path, curves: dict[str, Sequence[dict[str, float]]]) -> None:
    """Share of right answers against confidence, by model; the diagonal is what it should be."""
    figure, axis = plt.subplots(figsize=(5.0, 4.5), layout="constrained")
    axis.plot([0.0, 1.0], [0.0, 1.0], color="grey", linewidth=0.8, label="as it should be")
    for name, bins in curves.items():
        axis.plot([one["confidence"] for one in bins], [one["right"] for one in bins], label=name)
        sizes = [5.0 + 5.0 * one["pairs"] for one in bins]
        axis.scatter([one["confidence"] for one in bins], [one["right"] for one in bins], s=sizes, alpha=0.5)
    axis.set(xlim=(0.0, 1.02), ylim=(-0.02, 1.02), xlabel="confidence", ylabel=f"share within {GOOD_PX:g} px")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8, loc="upper left")
    figure.savefig(path, dpi=100)
    plt.close(figure)
