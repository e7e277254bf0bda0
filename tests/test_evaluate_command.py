"""`vr-train evaluate` from end to end: on generated pairs, with what a model may be, and on what it must refuse."""

import csv
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.evaluation_data import FRAME_HW, write_known_pairs, write_voxelmorph
from tests.helpers import write_masks, write_pairs
from tests.onnx_models import write_affine
from tests.train_command import refused, vr_train_here
from vr.runtime import embedded
from vr.runtime.geometry import grid_error_px
from vr.runtime.sim import Simulator
from vr.train.evaluate import session
from vr.train.evaluate.pairs import known_pairs, read_sample, unaligned, warped


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_known_pairs(tmp_path_factory.mktemp("known") / "data", 4, has_manifest=True)


def evaluated(model: object, data: Path, out: Path, *options: object) -> tuple[dict, list[dict[str, str]]]:
    """figures.json and the lines of pairs.csv."""
    done = vr_train_here("evaluate", model, data, "--out", out, *options)
    assert done.returncode == 0, done.stderr
    with (out / "pairs.csv").open(newline="") as file:
        return json.loads((out / "figures.json").read_text()), list(csv.DictReader(file))


def test_the_built_in_model_is_measured_on_all_that_is_known(data: Path, tmp_path: Path) -> None:
    figures, rows = evaluated("small", data, tmp_path / "out", "--part", "all", "--pictures", 1)
    assert figures["complete"] and figures["pairs"] == len(rows) == 4 and figures["refused"] == 0
    assert figures["model"]["network"] == "match" and figures["settings"]["part"] == "all"
    warp, marks = figures["known_warp"], figures["landmarks"]
    assert warp["identity"]["median_px"] > 20 and warp["model"]["median_px"] < 2.0
    assert warp["model"]["below_px"]["3"] == 1.0 and warp["identity"]["below_px"]["5"] == 0.0
    assert marks["identity"]["median_px"] > 20 and marks["model"]["median_px"] < 2.0
    assert figures["dice"]["before"] < 0.5 and figures["dice"]["after"] > 0.9
    assert figures["iou"]["after"] < figures["dice"]["after"]
    for found in figures["similarity"].values():
        assert found["after"] > found["before"]
    assert figures["folding"] == {"mean_share": 0.0, "folded_pairs": 0}
    assert 0.0 < figures["round_trip"]["median_px"] < 3.0
    assert [row["stem"] for row in rows] == ["00", "01", "02", "03"]
    assert float(rows[0]["error_px"]) < 5.0 < float(rows[0]["error_before_px"])
    worst = max(rows, key=lambda row: float(row["error_px"]))
    assert {path.stem for path in (tmp_path / "out" / "pictures").iterdir()} == {"00", worst["stem"]}
    picture, overview = (cv2.imread(str(tmp_path / "out" / name)) for name in ("pictures/00.png", "overview.png"))
    assert picture is not None and overview is not None
    assert picture.shape[1] == overview.shape[1] and overview.shape[0] > 3 * picture.shape[0]


