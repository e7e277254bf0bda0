"""Fitting one pair: it finds known transforms, also from masks that do not overlap, and does not fold."""

import io
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.helpers import shared_data, smooth_scene
from tests.train_command import refused, vr_train_here
from vr.models.geometry import affine_flow
from vr.models.spatial_transformer import SpatialTransformer
from vr.runtime.errors import InputError
from vr.runtime.geometry import grid_error_px, theta_to_matrix
from vr.runtime.mask import dice
from vr.train.fit import FitConfig, fit_pair

SIZE_HW = (72, 96)
MATRIX = np.array([[0.97, -0.08, 10.0], [0.07, 1.04, -5.0]])


def tensor(image: NDArray[np.uint8]) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32) / np.float32(255))[None, None]


def person(centre_xy: tuple[int, int], angle_deg: float = 0.0) -> NDArray[np.uint8]:
    mask = np.zeros(SIZE_HW, np.uint8)
    cv2.ellipse(mask, centre_xy, (6, 13), angle_deg, 0.0, 360.0, 255, -1)
    return cv2.ellipse(mask, (centre_xy[0], centre_xy[1] - 16), (4, 5), 0.0, 0.0, 360.0, 255, -1)  # type: ignore[return-value]


def dice_after(moving: NDArray[np.uint8], fixed: NDArray[np.uint8], config: FitConfig) -> float:
    moved = SpatialTransformer()(tensor(moving), fit_pair(tensor(moving), tensor(fixed), config).flow)
    return dice(moved[0, 0].numpy() > 0.5, fixed > 127)


@pytest.mark.parametrize("loss", ["ngf", "ncc", "mi", "mind"])
def test_an_affine_is_found_between_two_modalities(loss: str) -> None:
    """IR is RGB with dark and bright flipped, 8 px away."""
    wide = smooth_scene(4, (SIZE_HW[0] + 40, SIZE_HW[1] + 40))
    rgb = wide[20:-20, 20:-20]
    centred = np.array([[1, 0, 20], [0, 1, 20], [0, 0, 1.0]])
    full = centred @ np.vstack([MATRIX, [0, 0, 1]]) @ np.linalg.inv(centred)
    warped = cv2.warpAffine(wide, full[:2], wide.shape[::-1])[20:-20, 20:-20]
    ir = 255 - warped.astype(np.uint8)
    fitted = fit_pair(tensor(ir), tensor(rgb), FitConfig(similarity=loss, steps=40))
    assert fitted.theta is not None
    found = theta_to_matrix(fitted.theta[0].numpy(), SIZE_HW, SIZE_HW)
    before = grid_error_px(np.eye(3)[:2], MATRIX, SIZE_HW)
    assert before > 6 and grid_error_px(found, MATRIX, SIZE_HW) < 1.0
    assert fitted.similarity < fitted.similarity_before and fitted.folding == 0.0


def test_masks_that_do_not_overlap_are_brought_together_by_dice_alone() -> None:
    ir, rgb = person((74, 45)), person((20, 30), 10.0)
    assert dice(ir > 0, rgb > 0) == 0.0
    assert dice_after(ir, rgb, FitConfig(similarity="dice", starts=1, steps=80)) > 0.9
    assert dice_after(ir, rgb, FitConfig(similarity="mse", scales=1, starts=1, steps=80)) < 0.1


def test_of_two_people_the_right_one_is_found() -> None:
    """Both stand 30 px further right, nearly as far as they stand apart: descent alone ends on the neighbour."""
    ir, rgb = person((14, 40)) | person((52, 36)), person((44, 40)) | person((82, 36))
    assert dice_after(ir, rgb, FitConfig(similarity="dice", steps=60)) > 0.9
    assert dice_after(ir, rgb, FitConfig(similarity="dice", starts=1, steps=60)) < 0.5


def test_a_dense_fit_bends_where_an_affine_cannot_and_does_not_fold() -> None:
    ir, rgb = person((40, 40)), person((52, 42))
    rgb = cv2.ellipse(rgb, (66, 40), (9, 4), 30.0, 0.0, 360.0, 255, -1).astype(np.uint8)
    affine = dice_after(ir, rgb, FitConfig("affine", "dice", steps=80))
    fitted = fit_pair(tensor(ir), tensor(rgb), FitConfig("dense", "dice", steps=80))
    moved = SpatialTransformer()(tensor(ir), fitted.flow)
    assert dice(moved[0, 0].numpy() > 0.5, rgb > 127) > max(0.95, affine + 0.02)
    assert fitted.folding == 0.0 and fitted.theta is None


def test_a_fit_may_start_from_a_transform_and_keeps_what_is_right_of_it() -> None:
    """From the true turn and scale, and 3 px aside, a few steps suffice; without any step it is the start itself."""
    moving = tensor(person((40, 40)) | person((70, 30), 40.0))
    truth = torch.tensor([[[0.95, -0.1, 0.06], [0.12, 1.02, -0.04]]])
    fixed = SpatialTransformer()(moving, affine_flow(truth, *SIZE_HW))
    start = truth + torch.tensor([[[0.0, 0.0, 6.0 / SIZE_HW[1]], [0.0, 0.0, 0.0]]])
    still = fit_pair(moving, fixed, FitConfig(similarity="dice", steps=1, scales=1, lr=1e-6), start).theta
    assert still is not None
    torch.testing.assert_close(still, start, atol=1e-5, rtol=0.0)
    found = fit_pair(moving, fixed, FitConfig(similarity="dice", steps=30, scales=2, lr=0.01), start).theta
    assert found is not None
    matrices = [theta_to_matrix(theta[0].numpy(), SIZE_HW, SIZE_HW) for theta in (start, found, truth)]
    assert grid_error_px(matrices[0], matrices[2], SIZE_HW) == pytest.approx(3.0, abs=0.01)
    assert grid_error_px(matrices[1], matrices[2], SIZE_HW) < 0.5


