"""Transforms as other tools take them: each tool moves the infrared picture as `Alignment.moved` does."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.helpers import smooth_scene
from vr.runtime.alignment import Alignment
from vr.runtime.errors import InputError, OutputError
from vr.runtime.geometry import apply_matrix, theta_to_matrix
from vr.runtime.interchange import (
    ItkTransform,
    from_itk,
    from_opencv,
    from_torch,
    load_transform,
    save_transform,
    to_itk,
    to_opencv,
    to_torch,
)

RGB_HW, IR_HW = (90, 120), (64, 80)
AFFINE = theta_to_matrix([[0.9, 0.15, 0.05], [-0.1, 1.05, -0.08]], RGB_HW, IR_HW)
HOMOGRAPHY = theta_to_matrix([[0.9, 0.15, 0.05], [-0.1, 1.05, -0.08], [0.1, -0.06, 1.0]], RGB_HW, IR_HW)
EITHER = pytest.mark.parametrize("matrix", [AFFINE, HOMOGRAPHY], ids=["affine", "homography"])


def aligned(matrix: np.ndarray) -> Alignment:
    return Alignment("estimated", 0.9, matrix, None, RGB_HW, smooth_scene(3, IR_HW))


def assert_same_picture(found: np.ndarray, alignment: Alignment, levels: float = 1.0) -> None:
    """Where the infrared camera sees something, which tools do not agree on to the pixel beyond its border."""
    inside, moved = alignment.warper.has_data, alignment.moved_8bit
    assert moved is not None
    assert inside.mean() > 0.5
    assert np.abs(found.astype(float) - moved)[inside].max() <= levels


@EITHER
def test_opencv_moves_the_picture_alike(matrix: np.ndarray) -> None:
    one = aligned(matrix)
    warp = cv2.warpAffine if matrix.shape == (2, 3) else cv2.warpPerspective
    size_wh = RGB_HW[::-1]
    direct = warp(one.ir, to_opencv(matrix), size_wh, flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    np.testing.assert_array_equal(direct, one.moved_8bit)
    forward = warp(one.ir, to_opencv(matrix, inverse_map=False), size_wh, flags=cv2.INTER_LINEAR)
    assert_same_picture(forward, one)


@EITHER
def test_a_homography_found_by_opencv_is_read_back(matrix: np.ndarray) -> None:
    rgb_points = np.random.default_rng(0).uniform(0, 80, (30, 2))
    ir_points = apply_matrix(matrix, rgb_points)
    to_ir, to_rgb = cv2.findHomography(rgb_points, ir_points)[0], cv2.findHomography(ir_points, rgb_points)[0]
    for found in (from_opencv(to_ir), from_opencv(to_rgb, inverse_map=False)):
        np.testing.assert_allclose(apply_matrix(found, rgb_points), ir_points, atol=1e-6)


@pytest.mark.parametrize("align_corners", [False, True])
def test_torch_moves_the_picture_alike(align_corners: bool) -> None:
    one = aligned(AFFINE)
    theta = torch.from_numpy(to_torch(AFFINE, RGB_HW, IR_HW, align_corners))
    grid = F.affine_grid(theta, [1, 1, *RGB_HW], align_corners=align_corners)
    ir = torch.from_numpy(one.ir.astype(np.float32))[None, None]
    assert_same_picture(F.grid_sample(ir, grid, align_corners=align_corners)[0, 0].numpy(), one)


def test_one_theta_does_not_do_for_both_settings_of_align_corners() -> None:
    assert np.abs(to_torch(AFFINE, RGB_HW, IR_HW) - to_torch(AFFINE, RGB_HW, IR_HW, True)).max() > 1e-3


@EITHER
@pytest.mark.parametrize("align_corners", [False, True])
def test_theta_of_torch_is_read_back(matrix: np.ndarray, align_corners: bool) -> None:
    theta = to_torch(matrix, RGB_HW, IR_HW, align_corners).astype(np.float64)
    np.testing.assert_allclose(from_torch(theta, RGB_HW, IR_HW, align_corners), matrix, atol=1e-4)


def test_itk_moves_the_picture_alike(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    one = aligned(AFFINE)
    path = save_transform(tmp_path / "rig.tfm", AFFINE, RGB_HW, IR_HW)
    reference = sitk.GetImageFromArray(np.zeros(RGB_HW, np.float32))
    ir = sitk.GetImageFromArray(one.ir.astype(np.float32))
    moved = sitk.Resample(ir, reference, sitk.ReadTransform(str(path)), sitk.sitkLinear, 0.0)
    assert_same_picture(sitk.GetArrayFromImage(moved), one)
    np.testing.assert_array_equal(load_transform(path).matrix, AFFINE)


def itk_transforms() -> list[object]:
    sitk = pytest.importorskip("SimpleITK")
    affine = sitk.AffineTransform(2)
    affine.SetMatrix([1.1, 0.1, -0.2, 0.9])
    affine.SetTranslation([3.0, 4.0])
    affine.SetCenter([5.0, 6.0])
    euler = sitk.Euler2DTransform((5.0, 6.0), 0.3, (1.0, 2.0))
    similarity = sitk.Similarity2DTransform(1.2, 0.2, (1.0, 2.0), (30.0, 20.0))
    shift, scale = sitk.TranslationTransform(2, (1.0, 2.0)), sitk.ScaleTransform(2, (1.5, 2.0))
    scale.SetCenter((3.0, 4.0))
    composite = sitk.CompositeTransform(2)
    for part in (affine, euler, similarity):
        composite.AddTransform(part)
    return [affine, euler, similarity, shift, scale, sitk.Transform(2, sitk.sitkIdentity), composite]


@pytest.mark.parametrize("suffix", [".tfm", ".txt", ".mat"])
def test_linear_transforms_of_itk_map_points_as_itk_does(tmp_path: Path, suffix: str) -> None:
    sitk = pytest.importorskip("SimpleITK")
    for number, transform in enumerate(itk_transforms()):
        if suffix == ".mat" and number > 4:  # ITK writes neither into such files in a way that it could read
            continue
        path = tmp_path / f"{number}{suffix}"
        sitk.WriteTransform(transform, str(path))
        matrix = load_transform(path).matrix
        for point in ((0.0, 0.0), (10.0, 3.0), (-4.0, 70.0)):
            np.testing.assert_allclose(apply_matrix(matrix, point), transform.TransformPoint(point), atol=1e-9)  # type: ignore[attr-defined]


def test_itk_gets_no_homography() -> None:
    with pytest.raises(OutputError, match="ITK has no homographies"):
        to_itk(HOMOGRAPHY)


@pytest.mark.parametrize(
    ("kind", "count", "message"),
    [
        ("AffineTransform_double_3_3", 12, "expected a 2-D transform"),
        ("BSplineTransform_double_2_2", 6, "expected a linear one: AffineTransform"),
        ("AffineTransform_double_2_2", 5, "has 5 parameters and 0 fixed ones; expected 6 and 2"),
        ("ScaleTransform_double_2_2", 2, "flattens the picture"),
        ("CompositeTransform_double_2_2", 0, "without parts"),
        ("anything", 0, "expected a 2-D transform"),
    ],
)
def test_what_is_no_linear_transform_of_itk_is_refused(kind: str, count: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_itk([ItkTransform(kind, (0.0,) * count)])


def test_several_transforms_without_a_composite_are_refused() -> None:
    one = to_itk(AFFINE)
    with pytest.raises(InputError, match="holds 2 transforms; expected one, or a CompositeTransform"):
        from_itk([one, one])
    with pytest.raises(InputError, match="holds no transform"):
        from_itk([])
