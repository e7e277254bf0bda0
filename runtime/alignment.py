"""The result of aligning one frame pair."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vr.runtime import notebook, transfer
from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array, SizeHw, matrix_to_theta, theta_to_matrix
from vr.runtime.lazy import lazy
from vr.runtime.preprocess import Frame, to_8bit, to_bgr
from vr.runtime.warp import Warper

State = Literal["estimated", "held", "refused"]
DEFAULT_ALPHA = 0.35


@dataclass(frozen=True)
class Alignment:
    """Where the pixels of an RGB frame lie in the IR frame, and how far to trust that.

    state: `estimated` (from this pair), `held` (last good transform kept), `refused` (no trustworthy transform).
    confidence: in [0, 1]; None where the model has none.
    matrix_rgb_to_ir: float64 in native pixels, see `vr.runtime.geometry`: (2, 3) of an affine model, (3, 3) with last
        entry 1 of a homography model; None if refused or dense.
    flow: (2, Hn, Wn) float32, x then y, pixels of the network's grid, `moved(x, y) = moving(x + flow_x, y + flow_y)`;
        None unless the model is dense, and if refused.
    timings_ms: wall time by stage.
    age_s: how much earlier than this pair the one was taken that was estimated last; 0 unless estimates are made less
        often than pictures.
    """

    state: State
    confidence: float | None
    matrix_rgb_to_ir: Float64Array | None
    flow: NDArray[np.float32] | None
    rgb_hw: SizeHw
    ir: Frame = field(repr=False)
    timings_ms: dict[str, float] = field(default_factory=dict[str, float])
    age_s: float = 0.0
    _warper: Warper | None = field(default=None, repr=False, compare=False)
    _ir_8bit: NDArray[np.uint8] | None = field(default=None, repr=False, compare=False)

    @lazy
    def warper(self) -> Warper:
        """What brings the IR frame onto the RGB grid."""
        if self._warper is not None:
            return self._warper
        return Warper(self.rgb_hw, (self.ir.shape[0], self.ir.shape[1]), self.matrix_rgb_to_ir, self.flow)

    @lazy
    def moved(self) -> NDArray[np.uint8] | None:
        """The IR frame on the RGB grid, (H, W, 3) uint8 BGR, 0 where the IR camera sees nothing; None if refused."""
        return None if self.moved_8bit is None else to_bgr(self.moved_8bit)

    @lazy
    def moved_8bit(self) -> NDArray[np.uint8] | None:
        """`moved`, but (H, W) if the IR frame has one channel."""
        if self.matrix_rgb_to_ir is None and self.flow is None:
            return None
        levels = to_8bit(self.ir) if self._ir_8bit is None else self._ir_8bit
        return self.warper(levels[:, :, 0] if levels.shape[2:] == (1,) else levels)

    def blended(self, alpha: float) -> NDArray[np.uint8] | None:
        """The overlay without a badge, (H, W, 3) uint8, where whoever aligned has drawn it already; here nobody has."""
        del alpha
        return None

    def source_map_xy(self) -> NDArray[np.float32]:
        """(H, W, 2) float32: for each native RGB pixel its source point (x, y) in native IR pixels; NaN if refused."""
        return self.warper.source_map_xy

    @property
    def theta(self) -> Float64Array | None:
        """`matrix_rgb_to_ir` in normalised coordinates (`vr.runtime.geometry`); None where that is None."""
        if self.matrix_rgb_to_ir is None:
            return None
        return matrix_to_theta(self.matrix_rgb_to_ir, self.rgb_hw, self.warper.ir_hw)

    def save(self, path: Path | str, overwrite: bool = False) -> Path:
        """Writes the transform into a file, see `vr.runtime.interchange.save_transform`.

        Raises InputError where there is no matrix: refused, or dense. Raises OutputError if it cannot be written.
        """
        from vr.runtime.interchange import save_transform

        if self.matrix_rgb_to_ir is None:
            raise InputError(f"the alignment is {self.state} and has no matrix to save; dense models write --flows")
        return save_transform(path, self.matrix_rgb_to_ir, self.rgb_hw, self.warper.ir_hw, overwrite)

    def rgb_to_ir(self, points_xy: ArrayLike) -> Float64Array:
        """(N, 2) RGB points, native pixels, to their places in the IR frame; NaN and errors: `vr.runtime.transfer`."""
        return transfer.rgb_to_ir(self.warper, points_xy)

    def ir_to_rgb(self, points_xy: ArrayLike) -> Float64Array:
        """(N, 2) IR points, native pixels, to their places in the RGB frame; NaN and errors: `vr.runtime.transfer`."""
        return transfer.ir_to_rgb(self.warper, points_xy)

    def boxes_rgb_to_ir(self, boxes_xyxy: ArrayLike) -> Float64Array:
        """(N, 4) boxes x0, y0, x1, y1 to the upright boxes around them; see `vr.runtime.transfer`."""
        return transfer.boxes_rgb_to_ir(self.warper, boxes_xyxy)

    def boxes_ir_to_rgb(self, boxes_xyxy: ArrayLike) -> Float64Array:
        """(N, 4) boxes x0, y0, x1, y1 to the upright boxes around them; see `vr.runtime.transfer`."""
        return transfer.boxes_ir_to_rgb(self.warper, boxes_xyxy)

    def mask_ir_to_rgb(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(h, w) to (H, W), False where the IR camera sees nothing. Raises InputError for another size."""
        return transfer.mask_ir_to_rgb(self.warper, mask)

    def mask_rgb_to_ir(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """(H, W) to (h, w), False where the RGB camera sees nothing. Raises InputError for another size."""
        return transfer.mask_rgb_to_ir(self.warper, mask)

    def __str__(self) -> str:
        """State, confidence, and the transform in words, one line."""
        return notebook.text(self)  # pyright: ignore[reportArgumentType] (see `overlay`)

    def _repr_html_(self) -> str:
        """What Jupyter shows: the same, the matrix, and the moved IR picture, small."""
        return notebook.html(self)  # pyright: ignore[reportArgumentType]

    def carried_to(self, ir: Frame, rgb_hw: SizeHw, state: State, age_s: float) -> "Alignment":
        """The same transform for a later pair, of frames of any size.

        age_s: how much later that pair was taken than the one of this alignment.
        """
        age_s += self.age_s
        if state == "refused":
            return Alignment(state, self.confidence, None, None, rgb_hw, ir, age_s=age_s)
        matrix, ir_hw = self.matrix_rgb_to_ir, (ir.shape[0], ir.shape[1])
        if (rgb_hw, ir_hw) == (self.warper.rgb_hw, self.warper.ir_hw):
            return Alignment(state, self.confidence, matrix, self.flow, rgb_hw, ir, age_s=age_s, _warper=self.warper)
        if matrix is not None:
            matrix = theta_to_matrix(matrix_to_theta(matrix, self.rgb_hw, self.warper.ir_hw), rgb_hw, ir_hw)
        return Alignment(state, self.confidence, matrix, self.flow, rgb_hw, ir, age_s=age_s)

    def overlay(self, rgb: Frame, alpha: float = DEFAULT_ALPHA) -> NDArray[np.uint8]:
        """`alpha * moved + (1 - alpha) * rgb`, (H, W, 3) uint8, with the RGB alone where the IR sees nothing,
        and a badge of the state.

        A refused alignment is never drawn as if aligned: the RGB frame under a band that says so.
        """
        from vr.runtime import blend

        # The type checker meets this file under two paths, and so two classes of this name.
        return blend.overlay(self, to_bgr(rgb), alpha)  # pyright: ignore[reportArgumentType]
