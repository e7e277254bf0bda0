"""The accuracy benchmark from end to end, its methods, and results taken from an earlier run."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.progress import Progress

from benchmarks import accuracy, accuracy_sections, table
from benchmarks.accuracy_figures import source_error_px
from benchmarks.accuracy_methods import (
    WORK_HW,
    Answer,
    Classical,
    Estimator,
    Model,
    MutualInformation,
    at_native_size,
    classical_methods,
    ecc_on_gradients,
    phase_correlation,
    sift_ransac,
)
from benchmarks.accuracy_sections import Amount, Bench
from benchmarks.accuracy_trials import Runner, read_trials
from benchmarks.accuracy_video import follow
from benchmarks.protocol_video import Video
from benchmarks.protocols import ALIGNED, CANVAS_HW, Draw, KnownPair, cut_frames, random_affine
from tests.helpers import smooth_scene, write_pairs
from tests.live_models import write_flow_model
from tests.onnx_models import write_affine, write_dense
from vr.runtime.geometry import IDENTITY_THETA, Float64Array, grid_error_px, theta_to_matrix
from vr.runtime.preprocess import Frame

SMALL = Draw(0.04, 3.0, (0.97, 1.03), 1.0)


def same_modality(seed: int, draw: Draw = SMALL) -> KnownPair:
    scene = smooth_scene(seed, CANVAS_HW)
    bgr = cv2.cvtColor(scene, cv2.COLOR_GRAY2BGR).astype(np.uint8)
    return KnownPair(
        "f", str(seed), f"f/{seed}", *cut_frames(scene, bgr, random_affine(np.random.default_rng(1), draw))
    )


@pytest.mark.parametrize(
    ("estimator", "draw", "limit_px"),
    [
        (phase_correlation, Draw(0.08, 0.0, (1.0, 1.0), 0.0), 0.5),
        (ecc_on_gradients, SMALL, 0.5),
        (sift_ransac, SMALL, 1.0),
    ],
)
def test_classical_methods_find_what_they_are_made_for(estimator: Estimator, draw: Draw, limit_px: float) -> None:
    pair = same_modality(1, draw)
    answer = Classical("one", estimator)(pair.ir, pair.rgb)
    error = source_error_px(answer.source, pair)
    assert error is not None
    assert error < limit_px
    assert answer.ms > 0.0


def test_mutual_information_finds_a_negative() -> None:
    pytest.importorskip("SimpleITK")
    pair = same_modality(2)
    error = source_error_px(Classical("mi", MutualInformation())(255 - pair.ir, pair.rgb).source, pair)
    assert error is not None
    assert error < 0.5


def test_without_simpleitk_its_row_is_left_out_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    methods, notes = classical_methods()
    assert "mutual information" not in [method.name for method in methods]
    assert len(notes) == 1
    assert "SimpleITK" in notes[0]


def test_classical_answers_are_in_native_pixels() -> None:
    ir_hw, rgb_hw = (120, 200), (480, 640)
    matrix = at_native_size(np.eye(2, 3), ir_hw, rgb_hw)
    np.testing.assert_allclose(matrix, theta_to_matrix(IDENTITY_THETA, rgb_hw, ir_hw), atol=1e-12)
    sizes = []
    Classical("sees", lambda ir, rgb: sizes.append((ir.shape, rgb.shape)))(
        np.zeros(ir_hw, np.uint8), np.zeros((*rgb_hw, 3), np.uint8)
    )
    assert sizes == [(WORK_HW, WORK_HW)]


def test_a_model_that_refuses_is_asked_what_it_would_have_said(tmp_path: Path) -> None:
    """The test model's confidence is the brightness of the IR frame."""
    theta = [[1.0, 0.0, 0.25], [0.0, 1.0, 0.0]]
    model = Model("constant", write_affine(tmp_path / "m.onnx", theta))
    pair = same_modality(1)
    dark = (pair.ir // 4).astype(np.uint8)
    refused = model(dark, pair.rgb)
    assert (refused.state, refused.source) == ("refused", None)
    assert refused.ungated is not None
    np.testing.assert_allclose(refused.ungated, theta_to_matrix(theta, WORK_HW, WORK_HW), atol=1e-5)
    bright = model((192 + pair.ir // 4).astype(np.uint8), pair.rgb)
    assert bright.state == "estimated"
    assert bright.ungated is bright.source


def test_a_dense_model_s_refused_answer_is_known_too(tmp_path: Path) -> None:
    pair = same_modality(1)
    answer = Model("shift", write_flow_model(tmp_path / "m.onnx", (4.0, 0.0), confidence=0.2))(pair.ir, pair.rgb)
    assert (answer.state, answer.source) == ("refused", None)
    assert answer.ungated is not None and answer.ungated.shape == (*WORK_HW, 2)


def test_a_dense_model_is_measured_on_bent_pairs(tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "street", 2, (240, 320))
    model = Model("still", write_dense(tmp_path / "m.onnx", (0.0, 0.0)))
    work = accuracy.find_work(tmp_path, accuracy.HELD_OUT, accuracy.QUICK)
    with Progress(disable=True) as progress:
        figures = accuracy_sections.dense_section(Bench(work, [model], [], Runner({}), progress))
    assert folder.name == "street" and set(figures) == {"real", "generated"}
    assert figures["real"]["still"]["pairs"] == figures["generated"]["still"]["pairs"] == 2
    assert figures["real"]["still"]["mean_px"] > figures["real"]["best possible affine"]["mean_px"]


def test_videos_go_through_the_filter_of_a_fresh_aligner(tmp_path: Path) -> None:
    scene = smooth_scene(1, CANVAS_HW)
    bright, bgr = (160 + scene // 3).astype(np.uint8), np.dstack([scene] * 3)
    model = Model("identity", write_affine(tmp_path / "m.onnx"))

    def canvases(index: int) -> tuple[Frame, Frame, Float64Array]:
        return (bright if index != 12 else (scene // 8).astype(np.uint8)), bgr, ALIGNED

    track = follow(model.aligner, "clips", "v", Video("clips", "v", canvases, ALIGNED, 15))
    assert track.states[0] == "estimated"
    assert track.states[12] == "held"
    assert max(track.errors_px) < 1e-3


class Counting:
    """A method that is off by one pixel, and counts how often it is asked."""

    name = "counting"

    def __init__(self, is_model: bool) -> None:
        self.is_model, self.calls = is_model, 0

    def __call__(self, ir: Frame, rgb: Frame) -> Answer:
        self.calls += 1
        matrix = np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
        return Answer(matrix, matrix, None, 1.0)


@pytest.mark.parametrize(("is_model", "expected_calls"), [(False, 0), (True, 1)])
def test_only_methods_without_a_model_are_taken_from_an_earlier_run(
    tmp_path: Path, is_model: bool, expected_calls: int
) -> None:
    pair = same_modality(1)
    first = Runner({})
    trials = first.run("s", [pair], [Counting(is_model)])["counting"]
    first.write(tmp_path / "pairs.jsonl")
    again, method = Runner(read_trials(tmp_path / "pairs.jsonl")), Counting(is_model)
    assert again.run("s", [pair], [method])["counting"][0].error_px == pytest.approx(trials[0].error_px, abs=1e-3)
    assert method.calls == expected_calls
    changed = KnownPair("f", "1", "f/1", pair.ir, 255 - pair.rgb, pair.matrix_rgb_to_ir)
    again.run("s", [changed], [method])
    assert method.calls == expected_calls + 1


def test_a_quick_run_writes_report_single_results_tables_and_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(accuracy, "QUICK", Amount(2, 1, 1, 0))
    monkeypatch.setattr(accuracy, "embedded_models", dict)
    write_pairs(tmp_path / "data" / "street", 2, (240, 320))
    out, pictures = tmp_path / "out" / "accuracy.json", tmp_path / "pictures"
    model = f"constant={write_affine(tmp_path / 'm.onnx')}"
    words = [str(tmp_path / "data"), "--quick", "--model", model, "--out", str(out), "--pictures", str(pictures)]
    accuracy.main(words)
    report = json.loads(out.read_text())
    assert set(report["protocol_s"]) == {"all", "dark half", "street"}
    handmade = report["protocol_s"]["all"]["multi-start CFOG Gauss-Newton"]
    assert handmade["pairs"] == 2
    assert handmade["median_px"] < 1.0
    assert report["protocol_s"]["all"]["identity"]["median_px"] > 3.0
    assert "dense" not in report
    assert "| all (2) | constant |" in capsys.readouterr().out
    rows = [json.loads(line) for line in out.with_suffix(".pairs.jsonl").read_text().splitlines()]
    assert {row["protocol"] for row in rows} == {"protocol_s", "wide", "generated", "same_modality"}
    narrow = [row for row in rows if row["protocol"] == "protocol_s"]
    said = {name: [row["ungated_px"] for row in narrow if row["method"] == name] for name in ("identity", "constant")}
    assert said["constant"] == pytest.approx(said["identity"], abs=1e-2)
    drawn = {str(path.relative_to(pictures)) for path in pictures.rglob("*.png")}
    assert drawn == {"constant/street_00.png", "constant/street_01.png", "errors.png", "reliability.png"}
    for render, sources in table.TABLES.values():
        assert sources != ("accuracy",) or render(report)


def test_a_folder_without_pairs_ends_with_a_message(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        accuracy.main([str(tmp_path)])
    assert "has no pairs to measure on" in capsys.readouterr().err


def test_a_quick_run_does_not_replace_the_published_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        accuracy.main([str(write_pairs(tmp_path / "street", 1)), "--quick"])
    assert "--out" in capsys.readouterr().err


@pytest.mark.parametrize("model", ["nameless.onnx", "=file.onnx", "gone=missing.onnx"])
def test_an_unusable_model_option_ends_with_a_message(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_pairs(tmp_path / "street", 1)
    with pytest.raises(SystemExit, match="2"):
        accuracy.main([str(tmp_path), "--model", model])
    assert model.partition("=")[2] in capsys.readouterr().err


def test_the_truth_is_measured_as_the_product_measures_it() -> None:
    pair = same_modality(1)
    assert source_error_px(ALIGNED, pair) == pytest.approx(
        grid_error_px(ALIGNED, pair.matrix_rgb_to_ir, WORK_HW), rel=1e-9
    )
