"""Masks while a video runs: thresholds over time, pairs that cannot be aligned, and the aligner that looks at masks."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.footage import Footage, Shoot, record
from tests.onnx_models import affine_info, edit_metadata, write_affine, write_dense, write_segmenter
from vr.runtime import Aligner
from vr.runtime.errors import InputError, ModelError
from vr.runtime.mask import Mask
from vr.runtime.person_masks import MaskOptions, PersonMasks
from vr.runtime.segmenter import Segmenter
from vr.runtime.threshold import WarmMasks, otsu
from vr.train.prepare.masks import ir_thresholds
from vr.train.prepare.plan import plan_source
from vr.train.prepare.reading import open_recording
from vr.train.prepare.settings import Settings
from vr.train.prepare.survey import survey
from vr.train.prepare.threshold import steady

HW = (120, 160)
SHIFT_PX = 12
THETA = [[1.0, 0.0, 2.0 * SHIFT_PX / HW[1]], [0.0, 1.0, 0.0]]


def dice(a: Mask, b: Mask) -> float:
    return 2.0 * float(np.count_nonzero(a & b)) / max(float(np.count_nonzero(a)) + float(np.count_nonzero(b)), 1.0)


def scene(person: bool = True, share: float = 0.2) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """An IR frame with a warm disc, and an RGB frame with a red one, 12 px further left."""
    ir, rgb = np.full(HW, 60, np.uint8), np.full((*HW, 3), 60, np.uint8)
    if person:
        radius = round(float(np.sqrt(share * HW[0] * HW[1] / np.pi)))
        cv2.circle(ir, (80 + SHIFT_PX, 60), radius, (230,), cv2.FILLED)
        cv2.circle(rgb, (80, 60), radius, (20, 20, 250), cv2.FILLED)
    return ir, rgb


def mask_model(path: Path, confidence: bool = False) -> Path:
    return write_affine(path, THETA, affine_info(mode="mask", has_confidence=confidence))


@pytest.fixture
def red(tmp_path: Path) -> Path:
    return write_segmenter(tmp_path / "red.onnx")


@pytest.fixture
def masks(red: Path) -> PersonMasks:
    return PersonMasks.load(MaskOptions(red), "cpu", 1)


def test_the_network_sees_masks_and_the_frames_are_aligned(tmp_path: Path, red: Path) -> None:
    """The model's confidence is the mean of what it sees of IR: the share of the mask."""
    masks = PersonMasks.load(MaskOptions(red, ir_threshold="150"), "cpu", 1)
    aligner = Aligner.load(mask_model(tmp_path / "m.onnx", confidence=True), "cpu", 1, masks=masks)
    ir, rgb = scene(share=0.57)
    ir[:20, :80] = 90  # would count as a person in a mask file
    one = aligner.estimate(ir, rgb)
    assert one.confidence == pytest.approx((ir > 150).mean(), abs=0.005)
    assert one.state == "estimated" and one.moved is not None and one.matrix_rgb_to_ir is not None
    assert one.moved.shape == rgb.shape and one.moved[5, 60].tolist() == [90, 90, 90]
    assert one.moved[60, 80].tolist() == [230, 230, 230]
    assert "masks" in one.timings_ms
    np.testing.assert_allclose(one.matrix_rgb_to_ir, [[1, 0, SHIFT_PX], [0, 1, 0]], atol=1e-5)


@pytest.mark.parametrize("off_px", [0, 10, 60])
@pytest.mark.parametrize("kind", ["affine", "dense"])
def test_without_a_confidence_the_masks_say_whether_they_were_aligned(
    tmp_path: Path, masks: PersonMasks, kind: str, off_px: int
) -> None:
    """Against Dice of two discs of radius r whose centres are `off_px` apart: their lens by the formula of plane
    geometry.
    """
    size_hw = (48, 64)
    x_px = (SHIFT_PX + off_px) * size_hw[1] / HW[1]
    if kind == "affine":
        theta = [[1.0, 0.0, 2.0 * x_px / size_hw[1]], [0.0, 1.0, 0.0]]
        path = write_affine(tmp_path / "m.onnx", theta, affine_info(mode="mask", has_confidence=False))
    else:
        path = edit_metadata(write_dense(tmp_path / "m.onnx", (x_px, 0.0), size_hw), {"vr.mode": "mask"})
    ir, rgb = scene(share=0.08)
    one = Aligner.load(path, "cpu", 1, masks=masks).estimate(ir, rgb)
    radius, half = round(float(np.sqrt(0.08 * HW[0] * HW[1] / np.pi))), off_px / 2.0
    lens = 0.0 if half >= radius else 2 * radius**2 * np.arccos(half / radius) - 2 * half * np.sqrt(radius**2 - half**2)
    assert one.confidence == pytest.approx(lens / (np.pi * radius**2), abs=0.07)
    assert one.state == ("refused" if off_px == 60 else "estimated")


@pytest.mark.parametrize("confidence", [False, True])
@pytest.mark.parametrize("missing", ["IR", "RGB", "both"])
def test_nobody_in_the_picture_is_refused(tmp_path: Path, red: Path, missing: str, confidence: bool) -> None:
    masks = PersonMasks.load(MaskOptions(red, ir_threshold="150"), "cpu", 1)
    aligner = Aligner.load(mask_model(tmp_path / "m.onnx", confidence), "cpu", 1, masks=masks)
    (ir, rgb), (no_ir, no_rgb) = scene(), scene(person=False)
    pair = {"IR": (no_ir, rgb), "RGB": (ir, no_rgb), "both": (no_ir, no_rgb)}[missing]
    for one in (aligner.estimate(*pair), aligner(*pair, time_s=0.0)):
        assert one.state == "refused" and one.matrix_rgb_to_ir is None and one.moved is None


