"""Files of transforms: written, read back, read by OpenCV, and refused."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from vr.runtime import LiveOptions, run_live
from vr.runtime.errors import InputError, OutputError
from vr.runtime.geometry import apply_matrix, matrix_to_theta, theta_to_matrix
from vr.runtime.interchange import (
    READABLE,
    WRITABLE,
    RigTransform,
    from_record,
    load_transform,
    read_transform,
    save_transform,
)

RGB_HW, IR_HW = (480, 640), (240, 320)
THETA = np.array([[0.9, 0.15, 0.05], [-0.1, 1.05, -0.08]])
TILTED = np.vstack([THETA, [0.1, -0.06, 1.0]])
OF_OPENCV = (".yaml", ".yml", ".xml", ".json")


@pytest.mark.parametrize("suffix", WRITABLE)
@pytest.mark.parametrize("theta", [THETA, TILTED], ids=["affine", "homography"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str, theta: np.ndarray) -> None:
    if suffix in (".tfm", ".txt") and len(theta) == 3:
        pytest.skip("ITK has no homographies")
    path = save_transform(tmp_path / f"rig{suffix}", theta_to_matrix(theta, RGB_HW, IR_HW), RGB_HW, IR_HW)
    np.testing.assert_allclose(read_transform(path, RGB_HW, IR_HW), theta, atol=1e-12)
    assert [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize("suffix", OF_OPENCV)
def test_opencv_reads_what_is_written(tmp_path: Path, suffix: str) -> None:
    matrix = theta_to_matrix(TILTED, RGB_HW, IR_HW)
    path = save_transform(tmp_path / f"rig{suffix}", matrix, RGB_HW, IR_HW)
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_READ)
    np.testing.assert_array_equal(storage.getNode("matrix_rgb_to_ir").mat(), matrix)
    assert [storage.getNode("ir_hw").at(i).real() for i in range(2)] == list(IR_HW)


def test_files_with_sizes_hold_for_frames_of_any_size(tmp_path: Path) -> None:
    """The same pictures, resized: theta stays."""
    path = save_transform(tmp_path / "rig.yaml", theta_to_matrix(THETA, RGB_HW, IR_HW), RGB_HW, IR_HW)
    np.testing.assert_allclose(load_transform(path).theta((1080, 1920), (512, 640)), THETA, atol=1e-12)
    np.testing.assert_allclose(load_transform(path).theta(), THETA, atol=1e-12)


def test_files_in_pixels_need_the_sizes_once_they_are_used(tmp_path: Path) -> None:
    path = save_transform(tmp_path / "rig.tfm", theta_to_matrix(THETA, RGB_HW, IR_HW), RGB_HW, IR_HW)
    loaded = load_transform(path)
    with pytest.raises(InputError, match="is in pixels; expected the sizes"):
        loaded.theta()
    np.testing.assert_allclose(loaded.theta(RGB_HW, IR_HW), THETA, atol=1e-12)


def test_nothing_is_replaced_unless_asked_for(tmp_path: Path) -> None:
    path = save_transform(tmp_path / "rig.npy", np.eye(2, 3), RGB_HW, IR_HW)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="exists; choose another name"):
        save_transform(path, np.eye(2, 3) * 2, RGB_HW, IR_HW)
    assert path.read_bytes() == before
    save_transform(path, np.eye(2, 3) * 2, RGB_HW, IR_HW, overwrite=True)
    assert path.read_bytes() != before


@pytest.mark.parametrize("name", ["rig.png", "rig", "rig.mat"])
def test_other_names_are_not_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"expected \.npy"):
        save_transform(tmp_path / name, np.eye(2, 3), RGB_HW, IR_HW)
    assert not list(tmp_path.iterdir())


def write_storage(path: Path, **nodes: np.ndarray | float | str) -> Path:
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in nodes.items():
        storage.write(name, value)
    storage.release()
    return path


@pytest.mark.parametrize("suffix", OF_OPENCV)
@pytest.mark.parametrize("name", ["H", "M", "homography", "matrix_rgb_to_ir"])
def test_a_matrix_of_opencv_is_found_by_its_name(tmp_path: Path, suffix: str, name: str) -> None:
    matrix = theta_to_matrix(TILTED, RGB_HW, IR_HW)
    path = write_storage(tmp_path / f"any{suffix}", comment="of the rig", **{name: matrix * 3.0})
    np.testing.assert_allclose(read_transform(path, RGB_HW, IR_HW), TILTED, atol=1e-9)


def test_a_matrix_of_the_other_direction_is_inverted(tmp_path: Path) -> None:
    matrix = theta_to_matrix(TILTED, RGB_HW, IR_HW)
    path = write_storage(tmp_path / "any.yml", H_ir_to_rgb=np.linalg.inv(matrix))
    np.testing.assert_allclose(read_transform(path, RGB_HW, IR_HW), TILTED, atol=1e-9)


@pytest.mark.parametrize(
    "text",
    ["theta: [0.9, 0.15, 0.05, -0.1, 1.05, -0.08]\n", "theta:\n   - [0.9, 0.15, 0.05]\n   - [-0.1, 1.05, -0.08]\n"],
)
def test_plain_lists_in_yaml_will_do(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plain.yaml"
    path.write_text(text)
    np.testing.assert_allclose(read_transform(path), THETA)


def test_plain_lists_in_json_will_do(tmp_path: Path) -> None:
    path = tmp_path / "plain.json"
    path.write_text(json.dumps({"theta": THETA.tolist(), "note": {"a": [1, "b"]}}))
    np.testing.assert_allclose(read_transform(path), THETA)


def test_a_line_of_transforms_is_a_transform() -> None:
    line = json.dumps({"index": 3, "state": "held", "matrix_rgb_to_ir": theta_to_matrix(THETA, RGB_HW, IR_HW).tolist()})
    np.testing.assert_allclose(from_record(json.loads(line), RGB_HW, IR_HW).theta(), THETA, atol=1e-12)
    with pytest.raises(InputError, match="frame 4 has no matrix_rgb_to_ir"):
        from_record({"index": 4, "state": "refused", "matrix_rgb_to_ir": None})


@pytest.mark.parametrize(
    "matrix", [np.zeros((2, 3)), np.eye(3) * np.nan, np.diag([1.0, 1.0, 0.0]), np.eye(4), [1e200] * 6]
)
def test_what_is_no_transform_is_not_written(tmp_path: Path, matrix: np.ndarray) -> None:
    with pytest.raises(InputError, match="matrix_rgb_to_ir"):
        save_transform(tmp_path / "rig.npy", matrix, RGB_HW, IR_HW)


def test_a_transform_that_is_none_at_these_sizes_is_refused() -> None:
    """In pixels its last entry is 1, in normalised coordinates it is 0."""
    matrix = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [-1.0 / 319.5, 0.0, 1.0]])
    with pytest.raises(InputError, match="not finite"):
        RigTransform(matrix, "pixels", (480, 640), (480, 640)).theta()


HUGE_NPY = (
    b"\x93NUMPY\x01\x00v\x00"
    + b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999,), }".ljust(117)
    + b"\n"
)
EVIL = {
    ".yml": [
        b"",
        b"\0\0",
        b"\xff\xfe",
        b"%YAML:1.0\n---\nH: " + b"[" * 250_000,
        b"%YAML:1.0\n---\nH: " + b"- " * 120_000,
        b"%YAML:1.0\n---\nH: !!opencv-matrix\n   rows: 30000\n   cols: 30000\n   dt: d\n   data: [ 1. ]\n",
        b"%YAML:1.0\n---\nH: !!opencv-matrix\n   rows: -3\n   cols: 3\n   dt: d\n   data: [ 1. ]\n",
        b"%YAML:1.0\n---\nH: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: 99999d\n   data: [ 1. ]\n",
        b"%YAML:1.0\n---\nH: 3\n",
        b"%YAML:1.0\n---\nG: [1, 0, 0, 0, 1, 0]\n",
        b"#" * (256_001),
    ],
    ".xml": [
        b"",
        b"<?xml version='1.0'?><opencv_storage>" + b"<a>" * 80_000,
        b"<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><opencv_storage><H>&b;</H></opencv_storage>",
    ],
    ".json": [
        b"",
        b"[" * 100_000,
        b"[1]",
        b'{"H": ' + b"9" * 5000 + b"}",
        b'{"H": [["a", 1, 2], [1, 2, 3]]}',
        b'{"H": NaN}',
    ],
    ".tfm": [
        b"",
        b"#Insight Transform File V1.0\n",
        b"#Insight Transform File V1.0\nTransform: AffineTransform_double_2_2\nParameters: a b\n",
        b"#Insight Transform File V1.0\nTransform: AffineTransform_double_2_2\nParameters: 1 0 0 1 nan 1e999\n",
        b"#Insight Transform File V1.0\nTransform: CompositeTransform_double_2_2\n"
        + b"Transform: ScaleTransform_double_2_2\nParameters: 1e9 1e9\n" * 2000,
    ],
    ".mat": [b"", b"\0" * 40, b"\0\0\0\0" + b"\xff" * 40, b"\0\0\0\0\x06\0\0\0\x01\0\0\0\0\0\0\0\xff\xff\xff\x7f"],
    ".npy": [b"", b"\x93NUMPY", HUGE_NPY, b"\x93NUMPY\x01\x00\x10\x00{'descr': 'O'}\n "],
}


@pytest.mark.parametrize(("suffix", "data"), [(suffix, data) for suffix, many in EVIL.items() for data in many])
def test_malformed_and_evil_files_end_in_one_line(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"evil{suffix}"
    path.write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_transform(path, RGB_HW, IR_HW)
    assert str(path) in str(caught.value)
    assert "expected" in str(caught.value) or "no file of" in str(caught.value) or "is no" in str(caught.value)


@pytest.mark.parametrize("name", ["absent.yaml", "a\0b.npy", "rig.png", "folder.yaml"])
def test_what_cannot_be_read_is_an_input_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises(InputError):
        load_transform(tmp_path / name)


def test_every_readable_kind_is_attacked() -> None:
    assert {*EVIL, ".yaml", ".txt"} == set(READABLE)


# Stereo calibrations -------------------------------------------------------------------------------------------------

K_RGB = np.array([[800.0, 0.0, 320.0], [0.0, 790.0, 240.0], [0.0, 0.0, 1.0]])
K_IR = np.array([[400.0, 0.0, 150.0], [0.0, 405.0, 118.0], [0.0, 0.0, 1.0]])
ROTATION = cv2.Rodrigues(np.array([0.02, -0.05, 0.08]))[0]
SHIFT = np.array([[0.1], [-0.02], [0.01]])
SAME_SIZE = {"image_size": np.array([[640.0, 480.0]])}
SIZES: dict[str, np.ndarray] = {"image_size1": np.array([[640.0, 480.0]]), "image_size2": np.array([[320.0, 240.0]])}


def seen(points: np.ndarray, k: np.ndarray) -> np.ndarray:
    return (points @ k.T)[:, :2] / points[:, 2:]


def scene(depth: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of points of a plane before the RGB camera, in both pictures."""
    rng = np.random.default_rng(0)
    points = np.column_stack([rng.uniform(-0.3, 0.3, (20, 2)) * depth, np.full(20, depth)])
    return seen(points, K_RGB), seen(points @ ROTATION.T + SHIFT.T, K_IR)


