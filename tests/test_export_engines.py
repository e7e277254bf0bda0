"""`--build-engine` and `--triton`: what reaches onnxruntime, and which options go together."""

from pathlib import Path

import pytest

from tests.overlay_models import SureAffine, exported
from tests.recording_onnxruntime import RecordingOrt
from vr.export import cli
from vr.export.engines import build_engines, parse_frames
from vr.runtime.errors import InputError
from vr.runtime.session import default_model_path

GPU = ("TensorrtExecutionProvider", "CUDAExecutionProvider")


@pytest.fixture
def ort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingOrt:
    ort = RecordingOrt(*GPU)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    for module in ("session", "device_overlay"):
        monkeypatch.setattr(f"vr.runtime.{module}.import_onnxruntime", lambda: ort)
    return ort


def run_cli(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["vr-export", *map(str, arguments)])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    return int(caught.value.code or 0)


def test_estimate_graph_is_opened_and_run_once(ort: RecordingOrt) -> None:
    placement = build_engines(default_model_path(), None, lambda _text: None)
    assert [session[0][0] for session in ort.sessions] == [GPU[0]]
    assert placement.total > 100


def test_overlay_graph_is_opened_for_the_frames_that_will_come(ort: RecordingOrt) -> None:
    said: list[str] = []
    build_engines(exported(SureAffine, "overlay"), "60x80x1,96x128", said.append)
    assert ort.inputs[-1]["ir"] == [1, 60, 80, 1]
    assert ort.inputs[-1]["rgb"] == [1, 96, 128, 3]
    assert "building TensorRT engines" in said[0]


def test_engines_of_embedded_models_by_name(
    ort: RecordingOrt, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, "small", "--build-engine") == 0
    assert capsys.readouterr().out.startswith("engines are built: ")


def test_frames_are_height_then_width() -> None:
    assert parse_frames("480x640,1080x1920") == ((480, 640, 3), (1080, 1920, 3))
    assert parse_frames("240x320x1,480x640") == ((240, 320, 1), (480, 640, 3))


@pytest.mark.parametrize("text", [None, "480x640", "480,640", "480x640,", "480x640x3,480x640", "480x640,480x640x1"])
def test_wrong_frames_say_what_is_expected(text: str | None) -> None:
    with pytest.raises(InputError, match="for example 480x640,1080x1920"):
        parse_frames(text)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "-o is missing"),
        (["-o", "m.onnx", "--triton", "repository"], "choose one"),
        (["--triton", "repository", "--build-engine"], "choose one"),
        (["--tensorrt", "--build-engine"], "--tensorrt is for --triton"),
        (["--frames", "480x640,480x640", "-o", "m.onnx"], "--frames is for --build-engine"),
        (["--build-engine", "--frames", "480x640,480x640"], "--frames is for overlay graphs"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    extra: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_cli(monkeypatch, "small", *extra) == 2
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_triton_repository_of_an_embedded_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, "small", "--triton", tmp_path / "repository", "--tensorrt") == 0
    assert capsys.readouterr().out == f"wrote {tmp_path / 'repository' / 'small'}\n"
    assert "trt_profile" in (tmp_path / "repository" / "small" / "config.pbtxt").read_text()