def test_a_fit_is_repeatable() -> None:
    ir, rgb = (tensor(person(place)) for place in ((40, 40), (52, 42)))
    config = FitConfig("dense", "dice", steps=3)
    assert torch.equal(fit_pair(ir, rgb, config).flow, fit_pair(ir, rgb, config).flow)


def test_unusable_images_and_settings_are_refused() -> None:
    image = tensor(person((40, 40)))
    for moving, fixed in ((image, image[..., :-1]), (image[0], image[0]), (image[..., :9, :], image[..., :9, :])):
        with pytest.raises(InputError, match=r"cannot be fitted; expected one pair, both \(1, 1, H, W\)"):
            fit_pair(moving, fixed, FitConfig())
    with pytest.raises(InputError, match="the loss is nan while fitting"):
        fit_pair(image * torch.nan, image, FitConfig(similarity="mse"))
    with pytest.raises(InputError, match="transform 'rigid' is unknown; expected one of affine, dense"):
        FitConfig(transform="rigid")
    with pytest.raises(InputError, match="steps 0 is out of bounds"):
        FitConfig(steps=0)
    with pytest.raises(InputError, match=r"lr 7\.0 .* is out of bounds"):
        FitConfig(lr=7.0)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """IR (of another size) and RGB mask."""
    ir = cv2.resize(person((70, 40)), (192, 144), interpolation=cv2.INTER_NEAREST)
    paths = tmp_path / "ir.png", tmp_path / "rgb.png"
    cv2.imwrite(str(paths[0]), ir)
    cv2.imwrite(str(paths[1]), person((24, 34)))
    return paths


OPTIONS = ("--mode", "mask", "--size", "72x96", "--steps", 100)


def test_the_command_writes_the_matrix_in_native_pixels(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = vr_train_here("fit", *files, *OPTIONS, "--out", out)
    assert done.returncode == 0, done.stderr
    assert "Dice 0.000 before" in done.stdout
    assert sorted(path.name for path in out.iterdir()) == ["fit.json", "fit.png"]
    figures = json.loads((out / "fit.json").read_text())
    assert figures["loss"] == "dice" and figures["dice_after"] > 0.9
    # The IR mask is twice as fine, its middle at (141, 81) native px for (24, 34).
    np.testing.assert_allclose(np.array(figures["matrix_rgb_to_ir"]) @ [24, 34, 1], [140.5, 80.5], atol=2.0)
    picture = cv2.imread(str(out / "fit.png"))
    assert picture is not None and picture.shape[1] > 4 * picture.shape[0]
    assert "exists and is not empty" in refused(vr_train_here("fit", *files, *OPTIONS, "--out", out))


def test_the_command_writes_a_dense_flow_as_source_points(files: tuple[Path, Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert vr_train_here("fit", *files, *OPTIONS, "--transform", "dense", "--out", out).returncode == 0
    source = np.load(io.BytesIO((out / "flow.npy").read_bytes()))
    assert source.shape == (*SIZE_HW, 2) and source.dtype == np.float32
    np.testing.assert_allclose(source[34, 24], [140.5, 80.5], atol=2.0)
    assert "matrix_rgb_to_ir" not in json.loads((out / "fit.json").read_text())


def test_the_command_refuses_in_one_line_and_writes_nothing(files: tuple[Path, Path], tmp_path: Path) -> None:
    ir, rgb = files
    cases = [
        ((tmp_path / "absent.png", rgb), "cannot read image"),
        ((ir, rgb, "--loss", "ssim"), "expected one of ngf"),
        ((ir, rgb, "--transform", "rigid"), "expected one of affine, dense"),
        ((ir, rgb, "--mode", "edges"), "expected one of gray, sobel, canny, adaptive, laplacian, mask"),
        ((ir, rgb, "--size", "big"), "not HEIGHTxWIDTH"),
        ((ir, rgb, "--size", "8x8"), "at least 16 px"),
        ((ir, rgb, "--lr", 2), "lr 2.0"),
    ]
    for arguments, message in cases:
        assert message in refused(vr_train_here("fit", *arguments, "--out", tmp_path / "out"))
        assert not (tmp_path / "out").exists(), arguments


@pytest.mark.slow
@pytest.mark.parametrize(("transform", "least"), [("affine", 0.90), ("dense", 0.95)])
def test_the_pair_of_the_thesis_is_aligned_better_than_by_its_networks(
    tmp_path: Path, transform: str, least: float
) -> None:
    """They reach 0.742 (affine) and 0.837 (VoxelMorph), see tests/test_models_thesis.py."""
    pair = shared_data("thesis/mask_ir_frame.jpg"), shared_data("thesis/mask_rgb_frame.jpg")
    options = ("--mode", "mask", "--person-dark", "--transform", transform, "--out", tmp_path / "out")
    assert vr_train_here("fit", *pair, *options).returncode == 0
    figures = json.loads((tmp_path / "out" / "fit.json").read_text())
    assert figures["dice_before"] == pytest.approx(0.455, abs=0.005)
    assert figures["dice_after"] > least
    assert figures["folding"] == 0.0
