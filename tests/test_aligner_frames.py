"""The aligner's public API on frames of all accepted kinds, with models whose answer is known."""

from pathlib import Path

import numpy as np
import pytest

from tests.helpers import smooth_scene
from tests.live_models import write_flow_model
from tests.onnx_models import SIZE_HW, affine_info, write_affine, write_dense
from vr.runtime import Aligner, InputError, ModelError, contours
from vr.runtime.aligner import is_trusted
from vr.runtime.geometry import theta_to_matrix
from vr.runtime.preprocess import to_gray
from vr.runtime.session import Session
from vr.runtime.warp import warp_matrix

THETA = [[1.05, 0.02, 0.1], [-0.03, 0.95, -0.08]]
RGB = np.dstack([smooth_scene(seed, (60, 90)) for seed in range(3)])
BRIGHT_IR = (smooth_scene(9, (40, 70)) // 8 + 216).astype(np.uint8)
DARK_IR = (BRIGHT_IR - 210).astype(np.uint8)


@pytest.fixture
def aligner(tmp_path: Path) -> Aligner:
    return Aligner.load(write_affine(tmp_path / "m.onnx", THETA), provider="cpu", threads=1)


def test_estimate_gives_the_model_s_transform_in_native_pixels(aligner: Aligner) -> None:
    one = aligner.estimate(BRIGHT_IR, RGB)
    assert one.state == "estimated"
    assert one.flow is None
    assert one.matrix_rgb_to_ir is not None
    np.testing.assert_allclose(one.matrix_rgb_to_ir, theta_to_matrix(THETA, (60, 90), (40, 70)), atol=1e-5)
    assert one.confidence == pytest.approx(float(BRIGHT_IR.mean()) / 255.0, abs=0.01)


@pytest.mark.parametrize(
    "ir",
    [
        BRIGHT_IR,
        BRIGHT_IR[:, :, None],
        np.dstack([BRIGHT_IR] * 3),
        np.linspace(20000, 20900, 40 * 70).reshape(40, 70).astype(np.uint16),
    ],
    ids=["(h, w) uint8", "(h, w, 1) uint8", "(h, w, 3) uint8", "(h, w) uint16"],
)
def test_all_ir_kinds_give_an_overlay_of_the_rgb_s_size(tmp_path: Path, ir: np.ndarray) -> None:
    """The model without confidence: the 16-bit ramp would be too dark for the brightness rule of the test
    model.
    """
    path = write_affine(tmp_path / "m.onnx", THETA, affine_info(has_confidence=False))
    one = Aligner.load(path, provider="cpu", threads=1).estimate(ir, RGB)
    assert one.state == "estimated"
    assert one.confidence is None
    assert one.moved is not None
    assert one.moved.shape == one.overlay(RGB).shape == (60, 90, 3)
    assert one.moved.dtype == np.uint8


def test_frames_may_change_size_from_pair_to_pair(aligner: Aligner) -> None:
    first = aligner(BRIGHT_IR, RGB)
    second = aligner(np.ascontiguousarray(np.tile(BRIGHT_IR, (2, 3))), np.tile(RGB, (3, 1, 1)))
    assert (first.rgb_hw, second.rgb_hw) == ((60, 90), (180, 90))
    assert second.matrix_rgb_to_ir is not None
    np.testing.assert_allclose(second.matrix_rgb_to_ir, theta_to_matrix(THETA, (180, 90), (80, 210)), atol=1e-4)


def test_low_confidence_is_refused_and_nothing_is_given_to_draw(aligner: Aligner) -> None:
    one = aligner.estimate(DARK_IR, RGB)
    assert one.state == "refused"
    assert one.confidence is not None
    assert one.confidence < 0.5
    assert one.matrix_rgb_to_ir is None
    assert one.flow is None
    assert one.moved is None


@pytest.mark.parametrize("side", ["ir", "rgb"])
def test_frame_without_content_is_refused_with_confidence_zero(aligner: Aligner, side: str) -> None:
    blank_ir = np.full_like(BRIGHT_IR, 200) if side == "ir" else BRIGHT_IR
    blank_rgb = np.full_like(RGB, 200) if side == "rgb" else RGB
    one = aligner.estimate(blank_ir, blank_rgb)
    assert (one.state, one.confidence) == ("refused", 0.0)


@pytest.mark.parametrize(
    "theta",
    [
        [[0.4, 0, 0], [0, 0.4, 0]],
        [[2.5, 0, 0], [0, 2.5, 0]],
        [[-1, 0, 0], [0, 1, 0]],
        [[1, 0, 2.1], [0, 1, 0]],
        [[1, 0, np.nan], [0, 1, 0]],
        [[np.inf, 0, 0], [0, 1, 0]],
    ],
    ids=["shrunk", "blown up", "mirrored", "shifted by more than a frame", "nan", "inf"],
)
def test_implausible_transform_is_refused_whatever_its_confidence(tmp_path: Path, theta: list[list[float]]) -> None:
    aligner = Aligner.load(write_affine(tmp_path / "m.onnx", theta), provider="cpu", threads=1)
    assert aligner.estimate(BRIGHT_IR, RGB).state == "refused"


def test_dense_model_gives_its_flow(tmp_path: Path) -> None:
    aligner = Aligner.load(write_dense(tmp_path / "m.onnx", (3.0, -2.0)), provider="cpu", threads=1)
    one = aligner.estimate(BRIGHT_IR, RGB)
    assert (one.state, one.confidence, one.matrix_rgb_to_ir) == ("estimated", None, None)
    assert one.flow is not None
    assert one.flow.shape == (2, *SIZE_HW)
    assert (one.flow[0] == 3.0).all()
    assert (one.flow[1] == -2.0).all()


def test_wild_dense_flow_is_refused(tmp_path: Path) -> None:
    far = (1.5 * SIZE_HW[1], 0.0)
    aligner = Aligner.load(write_dense(tmp_path / "m.onnx", far), provider="cpu", threads=1)
    assert aligner.estimate(BRIGHT_IR, RGB).state == "refused"


@pytest.mark.parametrize(("scale", "trusted"), [(1.0, True), (0.5, True), (0.4, False), (2.4, False), (-1.0, False)])
def test_a_flow_is_as_plausible_as_the_theta_that_it_stands_for(scale: float, trusted: bool) -> None:
    """Shrunk, blown up and mirrored in x, about the middle of the frame; confidence does not help."""
    y, x = np.mgrid[:48, :64].astype(np.float32)
    shrunk = np.stack([(abs(scale) - 1) * (x - 31.5), (abs(scale) - 1) * (y - 23.5)])
    flow = shrunk if scale > 0 else np.stack([-2.0 * (x - 31.5), 0.0 * y])
    theta = np.array([[scale, 0.0, 0.0], [0.0, abs(scale), 0.0]])
    assert is_trusted(flow, 1.0) is trusted
    assert is_trusted(theta, 1.0) is trusted


def test_an_unsure_dense_model_is_refused(tmp_path: Path) -> None:
    sure, unsure = (write_flow_model(tmp_path / f"{c}.onnx", (3.0, -2.0), confidence=c) for c in (0.9, 0.3))
    one = Aligner.load(sure, provider="cpu", threads=1).estimate(BRIGHT_IR, RGB)
    assert (one.state, one.confidence) == ("estimated", pytest.approx(0.9))
    assert one.flow is not None
    aligner = Aligner.load(unsure, provider="cpu", threads=1)
    for refused in (aligner.estimate(BRIGHT_IR, RGB), aligner(BRIGHT_IR, RGB, time_s=0.0)):
        assert (refused.state, refused.confidence) == ("refused", pytest.approx(0.3))
        assert refused.flow is None and refused.matrix_rgb_to_ir is None


def test_mask_model_takes_masks(tmp_path: Path) -> None:
    """The test model's confidence is the share of person pixels, here 3/4 although the mask's grey level is
    1.
    """
    path = write_affine(tmp_path / "m.onnx", THETA, affine_info(mode="mask"))
    mask = np.ones((48, 64), np.uint8)
    mask[:, :16] = 0
    one = Aligner.load(path, provider="cpu", threads=1).estimate(mask, np.dstack([mask] * 3))
    assert one.state == "estimated"
    assert one.confidence == pytest.approx(0.75)


@pytest.mark.parametrize("mode", contours.FILTERS)
def test_a_model_of_contours_sees_contours_and_moves_the_frames_themselves(tmp_path: Path, mode: str) -> None:
    """The test model's confidence is the mean of what it sees of the IR frame."""
    checks = np.kron(np.indices((6, 8)).sum(axis=0) % 2, np.ones((8, 8)))
    rgb = np.dstack([checks * 200, checks * 90, checks * 250]).astype(np.uint8)
    ir = np.dstack([checks * 30, checks * 160, checks * 80]).astype(np.uint8)
    one = Aligner.load(write_affine(tmp_path / "m.onnx", THETA, affine_info(mode=mode)), "cpu", 1).estimate(ir, rgb)
    expected = contours.FILTERS[mode](to_gray(ir))
    assert one.confidence == pytest.approx(float(expected.mean()), abs=1e-5)
    info = affine_info(mode=mode, has_confidence=False)
    shown = Aligner.load(write_affine(tmp_path / "sure.onnx", THETA, info), "cpu", 1).estimate(ir, rgb)
    assert shown.matrix_rgb_to_ir is not None
    np.testing.assert_array_equal(shown.moved, warp_matrix(ir, shown.matrix_rgb_to_ir, (48, 64)))


@pytest.mark.parametrize(
    ("ir", "rgb", "message"),
    [
        (None, RGB, "IR frame is NoneType"),
        (BRIGHT_IR, None, "RGB frame is NoneType"),
        (BRIGHT_IR.astype(np.float32), RGB, "IR frame has dtype float32"),
        (np.dstack([BRIGHT_IR] * 2), RGB, "IR frame has shape"),
        (np.dstack([BRIGHT_IR] * 3).astype(np.uint16), RGB, "16 bit"),
        (BRIGHT_IR, RGB[:, :, 0], "RGB frame has shape"),
        (BRIGHT_IR, RGB.astype(np.uint16), "RGB frame has shape"),
        (BRIGHT_IR, RGB[:10], "16 to"),
    ],
)
def test_wrong_frames_are_input_errors(aligner: Aligner, ir: np.ndarray, rgb: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        aligner.estimate(ir, rgb)


def test_info_provider_and_timings_are_public(aligner: Aligner) -> None:
    assert aligner.info.network == "constant"
    assert aligner.provider == "cpu"
    timings = aligner(BRIGHT_IR, RGB).timings_ms
    assert set(timings) == {"preprocess", "estimate", "filter"}
    assert all(value >= 0.0 for value in timings.values())


@pytest.fixture
def moving_rig(tmp_path: Path) -> Aligner:
    return Aligner.load(write_affine(tmp_path / "m.onnx", THETA), provider="cpu", threads=1, rig="moving")


def test_video_holds_the_last_good_transform_then_refuses(moving_rig: Aligner) -> None:
    """Bright IR frames are confident, dark ones are not; the hold of a moving rig lasts five seconds."""
    aligner = moving_rig
    good = aligner(BRIGHT_IR, RGB, time_s=0.0)
    held = aligner(DARK_IR, RGB, time_s=4.9)
    late = aligner(DARK_IR, RGB, time_s=5.1)
    assert (good.state, held.state, late.state) == ("estimated", "held", "refused")
    np.testing.assert_array_equal(held.matrix_rgb_to_ir, good.matrix_rgb_to_ir)  # type: ignore[arg-type]
    assert held.confidence is not None
    assert held.confidence < 0.5
    assert late.matrix_rgb_to_ir is None


def test_fixed_rig_is_the_default_and_holds_for_a_minute(aligner: Aligner) -> None:
    good = aligner(BRIGHT_IR, RGB, time_s=0.0)
    states = [aligner(DARK_IR, RGB, time_s=time_s).state for time_s in (59.9, 60.1)]
    assert [good.state, *states] == ["estimated", "held", "refused"]


def test_unknown_rig_names_the_known_ones(tmp_path: Path) -> None:
    path = write_affine(tmp_path / "m.onnx")
    with pytest.raises(InputError, match="unknown rig 'loose'; expected one of fixed, moving, free"):
        Aligner.load(path, provider="cpu", rig="loose")


def test_information_of_the_model_reaches_the_filter(tmp_path: Path) -> None:
    """Two answers far apart in y, which upright edges do not determine, agree; far apart in x they do not."""
    far = {"x": [[1.05, 0.02, 0.5], [-0.03, 0.95, -0.08]], "y": [[1.05, 0.02, 0.1], [-0.03, 0.95, 0.32]]}
    states: dict[str, str] = {}
    for axis, theta in far.items():
        first, second = (
            Session(write_affine(tmp_path / name, value, affine_info(has_information=True)), "cpu", 1)
            for name, value in (("a.onnx", THETA), ("b.onnx", theta))
        )
        aligner = Aligner(first)
        aligner(BRIGHT_IR, RGB, time_s=0.0)
        aligner._session = second  # the camera's next frame, as far as the filter can tell
        states[axis] = aligner(BRIGHT_IR, RGB, time_s=0.1).state
    assert states == {"x": "held", "y": "estimated"}


def test_reset_forgets_the_video(aligner: Aligner) -> None:
    aligner(BRIGHT_IR, RGB, time_s=0.0)
    aligner.reset()
    assert aligner(DARK_IR, RGB, time_s=0.1).state == "refused"


def test_overlay_graph_is_refused_with_the_remedy(tmp_path: Path) -> None:
    session = Session(write_affine(tmp_path / "m.onnx"), provider="cpu", threads=1)
    session.info = affine_info(graph="overlay")
    with pytest.raises(ModelError, match="--graph estimate"):
        Aligner(session)


def test_unknown_mode_is_refused_when_the_model_is_loaded(tmp_path: Path) -> None:
    path = write_affine(tmp_path / "m.onnx", THETA, affine_info(mode="contours"))
    with pytest.raises(ModelError, match="contours"):
        Aligner.load(path, provider="cpu")


def test_raw_infrared_is_brought_to_8_bit_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """For the network and for the picture: it takes longer than either."""
    from vr.runtime import aligner as aligner_module
    from vr.runtime import alignment as alignment_module
    from vr.runtime import preprocess

    raw_frames: list[object] = []

    def counting(frame: preprocess.Frame) -> np.ndarray:
        if frame.dtype == np.uint16:
            raw_frames.append(frame)
        return to_8bit(frame)

    to_8bit = preprocess.to_8bit
    for module in (preprocess, aligner_module, alignment_module):
        monkeypatch.setattr(module, "to_8bit", counting)
    raw = (BRIGHT_IR.astype(np.uint16) * 16).astype(np.uint16)
    one = Aligner(Session(write_affine(tmp_path / "m.onnx", info=affine_info(has_confidence=False)), "cpu", 1))(
        raw, RGB
    )
    assert one.state == "estimated" and one.ir is raw
    one.overlay(RGB)
    assert len(raw_frames) == 1
