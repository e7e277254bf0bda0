"""The graphs that are exported, in PyTorch, against the runtime's OpenCV path."""

import numpy as np
import pytest
import torch
from torch import nn

from tests.fixed_nets import THETA, TILT, FixedAffine, FixedHomography, InformedAffine, SmoothFlow
from tests.helpers import smooth_scene
from vr.export import preprocess as graph_preprocess
from vr.export.graphs import EstimateGraph, OverlayGraph, ir_has_data
from vr.export.precision import HalfConv, halve_convolutions
from vr.models.base import RegistrationNet
from vr.runtime import preprocess
from vr.runtime.alignment import Alignment
from vr.runtime.contract import output_names
from vr.runtime.geometry import apply_matrix, theta_to_matrix
from vr.runtime.mixing import mixed

NET_HW = (48, 64)
ALPHA = 0.35


def bgr_scene(seed: int, size_hw: tuple[int, int]) -> np.ndarray:
    return np.dstack([smooth_scene(10 * seed + channel, size_hw) for channel in range(3)])


def run_overlay(net: RegistrationNet, ir: np.ndarray, rgb: np.ndarray) -> dict[str, np.ndarray]:
    graph = OverlayGraph(net, "gray", NET_HW).eval()
    with torch.inference_mode():
        outputs = graph(torch.from_numpy(ir)[None], torch.from_numpy(rgb)[None], torch.tensor(ALPHA))
    names = output_names("overlay", net.kind, net.has_confidence, net.has_information)
    return {name: output[0].numpy() for name, output in zip(names, outputs, strict=True)}


def grey_difference(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    return np.abs(found.astype(int) - expected.astype(int))


NETS = {"affine": (FixedAffine, THETA), "homography": (FixedHomography, (*THETA, TILT))}


@pytest.mark.parametrize("kind", NETS)
@pytest.mark.parametrize("ir_hw", [(60, 90), (33, 47), (150, 100)])
@pytest.mark.parametrize("channels", [1, 3])
def test_overlay_is_what_the_runtime_draws(ir_hw: tuple[int, int], channels: int, kind: str) -> None:
    net, theta = NETS[kind]
    rgb = bgr_scene(1, (96, 120))
    ir = smooth_scene(2, ir_hw)[:, :, None] if channels == 1 else bgr_scene(2, ir_hw)
    found = run_overlay(net(), ir, rgb)
    np.testing.assert_allclose(found["theta"], theta)
    matrix = theta_to_matrix(theta, (96, 120), ir_hw)
    runtime = Alignment("estimated", None, matrix, None, (96, 120), ir)
    assert runtime.moved is not None
    assert grey_difference(found["moved"], runtime.moved).max() <= 2
    assert grey_difference(found["overlay"], mixed(runtime, rgb, ALPHA)).max() <= 2


def test_dense_overlay_is_what_the_runtime_draws() -> None:
    rgb, ir = bgr_scene(3, (96, 120)), smooth_scene(4, (60, 90))
    net = SmoothFlow().eval()
    found = run_overlay(net, ir[:, :, None], rgb)
    with torch.inference_mode():
        moving = torch.from_numpy(preprocess.network_input(ir, NET_HW))
        flow = net(moving, moving).flow[0].numpy()
    assert np.abs(flow).max() > 1.0
    runtime = Alignment("estimated", None, None, flow, (96, 120), ir)
    assert runtime.moved is not None
    difference = grey_difference(found["moved"], runtime.moved)
    assert difference.mean() < 0.2
    assert np.percentile(difference, 99) <= 3
    differs = grey_difference(found["overlay"], mixed(runtime, rgb, ALPHA)).max(axis=2) > 2
    assert differs.mean() < 0.01


@pytest.mark.parametrize("kind", NETS)
def test_overlay_s_flow_is_the_runtime_s_source_map(kind: str) -> None:
    """On the RGB grid, stretched to IR pixels."""
    net, theta = NETS[kind]
    rgb, ir = bgr_scene(5, (96, 120)), smooth_scene(6, (60, 90))
    flow = run_overlay(net(), ir[:, :, None], rgb)["flow"]
    ys, xs = np.mgrid[:96, :120]
    x_ir = (xs + 0.5 + flow[0]) * 90 / 120 - 0.5
    y_ir = (ys + 0.5 + flow[1]) * 60 / 96 - 0.5
    expected = apply_matrix(theta_to_matrix(theta, (96, 120), (60, 90)), np.stack([xs, ys], axis=-1))
    np.testing.assert_allclose(np.stack([x_ir, y_ir], axis=-1), expected, atol=1e-3)


def test_overlay_is_the_rgb_alone_where_the_ir_sees_nothing() -> None:
    """The IR camera sees the middle half of the RGB frame."""
    net = FixedAffine(theta=((2.0, 0.0, 0.0), (0.0, 2.0, 0.0)))
    rgb = bgr_scene(7, (96, 120))
    found = run_overlay(net, np.full((60, 90, 1), 255, np.uint8), rgb)
    np.testing.assert_array_equal(found["overlay"][:23], rgb[:23])
    np.testing.assert_array_equal(found["overlay"][:, :29], rgb[:, :29])
    middle = found["overlay"][30:60, 40:80].astype(float)
    np.testing.assert_allclose(middle, ALPHA * 255 + (1 - ALPHA) * rgb[30:60, 40:80], atol=0.51)


@pytest.mark.parametrize("net", [InformedAffine(), SmoothFlow()], ids=lambda net: net.network)
def test_content_is_the_spread_of_the_emptier_input(net: RegistrationNet) -> None:
    rgb, ir = bgr_scene(9, (96, 120)), smooth_scene(10, (60, 90)) // 8
    spread = [preprocess.network_input(frame, NET_HW).std() for frame in (ir, rgb)]
    assert spread[0] < spread[1]
    np.testing.assert_allclose(run_overlay(net, ir[:, :, None], rgb)["content"], spread[0], atol=1e-3)
    assert run_overlay(net, ir[:, :, None], np.full_like(rgb, 77))["content"] == 0.0


def test_ir_data_end_at_the_outermost_pixel_centres() -> None:
    """A 4x8 IR frame: its pixel centres span [-0.875, 0.875] in x and [-0.75, 0.75] in y."""
    points = torch.tensor([[0.875, 0.75], [0.88, 0.0], [0.0, -0.76], [-0.875, -0.75]]).reshape(1, 1, 4, 2)
    assert ir_has_data(points, 4, 8).flatten().tolist() == [True, False, False, True]


def test_luma_in_the_graph_is_cv2_s_to_the_last_bit() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (300, 300, 3), dtype=np.uint8)
    gray = graph_preprocess.luma(graph_preprocess.to_bgr_planes(torch.from_numpy(frame)[None]))[0].numpy()
    np.testing.assert_array_equal(gray, preprocess.to_gray(frame))


