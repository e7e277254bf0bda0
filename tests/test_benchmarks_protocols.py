"""The truths of the accuracy benchmark are true: what lies at the true source point is what the RGB frame shows."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import protocols
from benchmarks.protocol_controls import generated_pairs, hopeless_pairs, same_modality_pairs
from benchmarks.protocol_dense import affine_fit, bent_scenes, protocol_f, smooth_bend
from benchmarks.protocol_video import KNOCK_FRAME, generated_canvases, knock, real_canvases, videos
from benchmarks.protocols import FRAME_HW, WIDE, KnownPair, held_out_files, protocol_s, protocol_wide
from tests.helpers import smooth_scene
from vr.runtime.geometry import Float64Array, apply_affine, grid_error_px, grid_points
from vr.runtime.preprocess import Frame, to_gray
from vr.runtime.warp import affine_source_map, warp_map
from vr.train.evaluate.measures import folding_share


@pytest.fixture(scope="module")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pairs `m3svd/clip/{rgb,ir}/0000.png` ... whose two sides are the same bright picture."""
    folder = tmp_path_factory.mktemp("data") / "m3svd" / "clip"
    for side in ("rgb", "ir"):
        (folder / side).mkdir(parents=True)
        for index in range(6):
            cv2.imwrite(str(folder / side / f"{index:04d}.png"), 60 + smooth_scene(index, (300, 400)) // 2)
    return folder


def assert_true(ir: Frame, rgb: Frame, source_map_xy: NDArray[np.floating], limit: float = 2.0) -> None:
    """The IR frame through the true map is the RGB frame, where it was seen."""
    moved = warp_map(to_gray(ir), source_map_xy.astype(np.float32))
    seen = warp_map(np.full(ir.shape[:2], 255, np.uint8), source_map_xy.astype(np.float32)) == 255
    seen &= moved > 40  # no border of the warp
    assert seen.mean() > 0.3
    assert np.abs(moved.astype(float) - to_gray(rgb))[seen].mean() < limit


def map_of(matrix: Float64Array) -> NDArray[np.float32]:
    return affine_source_map(matrix, FRAME_HW)


@pytest.mark.parametrize("protocol", [protocol_s, protocol_wide])
def test_single_frame_truths(pairs_folder: Path, protocol: object) -> None:
    pairs = list(protocol(pairs_folder, held_out_files(pairs_folder, {})))  # type: ignore[operator]
    for pair in pairs:
        assert pair.ir.shape == pair.rgb.shape == (*FRAME_HW, 3)
        assert_true(pair.ir, pair.rgb, map_of(pair.matrix_rgb_to_ir))
    identity = [grid_error_px(np.eye(2, 3), pair.matrix_rgb_to_ir, FRAME_HW) for pair in pairs]
    assert min(identity) > 3.0


def test_the_first_draw_of_protocol_s_is_the_published_one(pairs_folder: Path) -> None:
    """shift x, shift y, rotation, scale, shear, each uniform, from seed 1000."""
    rng = np.random.default_rng(1000)
    x, y, turn, scale, shear = (rng.uniform(*b) for b in ((-32, 32), (-24, 24), (-10, 10), (0.85, 1.15), (-5, 5)))
    cos, sin, lean = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn)), np.tan(np.deg2rad(shear))
    linear = scale * np.array([[cos, cos * lean - sin], [sin, sin * lean + cos]])
    centre = np.array([159.5, 119.5])
    expected = np.column_stack([linear, centre + np.array([x, y]) - linear @ centre])
    pair = next(protocol_s(pairs_folder, held_out_files(pairs_folder, {})))
    np.testing.assert_allclose(pair.matrix_rgb_to_ir, expected, atol=1e-9)


def test_the_wide_protocol_leaves_no_border_and_uses_its_range(pairs_folder: Path) -> None:
    pairs = list(protocol_wide(pairs_folder, held_out_files(pairs_folder, {}) * 4))
    assert min(int(pair.ir.min()) for pair in pairs) >= 55
    scales = [float(np.sqrt(np.linalg.det(pair.matrix_rgb_to_ir[:, :2]))) for pair in pairs]
    assert WIDE.scale[0] <= min(scales) < 0.8
    assert 1.25 < max(scales) <= WIDE.scale[1]


def test_held_out_pairs_are_named_by_folder_and_clips_are_thinned(pairs_folder: Path) -> None:
    def stems(held_out: protocols.HeldOut) -> list[str]:
        return [ir.stem for ir, _ in held_out_files(pairs_folder, held_out)]

    every = [f"{index:04d}" for index in range(6)]
    assert stems({}) == stems({"clip": "all"}) == every
    assert stems({"clip": ["0004", "0001"]}) == ["0001", "0004"]
    assert stems({"clip": []}) == []
    thinned = protocols.single_frame_files(pairs_folder, {})
    assert [ir.stem for ir, _ in thinned] == ["0000", "0004"]
    assert protocols.pair_folders(pairs_folder.parents[1]) == [pairs_folder]


