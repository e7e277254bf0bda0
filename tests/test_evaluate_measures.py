"""The formulas of `vr-train evaluate` against independent ones, on cases whose answer is known."""

import numpy as np
import pytest
import torch

from tests.helpers import smooth_scene
from vr.runtime.geometry import apply_affine, grid_points, invert
from vr.runtime.mask import dice
from vr.runtime.warp import affine_source_map
from vr.train.evaluate.measures import (
    folding_share,
    iou,
    landmark_error_px,
    round_trip_px,
    source_points,
    warp_error_px,
)
from vr.train.evaluate.rows import Row
from vr.train.evaluate.similarity import DEFAULT_MEASURES, alikeness
from vr.train.evaluate.summary import quality, summarise
from vr.train.evaluation import folding_rate

SIZE_HW = (240, 320)
MATRIX = np.array([[0.95, -0.06, 14.0], [0.05, 1.03, -7.0]])
IDENTITY = np.eye(2, 3)


def shifted(x: float, y: float = 0.0) -> np.ndarray:
    return np.array([[1.0, 0.0, x], [0.0, 1.0, y]])


def test_dice_and_iou_are_those_of_sets_of_pixels() -> None:
    rng = np.random.default_rng(0)
    for density in (0.0, 0.1, 0.5, 0.9):
        a, b = rng.random((2, 30, 40)) < density
        sets = [{(int(y), int(x)) for y, x in np.argwhere(mask)} for mask in (a, b)]
        common, union = len(sets[0] & sets[1]), len(sets[0] | sets[1])
        if union:
            assert dice(a, b) == pytest.approx(2 * common / (len(sets[0]) + len(sets[1])))
            assert iou(a, b) == pytest.approx(common / union)
        else:
            assert dice(a, b) == iou(a, b) == 1.0


def test_folding_is_found_where_it_is() -> None:
    """Columns 10 to 19 run backwards: the differences from 10 on are negative, ten of 39."""
    x = np.concatenate([np.arange(11.0), 10.0 - np.arange(1.0, 11.0), np.arange(1.0, 20.0)])
    xs, ys = np.meshgrid(x, np.arange(30.0))
    source = np.stack([xs, ys], axis=-1)
    assert folding_share(source) == pytest.approx(10 / 39)
    assert folding_share(affine_source_map(MATRIX, SIZE_HW)) == 0.0
    assert folding_share(affine_source_map([[-1, 0, 319], [0, 1, 0]], SIZE_HW)) == 1.0


def test_folding_of_a_map_is_that_of_its_flow() -> None:
    flow = np.random.default_rng(1).normal(0.0, 0.6, (2, 20, 30)).astype(np.float32)
    ys, xs = np.mgrid[:20, :30]
    source = np.stack([xs, ys], axis=-1) + np.moveaxis(flow, 0, -1)
    found = folding_share(source)
    assert 0.05 < found < 0.95
    assert found == pytest.approx(float(folding_rate(torch.from_numpy(flow)[None])), abs=1e-6)


@pytest.mark.parametrize("is_map", [False, True])
def test_a_shift_is_as_far_off_as_it_is_long_at_320x240(is_map: bool) -> None:
    """The IR frame is twice as wide and as high as 320x240, so 6 and 8 of its px are 3 and 4."""
    rgb_hw, ir_hw = (120, 160), (480, 640)
    found = affine_source_map(IDENTITY, rgb_hw) if is_map else IDENTITY
    assert warp_error_px(found, shifted(6.0, 8.0), rgb_hw, ir_hw) == pytest.approx(5.0, abs=1e-4)


def test_the_landmark_error_of_a_known_matrix() -> None:
    rgb = np.random.default_rng(2).uniform(0, 200, (7, 2))
    ir = apply_affine(MATRIX, rgb)
    assert landmark_error_px(MATRIX, rgb, ir, (300, 640)) == pytest.approx(0.0, abs=1e-9)
    assert landmark_error_px(MATRIX, rgb, ir + np.array([3.0, 4.0]), (300, 640)) == pytest.approx(2.5)
    by_hand = np.mean([np.hypot(x - u, y - v) for (x, y), (u, v) in zip(rgb, ir, strict=True)])
    assert landmark_error_px(IDENTITY, rgb, ir, (300, 320)) == pytest.approx(by_hand)


