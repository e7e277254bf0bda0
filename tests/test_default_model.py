"""The embedded model does what the README says: it aligns, and it refuses what does not belong together."""

import numpy as np
import pytest

from tests.helpers import shared_data
from vr.runtime import Aligner
from vr.runtime.geometry import IDENTITY_THETA, grid_error_px, theta_to_matrix
from vr.runtime.session import default_model_path
from vr.runtime.sim import Simulator
from vr.train.data import read_image

SEEDS = range(100, 112)


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner.load(provider="cpu", threads=1)


def test_it_is_small_and_has_a_card() -> None:
    assert default_model_path().stat().st_size < 5e6
    card = default_model_path().with_suffix(".md").read_text(encoding="utf-8")
    for heading in ("## Data", "## Recipe", "## Figures", "## Limits"):
        assert heading in card


def test_it_carries_no_path_of_the_machine_that_exported_it() -> None:
    assert b".py" not in default_model_path().read_bytes()


def test_single_frames_of_unseen_scenes(aligner: Aligner) -> None:
    before, after = [], []
    for seed in SEEDS:
        scene = Simulator(seed)
        truth = scene.matrix_rgb_to_ir(40)
        found = aligner.estimate(*scene.frames(40))
        before.append(grid_error_px(theta_to_matrix(IDENTITY_THETA, scene.rgb_hw, scene.ir_hw), truth, scene.rgb_hw))
        if found.matrix_rgb_to_ir is not None:
            after.append(grid_error_px(found.matrix_rgb_to_ir, truth, scene.rgb_hw))
    assert len(after) >= 0.75 * len(before)
    assert float(np.median(after)) < 0.1 * float(np.median(before))


def test_a_video_is_aligned_within_a_quarter_of_the_error(aligner: Aligner) -> None:
    scene = Simulator(0)
    aligner.reset()
    for index in range(29):
        aligner(*scene.frames(index), time_s=scene.time_s(index))
    now = aligner(*scene.frames(29), time_s=scene.time_s(29))
    truth = scene.matrix_rgb_to_ir(29)
    before = grid_error_px(theta_to_matrix(IDENTITY_THETA, scene.rgb_hw, scene.ir_hw), truth, scene.rgb_hw)
    assert now.matrix_rgb_to_ir is not None
    assert grid_error_px(now.matrix_rgb_to_ir, truth, scene.rgb_hw) < 0.25 * before


def test_frames_of_different_scenes_are_refused(aligner: Aligner) -> None:
    refused = 0
    for seed in SEEDS:
        ir, _ = Simulator(seed).frames(0)
        _, rgb = Simulator(seed + 50).frames(0)
        refused += aligner.estimate(ir, rgb).state == "refused"
    assert refused >= 0.9 * len(SEEDS)


@pytest.mark.parametrize("level", [0, 128, 255])
def test_a_covered_lens_is_refused(aligner: Aligner, level: int) -> None:
    ir, rgb = Simulator(0).frames(0)
    noise = np.random.default_rng(0).integers(-2, 3, ir.shape)
    covered = np.clip(level + noise, 0, 255).astype(np.uint8)
    assert aligner.estimate(covered, rgb).state == "refused"
    assert aligner.estimate(ir, np.repeat(covered[:, :, None], 3, axis=2)).state == "refused"


def test_sizes_and_depths_do_not_matter(aligner: Aligner) -> None:
    """The same scene as 8 and 16 bit, one and three channels, and another IR size gives the same rig."""
    scene = Simulator(0, (480, 640), (240, 320))
    ir, rgb = scene.frames(0)
    truth = scene.matrix_rgb_to_ir(0)
    for variant in (ir, ir[:, :, None], np.repeat(ir[:, :, None], 3, axis=2), ir.astype(np.uint16) * 40 + 8000):
        found = aligner.estimate(variant, rgb)
        assert found.matrix_rgb_to_ir is not None
        assert grid_error_px(found.matrix_rgb_to_ir, truth, scene.rgb_hw) < 2.0
        assert found.overlay(rgb).shape == rgb.shape


def test_real_aligned_clips_come_out_aligned(aligner: Aligner) -> None:
    """Frames of clips that the model has never seen: the labels say identity, to about 1.5 px at 640."""
    folder = shared_data("m3svd")
    errors = []
    for clip in sorted(folder.iterdir()):
        ir, rgb = (read_image(next(iter(sorted((clip / role).iterdir())))) for role in ("ir", "rgb"))
        found = aligner.estimate(ir, rgb)
        if found.matrix_rgb_to_ir is not None:
            errors.append(grid_error_px(found.matrix_rgb_to_ir, np.eye(2, 3), (480, 640)))
    assert len(errors) >= 3
    assert float(np.median(errors)) < 4.0
