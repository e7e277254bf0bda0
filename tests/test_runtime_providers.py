"""What providers are told, as far as that can be seen without them; OpenVINO itself where it is installed."""

import importlib.machinery
import importlib.util
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.helpers import smooth_scene
from tests.onnx_models import SIZE_HW, affine_info, write_affine
from tests.overlay_models import SureAffine, exported
from tests.recording_onnxruntime import RecordingOrt
from vr.runtime import providers
from vr.runtime.device_overlay import DeviceOverlay
from vr.runtime.errors import ModelError
from vr.runtime.session import Session, builds_engines, default_model_path

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
GPU = (TENSORRT, CUDA)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    return tmp_path / "cache"


@pytest.fixture
def overlay_file() -> Path:
    return exported(SureAffine, "overlay")


def use(monkeypatch: pytest.MonkeyPatch, ort: Any) -> Any:
    for module in ("session", "device_overlay"):
        monkeypatch.setattr(f"vr.runtime.{module}.import_onnxruntime", lambda: ort)
    return ort


def look(device: DeviceOverlay, size_hw: tuple[int, int] = (60, 80)) -> None:
    device.look(smooth_scene(1, size_hw)[:, :, None], np.dstack([smooth_scene(2, (96, 128))] * 3))


def test_each_provider_falls_back_to_the_next_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ort = use(monkeypatch, RecordingOrt(*GPU))
    path = write_affine(tmp_path / "m.onnx")
    for provider in ("tensorrt", "cuda", "cpu", "auto"):
        Session(path, provider)
    chains = [[name for name, _ in session] for session in ort.sessions]
    assert chains == [[TENSORRT, CUDA, CPU], [CUDA, CPU], [CPU], [CUDA, CPU]]


def test_cuda_keeps_float32_and_records_no_graph_of_free_dimensions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = use(monkeypatch, RecordingOrt(CUDA))
    Session(write_affine(tmp_path / "m.onnx"), "cuda", transform_only=True)
    told = dict(ort.sessions[0])[CUDA]
    assert (told["use_tf32"], told["enable_cuda_graph"]) == ("0", "0")
    assert ort.inputs[0]["moving"][1:] == [1, *SIZE_HW]