def test_there_and_back_of_an_exact_inverse_is_nothing() -> None:
    assert round_trip_px(MATRIX, invert(MATRIX), SIZE_HW, SIZE_HW) == pytest.approx(0.0, abs=1e-9)
    as_map = affine_source_map(invert(MATRIX), SIZE_HW)
    assert round_trip_px(MATRIX, as_map, SIZE_HW, SIZE_HW) == pytest.approx(0.0, abs=0.03)  # remap knows 1/32 px


def test_there_and_back_of_two_that_disagree_is_what_they_differ_by() -> None:
    """Back by the exact inverse, then 9 and 12 px aside, in RGB frames of three times 320x240."""
    back = invert(MATRIX) + np.array([[0, 0, 9.0], [0, 0, 12.0]])
    assert round_trip_px(MATRIX, back, (720, 960), (720, 960)) == pytest.approx(5.0)
    points = grid_points(SIZE_HW)
    there = shifted(100.0)
    inside = points[points[:, 0] <= 219.5]
    trip = apply_affine(MATRIX, apply_affine(there, inside)) - inside
    assert round_trip_px(there, MATRIX, SIZE_HW, SIZE_HW) == pytest.approx(np.hypot(*trip.T).mean())
    assert round_trip_px(shifted(1000.0), MATRIX, SIZE_HW, SIZE_HW) is None


def test_a_map_is_read_between_its_pixels() -> None:
    points = np.array([[10.25, 20.5], [100.0, 3.75]])
    np.testing.assert_allclose(
        source_points(affine_source_map(MATRIX, SIZE_HW), points), apply_affine(MATRIX, points), atol=1e-2
    )


@pytest.mark.parametrize("measure", DEFAULT_MEASURES)
def test_pictures_are_compared_where_both_show_something(measure: str) -> None:
    """Half of the moved picture is missing: the other is as alike as it was, and what is missing plays no part."""
    scene = smooth_scene(3, SIZE_HW)
    whole = np.full(SIZE_HW, 255, np.uint8)
    half = np.where(np.arange(320) < 160, whole, np.uint8(0)).astype(np.uint8)
    other = np.where(half > 0, scene, smooth_scene(9, SIZE_HW)).astype(np.uint8)
    full, left = alikeness(measure, scene, scene, whole), alikeness(measure, other, scene, half)
    assert full is not None and left is not None
    # The edge thresholds of ngf are means over the picture, and so lower where half of it is black.
    assert left == pytest.approx(full, abs=0.1 if measure == "ngf" else 0.05)
    assert alikeness(measure, other, scene, half) == alikeness(measure, scene, scene, half)
    different = alikeness(measure, smooth_scene(4, SIZE_HW), scene, whole)
    assert different is not None and different < full - 0.1
    assert alikeness(measure, scene, scene, np.zeros(SIZE_HW, np.uint8)) is None


def row(error: float | None, **more: object) -> Row:
    state = "refused" if error is None else "estimated"
    return Row("s", state, None, 5.0, error_before_px=20.0, error_px=error, **more)  # type: ignore[arg-type]


def test_a_refused_pair_counts_as_a_failure_and_its_masks_as_not_aligned() -> None:
    rows = [row(0.5, dice_before=0.1, dice=0.9), row(2.0, dice_before=0.2, dice=0.8), row(None, dice_before=0.3)]
    found = summarise([*rows, row(None, dice_before=0.3)])
    assert found["refused"] == 2
    model = found["known_warp"]["model"]
    assert model == {"median_px": None, "mean_px": 1.25, "below_px": {"1": 0.25, "3": 0.5, "5": 0.5}}
    assert found["known_warp"]["identity"]["median_px"] == 20.0
    assert found["dice"] == {"pairs": 4, "before": 0.25, "after": 0.55}
    assert found["landmarks"] is None and found["iou"] is None and found["folding"] is None
    assert sorted(rows, key=quality) == [rows[2], rows[1], rows[0]]
    assert summarise([])["pairs"] == 0
