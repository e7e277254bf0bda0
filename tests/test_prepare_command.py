"""`vr-train prepare` as a user meets it: real video files in, a dataset folder out."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tests.footage import Footage, Shoot, record
from tests.live_command import snapshot
from tests.onnx_models import write_segmenter
from tests.test_prepare_masks import person_everywhere
from tests.train_command import refused, vr_train_here
from vr.train.data import list_pairs, read_mask, split_pairs

SHOOT = Shoot(seed=8, offset_s=1.3, dark_s=(7.0, 9.0), frozen_s=(4.0, 5.5), clock=True)
SMALL = Shoot(seed=8, size_hw=(96, 128), ir_hw=(48, 64), ir_fps=10.0, rgb_fps=25.0, ir_duration_s=5, rgb_duration_s=6)


def prepare(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command in this process."""
    return vr_train_here("prepare", *arguments)


def manifest(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]


def report(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    return record(tmp_path_factory.mktemp("footage"), SHOOT)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Footage:
    return record(tmp_path_factory.mktemp("small"), SMALL)


@pytest.fixture(scope="module")
def prepared(footage: Footage, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    out = tmp_path_factory.mktemp("prepared") / "data"
    done = prepare("--pair", footage.ir, footage.rgb, "--out", out, "--masks", "ir")
    assert done.returncode == 0, done.stderr
    return out, done.stdout


def test_the_offset_is_recovered_within_one_frame(prepared: tuple[Path, str]) -> None:
    source = report(prepared[0])["sources"][0]
    assert abs(source["offset_ms"] - 1300.0) < 1000 / 30
    assert 0.3 < source["offset_confidence"] < 1.0
    assert "ms (estimated, confidence" in prepared[1]


def test_paired_frames_were_taken_together(prepared: tuple[Path, str]) -> None:
    gaps_s = [line["ir_time_s"] + 1.3 - line["rgb_time_s"] for line in manifest(prepared[0])]
    assert max(map(abs, gaps_s)) < 1.5 / 30


def test_each_dropped_pair_has_the_right_reason(prepared: tuple[Path, str]) -> None:
    lines = manifest(prepared[0])
    for line in lines:
        is_dark = 7.0 <= line["rgb_time_s"] < 9.0
        is_frozen = 4.0 < line["ir_time_s"] < 5.5
        expected = "dark" if is_dark else "frozen" if is_frozen else None
        if expected or line["reason"] in ("dark", "frozen"):
            assert line["reason"] == expected, line
    assert {"dark", "frozen", "guard"} <= {line["reason"] for line in lines}
    dark = next(line for line in lines if line["reason"] == "dark")
    assert dark["decision"] == "dropped" and "of the RGB pixels are dark" in dark["detail"] and dark["split"] is None


def test_every_examined_pair_has_one_line_and_every_kept_one_its_files(prepared: tuple[Path, str]) -> None:
    out, text = prepared
    lines, figures = manifest(out), report(out)
    kept = [line["stem"] for line in lines if line["decision"] == "kept"]
    assert len({line["stem"] for line in lines}) == len(lines) == figures["examined"]
    assert figures["kept"] == len(kept) == len(lines) - sum(figures["dropped"].values())
    for name in ("rgb", "ir", "masks/ir"):
        assert sorted(path.stem for path in (out / name).iterdir()) == sorted(kept)
    assert figures["sources"][0]["without_partner"]["ir"] + len(lines) == figures["sources"][0]["ir"]["frames"]
    assert re.search(rf"^kept +{len(kept)}$", text, re.MULTILINE)
    assert sorted(p.name for p in out.iterdir()) == [
        "contact.png",
        "ir",
        "manifest.jsonl",
        "masks",
        "prepare.json",
        "report.json",
        "rgb",
    ]


def test_the_contact_sheet_shows_what_was_kept_and_dropped(prepared: tuple[Path, str]) -> None:
    sheet = cv2.imread(str(prepared[0] / "contact.png"))
    assert sheet is not None
    assert sheet.shape[0] > 5 * 120
    assert sheet.std() > 20


def test_training_follows_the_split_of_the_manifest(prepared: tuple[Path, str]) -> None:
    out = prepared[0]
    split = split_pairs(list_pairs(out), 0.3, 0.3)
    for name in ("train", "val", "test"):
        expected = [line["stem"] for line in manifest(out) if line["split"] == name]
        assert [pair.stem for pair in getattr(split, name)] == expected
    assert len(split.train) > 10 * len(split.val)


def test_masks_leave_out_the_clock(prepared: tuple[Path, str]) -> None:
    for path in (prepared[0] / "masks" / "ir").iterdir():
        assert not read_mask(path)[-16:, :75].any()


def test_every_step_can_be_switched_off(footage: Footage, tmp_path: Path) -> None:
    off = ("--no-dark", "--no-frozen", "--no-empty", "--no-duplicates", "--no-split", "--no-resize")
    done = prepare("--pair", footage.ir, footage.rgb, "--out", tmp_path / "all", "--offset-ms", 1300, *off)
    assert done.returncode == 0, done.stderr
    figures = report(tmp_path / "all")
    assert figures["kept"] == figures["examined"] == len(list((tmp_path / "all" / "ir").iterdir()))
    assert set(figures["dropped"].values()) == {"off"}
    assert figures["split"] == "off"
    assert all(pair.part is None for pair in list_pairs(tmp_path / "all"))


def test_infrared_gets_the_size_of_colour(small: Footage, tmp_path: Path) -> None:
    given = ("--pair", small.ir, small.rgb, "--offset-ms", 0, "--format", "png")
    for out, size_hw in (("same", (96, 128)), ("native", (48, 64))):
        done = prepare(*given, "--out", tmp_path / out, *(["--no-resize"] if out == "native" else []))
        assert done.returncode == 0, done.stderr
        image = cv2.imread(str(next((tmp_path / out / "ir").glob("*.png"))), cv2.IMREAD_UNCHANGED)
        assert image is not None and image.shape == size_hw


def test_recordings_of_different_length_end_with_the_shorter(small: Footage, tmp_path: Path) -> None:
    assert prepare("--pair", small.ir, small.rgb, "--out", tmp_path / "d", "--offset-ms", 0).returncode == 0
    figures = report(tmp_path / "d")
    assert figures["examined"] == 50
    assert figures["sources"][0]["without_partner"] == {"ir": 0, "rgb": 100}


def test_many_pairs_go_into_one_folder_and_each_is_a_scene(small: Footage, tmp_path: Path) -> None:
    pair = ("--pair", small.ir, small.rgb)
    done = prepare(*pair, *pair, *pair, "--out", tmp_path / "d", "--offset-ms", 0, "--shares", 1, 1, 1)
    assert done.returncode == 0, done.stderr
    lines = manifest(tmp_path / "d")
    parts = {(line["stem"][0], line["split"]) for line in lines if line["decision"] == "kept"}
    assert parts == {("0", "train"), ("1", "val"), ("2", "test")}
    assert report(tmp_path / "d")["dropped"]["guard"] == 0


def test_folders_of_frames_work_and_broken_images_are_counted(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name in ("ir", "rgb"):
        (tmp_path / name).mkdir()
        for index in range(12):
            noise = rng.integers(40, 200, (48, 64, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), noise)
    (tmp_path / "rgb" / "0.png").write_bytes(b"damaged")
    (tmp_path / "ir" / "5.png").write_bytes((tmp_path / "ir" / "5.png").read_bytes()[:200])
    cv2.imwrite(str(tmp_path / "ir" / "7.png"), np.zeros((60, 64, 3), np.uint8))
    done = prepare("--pair", tmp_path / "ir", tmp_path / "rgb", "--out", tmp_path / "d", "--offset-ms", 0)
    assert done.returncode == 0, done.stderr
    source = report(tmp_path / "d")["sources"][0]
    assert (source["ir"]["broken"], source["rgb"]["broken"]) == (2, 1)
    assert "0.png" in source["rgb"]["broken_examples"][0]
    assert "5.png" in done.stdout and "the first is (48, 64, 3)" in done.stdout
    frames = {(line["ir_frame"], line["rgb_frame"]) for line in manifest(tmp_path / "d")}
    assert frames == {(n, n) for n in range(12)} - {(0, 0), (5, 5), (7, 7)}


def test_16_bit_infrared_stays_16_bit(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, dtype, high in (("ir", np.uint16, 9000), ("rgb", np.uint8, 200)):
        (tmp_path / name).mkdir()
        for index in range(5):
            noise = rng.integers(40, high, (48, 64) if name == "ir" else (48, 64, 3)).astype(dtype)
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), noise)
    done = prepare("--pair", tmp_path / "ir", tmp_path / "rgb", "--out", tmp_path / "d", "--offset-ms", 0, "--no-split")
    assert done.returncode == 0, done.stderr
    found = cv2.imread(str(tmp_path / "d" / "ir" / "0_000003.png"), cv2.IMREAD_UNCHANGED)
    original = cv2.imread(str(tmp_path / "ir" / "3.png"), cv2.IMREAD_UNCHANGED)
    assert found is not None and np.array_equal(found, original)  # type: ignore[arg-type]


def test_a_video_that_breaks_off_gives_what_it_has(small: Footage, tmp_path: Path) -> None:
    shoot = Shoot(seed=8, size_hw=(96, 128), ir_hw=(96, 128), ir_duration_s=5.0, codec="MJPG", suffix="avi")
    whole = record(tmp_path, shoot)
    content = whole.ir.read_bytes()
    whole.ir.write_bytes(content[: len(content) // 2])
    done = prepare("--pair", whole.ir, whole.rgb, "--out", tmp_path / "d", "--offset-ms", 0)
    assert done.returncode == 0, done.stderr
    ir = report(tmp_path / "d")["sources"][0]["ir"]
    assert ir["broken"] > 0 and ir["frames"] + ir["broken"] == 45
    assert "frames cannot be decoded" in done.stdout


def test_still_recordings_are_near_duplicates(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = rng.integers(40, 200, (48, 64, 3), dtype=np.uint8)
    for name in ("ir", "rgb"):
        (tmp_path / name).mkdir()
        for index in range(10):
            noisy = cv2.add(scene, rng.integers(0, 3, scene.shape, dtype=np.uint8))
            cv2.imwrite(str(tmp_path / name / f"{index}.png"), noisy if index < 8 else 255 - noisy)
    done = prepare("--pair", tmp_path / "ir", tmp_path / "rgb", "--out", tmp_path / "d", "--offset-ms", 0, "--no-split")
    assert done.returncode == 0, done.stderr
    kept = [line["rgb_frame"] for line in manifest(tmp_path / "d") if line["decision"] == "kept"]
    assert kept == [0, 8]
    assert report(tmp_path / "d")["dropped"]["duplicate"] == 8


def test_masks_of_both_and_implausible_ones_dropped(small: Footage, tmp_path: Path) -> None:
    given = ("--pair", small.ir, small.rgb, "--offset-ms", 0, "--masks", "both", "--no-split")
    weights = ("--weights", person_everywhere(tmp_path))
    done = prepare(*given, *weights, "--out", tmp_path / "strict")
    assert done.returncode == 0, done.stderr
    lines = manifest(tmp_path / "strict")
    assert {line["reason"] for line in lines} == {"implausible mask"}
    assert re.search(r"RGB mask covers (99|100)%", lines[0]["detail"])
    assert "nothing was kept" in done.stdout
    assert prepare(*given, *weights, "--out", tmp_path / "all", "--no-plausible").returncode == 0
    pairs = list_pairs(tmp_path / "all" / "masks")
    assert len(pairs) == report(tmp_path / "all")["kept"]
    assert read_mask(pairs[0].rgb).mean() > 0.95


def test_both_cameras_may_have_a_segmenter_of_ones_own(small: Footage, tmp_path: Path) -> None:
    """It takes what is bright red for a person, and of infrared what is warm."""
    given = ("--pair", small.ir, small.rgb, "--offset-ms", 0, "--no-split", "--no-plausible")
    red = write_segmenter(tmp_path / "red.onnx")
    own = ("--masks", "both", "--weights", red, "--ir-weights", red)
    assert prepare(*given, *own, "--out", tmp_path / "own").returncode == 0
    assert prepare(*given, "--masks", "ir", "--ir-threshold", 127, "--out", tmp_path / "warm").returncode == 0
    pairs = list_pairs(tmp_path / "own" / "masks")
    assert len(pairs) == report(tmp_path / "own")["kept"] > 10
    for pair in pairs[:5]:
        warm = read_mask(tmp_path / "warm" / "masks" / "ir" / pair.ir.name)
        found = read_mask(pair.ir)
        assert 2 * np.count_nonzero(found & warm) > 0.8 * (found.sum() + warm.sum()) > 0


def test_bad_requests_are_refused_in_one_line_and_write_nothing(small: Footage, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "cut.mp4").write_bytes(small.ir.read_bytes()[:3000])
    (tmp_path / "empty").mkdir()
    good = ("--pair", small.ir, small.rgb)
    cases = [
        ((), "nothing to prepare"),
        (("--pair", small.ir, tmp_path / "absent.mp4"), "absent.mp4 does not exist"),
        (("--pair", tmp_path / "cut.mp4", small.rgb), "cut.mp4 as a video"),
        (("--pair", tmp_path / "empty", small.rgb), "no images in"),
        (("--pair", small.ir), "lacks a recording"),
        ((*good, "--offset-ms", "soon"), "expected auto, or a number"),
        ((*good, "--offset-ms", "90000"), "no IR frame lies within"),
        ((*good, "--offset-ms", 0, "--masks", "rgb"), "expected one of none, ir, both"),
        ((*good, "--offset-ms", 0, "--masks", "both", "--weights", tmp_path / "w.pth"), "No such file"),
        ((*good, "--offset-ms", 0, "--masks", "both", "--weights", tmp_path / "w.onnx"), "does not exist"),
        ((*good, "--offset-ms", 0, "--ir-weights", tmp_path / "w.onnx"), "add --masks ir or --masks both"),
        ((*good, "--masks", "ir", "--ir-weights", "w.onnx", "--ir-threshold", 9), "give one of them"),
        ((*good, "--offset-ms", 0, "--shares", 0, 1, 1), "--shares"),
        ((*good, "--offset-ms", 0, "--resume"), "nothing to resume"),
    ]
    for arguments, message in cases:
        assert message in refused(prepare(*arguments, "--out", out)), arguments
        assert not out.exists(), arguments


def test_a_folder_that_holds_something_is_not_written_to(small: Footage, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = prepare("--pair", small.ir, small.rgb, "--offset-ms", 0, "--out", tmp_path)
    assert "is not empty; add --resume" in refused(done)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


SLOW_WRITES = (
    "import time; from vr.train.prepare.folder import DatasetFolder as D; w = D.write_image;"
    "D.write_image = lambda *a: (time.sleep(0.05), w(*a))[1];"
)


def start(*arguments: object) -> subprocess.Popen[str]:
    """Runs the command in a process of its own, that takes its time to write."""
    script = f"import sys; {SLOW_WRITES}from vr.train.cli import main; sys.argv[0] = 'vr-train'; main()"
    command = [sys.executable, "-c", script, "prepare", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_lines(folder: Path, count: int) -> None:
    deadline = time.monotonic() + 100
    path = folder / "manifest.jsonl"
    while time.monotonic() < deadline:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.02)
    raise AssertionError("no manifest in time")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_and_resumed_gives_the_uninterrupted_folder(
    small: Footage, tmp_path: Path, number: signal.Signals
) -> None:
    given = ("--pair", small.ir, small.rgb, "--offset-ms", 0, "--masks", "ir")
    assert prepare(*given, "--out", tmp_path / "whole").returncode == 0
    out = tmp_path / "cut"
    process = start(*given, "--out", out)
    try:
        wait_for_lines(out, 12)
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert len(manifest(out)) < 50
    if number == signal.SIGINT:
        assert process.returncode == 130 and "Traceback" not in errors
        assert f"--out {out} --resume" in errors
    else:
        with (out / "manifest.jsonl").open("a") as file:
            file.write('{"stem": "0_0')
        (out / "rgb" / ".0_000099.jpg.part").write_bytes(b"torn")
    assert "cannot resume with other settings: dark_level" in refused(
        prepare(*given, "--out", out, "--resume", "--dark-level", 30)
    )
    done = prepare(*given, "--out", out, "--resume")
    assert done.returncode == 0, done.stderr
    assert snapshot(out) == snapshot(tmp_path / "whole")


def test_a_full_disk_is_one_line_and_loses_nothing(
    small: Footage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = ("--pair", small.ir, small.rgb, "--offset-ms", 0)
    assert prepare(*given, "--out", tmp_path / "whole").returncode == 0
    write, calls = Path.write_bytes, [0]

    def fill(path: Path, content: bytes) -> int:
        calls[0] += 1
        if calls[0] > 15:
            write(path, content[: len(content) // 2])
            raise OSError(28, os.strerror(28))
        return write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        message = refused(prepare(*given, "--out", tmp_path / "full"))
    assert "No space left on device" in message and "--resume" in message
    assert not list((tmp_path / "full").rglob(".*.part"))
    assert prepare(*given, "--out", tmp_path / "full", "--resume").returncode == 0
    assert snapshot(tmp_path / "full") == snapshot(tmp_path / "whole")


def test_recordings_that_have_changed_are_not_mixed(small: Footage, tmp_path: Path) -> None:
    for name in ("ir.mp4", "rgb.mp4"):
        (tmp_path / name).write_bytes((small.ir.parent / name).read_bytes())
    given = ("--pair", tmp_path / "ir.mp4", tmp_path / "rgb.mp4", "--offset-ms", 0, "--out", tmp_path / "d")
    assert prepare(*given).returncode == 0
    (tmp_path / "ir.mp4").write_bytes(small.rgb.read_bytes())
    assert "the manifest does not fit these recordings" in refused(prepare(*given, "--resume"))