def test_the_test_part_is_measured_unless_told_otherwise(data: Path, tmp_path: Path) -> None:
    _, rows = evaluated(write_voxelmorph(tmp_path / "still.pt"), data, tmp_path / "out", "--pictures", 0)
    assert [row["stem"] for row in rows] == ["02", "03"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["figures.json", "pairs.csv"]


def test_a_checkpoint_that_moves_nothing_leaves_everything_as_it_was(data: Path, tmp_path: Path) -> None:
    model = write_voxelmorph(tmp_path / "still.pt")
    figures, rows = evaluated(model, data, tmp_path / "out", "--part", "all", "--similarity", "ncc,mi")
    assert figures["model"] == {
        "network": "voxelmorph",
        "kind": "dense",
        "mode": "gray",
        "size_hw": [48, 64],
        "training_run": "still",
    }
    assert figures["known_warp"]["model"] == figures["known_warp"]["identity"]
    assert figures["dice"]["after"] == pytest.approx(figures["dice"]["before"], abs=0.005)
    assert list(figures["similarity"]) == ["ncc", "mi"]
    assert figures["similarity"]["ncc"]["after"] == pytest.approx(figures["similarity"]["ncc"]["before"], abs=0.005)
    assert figures["round_trip"]["median_px"] == 0.0 and figures["folding"]["mean_share"] == 0.0
    assert "ngf" not in rows[0]


def test_there_and_back_of_a_model_that_always_shifts_is_twice_the_shift(data: Path, tmp_path: Path) -> None:
    """2 px of a 64x48 grid are 10 of 320x240, and the swapped pair gets them too."""
    model = write_voxelmorph(tmp_path / "shifts.pt", (2.0, 0.0))
    figures, _ = evaluated(model, data, tmp_path / "out", "--pictures", 0)
    assert figures["round_trip"]["median_px"] == pytest.approx(20.0, abs=0.01)


def test_an_onnx_file_and_a_model_of_masks(data: Path, tmp_path: Path) -> None:
    """The affine of the file is refused, since the test model's confidence is the brightness of the IR frame."""
    figures, rows = evaluated(write_affine(tmp_path / "m.onnx"), data, tmp_path / "onnx", "--pictures", 2)
    assert figures["refused"] == 2 and {row["state"] for row in rows} == {"refused"}
    assert figures["known_warp"]["model"]["below_px"]["5"] == 0.0 and rows[0]["error_px"] == ""
    assert figures["dice"]["after"] == figures["dice"]["before"] and figures["round_trip"] is None
    masks = write_voxelmorph(tmp_path / "masks.pt", mode="mask")
    beside, _ = evaluated(masks, data, tmp_path / "beside", "--pictures", 0)
    alone, _ = evaluated(masks, data / "masks", tmp_path / "alone", "--pictures", 1)
    assert beside["dice"] == alone["dice"] and beside["known_warp"] is not None and alone["known_warp"] is None


def test_frames_of_two_sizes_and_16_bit_are_measured_in_px_of_one_size(tmp_path: Path) -> None:
    simulator = Simulator(3, (480, 640), (192, 256), drift_px_s=0.0)
    ir, rgb = simulator.frames(0)
    ir_mask, rgb_mask = simulator.person_masks(0)
    files = {"ir": ir.astype(np.uint16) * 60 + 7000, "rgb": rgb, "masks/ir": ir_mask * 255, "masks/rgb": rgb_mask * 255}
    for side, image in files.items():
        (tmp_path / "data" / side).mkdir(parents=True)
        cv2.imwrite(str(tmp_path / "data" / side / "a.png"), image)
    line = {"stem": "a", "matrix_rgb_to_ir": simulator.matrix_rgb_to_ir(0).tolist()}
    (tmp_path / "data" / "truth.jsonl").write_text(json.dumps(line))
    figures, _ = evaluated("small", tmp_path / "data", tmp_path / "out", "--pictures", 0)
    # The default misalignment is 26 px at 320x240, whatever the size of the frames.
    assert figures["known_warp"]["identity"]["median_px"] == pytest.approx(26.26, abs=0.2)
    assert figures["known_warp"]["model"]["median_px"] < 3.0
    assert figures["dice"]["after"] > 0.85 and figures["round_trip"]["median_px"] < 4.0


def test_known_warps_are_measured_against_themselves(tmp_path: Path) -> None:
    """The IR frames are the RGB frames upside down in brightness, aligned; the built-in model finds the warp."""
    aligned = write_pairs(tmp_path / "aligned", 3, FRAME_HW)
    figures, first = evaluated("default", aligned, tmp_path / "a", "--warps", "--seed", 3, "--pictures", 0)
    assert figures["known_warp"]["identity"]["mean_px"] > 5 * figures["known_warp"]["model"]["mean_px"]
    _, again = evaluated("default", aligned, tmp_path / "b", "--warps", "--seed", 3, "--pictures", 0)
    _, other = evaluated("default", aligned, tmp_path / "c", "--warps", "--seed", 4, "--pictures", 0)
    errors = [[row["error_before_px"] for row in rows] for rows in (first, again, other)]
    assert errors[0] == errors[1] != errors[2]


def test_what_lies_at_the_warped_truth_is_what_the_rgb_frame_shows(data: Path) -> None:
    known = known_pairs(data, "all")[0]
    before = read_sample(known, "gray")
    after = warped(before, 0, 0)
    assert after.truth is not None and before.truth is not None and after.landmarks is not None
    assert grid_error_px(after.truth, before.truth, before.rgb_hw) > 1.0
    np.testing.assert_allclose(after.landmarks.ir, np.c_[after.landmarks.rgb, np.ones(9)] @ after.truth.T, atol=1e-6)
    ys, xs = np.mgrid[90:150:10, 120:200:10]
    points = np.stack([xs, ys, np.ones_like(xs)], axis=-1) @ after.truth.T
    old = np.stack([xs, ys, np.ones_like(xs)], axis=-1) @ before.truth.T
    grays = [
        cv2.remap(one.ir, where[..., 0].astype(np.float32), where[..., 1].astype(np.float32), cv2.INTER_LINEAR)
        for one, where in ((after, points), (before, old))
    ]
    assert np.abs(grays[0].astype(int) - grays[1]).mean() < 4.0
    np.testing.assert_allclose(unaligned((480, 640), (240, 320)) @ (639.5, 479.5, 1), (319.5, 239.5))


def test_ctrl_c_leaves_the_figures_of_the_pairs_so_far(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The signal comes while the second pair is read."""
    import signal

    read = session.read_sample
    seen: list[str] = []

    def stopping(known: session.KnownPair, mode: str) -> session.Sample:
        seen.append(known.pair.stem)
        if len(seen) == 2:
            signal.raise_signal(signal.SIGINT)
        return read(known, mode)

    monkeypatch.setattr(session, "read_sample", stopping)
    out = tmp_path / "out"
    done = vr_train_here("evaluate", write_voxelmorph(tmp_path / "m.pt"), data, "--part", "all", "--out", out)
    assert done.returncode == 130
    assert "stopped after 2 of 4 pairs" in done.stderr
    figures = json.loads((out / "figures.json").read_text())
    assert figures["pairs"] == 2 and not figures["complete"]
    assert len((out / "pairs.csv").read_text().splitlines()) == 3


def test_bad_input_is_refused_in_one_line_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    out, model = tmp_path / "out", write_voxelmorph(tmp_path / "m.pt")
    (tmp_path / "damaged.pt").write_bytes(b"no checkpoint")
    (tmp_path / "damaged.onnx").write_bytes(b"no model")
    torn = tmp_path / "torn.onnx"
    torn.write_bytes(embedded.embedded_path("small").read_bytes()[:10_000])
    empty = tmp_path / "empty"
    (empty / "rgb").mkdir(parents=True)
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").touch()
    cases = [
        ((model, empty), "no .jpg, .jpeg, .png image in"),
        ((model, tmp_path / "absent"), "no folder"),
        ((model, write_masks(tmp_path / "two", 2), "--part", "test"), "only 2 pair(s)"),
        ((model, data, "--part", "tests"), "expected one of all, train, val, test"),
        ((model, data, "--similarity", "ncc,ssim"), "similarity 'ssim' is unknown"),
        ((tmp_path / "absent.pt", data), "cannot read the checkpoint"),
        ((tmp_path / "damaged.pt", data), "is not a checkpoint"),
        ((tmp_path / "damaged.onnx", data), "cannot be loaded as an ONNX model"),
        ((torn, data), "cannot be loaded as an ONNX model"),
        (("huge", data), "no model 'huge'; expected default, small, clean, dense, a checkpoint (.pt)"),
    ]
    for arguments, message in cases:
        assert message in refused(vr_train_here("evaluate", *arguments, "--out", out)), arguments
        assert not out.exists(), arguments
    assert "exists and is not empty; name another --out" in refused(
        vr_train_here("evaluate", model, data, "--out", full)
    )
    assert [path.name for path in full.iterdir()] == ["notes.txt"]


def copied(data: Path, place: Path) -> Path:
    shutil.copytree(data, place)
    return place


def test_masks_landmarks_and_truth_that_cannot_be_used_are_refused(data: Path, tmp_path: Path) -> None:
    model, out = write_voxelmorph(tmp_path / "m.pt"), tmp_path / "out"
    changes = [
        ("landmarks/02.json", '{"rgb": [[1, 2]], "ir": [[1, NaN]]}', "not finite"),
        ("landmarks/02.json", '{"rgb": [[1, 2]], "ir": [[1, 2], [3, 4]]}', "equally many [x, y]"),
        ("landmarks/02.json", '{"points": []}', "expected: a JSON object with rgb and ir"),
        ("landmarks/02.json", "x;y\n1;2", "is not JSON"),
        ("landmarks/02.json", '{"rgb": [["a", 2]], "ir": [[1, 2]]}', "rows of numbers"),
        ("truth.jsonl", '{"stem": "02", "matrix_rgb_to_ir": [[1, 0], [0, 1]]}', "expected 2x3 or 3x3"),
        ("truth.jsonl", '{"stem": "02", "matrix_rgb_to_ir": [[0, 0, 1], [0, 0, 1]]}', "can be inverted"),
        ("truth.jsonl", '{"stem": "02", "matrix_rgb_to_ir": [[1, 0, NaN], [0, 1, 0]]}', "not finite"),
        ("truth.jsonl", '{"name": "02"}', "line 1, is not as expected"),
    ]
    for number, (name, content, message) in enumerate(changes):
        place = copied(data, tmp_path / str(number))
        (place / name).write_text(content)
        assert message in refused(vr_train_here("evaluate", model, place, "--out", out)), content
        assert not out.exists()
    place = copied(data, tmp_path / "no mask")
    for side in ("rgb", "ir"):
        (place / "masks" / side / "03.png").unlink()
    assert "1 pair(s) have no mask" in refused(vr_train_here("evaluate", model, place, "--out", out))


def test_a_fault_in_the_middle_leaves_the_figures_of_the_pairs_before(data: Path, tmp_path: Path) -> None:
    place, out = copied(data, tmp_path / "data"), tmp_path / "out"
    cv2.imwrite(str(place / "masks" / "ir" / "03.png"), np.zeros((60, 80), np.uint8))
    message = refused(vr_train_here("evaluate", write_voxelmorph(tmp_path / "m.pt"), place, "--out", out))
    assert "is 80x60 px, its frame 320x240" in message
    assert json.loads((out / "figures.json").read_text())["pairs"] == 1
