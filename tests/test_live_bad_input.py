"""Everything that can be wrong with a `vr-live` command line: one line, exit code 2, nothing touched."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from tests.live_command import screenless, snapshot, vr_live, write_images, write_video
from tests.live_models import write_theta_model
from vr.runtime.cli import main


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of good and bad inputs, and of outputs that are already there."""
    folder = tmp_path_factory.mktemp("inputs")
    write_theta_model(folder / "model.onnx")
    write_images(folder / "good", 2, (96, 128))
    write_images(folder / "colour16", 2, (96, 128), channels=3, bits=16)
    write_images(folder / "damaged", 2, (96, 128))
    (folder / "damaged" / "0.png").write_text("no image")
    (folder / "empty").mkdir()
    (folder / "zero.mp4").touch()
    (folder / "text.mp4").write_text("no video\n" * 50)
    (folder / "text.onnx").write_text("no model\n" * 50)
    (folder / "zero.onnx").touch()
    cv2.imwrite(str(folder / "float.tiff"), np.zeros((96, 128), np.float32))
    whole = write_video(folder / "whole.mp4", 5, 10.0, (96, 128)).read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    write_foreign_model(folder / "foreign.onnx")
    (folder / "old.mp4").write_bytes(b"precious")
    (folder / "old.jsonl").write_text("precious")
    (folder / "full").mkdir()
    (folder / "full" / "0.npy").write_bytes(b"precious")
    return folder


def write_foreign_model(path: Path) -> None:
    """A valid ONNX file of somebody else."""
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "foreign", [value], [result])
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=10), str(path))


GOOD = {"--ir": "@good", "--rgb": "@good", "--model": "@model.onnx"}
SOURCES: dict[str, tuple[dict[str, str], str]] = {
    "missing folder": ({"--ir": "@nowhere"}, "does not exist"),
    "empty folder": ({"--ir": "@empty"}, "no images in folder"),
    "empty glob": ({"--rgb": "@good/*.jpg"}, "no images in glob"),
    "unreadable image": ({"--ir": "@damaged"}, "0.png"),
    "unreadable video": ({"--rgb": "@text.mp4"}, "text.mp4"),
    "cut video": ({"--rgb": "@cut.mp4"}, "cut.mp4"),
    "0-byte video": ({"--rgb": "@zero.mp4"}, "0 bytes"),
    "image of floats": ({"--ir": "@float.tiff"}, "dtype float32"),
    "16-bit colour as infrared": ({"--ir": "@colour16"}, "uint16"),
    "no source": ({"--ir": ""}, "empty"),
    "camera that does not exist": ({"--ir": "99"}, "camera 99"),
    "device that does not exist": ({"--rgb": "/dev/video99"}, "/dev/video99"),
    "address without a camera": ({"--rgb": "http://127.0.0.1:9/a"}, "http://127.0.0.1:9/a"),
    "unknown kind of address": ({"--rgb": "ftp://host/a"}, "rtsp://"),
}
OPTIONS: dict[str, tuple[dict[str, str], str]] = {
    "wrong sim text": ({"--ir": "sim:speed=1", "--rgb": "sim:speed=1"}, "speed=1"),
    "two sim scenes": ({"--ir": "sim:", "--rgb": "sim:seed=1"}, "different scenes"),
    "missing model": ({"--model": "@nowhere.onnx"}, "does not exist"),
    "text file as model": ({"--model": "@text.onnx"}, "text.onnx"),
    "0-byte model": ({"--model": "@zero.onnx"}, "0 bytes"),
    "foreign model": ({"--model": "@foreign.onnx"}, "vr-export"),
    "unknown provider": ({"--provider": "gpu"}, "auto, cpu, cuda"),
    "unknown rig": ({"--rig": "loose"}, "fixed, moving, free"),
    "unknown search": ({"--search": "far"}, "near, wide"),
    "search with a model without confidence": ({"--search": "wide"}, "without confidence"),
    "no threads": ({"--threads": "0"}, "threads"),
    "alpha too large": ({"--alpha": "1.5"}, "--alpha"),
    "no frames": ({"--frames": "0"}, "--frames"),
    "unknown view": ({"--view": "both"}, "side-by-side"),
    "negative slop": ({"--slop-ms": "-1"}, "slop"),
    "no frame rate": ({"--fps": "0"}, "frame rate"),
    "existing recording": ({"--record": "@old.mp4"}, "--overwrite"),
    "existing transforms": ({"--transforms": "@old.jsonl"}, "--overwrite"),
    "folder with content": ({"--flows": "@full"}, "not empty"),
    "recording into a folder with content": ({"--record": "@full"}, "not empty"),
    "unwritable recording": ({"--record": "/proc/a.mp4"}, "cannot write into"),
    "recording into nowhere": ({"--record": "@nowhere/a.mp4"}, "does not exist"),
    "transforms below a file": ({"--transforms": "@old.mp4/t.jsonl"}, "does not exist"),
    "other kind of video": ({"--record": "@a.avi"}, ".mp4"),
    "one name for two outputs": ({"--record": "@a.mp4", "--transforms": "@a.mp4"}, "same place"),
}


@pytest.mark.parametrize("name", SOURCES)
def test_bad_sources_give_one_clear_line(inputs: Path, name: str) -> None:
    """In a process of its own, where OpenCV and FFmpeg would print what they think of it."""
    changed, says = SOURCES[name]
    before = snapshot(inputs)
    ended = vr_live("--no-window", *arguments(inputs, changed))
    check(ended.code, ended.out, ended.err, says)
    assert snapshot(inputs) == before


@pytest.mark.parametrize("name", OPTIONS)
def test_bad_options_give_one_clear_line(
    inputs: Path, name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    changed, says = OPTIONS[name]
    before = snapshot(inputs)
    monkeypatch.setattr(sys, "argv", ["vr-live", "--no-window", *arguments(inputs, changed)])
    with pytest.raises(SystemExit) as ended:
        main()
    printed = capfd.readouterr()
    check(ended.value.code, printed.out, printed.err, says)
    assert snapshot(inputs) == before


def arguments(inputs: Path, changed: dict[str, str]) -> list[str]:
    """The command line of GOOD with some options changed; `@` stands for the folder of inputs."""
    words = [word for pair in {**GOOD, **changed}.items() for word in pair]
    return [word.replace("@", f"{inputs}/", 1) for word in words]


def check(code: object, out: str, err: str, says: str) -> None:
    assert code == 2
    assert err.startswith("error: ") and err.count("\n") == 1, err
    assert says in err
    assert "Traceback" not in out


def test_bad_model_with_overwrite_keeps_the_older_outputs(inputs: Path) -> None:
    before = snapshot(inputs)
    ended = vr_live(
        *("--ir", inputs / "good", "--rgb", inputs / "good", "--model", inputs / "text.onnx", "--overwrite"),
        *("--record", inputs / "old.mp4", "--transforms", inputs / "old.jsonl", "--no-window"),
    )
    assert ended.code == 2 and snapshot(inputs) == before


def test_missing_onnxruntime_names_the_install_command(inputs: Path) -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None; sys.argv = ['vr-live', *sys.argv[1:]];"
        "from vr.runtime.cli import main; main()"
    )
    words = ["--ir", "sim:", "--rgb", "sim:", "--model", str(inputs / "model.onnx"), "--no-window"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, env=screenless())
    assert done.returncode == 2
    assert 'pip install "vr-registration[cpu]"' in done.stderr and done.stderr.count("\n") == 1