def stereo_file(folder: Path, name: str = "stereo.yml", **more: np.ndarray | float) -> Path:
    return write_storage(folder / name, R=ROTATION, T=SHIFT, **{**SIZES, **more})


@pytest.mark.parametrize("depth", [None, 2.0])
def test_a_stereo_calibration_gives_the_homography_of_a_plane(tmp_path: Path, depth: float | None) -> None:
    path = stereo_file(tmp_path, K_rgb=K_RGB, K_ir=K_IR)
    rgb_xy, ir_xy = scene(1e7 if depth is None else depth)
    matrix = load_transform(path, depth=depth).matrix_rgb_to_ir(RGB_HW, IR_HW)
    np.testing.assert_allclose(apply_matrix(matrix, rgb_xy), ir_xy, atol=1e-3)


@pytest.mark.parametrize("names", [("K1", "K2"), ("M1", "M2"), ("cameraMatrix1", "cameraMatrix2")])
@pytest.mark.parametrize("rgb_camera", [1, 2])
def test_the_file_or_the_caller_says_which_camera_is_rgb(
    tmp_path: Path, names: tuple[str, str], rgb_camera: int
) -> None:
    """With the RGB camera as the second one, R and T go the other way."""
    first, second, rotation, shift = K_RGB, K_IR, ROTATION, SHIFT
    sizes = dict(SIZES)
    if rgb_camera == 2:
        first, second, rotation, shift = K_IR, K_RGB, ROTATION.T, -ROTATION.T @ SHIFT
        sizes = {"image_size1": SIZES["image_size2"], "image_size2": SIZES["image_size1"]}
    nodes = {names[0]: first, names[1]: second, "R": rotation, "T": shift, **sizes}
    silent = write_storage(tmp_path / "silent.xml", **nodes)
    told = write_storage(tmp_path / "told.xml", **nodes, rgb_camera=rgb_camera)
    with pytest.raises(InputError, match="does not say which camera is the RGB one; add rgb_camera"):
        load_transform(silent)
    rgb_xy, ir_xy = scene(3.0)
    for loaded in (load_transform(silent, rgb_camera, 3.0), load_transform(told, depth=3.0)):  # type: ignore[arg-type]
        assert (loaded.rgb_hw, loaded.ir_hw) == (RGB_HW, IR_HW)
        np.testing.assert_allclose(apply_matrix(loaded.matrix_rgb_to_ir(RGB_HW, IR_HW), rgb_xy), ir_xy, atol=1e-6)


