"""The figures of `benchmarks.finetune`."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.finetune import error_px, errors_px, read_clip, theta_error_px, write_pairs
from vr.runtime.geometry import IDENTITY_THETA, theta_to_matrix
from vr.runtime.sim import Simulator

SIZE_HW = (240, 320)
THETA = np.array([[1.03, 0.02, 0.05], [-0.02, 0.98, 0.04]])


def test_errors_are_measured_against_the_misalignment(tmp_path: Path) -> None:
    scene = Simulator(4, SIZE_HW, SIZE_HW, misalignment=THETA, drift_px_s=0.0)
    write_pairs([scene.frames(number) for number in range(3)], tmp_path)
    clip = read_clip(tmp_path)
    assert [(ir.shape, rgb.shape) for ir, rgb in clip] == [(SIZE_HW, (*SIZE_HW, 3))] * 3
    found = errors_px(Path("small"), clip, scene.matrix_rgb_to_ir(0))
    assert 0.0 < found["single_px"] < 2.0 and 0.0 < found["video_px"] < 2.0 and found["confidence"] > 0.5


def test_errors_are_in_pixels_of_a_frame_320_wide() -> None:
    shifted = theta_to_matrix(IDENTITY_THETA, (480, 640), (480, 640)) + np.array([[0, 0, 6.0], [0, 0, 8.0]])
    assert error_px(shifted, np.eye(2, 3), (480, 640)) == pytest.approx(5.0)
    assert error_px(None, np.eye(2, 3), (480, 640)) == np.inf
    assert theta_error_px(THETA.tolist(), theta_to_matrix(THETA, SIZE_HW, SIZE_HW), SIZE_HW) == pytest.approx(
        0.0, abs=1e-9
    )
