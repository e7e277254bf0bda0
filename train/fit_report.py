"""One call of `vr-train fit`: reads the pair, fits, and writes what was found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from vr.runtime.alignment import Alignment
from vr.runtime.errors import OutputError
from vr.runtime.geometry import SizeHw, theta_to_matrix
from vr.runtime.mask import dice
from vr.runtime.preprocess import Frame, network_input, resize, to_gray
from vr.train.before_after import Look, draw
from vr.train.data import read_image, read_mask
from vr.train.fit import FitConfig, Fitted, fit_pair
from vr.train.report import save_figures, save_picture
from vr.train.run_folder import RunFolder
from vr.train.thesis_weights import read_thesis_mask

Gray = NDArray[np.uint8]
_HALF = 127


@dataclass(frozen=True)
class PairFiles:
    """One pair on disk.

    mode: one of `vr.runtime.preprocess.MODES`; person_dark: mask files with person 0 and rest 255, as the thesis's.
    """

    ir: Path
    rgb: Path
    mode: str = "gray"
    person_dark: bool = False

    def read(self) -> tuple[Frame, Frame]:
        """IR and RGB as they are; masks (h, w) uint8, person 255, rest 0. Raises InputError."""
        if self.mode != "mask":
            return read_image(self.ir), read_image(self.rgb)
        read = read_thesis_mask if self.person_dark else read_mask
        return read(self.ir) * np.uint8(255), read(self.rgb) * np.uint8(255)


def run_fit(files: PairFiles, size_hw: SizeHw, config: FitConfig, out: Path) -> dict[str, Any]:
    """Fits at `size_hw` and writes into the new folder `out`; returns what `fit.json` holds.

    `fit.json`: settings, losses, folding rate, Dice of masks, and of an affine `theta` (2, 3), normalised, and
    `matrix_rgb_to_ir` (2, 3), native px. Dense: `flow.npy`, (H, W, 2) float32, the source point (x, y) of every native
    RGB pixel in native IR px, as `vr-live --flows` writes it. `fit.png`: RGB, IR, moved, and both differences.

    Raises InputError for unusable files or sizes, OutputError if `out` holds something or cannot be written.
    """
    folder = RunFolder(out)
    folder.check_free(resumable=False)
    ir, rgb = files.read()
    moving, fixed = (torch.from_numpy(network_input(image, size_hw, files.mode)) for image in (ir, rgb))
    fitted = fit_pair(moving, fixed, config)
    alignment = _alignment(fitted, ir, rgb)
    assert alignment.moved is not None
    fixed, after = to_gray(rgb), to_gray(alignment.moved)
    before = resize(to_gray(ir), alignment.rgb_hw)
    figures = _figures(files, config, fitted, before, after, fixed) | _matrices(fitted, alignment)
    folder.start()
    save_figures(out / "fit.json", figures)
    if fitted.theta is None:
        _save_flow(out / "flow.npy", alignment.source_map_xy())
    save_picture(draw([Look(ir, rgb, alignment.moved)]), out / "fit.png")
    return figures


def _alignment(fitted: Fitted, ir: Frame, rgb: Frame) -> Alignment:
    ir_hw, rgb_hw = (ir.shape[0], ir.shape[1]), (rgb.shape[0], rgb.shape[1])
    if fitted.theta is None:
        return Alignment("estimated", None, None, fitted.flow[0].cpu().numpy(), rgb_hw, ir)
    matrix = theta_to_matrix(fitted.theta[0].double().cpu().numpy(), rgb_hw, ir_hw)
    return Alignment("estimated", None, matrix, None, rgb_hw, ir)


def _figures(
    files: PairFiles, config: FitConfig, fitted: Fitted, before: Gray, after: Gray, fixed: Gray
) -> dict[str, Any]:
    figures: dict[str, Any] = {"transform": config.transform, "loss": config.similarity, "mode": files.mode}
    figures |= {"loss_before": fitted.similarity_before, "loss_after": fitted.similarity, "folding": fitted.folding}
    if files.mode == "mask":
        figures["dice_before"] = dice(before > _HALF, fixed > _HALF)
        figures["dice_after"] = dice(after > _HALF, fixed > _HALF)
    return figures


def _matrices(fitted: Fitted, alignment: Alignment) -> dict[str, Any]:
    if fitted.theta is None or alignment.matrix_rgb_to_ir is None:
        return {}
    return {"theta": fitted.theta[0].tolist(), "matrix_rgb_to_ir": alignment.matrix_rgb_to_ir.tolist()}


def _save_flow(path: Path, source_map_xy: NDArray[np.float32]) -> None:
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            np.save(file, source_map_xy, allow_pickle=False)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write the flow {path} ({error.strerror})") from error