def test_what_stereo_calibrate_finds_is_read(tmp_path: Path) -> None:
    """The direction of R and T is that of OpenCV's own function, not only of this test's formulas."""
    rng = np.random.default_rng(1)
    board = np.array([[x, y, 0.0] for y in range(6) for x in range(8)], np.float32) * 0.05
    views: list[tuple[np.ndarray, np.ndarray]] = []
    for _ in range(8):
        turn = cv2.Rodrigues(rng.uniform(-0.4, 0.4, 3))[0]
        points = board @ turn.T + rng.uniform((-0.3, -0.2, 0.8), (0.0, 0.0, 1.2))
        views.append((seen(points, K_RGB), seen(points @ ROTATION.T + SHIFT.T, K_IR)))
    rgb, ir = ([view[side].astype(np.float32) for view in views] for side in (0, 1))
    found = cv2.stereoCalibrate(
        [board] * 8,
        rgb,
        ir,
        K_RGB.copy(),
        np.zeros(5),
        K_IR.copy(),
        np.zeros(5),
        (640, 480),
        flags=cv2.CALIB_FIX_INTRINSIC,
    )
    path = write_storage(
        tmp_path / "found.yml", K1=found[1], K2=found[3], R=found[5], T=found[6], rgb_camera=1, depth=2.0
    )
    rgb_xy, ir_xy = scene(2.0)
    matrix = load_transform(path).matrix_rgb_to_ir(RGB_HW, IR_HW)
    np.testing.assert_allclose(apply_matrix(matrix, rgb_xy), ir_xy, atol=0.05)


