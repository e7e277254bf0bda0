"""Overlay graphs in two halves, held against the estimate path; on the CPU, with the calls that a GPU gets."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from tests.helpers import smooth_scene
from tests.live_command import vr_live
from tests.onnx_models import edit_metadata
from tests.overlay_models import SureAffine, SureHomography, exported
from vr.runtime import Aligner, Alignment
from vr.runtime.badges import draw_band
from vr.runtime.device_aligner import DeviceAligner, is_overlay_graph
from vr.runtime.device_overlay import DeviceOverlay
from vr.runtime.errors import InputError, ModelError
from vr.runtime.session import Session, default_model_path

RGB_HW, IR_HW = (96, 128), (72, 100)
ALPHA = 0.35
NETS = {"affine": SureAffine, "homography": SureHomography}
Pair = tuple[np.ndarray, np.ndarray]


@pytest.fixture(params=NETS)
def files(request: pytest.FixtureRequest) -> tuple[Path, Path]:
    """An estimate and an overlay graph of the same network, of each kind."""
    net = NETS[request.param]
    return exported(net, "estimate"), exported(net, "overlay")


@pytest.fixture
def overlay_file() -> Path:
    return exported(SureAffine, "overlay")


def colour_scene(seed: int, size_hw: tuple[int, int] = RGB_HW) -> np.ndarray:
    return np.dstack([smooth_scene(10 * seed + channel, size_hw) for channel in range(3)])


def pair(seed: int) -> Pair:
    return smooth_scene(100 + seed, IR_HW), colour_scene(seed)


def dark(one: Pair) -> Pair:
    """What these networks are unsure of."""
    return one[0], one[1] // 4


def empty(one: Pair) -> Pair:
    """Bright, but with nothing in it."""
    return one[0], np.full_like(one[1], 230)


def assert_same_pictures(found: np.ndarray, expected: np.ndarray) -> None:
    """To one grey level, but for the few pixels on the IR frame's border that rounding puts on either side of it."""
    difference = np.abs(found.astype(int) - expected.astype(int)).max(axis=2)
    assert found.dtype == expected.dtype == np.uint8
    assert (difference > 1).mean() < 0.002


def assert_same(found: Alignment, expected: Alignment, rgb: np.ndarray) -> None:
    assert found.state == expected.state
    assert found.confidence == pytest.approx(expected.confidence, abs=5e-3)
    assert (found.matrix_rgb_to_ir is None) == (expected.matrix_rgb_to_ir is None)
    if found.matrix_rgb_to_ir is not None and expected.matrix_rgb_to_ir is not None:
        np.testing.assert_allclose(found.matrix_rgb_to_ir, expected.matrix_rgb_to_ir, atol=2e-2)
    assert_same_pictures(found.overlay(rgb, ALPHA), expected.overlay(rgb, ALPHA))


def test_video_has_the_states_transforms_and_pictures_of_the_estimate_path(files: tuple[Path, Path]) -> None:
    estimate, overlay = files
    cpu = Aligner.load(estimate, "cpu", threads=1, search="none")
    device = DeviceAligner.load(overlay, "cpu", threads=1)
    assert device.info.kind == cpu.info.kind
    video = [
        dark(pair(0)),
        empty(pair(1)),
        *(pair(seed) for seed in range(2, 6)),
        dark(pair(6)),
        empty(pair(7)),
        pair(8),
    ]
    states: list[str] = []
    for index, (ir, rgb) in enumerate(video):
        found, expected = (aligner(ir, rgb, time_s=index / 30.0) for aligner in (device, cpu))
        assert_same(found, expected, rgb)
        states.append(found.state)
    assert states == ["refused"] * 2 + ["estimated"] * 4 + ["held"] * 2 + ["estimated"]


@pytest.mark.parametrize("make", [lambda one: one, dark, empty], ids=["good", "dark", "empty"])
def test_single_pair_is_that_of_the_estimate_path(files: tuple[Path, Path], make: type) -> None:
    ir, rgb = make(pair(3))
    cpu = Aligner.load(files[0], "cpu", threads=1, search="none")
    assert_same(DeviceAligner.load(files[1], "cpu", 1).estimate(ir, rgb), cpu.estimate(ir, rgb), rgb)


def test_halves_compute_what_the_whole_graph_does(overlay_file: Path) -> None:
    ir, rgb = pair(1)
    device, whole = DeviceOverlay(overlay_file, "cpu", 1), Session(overlay_file, "cpu", 1)
    feed = {"ir": ir[None, :, :, None], "rgb": rgb[None], "alpha": np.asarray(np.float32(ALPHA))}
    expected = whole.run(feed, whole.output_names)
    found = device.look(ir[:, :, None], rgb)
    assert list(found) == ["theta", "confidence", "information", "content"]
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], rtol=1e-5)
    np.testing.assert_array_equal(device.draw(found["theta"][0], ALPHA), expected["overlay"][0])


