"""`vr-live --mode mask` as a user meets it."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.live_command import vr_live
from tests.onnx_models import affine_info, write_affine, write_segmenter
from vr.runtime.cli import main

HW = (120, 160)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six frames of each camera, of different size, with a person in the first four; and models."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("ir", "rgb"):
        (folder / name).mkdir()
    for number in range(6):
        ir, rgb = np.full(HW, 60, np.uint8), np.full((240, 320, 3), 60, np.uint8)
        if number < 4:
            cv2.ellipse(ir, (70 + number, 60), (20, 40), 0, 0, 360, (230,), cv2.FILLED)
            cv2.ellipse(rgb, (150 + 2 * number, 120), (40, 80), 0, 0, 360, (20, 20, 250), cv2.FILLED)
        cv2.imwrite(str(folder / "ir" / f"{number}.png"), ir)
        cv2.imwrite(str(folder / "rgb" / f"{number}.png"), rgb)
    write_segmenter(folder / "red.onnx")
    write_affine(folder / "mask.onnx", info=affine_info(mode="mask", has_confidence=False))
    write_affine(folder / "gray.onnx")
    return folder


def test_frames_to_masks_to_an_aligned_recording(inputs: Path, tmp_path: Path) -> None:
    ended = vr_live(
        *("--ir", inputs / "ir", "--rgb", inputs / "rgb", "--model", inputs / "mask.onnx", "--no-window"),
        *("--mode", "mask", "--segmenter", inputs / "red.onnx", "--transforms", tmp_path / "t.jsonl"),
        *("--record", tmp_path / "png", "--alpha", 1, "--fps", 10),
    )
    assert (ended.code, ended.err) == (0, "")
    assert f"masks: RGB by {inputs / 'red.onnx'}, IR by threshold auto" in ended.out.replace("\n", "")
    lines = [json.loads(line) for line in (tmp_path / "t.jsonl").read_text().splitlines()]
    assert [line["state"] for line in lines] == ["estimated"] * 4 + ["held"] * 2
    assert lines[0]["latency_ms"]["masks"] > 0
    picture = cv2.imread(str(tmp_path / "png" / "000000.png"))
    assert picture is not None and picture.shape == (240, 320, 3)
    assert picture[120, 140].tolist() == [230, 230, 230], "the IR frame is shown, not its mask"


BAD: dict[str, tuple[list[str], str]] = {
    "no segmenter": (["--mode", "mask"], "--mode mask needs --segmenter"),
    "no mode": (["--segmenter", "@red.onnx"], "are for --mode mask; add it"),
    "unknown mode": (["--mode", "contours", "--segmenter", "@red.onnx"], "expected mask"),
    "model as segmenter": (["--mode", "mask", "--segmenter", "@mask.onnx"], "mask.onnx is a registration model"),
    "gray model": (["--mode", "mask", "--segmenter", "@red.onnx", "--model", "@gray.onnx"], "needs a model of masks"),
    "segmenter as model": (["--model", "@red.onnx"], "red.onnx is a person segmenter"),
    "wrong threshold": (["--mode", "mask", "--segmenter", "@red.onnx", "--ir-threshold", "x"], "0 to 255"),
    "missing file": (["--mode", "mask", "--segmenter", "@absent.onnx"], "does not exist"),
    "damaged thermal": (["--mode", "mask", "--segmenter", "@red.onnx", "--ir-segmenter", "@ir/0.png"], "0.png"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_options_give_one_clear_line(
    inputs: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    extra, says = BAD[name]
    words = ["--ir", "@ir", "--rgb", "@rgb", "--model", "@mask.onnx", "--no-window", *extra]
    monkeypatch.setattr(sys, "argv", ["vr-live", *(word.replace("@", f"{inputs}/", 1) for word in words)])
    with pytest.raises(SystemExit) as ended:
        main()
    err = capfd.readouterr().err
    assert ended.value.code == 2
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert says in err