def test_distortion_is_left_out_and_said_with_its_size(tmp_path: Path) -> None:
    distortion = np.array([[-0.2, 0.05, 0.0, 0.0, 0.0]])
    loaded = load_transform(stereo_file(tmp_path, K_rgb=K_RGB, K_ir=K_IR, D_rgb=distortion, D_ir=np.zeros((1, 5))))
    x, y = (0.0 - 320.0) / 800.0, (0.0 - 240.0) / 790.0
    r2 = x * x + y * y
    factor = -0.2 * r2 + 0.05 * r2 * r2  # k1 r^2 + k2 r^4: how far the corner is moved, as a share of its radius
    expected = abs(factor) * float(np.hypot(320.0, 240.0))
    (warning,) = loaded.warnings
    assert f"the distortion of the RGB lens is left out; it moves pixels by up to {expected:.1f} px" in warning


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"K_rgb": K_RGB}, "no camera matrix of camera 1"),
        ({"K_rgb": K_RGB, "K_ir": np.eye(3) * 2}, "K_ir of .* is no camera matrix"),
        ({"K_rgb": K_RGB, "K_ir": np.eye(2)}, "has shape"),
        ({"K_rgb": K_RGB, "K_ir": K_IR, "D_ir": np.ones((1, 7))}, "expected 4, 5, 8, 12 or 14"),
        ({"K_rgb": K_RGB, "K_ir": K_IR, "D_ir": np.full((1, 5), np.nan)}, "not finite"),
        ({"K_rgb": K_RGB, "K_ir": K_IR, "R": np.ones((3, 3))}, "is no rotation"),
        ({"K_rgb": K_RGB, "K_ir": K_IR, "depth": -1.0}, "the depth is -1"),
        ({"K_rgb": K_RGB, "K_ir": K_IR, "image_size1": np.zeros((1, 2))}, None),
        ({"K1": K_RGB, "K2": K_IR, "rgb_camera": 1, "image_size1": np.zeros((1, 2))}, "two sides in pixels"),
    ],
)
def test_broken_calibrations_are_refused(
    tmp_path: Path, more: dict[str, np.ndarray | float], message: str | None
) -> None:
    path = write_storage(tmp_path / "stereo.yml", **{"R": ROTATION, "T": SHIFT, **SIZES, **more})
    if message is None:
        assert load_transform(path).rgb_hw is None
        return
    with pytest.raises(InputError, match=message):
        load_transform(path)


