"""A stereo calibration of OpenCV as a transform to begin with.

`cv2.stereoCalibrate` gives R and T that take a point of camera 1 to camera 2: X2 = R X1 + T. With K of either camera,
the RGB pixels of a plane at depth Z before the RGB camera (n = (0, 0, 1)) go to the IR pixels by
K_ir (R + T n^T / Z) K_rgb^-1, and those of what is far away by K_ir R K_rgb^-1 (Hartley and Zisserman, Multiple View
Geometry, section 13.1).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from vr.runtime.errors import InputError
from vr.runtime.geometry import Float64Array, SizeHw

_GRID = 16
_NEAREST = 1e-6


@dataclass(frozen=True, eq=False)
class Lens:
    """k: (3, 3) camera matrix, pixels. distortion: OpenCV's coefficients, k1 k2 p1 p2 [k3 ...]. size_hw: of the frames
    that were calibrated with.
    """

    k: Float64Array
    distortion: Float64Array | None = None
    size_hw: SizeHw | None = None

    def distortion_px(self) -> float:
        """How far the distortion moves a pixel of the frame at most, px; 0 without. The frame is taken to be twice the
        principal point wide and high if its size is not known. Infinite where the coefficients are no distortion.
        """
        if self.distortion is None or not self.distortion.any():
            return 0.0
        height, width = self.size_hw or (2.0 * self.k[1, 2] + 1.0, 2.0 * self.k[0, 2] + 1.0)
        xs, ys = np.meshgrid(np.linspace(0.0, width - 1.0, _GRID), np.linspace(0.0, height - 1.0, _GRID))
        ideal_px = np.stack([xs.ravel(), ys.ravel(), np.ones(xs.size)])
        rays = (np.linalg.inv(self.k) @ ideal_px).T
        try:
            seen_px, _ = cv2.projectPoints(rays, np.zeros(3), np.zeros(3), self.k, self.distortion)
        except cv2.error as error:
            raise InputError(f"{self.distortion.size} distortion coefficients; expected 4, 5, 8, 12 or 14") from error
        with np.errstate(all="ignore"):
            far_px = float(np.linalg.norm(seen_px[:, 0] - ideal_px[:2].T, axis=1).max())
        return far_px if np.isfinite(far_px) else np.inf


@dataclass(frozen=True, eq=False)
class StereoCalibration:
    """rotation (3, 3), translation (3,): X_ir = R X_rgb + T of a point in either camera's coordinates."""

    rgb: Lens
    ir: Lens
    rotation: Float64Array
    translation: Float64Array | None = None

    def swapped(self) -> "StereoCalibration":
        """The same with the cameras' names exchanged: X_rgb = R^T (X_ir - T)."""
        back = self.rotation.T
        shift = None if self.translation is None else -back @ self.translation
        return StereoCalibration(self.ir, self.rgb, back, shift)

    def homography(self, depth: float | None = None) -> Float64Array:
        """(3, 3) `matrix_rgb_to_ir` in native pixels, of what is far away, or of a plane at `depth` in the unit of T.

        Pixels are taken as if the lenses did not distort. Raises InputError for what cannot be.
        """
        moved = self.rotation
        if depth is not None:
            if self.translation is None:
                raise InputError("a depth is given and the calibration has no T; expected T, or no depth")
            if not (np.isfinite(depth) and depth >= _NEAREST):
                raise InputError(f"the depth is {depth}; expected more than 0, in the unit of T")
            moved = moved + np.outer(self.translation, (0.0, 0.0, 1.0 / depth))
        found = self.ir.k @ moved @ np.linalg.inv(self.rgb.k)
        if not np.isfinite(found).all() or found[2, 2] == 0.0:
            raise InputError("the cameras look at right angles to each other; expected two that see one scene")
        return found / found[2, 2]

    def warnings(self, source: str) -> tuple[str, ...]:
        """A sentence for each lens whose distortion `homography` leaves out."""
        by_name = {"RGB": self.rgb.distortion_px(), "IR": self.ir.distortion_px()}
        return tuple(
            f"{source}: the distortion of the {name} lens is left out; it moves pixels by up to {far_px:.1f} px"
            for name, far_px in by_name.items()
            if far_px > 0.0
        )
