"""The figures of `benchmarks.finetune`."""

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.finetune import at_night, error_px, errors_px, means, read_clip, theta_error_px, write_pairs
from benchmarks.table import RESULTS
from benchmarks.table_training import render_finetune, render_loader
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


def test_the_night_is_dark_and_faint_and_noisy() -> None:
    ir, rgb = Simulator(4, SIZE_HW, SIZE_HW).frames(0)
    faint, dark = at_night(np.random.default_rng(0), ir, rgb)
    assert dark.mean() < 0.3 * rgb.mean()
    assert faint.std() < 0.7 * ir.std()
    assert (dark.dtype, dark.shape, faint.shape) == (np.uint8, rgb.shape, ir.shape)


def test_means_are_of_all_rows_and_count_those_that_came_nearer() -> None:
    rows = [
        {"before": {"single_px": 1.0, "video_px": 0.5}, "after": {"single_px": 0.5, "video_px": 0.4}},
        {"before": {"single_px": 2.0, "video_px": 1.5}, "after": {"single_px": 2.5, "video_px": 1.0}},
    ]
    found = means(rows)
    assert (found["single_px_before"], found["single_px_after"], found["nearer"]) == (1.5, 1.5, 1)
    assert (found["video_px_before"], found["video_px_after"]) == (1.0, 0.7)


def test_the_published_tables_can_be_made_from_the_published_figures() -> None:
    finetune, loader = (json.loads((RESULTS / f"{name}.json").read_text()) for name in ("finetune", "loader"))
    assert "| night |" in render_finetune(finetune) and "Started from default" in render_finetune(finetune)
    table = render_loader(loader)
    assert (
        table.count("| loader alone |") == 3 and "| training voxelmorph |" in table and "8000 pairs of 240x320" in table
    )