def test_masks_that_cannot_be_of_the_same_people_are_refused(tmp_path: Path, masks: PersonMasks) -> None:
    aligner = Aligner.load(mask_model(tmp_path / "m.onnx"), "cpu", 1, masks=masks)
    ir, rgb = scene(share=0.2)[0], scene(share=0.02)[1]
    assert masks.single(ir, rgb).fault.startswith("one mask is")
    assert aligner.estimate(ir, rgb).state == "refused"


def test_a_transform_is_held_while_nobody_is_there(tmp_path: Path, masks: PersonMasks) -> None:
    """Marked as such, as any other frame that says nothing."""
    aligner = Aligner.load(mask_model(tmp_path / "m.onnx"), "cpu", 1, masks=masks)
    states = [aligner(*scene(person=n < 10), time_s=n / 10).state for n in range(20)]
    assert states[9] == "estimated" and set(states[10:]) == {"held"}


def test_masks_are_for_models_of_masks(tmp_path: Path, masks: PersonMasks) -> None:
    with pytest.raises(ModelError, match=r"gray\.onnx looks at gray frames; --mode mask needs a model of masks"):
        Aligner.load(write_affine(tmp_path / "gray.onnx"), "cpu", masks=masks)


@pytest.mark.parametrize(
    ("options", "mode", "message"),
    [
        (MaskOptions(), "mask", "--mode mask needs --segmenter"),
        (MaskOptions(Path("a.onnx")), None, "are for --mode mask; add it"),
        (MaskOptions(ir_threshold="160"), None, "are for --mode mask; add it"),
        (MaskOptions(), "gray", "expected mask, or no --mode"),
        (MaskOptions(Path("a.onnx"), Path("b.onnx"), "160"), "mask", "give one of them"),
        (MaskOptions(Path("a.onnx"), ir_threshold="256"), "mask", "expected auto, or a level from 0 to 255"),
        (MaskOptions(Path("a.onnx"), ir_threshold="warm"), "mask", "expected auto, or a level from 0 to 255"),
    ],
)
def test_options_that_make_no_sense(options: MaskOptions, mode: str | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        options.check(mode)


def test_infrared_may_have_a_segmenter_too(red: Path) -> None:
    masks = PersonMasks.load(MaskOptions(red, red), "cpu", 1)
    assert isinstance(masks.ir, Segmenter)
    ir, rgb = scene()
    pair = masks.next(ir, rgb, 0.0)
    assert pair.fault == "" and pair.ir[60, 80 + SHIFT_PX] == 1 and pair.ir[60, 10] == 0


@pytest.mark.parametrize("blue", [False, True])
def test_live_masks_are_those_of_prepare(tmp_path: Path, blue: bool) -> None:
    """A threshold that only knows the past against the one of the whole recording."""
    footage: Footage = record(tmp_path, Shoot(seed=4, size_hw=HW, ir_hw=HW, ir_duration_s=6.0, blue=blue))
    ir = open_recording(str(footage.ir), "ir", 9.0)
    found = survey(ir, 20, lambda: None)
    source = plan_source(found, found, Settings(), is_aligned=True)
    levels = ir_thresholds(source, Settings(), found.is_blue)
    live, scores = WarmMasks(), []
    for number, stamped in enumerate(ir.frames()):
        frame8 = stamped.frame
        level = frame8[:, :, 0] if blue else cv2.cvtColor(frame8, cv2.COLOR_BGR2GRAY)
        scores.append(dice(live.next(stamped.frame, stamped.time_s), (level > levels[number]).astype(np.uint8)))
    assert found.is_blue == blue
    assert float(np.median(scores)) > 0.9 and min(scores) > 0.7


def test_levels_are_held_over_time() -> None:
    """Frames whose own thresholds jump get one level as soon as there are a few; `prepare` agrees."""
    rng = np.random.default_rng(0)
    frames = []
    for number in range(40):
        ir = rng.normal(60 if number % 7 else 90, 4, HW)
        ir[30:90, 60:90] = rng.normal(190, 4, (60, 30))
        frames.append(np.clip(ir, 0, 255).astype(np.uint8))
    alone = np.array([otsu(np.bincount(f.ravel(), minlength=256).astype(float)) for f in frames])
    offline = steady(alone, otsu(sum(np.bincount(f.ravel(), minlength=256) for f in frames)), np.arange(40) / 10.0)  # type: ignore[arg-type]
    live = WarmMasks()
    masks = [live.next(frame, number / 10.0) for number, frame in enumerate(frames)]
    assert np.ptp(alone) > 20 and np.ptp(offline[5:]) == 0
    expected = [(frame > offline[-1]).astype(np.uint8) for frame in frames[20:]]
    assert min(dice(a, b) for a, b in zip(masks[20:], expected, strict=True)) > 0.98


def test_a_lamp_that_warms_up_is_followed_and_reset_forgets() -> None:
    ir = scene()[0]
    live = WarmMasks()
    for number in range(30):
        live.next(ir, number / 10.0)
    warmer = np.clip(ir.astype(int) + 20, 0, 255).astype(np.uint8)
    later = [live.next(warmer, 3.0 + number / 10.0) for number in range(60)]
    assert dice(later[-1], live.single(warmer)) > 0.99
    live.reset()
    assert np.array_equal(live.next(warmer, 0.0), live.single(warmer))


def test_a_fixed_threshold_is_taken_on_the_blue_channel_of_blue_video() -> None:
    gray = scene()[0]
    blue = np.dstack([gray, gray // 2, gray // 20])
    live = WarmMasks(150.0)
    assert np.array_equal(live.next(blue, 0.0), live.next(gray, 0.1))
    assert live.single(blue).sum() > 0 and not WarmMasks(240.0).single(blue).any()