def test_same_modality_copies_differ_in_looks_and_not_in_place(pairs_folder: Path) -> None:
    files = held_out_files(pairs_folder, {})
    for pair in same_modality_pairs(pairs_folder, files):
        moved = warp_map(to_gray(pair.ir), map_of(pair.matrix_rgb_to_ir)).astype(float)
        seen = warp_map(np.full(FRAME_HW, 255, np.uint8), map_of(pair.matrix_rgb_to_ir)) == 255
        assert np.corrcoef(moved[seen], to_gray(pair.rgb)[seen])[0, 1] > 0.8
        assert np.abs(moved - to_gray(pair.rgb))[seen].mean() > 3.0


def test_generated_pairs_have_different_truths() -> None:
    first, second = generated_pairs(2)
    assert first.ir.shape == FRAME_HW
    assert first.rgb.shape == (*FRAME_HW, 3)
    assert grid_error_px(first.matrix_rgb_to_ir, second.matrix_rgb_to_ir, FRAME_HW) > 1.0


def test_hopeless_pairs_never_show_one_scene_twice() -> None:
    def pair(scene: str, level: int) -> KnownPair:
        frame = np.full((*FRAME_HW, 3), level, np.uint8)
        return KnownPair("f", scene, scene, frame, frame, np.eye(2, 3))

    hopeless = list(hopeless_pairs([pair("a", 60), pair("a", 60), pair("b", 120), pair("c", 180)]))
    strangers = [one for one in hopeless if one.kind == "different scenes"]
    assert len(strangers) == 2 + 2 + 3 + 3
    assert all(one.ir[0, 0, 0] != one.rgb[0, 0, 0] for one in strangers)
    black = [one for one in hopeless if one.kind == "black, IR"]
    assert len(black) == 4
    assert max(int(one.ir.max()) for one in black) < 10
    assert all(one.rgb.min() >= 60 for one in black)


def test_bends_are_eight_pixels_long_at_most_and_do_not_fold() -> None:
    for seed in range(3):
        bend = smooth_bend(np.random.default_rng(seed))
        inside = bend[80:320, 107:427]
        longest = float(np.linalg.norm(inside, axis=2).max())
        assert 5.0 < longest <= 8.0 + 1e-6
        ys, xs = np.mgrid[: bend.shape[0], : bend.shape[1]]
        assert folding_share(np.stack([xs, ys], axis=-1) + bend) == 0.0
        assert np.linalg.norm(affine_fit(inside), axis=2).max() < 1e-6


def test_bent_pairs_have_true_maps_that_no_affine_fits(pairs_folder: Path) -> None:
    real, generated = list(protocol_f(pairs_folder, held_out_files(pairs_folder, {})[:2])), list(bent_scenes(2))
    for pair in real:
        assert_true(pair.ir, pair.rgb, pair.source_map_xy)
    assert len(generated) == 2
    for pair in [*real, *generated]:
        assert pair.ir.shape[:2] == pair.rgb.shape[:2] == pair.source_map_xy.shape[:2] == FRAME_HW
        assert folding_share(pair.source_map_xy) == 0.0
        assert np.linalg.norm(affine_fit(pair.source_map_xy) - pair.source_map_xy, axis=2).mean() > 0.5


def test_a_map_that_turns_over_folds() -> None:
    ys, xs = np.mgrid[:20, :30].astype(float)
    assert folding_share(np.stack([xs, ys], axis=-1)) == 0.0
    assert folding_share(np.stack([-xs, ys], axis=-1)) == 1.0


def test_clips_are_played_forth_and_back_with_a_true_matrix_also_after_a_knock(pairs_folder: Path) -> None:
    files = held_out_files(pairs_folder, {})[:3]
    steady, knocked = videos({"clip": files}, draws=1, scenes=0)
    assert (steady.kind, knocked.kind) == ("clips", "clips, knocked")
    frames = list(knocked)
    assert len(list(steady)) == 60
    assert np.array_equal(frames[1].rgb, frames[3].rgb)
    assert not np.array_equal(frames[0].rgb, frames[2].rgb)
    before, after = frames[KNOCK_FRAME - 1], frames[KNOCK_FRAME]
    assert after.time_s - before.time_s == pytest.approx(0.04)
    assert 10.0 < grid_error_px(before.matrix_rgb_to_ir, after.matrix_rgb_to_ir, FRAME_HW) < 30.0
    for frame in (before, after):
        assert_true(frame.ir, frame.rgb, map_of(frame.matrix_rgb_to_ir))


def test_a_knock_moves_the_centre_by_six_percent_and_turns_by_three_degrees() -> None:
    matrix = knock(np.random.default_rng(0))
    centre = np.array([266.5, 199.5])
    assert np.linalg.norm(apply_affine(matrix, centre) - centre) == pytest.approx(0.06 * 320)
    assert abs(np.rad2deg(np.arctan2(matrix[1, 0], matrix[0, 0]))) == pytest.approx(3.0)


def test_sources_of_videos_say_where_points_lie(pairs_folder: Path) -> None:
    ir, rgb, matrix = real_canvases(held_out_files(pairs_folder, {})[:1])(7)
    assert ir.shape == rgb.shape == (*protocols.CANVAS_HW, 3)
    assert np.array_equal(matrix, np.eye(2, 3))
    drifted = generated_canvases(1)(50)[2]
    corner = grid_points(protocols.CANVAS_HW, 2)[0]
    assert 0.0 < float(np.linalg.norm(apply_affine(drifted, corner) - corner)) < 12.0