def test_uint8_is_only_what_comes_in_and_goes_out(overlay_file: Path) -> None:
    """TensorRT has no other operator of it than the conversion; those of shapes vanish where sizes are known."""
    graph = onnx.load(overlay_file).graph
    takers = {node.op_type for node in graph.node if {"ir", "rgb"} & set(node.input)}
    makers = {node.op_type for node in graph.node if {"overlay", "moved"} & set(node.output)}
    assert (takers, makers) == ({"Cast", "Shape"}, {"Cast"})


def test_draws_by_the_transform_and_alpha_that_it_is_given(overlay_file: Path) -> None:
    ir, rgb = pair(2)
    device = DeviceOverlay(overlay_file, "cpu", 1)
    device.look(ir[:, :, None], rgb)
    mirrored = np.array([[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    at_1 = device.draw(mirrored, 1.0)
    stretched = cv2.resize(ir, RGB_HW[::-1], interpolation=cv2.INTER_LINEAR)[:, ::-1]
    assert np.abs(at_1[8:-8, 8:-8, 0].astype(int) - stretched[8:-8, 8:-8]).max() <= 2
    np.testing.assert_array_equal(device.draw(mirrored, 0.0), rgb)
    np.testing.assert_array_equal(device.draw(mirrored, 1.0), at_1)


def test_pictures_are_copies_that_the_next_frame_leaves_alone(overlay_file: Path) -> None:
    aligner = DeviceAligner.load(overlay_file, "cpu", 1)
    first_pair, second_pair = pair(3), pair(4)
    first = aligner(*first_pair)
    before = first.overlay(first_pair[1]).copy()
    aligner(*second_pair)
    np.testing.assert_array_equal(first.overlay(first_pair[1]), before)


def test_badge_of_a_held_frame_is_drawn_once(overlay_file: Path) -> None:
    aligner = DeviceAligner.load(overlay_file, "cpu", 1)
    aligner(*pair(3))
    ir, rgb = dark(pair(4))
    held = aligner(ir, rgb)
    assert held.state == "held"
    picture = held.overlay(rgb)
    assert np.abs(picture.astype(int) - held.blended(ALPHA).astype(int))[:30, -60:].max() > 50  # type: ignore[union-attr]
    np.testing.assert_array_equal(held.overlay(rgb), picture)


def test_refused_frame_is_the_rgb_under_a_band(overlay_file: Path) -> None:
    ir, rgb = empty(pair(3))
    found = DeviceAligner.load(overlay_file, "cpu", 1)(ir, rgb)
    expected = rgb.copy()
    draw_band(expected)
    np.testing.assert_array_equal(found.overlay(rgb), expected)


@pytest.mark.parametrize("alpha", [None, 0.8])
def test_another_alpha_than_the_device_s_is_drawn_here(overlay_file: Path, alpha: float | None) -> None:
    ir, rgb = pair(5)
    found = DeviceAligner.load(overlay_file, "cpu", 1, alpha=alpha).estimate(ir, rgb)
    assert found.blended(ALPHA) is None
    assert ("overlay" in found.timings_ms) == (alpha is not None)
    expected = DeviceAligner.load(overlay_file, "cpu", 1, alpha=ALPHA).estimate(ir, rgb)
    assert expected.blended(ALPHA) is not None
    assert_same_pictures(found.overlay(rgb, ALPHA), expected.overlay(rgb, ALPHA))


def test_frames_may_change_their_size_and_kind(files: tuple[Path, Path]) -> None:
    cpu = Aligner.load(files[0], "cpu", threads=1, search="none")
    device = DeviceAligner.load(files[1], "cpu", 1)
    ir, rgb = pair(6)
    deep = ir.astype(np.uint16) * 40 + 3000
    for one_ir, one_rgb in [
        (ir, rgb),
        (cv2.cvtColor(ir, cv2.COLOR_GRAY2BGR), rgb),
        (ir[:, :, None], colour_scene(6, (120, 150))),
        (deep, rgb),
        (np.ascontiguousarray(ir[:, :90]), rgb[:, ::-1]),
        (ir, rgb),
    ]:
        assert_same(device.estimate(one_ir, one_rgb), cpu.estimate(one_ir, one_rgb), one_rgb)


def test_what_depends_on_the_size_is_made_once(overlay_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    aligner = DeviceAligner.load(overlay_file, "cpu", 1)
    ir, rgb = pair(7)
    aligner.warm_up(ir, rgb)
    made: list[object] = []
    monkeypatch.setattr("vr.runtime.device_overlay._Sized", lambda *given: made.append(given))
    aligner(ir, rgb)
    aligner.reset()
    aligner(*pair(8))
    assert made == []


def test_wrong_frames_are_input_errors(overlay_file: Path) -> None:
    aligner = DeviceAligner.load(overlay_file, "cpu", 1)
    ir, rgb = pair(1)
    for wrong in [(ir, rgb[:, :, 0]), (ir.astype(np.float32), rgb), (None, rgb)]:
        with pytest.raises(InputError):
            aligner(*wrong)  # type: ignore[arg-type]


def test_estimate_graph_is_told_from_an_overlay_graph(overlay_file: Path, tmp_path: Path) -> None:
    assert is_overlay_graph(overlay_file)
    assert not is_overlay_graph(default_model_path())
    assert not is_overlay_graph(tmp_path)
    with pytest.raises(ModelError, match="is the estimate graph"):
        DeviceOverlay(default_model_path(), "cpu")


def test_dense_overlay_graph_is_refused_with_the_reason(overlay_file: Path, tmp_path: Path) -> None:
    path = edit_metadata(Path(shutil.copy(overlay_file, tmp_path)), {"vr.kind": "dense"})
    with pytest.raises(ModelError, match="kind dense; expected an overlay graph of kind affine or homography"):
        DeviceOverlay(path, "cpu")


@pytest.mark.parametrize("content", [None, b"", b"no model\n" * 50, "half"])
def test_unusable_file_is_a_model_error_of_one_line(overlay_file: Path, tmp_path: Path, content: bytes | str) -> None:
    path = tmp_path / "m.onnx"
    if content is not None:
        path.write_bytes(overlay_file.read_bytes()[:-3000] if isinstance(content, str) else content)
    with pytest.raises(ModelError) as caught:
        DeviceOverlay(path, "cpu")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_wide_search_is_for_estimate_graphs(overlay_file: Path) -> None:
    with pytest.raises(InputError, match="--search wide needs an estimate graph"):
        DeviceAligner.load(overlay_file, "cpu", search="wide")


@pytest.mark.parametrize("every", [1, 2])
def test_vr_live_runs_an_overlay_graph(overlay_file: Path, tmp_path: Path, every: int) -> None:
    frames = tmp_path / "out"
    ended = vr_live(
        *("--ir", "sim:", "--rgb", "sim:", "--model", overlay_file, "--provider", "cpu", "--threads", 1),
        *("--frames", 3, "--no-window", "--record", frames, "--estimate-every", every),
    )
    assert ended.code == 0, ended.err
    assert len(list(frames.glob("*.png"))) == 3


def test_masks_are_for_estimate_graphs(overlay_file: Path) -> None:
    ended = vr_live("--ir", "sim:", "--rgb", "sim:", "--model", overlay_file, "--mode", "mask", "--segmenter", "s.onnx")
    assert ended.code == 2
    assert "--mode mask needs an estimate graph" in ended.err


@pytest.mark.parametrize("how", [("--palette", "jet"), ("--view", "difference")])
def test_what_the_device_cannot_draw_is_drawn_from_its_transform(
    overlay_file: Path, tmp_path: Path, how: tuple[str, str]
) -> None:
    cameras = ("--ir", "sim:size=160x120", "--rgb", "sim:size=160x120", "--frames", 3, "--no-window")
    for name, more in (("plain", ()), ("other", how)):
        ended = vr_live(*cameras, "--model", overlay_file, "--record", tmp_path / name, *more)
        assert (ended.code, ended.err) == (0, "")
    plain, other = (cv2.imread(str(tmp_path / name / "000002.png")) for name in ("plain", "other"))
    assert plain is not None and other is not None and (plain != other).mean() > 0.3


def test_several_pairs_run_an_overlay_graph_each_with_its_own_frames(overlay_file: Path, tmp_path: Path) -> None:
    sizes = {"one": "160x120", "two": "192x144"}
    tables = [
        f'[[pair]]\nname = "{n}"\nir = "sim:size={s}"\nrgb = "sim:size={s}"\nrecord = "{n}"' for n, s in sizes.items()
    ]
    (tmp_path / "pairs.toml").write_text("\n".join(tables))
    ended = vr_live("--pairs", tmp_path / "pairs.toml", "--model", overlay_file, "--frames", 3, "--no-window")
    assert (ended.code, ended.err) == (0, "")
    for name, size in sizes.items():
        picture = cv2.imread(str(tmp_path / name / "000002.png"))
        assert picture is not None and f"{picture.shape[1]}x{picture.shape[0]}" == size
        alone = vr_live(
            *("--ir", f"sim:size={size}", "--rgb", f"sim:size={size}", "--model", overlay_file, "--frames", 3),
            *("--no-window", "--record", tmp_path / f"{name}-alone"),
        )
        assert alone.code == 0
        np.testing.assert_array_equal(picture, cv2.imread(str(tmp_path / f"{name}-alone" / "000002.png")))