def test_tensorrt_keeps_its_engines_in_the_user_s_cache(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = use(monkeypatch, RecordingOrt(*GPU))
    paths = [write_affine(tmp_path / "a.onnx"), write_affine(tmp_path / "b.onnx", [[1, 0, 0.25], [0, 1, 0]])]
    for path in [*paths, paths[0]]:
        Session(path, "tensorrt")
    first, other, again = (dict(session)[TENSORRT]["trt_engine_cache_path"] for session in ort.sessions)
    assert first == again != other
    for folder in map(Path, (first, other)):
        assert folder.is_dir()
        assert folder.parent == cache / "vr-registration" / "engines"
    told = dict(ort.sessions[0])[TENSORRT]
    assert (told["trt_engine_cache_enable"], told["trt_timing_cache_enable"]) == ("1", "1")


@pytest.mark.parametrize(("precision", "flag"), [("fp32", "0"), ("fp16", "1")])
def test_tensorrt_halves_only_what_is_halved_in_the_file(
    tmp_path: Path, precision: str, flag: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = use(monkeypatch, RecordingOrt(*GPU))
    Session(write_affine(tmp_path / "m.onnx", info=affine_info(precision=precision)), "tensorrt")
    told = dict(ort.sessions[0])[TENSORRT]
    assert (told["trt_fp16_enable"], told["trt_int8_enable"]) == (flag, "0")


def test_tensorrt_knows_the_batches_before_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ort = use(monkeypatch, RecordingOrt(*GPU))
    Session(write_affine(tmp_path / "m.onnx"), "tensorrt", transform_only=True)
    told = {key: value for key, value in dict(ort.sessions[0])[TENSORRT].items() if "profile" in key}
    one, eight = (f"moving:{n}x1x48x64,fixed:{n}x1x48x64" for n in (1, 8))
    expected = {"trt_profile_min_shapes": one, "trt_profile_opt_shapes": one, "trt_profile_max_shapes": eight}
    assert told == expected


def test_openvino_is_told_that_pairs_come_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    ort = use(monkeypatch, RecordingOrt("OpenVINOExecutionProvider"))
    for transform_only in (True, False):
        Session(default_model_path(), "openvino", 2, transform_only=transform_only)
    assert [inputs["moving"][0] for inputs in ort.inputs] == [1, "N"]
    assert ort.sessions[0][0][1] == {"device_type": "CPU", "precision": "FP32", "num_of_threads": "2"}


@pytest.mark.parametrize(("before", "after"), [(None, "0"), ("1", "1")])
def test_tensorrt_keeps_float32_unless_the_user_says_otherwise(
    tmp_path: Path, before: str | None, after: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os

    use(monkeypatch, RecordingOrt(*GPU))
    if before is None:
        monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    Session(write_affine(tmp_path / "m.onnx"), "tensorrt")
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == after


def test_cache_that_cannot_be_written_is_one_line_with_a_remedy(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, RecordingOrt(*GPU))
    cache.write_text("a file, no folder")
    with pytest.raises(ModelError, match=r"cannot keep TensorRT engines in .*; set XDG_CACHE_HOME"):
        Session(write_affine(tmp_path / "m.onnx"), "tensorrt")


def test_device_overlay_puts_all_on_the_gpu_and_records_its_graphs(
    overlay_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = use(monkeypatch, RecordingOrt(CUDA))
    device = DeviceOverlay(overlay_file)
    look(device)
    assert device.provider == "cuda"
    assert device.is_captured
    assert ort.devices == {"cuda"}
    assert [dict(session)[CUDA]["enable_cuda_graph"] for session in ort.sessions] == ["0", "1", "1"]
    assert ort.inputs[1] == {"ir": [1, 60, 80, 1], "rgb": [1, 96, 128, 3]}
    assert ort.inputs[2] == {**ort.inputs[1], "alpha": [], "theta": [1, 2, 3]}


@pytest.mark.parametrize(
    ("provider", "option"),
    [("cuda", "enable_cuda_graph"), ("tensorrt", "trt_cuda_graph_enable"), ("auto", "enable_cuda_graph")],
)
def test_graph_that_cannot_be_recorded_runs_without(
    overlay_file: Path, provider: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = use(monkeypatch, RecordingOrt(*GPU, refuses=(option,)))
    device = DeviceOverlay(overlay_file, provider)
    look(device)
    assert not device.is_captured
    assert [session[0][1][option] for session in ort.sessions] == ["0", "1", "0", "0"]


def test_another_frame_size_has_sessions_of_its_own(overlay_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ort = use(monkeypatch, RecordingOrt(CUDA))
    device = DeviceOverlay(overlay_file, "cuda")
    for size_hw in ((60, 80), (60, 80), (50, 80)):
        look(device, size_hw)
    assert [inputs["ir"][1] for inputs in ort.inputs[1:]] == [60, 60, 50, 50]


def test_user_is_told_before_engines_are_built_and_not_again(
    overlay_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = use(monkeypatch, RecordingOrt(*GPU))

    def told(size_hw: tuple[int, int] = (60, 80)) -> int:
        said: list[str] = []
        look(DeviceOverlay(overlay_file, "tensorrt", say=said.append), size_hw)
        return sum("takes minutes" in text for text in said)

    assert told() == 1
    leave_engines(ort)
    assert told() == 0
    assert told((50, 80)) == 1


def test_live_session_s_engines_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ort = use(monkeypatch, RecordingOrt(*GPU))
    path = write_affine(tmp_path / "m.onnx")
    Session(path, "tensorrt", transform_only=True)
    assert builds_engines(path, "tensorrt") and not builds_engines(path, "cuda")
    leave_engines(ort)
    assert not builds_engines(path, "tensorrt")


def test_nothing_is_said_of_engines_where_there_is_no_tensorrt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, RecordingOrt())
    assert not builds_engines(write_affine(tmp_path / "m.onnx"), "tensorrt")


def leave_engines(ort: RecordingOrt) -> None:
    """What TensorRT would have left."""
    for session in ort.sessions:
        (Path(dict(session)[TENSORRT]["trt_engine_cache_path"]) / "TensorrtExecutionProvider_1.engine").touch()


def test_user_is_told_where_the_nodes_run(overlay_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are on the CPU here, while the session says that it has CUDA."""
    use(monkeypatch, RecordingOrt(CUDA))
    said: list[str] = []
    look(DeviceOverlay(overlay_file, "cuda", say=said.append))
    assert len(said) == 1
    assert re.match(r"placement: (\d+) of \1 nodes not on cuda: .* on cpu, .*, as CUDA graphs", said[0])


class PluginOrt(RecordingOrt):
    """An onnxruntime where the OpenVINO plugin finds what it is told to find."""

    def __init__(self, *devices: str) -> None:
        super().__init__()
        self.registered: list[tuple[str, str]] = []
        name = providers.ORT_PROVIDERS["openvino"]
        self.found = [SimpleNamespace(ep_name=name, ep_metadata={"ov_device": device}) for device in devices]

    def register_execution_provider_library(self, name: str, path: str) -> None:
        self.registered.append((name, path))

    def get_ep_devices(self) -> list[Any]:
        return self.found if self.registered else []


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    module = SimpleNamespace(
        get_library_path=lambda: "plugin.so", __spec__=importlib.machinery.ModuleSpec("onnxruntime_ep_openvino", None)
    )
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime_ep_openvino", module)


@pytest.mark.usefixtures("plugin")
def test_openvino_plugin_is_told_to_compute_in_float32_on_the_processor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = use(monkeypatch, PluginOrt("NPU", "CPU"))
    told: list[Any] = []

    class Options(ort.real.SessionOptions):
        def add_provider_for_devices(self, devices: list[Any], options: dict[str, str]) -> None:
            told.append((devices, options))

    ort.SessionOptions = Options
    ort.InferenceSession = lambda content, options: ort.real.InferenceSession(content, options, providers=[CPU])
    Session(write_affine(tmp_path / "m.onnx"), "openvino", threads=2)
    config = '{"CPU": {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": "2"}}'
    assert told == [([ort.found[1]], {"load_config": config})]
    assert ort.registered == [("OpenVINOExecutionProvider", "plugin.so")]


@pytest.mark.usefixtures("plugin")
def test_openvino_plugin_without_an_intel_processor_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, PluginOrt("NPU"))
    with pytest.raises(ModelError, match=r"finds no Intel processor here.*pip install onnxruntime-openvino"):
        Session(write_affine(tmp_path / "m.onnx"), "openvino")


def test_openvino_agrees_with_the_cpu(tmp_path: Path) -> None:
    """Runs where the plugin, or a build of onnxruntime with OpenVINO in it, is installed and finds its hardware."""
    try:
        openvino = Session(default_model_path(), "openvino", threads=1, transform_only=True)
    except ModelError as error:
        pytest.skip(str(error))
    cpu = Session(default_model_path(), "cpu", threads=1, transform_only=True)
    scene = smooth_scene(0, cpu.info.size_hw).astype(np.float32)[None, None] / 255.0
    feed = {"moving": np.roll(1.0 - scene, 5, axis=3), "fixed": scene}
    found, expected = (session.run(feed, ["theta", "confidence"]) for session in (openvino, cpu))
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-4)
    assert openvino.placement.text.startswith("all ")
