"""The segmenter of the runtime: files, masks at the frame's size, and who refuses whose files."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.onnx_models import affine_info, edit_metadata, write_affine, write_foreign, write_segmenter
from vr.runtime import Aligner
from vr.runtime.contract import SegmenterInfo
from vr.runtime.errors import ModelError
from vr.runtime.segmenter import Segmenter, segmenter_input

RED_BGR = (30, 20, 250)


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory: pytest.TempPathFactory) -> Segmenter:
    return Segmenter(write_segmenter(tmp_path_factory.mktemp("model") / "red.onnx"), "cpu", threads=1)


def test_metadata_survive_the_way_through_strings() -> None:
    info = SegmenterInfo((96, 128), "resnet50", "fp16", "run-20260101-0", "1.2.3")
    assert SegmenterInfo.from_metadata(info.to_metadata(), "a.onnx") == info


def test_a_mask_has_the_size_of_the_frame_and_specks_are_left_out(segmenter: Segmenter) -> None:
    frame = np.full((240, 320, 3), 40, np.uint8)
    cv2.rectangle(frame, (80, 60), (179, 199), RED_BGR, cv2.FILLED)
    frame[20, 300] = RED_BGR  # one pixel: a speck, and less than one of the network
    mask = segmenter(frame)
    assert (mask.shape, mask.dtype, mask.max()) == ((240, 320), np.uint8, 1)
    inside = mask[60:200, 80:180]
    assert inside.mean() > 0.95
    assert mask.sum() < 1.05 * inside.size
    assert not mask[:40].any()


def test_colours_arrive_as_rgb_and_infrared_as_grey(segmenter: Segmenter) -> None:
    blue = np.full((48, 64, 3), (250, 20, 30), np.uint8)
    assert not segmenter(blue).any()
    seen = segmenter_input(blue, (32, 40))
    assert seen.shape == (1, 3, 32, 40) and seen.dtype == np.float32
    np.testing.assert_allclose(seen[0, :, 5, 5] * 255.0, (30.0, 20.0, 250.0), atol=1e-3)
    warm = np.zeros((48, 64), np.uint16)
    warm[:, :32] = 9000
    assert (segmenter(warm)[:, :30] == 1).all() and not segmenter(warm)[:, 34:].any()
    assert np.array_equal(segmenter(np.where(warm > 0, np.uint8(255), np.uint8(0))), segmenter(warm))


def test_a_segmenter_is_no_registration_model_and_the_other_way_round(tmp_path: Path) -> None:
    red, affine = write_segmenter(tmp_path / "red.onnx"), write_affine(tmp_path / "affine.onnx")
    with pytest.raises(ModelError, match=r"red\.onnx is a person segmenter, for --segmenter"):
        Aligner.load(red)
    with pytest.raises(ModelError, match=r"affine\.onnx is a registration model; expected a person segmenter"):
        Segmenter(affine)


def test_damaged_and_foreign_files_are_refused(tmp_path: Path) -> None:
    whole = write_segmenter(tmp_path / "red.onnx").read_bytes()
    (tmp_path / "cut.onnx").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "empty.onnx").touch()
    write_foreign(tmp_path / "foreign.onnx")
    write_foreign(tmp_path / "dressed.onnx", SegmenterInfo((48, 64), "none").to_metadata())
    edit_metadata(write_segmenter(tmp_path / "size.onnx"), {"vr.size_hw": "48x80"})
    edit_metadata(write_segmenter(tmp_path / "lacks.onnx"), {"vr.precision": None})
    cases = {
        "absent.onnx": "does not exist",
        "empty.onnx": "is empty",
        "cut.onnx": "cannot be loaded as an ONNX model",
        "foreign.onnx": r"carries no vr\.\* metadata",
        "dressed.onnx": r"has inputs \['x'\]; expected \['image'\]",
        "size.onnx": r"its metadata say \(N, 3, 48, 80\)",
        "lacks.onnx": r"has damaged vr\.\* metadata",
    }
    for name, message in cases.items():
        with pytest.raises(ModelError, match=message):
            Segmenter(tmp_path / name)


def test_a_mask_model_still_takes_masks(tmp_path: Path) -> None:
    """Without --mode mask nothing changes: any non-zero pixel is a person."""
    model = write_affine(tmp_path / "m.onnx", info=affine_info(mode="mask", has_confidence=False))
    mask = np.zeros((48, 64), np.uint8)
    mask[10:30, 10:30] = 1
    assert Aligner.load(model, "cpu").estimate(mask, np.dstack([mask] * 3)).state == "estimated"
