"""IR masks by threshold, what is burnt in, and the segmenter of `vr-train prepare`."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.footage import Shoot, clock_box, record
from tests.helpers import shared_data
from tests.onnx_models import write_segmenter
from vr.models.segmenter import PERSON_CLASS, SegmenterNet, build_segmenter
from vr.models.voxelmorph import VoxelMorphNet
from vr.runtime.errors import ModelError
from vr.runtime.mask import Mask, hole_share
from vr.runtime.threshold import otsu, warm_mask
from vr.train import checkpoint
from vr.train.checkpoint import Checkpoint
from vr.train.data import read_image, read_mask
from vr.train.prepare.people import open_segmenter
from vr.train.prepare.reading import open_recording
from vr.train.prepare.survey import survey
from vr.train.prepare.threshold import steady


def dice(a: Mask, b: Mask) -> float:
    return 2.0 * float(np.count_nonzero(a & b)) / max(float(np.count_nonzero(a)) + float(np.count_nonzero(b)), 1.0)


@pytest.mark.parametrize("blue", [False, True])
def test_warm_masks_are_the_people_of_the_simulator(tmp_path: Path, blue: bool) -> None:
    """A room: the people are the warmest there is."""
    footage = record(tmp_path, Shoot(seed=4, ir_duration_s=6.0, rgb_duration_s=0.1, blue=blue, clock=True))
    recording = open_recording(str(footage.ir), "ir", 9.0)
    found = survey(recording, 20, lambda: None)
    assert (found.is_blue, found.is_coloured) == (blue, blue)
    thresholds = found.otsu_blue if blue else found.otsu_gray
    levels = steady(thresholds, otsu(found.histograms[int(blue)]), found.time_s)
    overlay = found.pixels.overlay()
    scores = [
        dice(warm_mask(s.frame, blue, float(levels[n]), overlay), footage.ir_people[n])
        for n, s in enumerate(recording.frames())
    ]
    assert float(np.median(scores)) > 0.8


def test_the_clock_is_burnt_in_and_little_else(tmp_path: Path) -> None:
    footage = record(tmp_path, Shoot(seed=8, clock=True))
    for path, role in ((footage.ir, "ir"), (footage.rgb, "rgb")):
        recording = open_recording(str(path), role, 30.0)  # type: ignore[arg-type]
        found = survey(recording, 20, lambda: None)
        overlay = found.pixels.overlay()
        box = clock_box((240, 320))
        digits = np.zeros(overlay.shape, bool)
        for stamped in recording.frames():
            digits[box] |= stamped.frame[box].max(axis=2) > 128
        assert float(overlay[digits].mean()) > 0.98, role
        outside = overlay.copy()
        outside[box] = 0
        assert float(outside.mean()) < 0.02, role


def test_nothing_is_burnt_in_where_few_frames_were_seen(tmp_path: Path) -> None:
    footage = record(tmp_path, Shoot(seed=8, clock=True, ir_duration_s=1.0, rgb_duration_s=0.1))
    assert not survey(open_recording(str(footage.ir), "ir", 9.0), 20, lambda: None).pixels.overlay().any()


def test_the_thesis_frame_gives_the_thesis_mask() -> None:
    ir = read_image(shared_data("thesis/ir_frame.jpg"))
    person = 1 - read_mask(shared_data("thesis/mask_ir_frame.jpg"))
    level = otsu(cv2.calcHist([ir[:, :, 0]], [0], None, [256], [0.0, 256.0]).ravel().astype(np.float64))
    nothing = np.zeros(person.shape, np.uint8)
    nothing[-20:, :70] = 1  # its clock
    assert dice(warm_mask(ir, True, level, nothing), person & (1 - nothing)) > 0.9


def test_thresholds_are_steady() -> None:
    rng = np.random.default_rng(0)
    time_s = np.arange(200) / 10.0
    noisy = 150.0 + rng.standard_normal(200) * 4.0
    noisy[50:53] = 20.0
    assert len(set(steady(noisy, 150.0, time_s).tolist())) == 1
    stepped = np.where(time_s < 10.0, 150.0, 165.0)
    assert set(steady(stepped, 155.0, time_s).tolist()) == {150.0, 165.0}
    assert steady(np.full(10, 30.0), 150.0, time_s[:10]).tolist() == [126.0] * 10


def test_otsu_finds_few_bright_pixels_above_two_kinds_of_ground() -> None:
    histogram = np.zeros(256)
    histogram[[30, 100, 220]] = 500.0, 450.0, 50.0
    assert 100 <= otsu(histogram) < 220
    assert otsu(np.eye(256)[7] * 100.0) == 0.0


def test_hole_share_is_what_is_missing_inside() -> None:
    mask = np.zeros((60, 60), np.uint8)
    mask[10:50, 10:50] = 1
    assert hole_share(mask) == 0.0
    mask[20:40, 20:40] = 0
    assert hole_share(mask) == pytest.approx(400 / 1600)


def person_everywhere(folder: Path) -> Path:
    """Weights of a segmenter that sees a person in every pixel."""
    torch.manual_seed(0)
    net = build_segmenter()
    with torch.no_grad():
        net.get_parameter("deeplab.classifier.4.bias")[PERSON_CLASS] += 100.0
    torch.save(net.deeplab.state_dict(), folder / "person.pth")
    return folder / "person.pth"


def test_segmentation_gives_masks_of_the_frame(tmp_path: Path) -> None:
    segment = open_segmenter(person_everywhere(tmp_path), "mobilenet_v3_large")
    mask = segment(np.zeros((70, 90, 3), np.uint8))
    assert mask.shape == (70, 90)
    assert mask.dtype == np.uint8
    assert mask.min() == 1


def test_a_segmenter_of_ones_own_is_taken_as_checkpoint_or_onnx_file(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = SegmenterNet((32, 48))
    with torch.no_grad():
        net.get_parameter("deeplab.classifier.4.bias")[1] += 100.0
    checkpoint.save(tmp_path / "own.pt", Checkpoint("segmenter", net.config, net.state_dict(), "rgb", "run"))
    gray = np.zeros((70, 90), np.uint8)
    mask = open_segmenter(tmp_path / "own.pt", "resnet50")(gray)
    assert mask.shape == (70, 90) and mask.min() == 1
    red = open_segmenter(write_segmenter(tmp_path / "red.onnx"), "resnet50")
    assert not red(gray).any() and red(gray + np.uint8(200)).all()


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    net = VoxelMorphNet((32, 48))
    checkpoint.save(tmp_path / "other.pt", Checkpoint("voxelmorph", net.config, net.state_dict(), "gray", "run"))
    with pytest.raises(ModelError, match="trained the voxelmorph network; expected a checkpoint of vr-train segmenter"):
        open_segmenter(tmp_path / "other.pt", "mobilenet_v3_large")


def test_missing_weights_are_named_with_their_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    with pytest.raises(
        ModelError, match=r"download https://download\.pytorch\.org/\S+\.pth and give it with --weights"
    ):
        open_segmenter(None, "mobilenet_v3_large")
    (tmp_path / "text.pth").write_text("no weights")
    with pytest.raises(ModelError, match=r"text\.pth does not hold the weights"):
        open_segmenter(tmp_path / "text.pth", "mobilenet_v3_large")


def test_weights_in_torchs_cache_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "checkpoints").mkdir()
    name = "deeplabv3_mobilenet_v3_large-fc3c493d.pth"
    person_everywhere(tmp_path).rename(tmp_path / "checkpoints" / name)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert open_segmenter(None, "mobilenet_v3_large")(np.zeros((64, 64, 3), np.uint8)).all()
