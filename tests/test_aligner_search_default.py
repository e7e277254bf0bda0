"""The wide search with the embedded model, on generated scenes."""

import numpy as np
import pytest

from vr.runtime import Aligner, Alignment
from vr.runtime.geometry import grid_error_px
from vr.runtime.sim import Simulator, affine_theta

SIZE_HW = (240, 320)
RIGS = {"90 degrees": (90.0, 1.0), "180 degrees": (180.0, 1.0), "scale 0.5": (3.0, 0.5), "scale 2": (-4.0, 2.0)}


@pytest.fixture(scope="module")
def aligner() -> Aligner:
    return Aligner.load(provider="cpu", threads=1, search="wide")


def scene_of(seed: int, rotation_deg: float, scale: float) -> Simulator:
    theta = affine_theta((0.05, -0.04), rotation_deg, (scale, scale), 1.0)
    return Simulator(seed, SIZE_HW, SIZE_HW, misalignment=theta)


def error_px(found: Alignment, scene: Simulator, index: int = 0) -> float:
    assert found.matrix_rgb_to_ir is not None
    return grid_error_px(found.matrix_rgb_to_ir, scene.matrix_rgb_to_ir(index), SIZE_HW)


@pytest.mark.parametrize("name", RIGS)
def test_single_pairs_far_apart(aligner: Aligner, name: str) -> None:
    for seed in (100, 101, 102):
        scene = scene_of(seed, *RIGS[name])
        assert error_px(aligner.estimate(*scene.frames(0)), scene) < 3.0


def test_a_video_upside_down_is_found_and_stays(aligner: Aligner) -> None:
    scene = scene_of(103, 180.0, 1.0)
    aligner.reset()
    shown = [aligner(*scene.frames(index), time_s=scene.time_s(index)) for index in range(12)]
    states = [one.state for one in shown]
    assert states[:3] == ["refused", "refused", "estimated"] and set(states[3:]) == {"estimated"}
    assert error_px(shown[-1], scene, 11) < 3.0
    assert aligner.search_text is not None and aligner.search_text.startswith("found at ")


def test_near_pairs_come_out_as_without_the_search(aligner: Aligner) -> None:
    near = Aligner.load(provider="cpu", threads=1)
    for seed in (100, 101, 102, 103):
        frames = Simulator(seed, SIZE_HW, SIZE_HW).frames(0)
        plain, wide = near.estimate(*frames), aligner.estimate(*frames)
        assert plain.state == "estimated" and plain.confidence == wide.confidence
        np.testing.assert_array_equal(plain.matrix_rgb_to_ir, wide.matrix_rgb_to_ir)  # type: ignore[arg-type]


def test_different_scenes_are_still_refused(aligner: Aligner) -> None:
    for seed in (100, 104, 108):
        ir, _ = Simulator(seed, SIZE_HW, SIZE_HW).frames(0)
        _, rgb = Simulator(seed + 50, SIZE_HW, SIZE_HW).frames(0)
        assert aligner.estimate(ir, rgb).state == "refused"
