"""From random weights to a live picture: a segmenter is trained, exported, and finds people for a model of masks."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.footage import Shoot, record
from tests.live_command import vr_live
from tests.onnx_models import affine_info, write_affine
from tests.segmenter_folder import write_close_ups
from tests.train_command import vr_train_here
from vr.export.cli import export_checkpoint
from vr.runtime.geometry import matrix_to_theta
from vr.runtime.segmenter import Segmenter

SIZE_HW = (96, 128)
LEAST_IOU = 0.35
"""A longer training, at a larger size, gets further; six by eight cells of 16 px allow hardly more than 0.7."""


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The exported segmenter; about two minutes of one core."""
    folder = tmp_path_factory.mktemp("whole")
    data = write_close_ups(folder / "data", 600, 0, (120, 160))
    size = f"{SIZE_HW[0]}x{SIZE_HW[1]}"
    done = vr_train_here(
        *("segmenter", data, "--out", folder / "run", "--size", size, "--epochs", 7, "--lr", 3e-3, "--device", "cpu")
    )
    assert done.returncode == 0, done.stderr
    figures = json.loads((folder / "run" / "figures.json").read_text())
    assert figures["iou_person"] > LEAST_IOU and figures["iou_background"] > 0.65
    (parity,) = export_checkpoint(
        folder / "run" / "best.pt",
        folder / "person.onnx",
        "estimate",
        "fp32",
        None,
        transform=None,
        dynamic=False,
        overwrite=False,
    )
    assert parity.output == "probability" and parity.error < 1e-3
    return folder / "person.onnx"


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_people_in_unseen_scenes_are_found(person: Path, tmp_path: Path) -> None:
    data = write_close_ups(tmp_path / "unseen", 90, 1_000_000, (120, 160))
    segmenter = Segmenter(person, "cpu", threads=1)
    both = either = 0
    for path in sorted((data / "images").iterdir()):
        image, truth = cv2.imread(str(path)), cv2.imread(str(data / "masks" / path.name), cv2.IMREAD_GRAYSCALE)
        assert image is not None and truth is not None
        found = segmenter(image.astype(np.uint8)) > 0  # pyright: ignore[reportArgumentType]
        both, either = both + np.count_nonzero(found & (truth > 127)), either + np.count_nonzero(found | (truth > 127))
    assert both / either > LEAST_IOU


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_live_picture_is_aligned_by_its_masks(person: Path, tmp_path: Path) -> None:
    """By a model that always gives the true transform: what counts is that the masks which are made agree with it."""
    shoot = Shoot(seed=4, ir_fps=10.0, rgb_fps=10.0, ir_duration_s=3.0, rgb_duration_s=3.0, drift_px_s=0.0)
    footage = record(tmp_path, shoot)
    truth = matrix_to_theta(shoot.simulator().matrix_rgb_to_ir(0), shoot.size_hw, shoot.ir_hw)
    model = write_affine(tmp_path / "mask.onnx", truth, affine_info(mode="mask", has_confidence=False))
    ended = vr_live(
        *("--ir", footage.ir, "--rgb", footage.rgb, "--model", model, "--no-window", "--mode", "mask"),
        *("--segmenter", person, "--transforms", tmp_path / "t.jsonl", "--record", tmp_path / "out.mp4"),
    )
    assert (ended.code, ended.err) == (0, "")
    states = [json.loads(line)["state"] for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert len(states) == 30 and states.count("estimated") >= 15