def test_one_channel_passes_the_luma_unchanged() -> None:
    frame = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    gray = graph_preprocess.luma(graph_preprocess.to_bgr_planes(torch.from_numpy(frame)[None]))[0].numpy()
    np.testing.assert_array_equal(gray, frame[:, :, 0])


@pytest.mark.parametrize("mode", ["gray", "mask"])
@pytest.mark.parametrize(
    "frame_hw", [(96, 128), (192, 256), (101, 77), (30, 40), (48, 64), (30, 128)], ids=lambda hw: f"{hw[0]}x{hw[1]}"
)
def test_network_input_in_the_graph_is_the_runtime_s(frame_hw: tuple[int, int], mode: str) -> None:
    """To one grey level: cv2 interpolates with 11-bit weights, and rounds between two unlike passes."""
    frame = bgr_scene(8, frame_hw)
    if mode == "mask":
        frame = (frame[:, :, :1] > 128).repeat(3, axis=2).astype(np.uint8)
    planes = graph_preprocess.to_bgr_planes(torch.from_numpy(frame)[None])
    found = graph_preprocess.network_input(planes, NET_HW, mode).numpy()
    difference = np.abs(found - preprocess.network_input(frame, NET_HW, mode)) * 255.0
    assert difference.max() <= 1.001
    assert difference.mean() <= (0.35 if frame_hw[0] < NET_HW[0] else 0.05)


@pytest.mark.parametrize("mode", ["sobel", "laplacian"])
@pytest.mark.parametrize("frame_hw", [(96, 128), (101, 77), (48, 64)], ids=lambda hw: f"{hw[0]}x{hw[1]}")
def test_contours_in_the_graph_are_the_runtime_s(frame_hw: tuple[int, int], mode: str) -> None:
    """To what one grey level of rounding in the resize makes of them; to float32 where nothing is resized."""
    frame = bgr_scene(8, frame_hw)
    planes = graph_preprocess.to_bgr_planes(torch.from_numpy(frame)[None])
    found = graph_preprocess.network_input(planes, NET_HW, mode).numpy()
    expected = preprocess.network_input(frame, NET_HW, mode)
    assert expected.max() > 0.03
    assert np.abs(found - expected).max() <= (1e-6 if frame_hw == NET_HW else 1.5 / 255.0)


def test_vga_to_the_default_size_is_the_runtime_s_to_the_last_bit() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    planes = graph_preprocess.to_bgr_planes(torch.from_numpy(frame)[None])
    found = graph_preprocess.network_input(planes, (240, 320), "gray").numpy()
    np.testing.assert_array_equal(found, preprocess.network_input(frame, (240, 320)))


def test_estimate_graph_moves_the_moving_image_by_its_flow() -> None:
    moving = torch.rand(2, 1, *NET_HW)
    shifted = FixedAffine(theta=((1.0, 0.0, 2.0 * 5 / 64), (0.0, 1.0, 0.0)))
    with torch.inference_mode():
        moved, flow, theta, confidence = EstimateGraph(shifted)(moving, moving)
    torch.testing.assert_close(flow[:, 0], torch.full((2, *NET_HW), 5.0), atol=1e-4, rtol=0)
    torch.testing.assert_close(moved[..., :-6], moving[..., 5:-1], atol=1e-3, rtol=0)
    assert theta.shape == (2, 2, 3)
    assert confidence.shape == (2,)


def test_halving_takes_a_copy_and_leaves_heads_alone() -> None:
    net = SmoothFlow()
    half = halve_convolutions(net)
    assert net.conv.weight.dtype == torch.float32
    assert isinstance(half.conv, HalfConv)
    assert half.conv.conv.weight.dtype == torch.float16
    assert half.head is not net.head
    assert isinstance(half.head, nn.Conv2d)
    assert half.head.weight.dtype == torch.float32