def test_a_calibration_without_a_shift_has_no_depth(tmp_path: Path) -> None:
    path = write_storage(tmp_path / "turned.yml", R=ROTATION, K_rgb=K_RGB, K_ir=K_IR)
    with pytest.raises(InputError, match="has no T"):
        load_transform(path, depth=2.0)
    expected = matrix_to_theta(K_IR @ ROTATION @ np.linalg.inv(K_RGB), RGB_HW, IR_HW)
    np.testing.assert_allclose(load_transform(path).theta(RGB_HW, IR_HW), expected / expected[2, 2], atol=1e-9)


def test_a_live_run_begins_with_a_calibration_and_says_what_it_leaves_out(tmp_path: Path) -> None:
    """A calibration that stretches the simulator's IR frame over its RGB frame: near the truth."""
    k = np.array([[500.0, 0.0, 319.5], [0.0, 500.0, 239.5], [0.0, 0.0, 1.0]])
    nodes = {"R": np.eye(3), "K_rgb": k, "K_ir": k, "D_ir": np.array([[-0.1, 0.0, 0.0, 0.0, 0.0]]), **SAME_SIZE}
    path = write_storage(tmp_path / "stereo.yml", **nodes)
    options = LiveOptions("sim:", "sim:", frames=3, window=False, rig_transform=str(path), provider="cpu", threads=1)
    said: list[str] = []
    assert run_live(options, said.append).frames == 3
    assert any("the distortion of the IR lens is left out" in line for line in said)
