"""Where estimates begin to look (`Aligner.start_from`), with the network of the search's tests and the embedded one."""

from pathlib import Path

import numpy as np
import pytest

from tests.live_models import write_flow_model
from tests.onnx_models import affine_info, write_affine
from tests.test_aligner_search import IR_HW, DotSession, error_px, pair, states, turned
from vr.runtime import Aligner, InputError
from vr.runtime.geometry import IDENTITY_THETA, grid_error_px
from vr.runtime.search import START_PATIENCE
from vr.runtime.sim import Simulator, affine_theta

FAR = turned(140.0)
NEARLY_FAR = turned(137.0)


@pytest.fixture
def session() -> DotSession:
    return DotSession()


@pytest.mark.parametrize("search", ["none", "near"])
def test_a_far_rig_is_found_at_the_first_look(session: DotSession, search: str) -> None:
    aligner = Aligner(session, search=search)
    assert aligner.estimate(*pair(FAR)).state == "refused"
    aligner.start_from(NEARLY_FAR)
    before = session.runs
    one = aligner.estimate(*pair(FAR))
    assert one.state == "estimated" and session.runs == before + 1
    assert error_px(one.matrix_rgb_to_ir, FAR) < 3.0
    assert states(aligner, pair(FAR), 0.0, 3) == ["estimated"] * 3


def test_the_start_outlives_a_reset_until_it_is_taken_back(session: DotSession) -> None:
    aligner = Aligner(session)
    aligner.start_from(NEARLY_FAR)
    aligner.reset()
    assert states(aligner, pair(FAR), 0.0, 1) == ["estimated"]
    aligner.start_from(None)
    assert states(aligner, pair(FAR), 0.0, 3) == ["refused"] * 3


def test_it_is_looked_through_again_when_the_video_is_lost(session: DotSession) -> None:
    aligner = Aligner(session, rig="free")
    aligner.start_from(NEARLY_FAR)
    dark = np.full(IR_HW, 90, np.uint8), pair(FAR)[1]
    assert states(aligner, pair(FAR), 0.0, 2) == ["estimated"] * 2
    assert states(aligner, dark, 1.0, 20)[-1] == "refused"
    assert states(aligner, pair(FAR), 3.0, 2) == ["estimated"] * 2


@pytest.mark.parametrize("search", ["none", "near"])
def test_a_wrong_start_costs_some_frames(session: DotSession, search: str) -> None:
    """What is there is found without the start, and stays in use at every frame from then on."""
    aligner, near = Aligner(session, search=search), turned(2.0)
    aligner.start_from(NEARLY_FAR)
    shown = states(aligner, pair(near), 0.0, START_PATIENCE + 6)
    first = shown.index("estimated")
    assert 0 < first <= START_PATIENCE and set(shown[first:]) == {"estimated"}
    assert aligner.estimate(*pair(near)).state == "estimated", "a single pair is looked at both ways"


def test_a_knock_away_from_the_start_is_found_while_the_old_transform_is_held(session: DotSession) -> None:
    aligner = Aligner(session, search="none")
    aligner.start_from(NEARLY_FAR)
    assert states(aligner, pair(FAR), 0.0, 30) == ["estimated"] * 30
    knocked = states(aligner, pair(turned(2.0)), 1.0, 90)
    assert knocked[0] == "held" and knocked[-1] == "estimated"


def test_guesses_are_made_around_the_start_too(session: DotSession) -> None:
    """The test network reaches 12 degrees; the start is 20 off, a near guess brings 10."""
    aligner = Aligner(session)
    aligner.start_from(turned(118.0))
    assert aligner.estimate(*pair(FAR)).state == "estimated"
    assert states(aligner, pair(FAR), 0.0, 10)[-1] == "estimated"


def test_a_recording_gives_the_same_whether_looked_at_ahead_or_not(session: DotSession) -> None:
    one, ahead = Aligner(session), Aligner(session)
    for aligner in (one, ahead):
        aligner.start_from(NEARLY_FAR)
    now = ahead.prepare(*pair(FAR))
    before = session.runs
    shown = ahead.finish(now, 0.0)
    assert session.runs == before, "the answer under the start was ready"
    np.testing.assert_array_equal(one(*pair(FAR), time_s=0.0).matrix_rgb_to_ir, shown.matrix_rgb_to_ir)  # type: ignore[arg-type]


def test_a_start_that_no_rig_has_is_refused(session: DotSession) -> None:
    aligner = Aligner(session)
    for wrong in ([[9.0, 0, 0], [0, 9.0, 0]], [[1.0, 0, 3.0], [0, 1.0, 0]], [[1, 0, 0], [0, 1, 0], [0.9, 0.9, 1]]):
        with pytest.raises(InputError, match="less than a quarter of a picture in common"):
            aligner.start_from(wrong)
    with pytest.raises(InputError, match="flattens"):
        aligner.start_from([[0.0, 0, 0], [0, 1, 0]])


def test_models_that_cannot_look_through_a_start_say_so(tmp_path: Path) -> None:
    write_flow_model(tmp_path / "dense.onnx", (1.0, 0.0), confidence=0.9)
    write_affine(tmp_path / "unsure.onnx", info=affine_info(has_confidence=False))
    for name, what in (("dense", "dense, gray"), ("unsure", "without confidence")):
        aligner = Aligner.load(tmp_path / f"{name}.onnx", provider="cpu", threads=1)
        with pytest.raises(InputError, match=what):
            aligner.start_from(IDENTITY_THETA)
        aligner.start_from(None)


def test_an_affine_model_takes_the_affine_part_of_a_homography(session: DotSession) -> None:
    tilted = np.vstack([NEARLY_FAR, [0.02, -0.01, 1.0]])
    aligner = Aligner(session)
    aligner.start_from(tilted)
    one = aligner.estimate(*pair(FAR))
    assert one.matrix_rgb_to_ir is not None and one.matrix_rgb_to_ir.shape == (2, 3)
    assert error_px(one.matrix_rgb_to_ir, FAR) < 3.0


def test_the_embedded_model_finds_generated_rigs_far_away() -> None:
    aligner, size_hw = Aligner.load(provider="cpu", threads=1), (240, 320)
    for seed, turn, scale in ((200, 40.0, 1.0), (201, -8.0, 0.5), (202, 5.0, 2.0), (203, 150.0, 1.2)):
        truth = affine_theta((0.05, -0.04), turn, (scale, scale), 1.0)
        scene = Simulator(seed, size_hw, size_hw, misalignment=truth)
        aligner.start_from(affine_theta((0.0, 0.0), turn - 4.0, (scale * 1.08, scale * 1.08), 0.0))
        first = aligner(*scene.frames(0), time_s=0.0)
        assert first.state == "estimated" and first.matrix_rgb_to_ir is not None
        assert grid_error_px(first.matrix_rgb_to_ir, scene.matrix_rgb_to_ir(0), size_hw) < 3.0
