"""The result of aligning one frame pair."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from vr.runtime import warp
from vr.runtime.geometry import Float64Array, SizeHw
from vr.runtime.preprocess import Frame, to_bgr

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
    """

    state: State
    confidence: float | None
    matrix_rgb_to_ir: Float64Array | None
    flow: NDArray[np.float32] | None
    rgb_hw: SizeHw
    ir: Frame = field(repr=False)
    timings_ms: dict[str, float] = field(default_factory=dict[str, float])

    @cached_property
    def moved(self) -> NDArray[np.uint8] | None:
        """The IR frame on the RGB grid, (H, W, 3) uint8 BGR, 0 where the IR camera sees nothing; None if refused."""
        if self.matrix_rgb_to_ir is not None:
            return warp.warp_matrix(to_bgr(self.ir), self.matrix_rgb_to_ir, self.rgb_hw)
        if self.flow is not None:
            return warp.warp_map(to_bgr(self.ir), self.source_map_xy())
        return None

    def source_map_xy(self) -> NDArray[np.float32]:
        """(H, W, 2) float32: for each native RGB pixel its source point (x, y) in native IR pixels; NaN if refused."""
        return self._source_map_xy

    @cached_property
    def _source_map_xy(self) -> NDArray[np.float32]:
        if self.matrix_rgb_to_ir is not None:
            return warp.matrix_source_map(self.matrix_rgb_to_ir, self.rgb_hw)
        if self.flow is not None:
            return warp.flow_source_map(self.flow, self.rgb_hw, (self.ir.shape[0], self.ir.shape[1]))
        return np.full((*self.rgb_hw, 2), np.nan, dtype=np.float32)

    def overlay(self, rgb: Frame, alpha: float = DEFAULT_ALPHA) -> NDArray[np.uint8]:
        """`alpha * moved + (1 - alpha) * rgb`, (H, W, 3) uint8, with the RGB alone where the IR sees nothing.

        A refused alignment is never drawn as if aligned: the RGB frame with a notice.
        """
        from vr.runtime import blend

        # The type checker meets this file under two paths, and so two classes of this name.
        return blend.overlay(self, to_bgr(rgb), alpha)  # pyright: ignore[reportArgumentType]
