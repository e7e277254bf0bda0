"""Model repositories for Triton, read back and held against the models in them."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from tests.helpers import smooth_scene
from tests.live_command import snapshot
from tests.onnx_models import edit_metadata, write_affine, write_foreign, write_segmenter
from tests.overlay_models import SureAffine, exported
from tests.text_proto import parse
from vr.export.triton import write_repository
from vr.runtime.embedded import embedded_path
from vr.runtime.errors import ModelError, OutputError
from vr.runtime.session import Session

NUMPY_OF = {"TYPE_FP32": "tensor(float)", "TYPE_UINT8": "tensor(uint8)"}


@pytest.fixture
def overlay_file() -> Path:
    return exported(SureAffine, "overlay")


def config_of(folder: Path) -> dict[str, list[Any]]:
    return parse((folder / "config.pbtxt").read_text())


def assert_describes(listed: list[dict[str, list[Any]]], tensors: Sequence[Any]) -> None:
    """Names in order, types and shapes of Triton's inputs or outputs are those of the session, behind the batch."""
    assert [one["name"] for one in listed] == [[tensor.name] for tensor in tensors]
    for one, tensor in zip(listed, tensors, strict=True):
        assert NUMPY_OF[one["data_type"][0]] == tensor.type
        batch, *shape = tensor.shape
        assert batch == "N"
        shown = [side if isinstance(side, int) else -1 for side in shape]
        assert one["dims"] == (shown or [1])
        assert one.get("reshape") == (None if shown else [{"shape": []}])


@pytest.mark.parametrize("name", ["default", "dense"])
def test_repository_describes_the_model_in_it(tmp_path: Path, name: str) -> None:
    written = write_repository(embedded_path(name), tmp_path / "repository")
    assert written == tmp_path / "repository" / name
    assert sorted(snapshot(written)) == ["1", "1/model.onnx", "config.pbtxt"]
    config, model = config_of(written), written / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert (config["name"], config["platform"]) == ([name], ["onnxruntime_onnx"])
    assert_describes(config["input"], session.get_inputs())
    assert_describes(config["output"], session.get_outputs())
    onnx.checker.check_model(onnx.load(model), full_check=True)


def test_overlay_graph_serves_its_transform_of_frames_of_any_size(tmp_path: Path, overlay_file: Path) -> None:
    config = config_of(write_repository(overlay_file, tmp_path))
    assert [(one["name"], one["dims"]) for one in config["input"]] == [
        (["ir"], [-1, -1, -1]),
        (["rgb"], [-1, -1, 3]),
    ]
    assert [one["name"][0] for one in config["output"]] == ["theta", "confidence", "information", "content"]
    assert "model_warmup" not in config


def test_batches_fit_the_largest_one(tmp_path: Path) -> None:
    config = config_of(write_repository(embedded_path("small"), tmp_path))
    (largest,), (batching,) = config["max_batch_size"], config["dynamic_batching"]
    assert max(batching["preferred_batch_size"]) == largest > 1
    assert 0 < batching["max_queue_delay_microseconds"][0] < 33_000
    assert config["instance_group"][0]["count"] == [1]
    (warm_up,) = config["model_warmup"]
    assert [(one["key"], one["value"][0]["dims"]) for one in warm_up["inputs"]] == [
        (["moving"], [1, 160, 208]),
        (["fixed"], [1, 160, 208]),
    ]


def test_served_model_answers_a_batch_as_one_by_one(tmp_path: Path, overlay_file: Path) -> None:
    model = write_repository(overlay_file, tmp_path) / "1" / "model.onnx"
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    ir = np.stack([smooth_scene(seed, (60, 80))[:, :, None] for seed in range(3)])
    rgb = np.stack([np.dstack([smooth_scene(10 + seed, (96, 128))] * 3) for seed in range(3)])
    together = session.run(None, {"ir": ir, "rgb": rgb})
    whole = Session(overlay_file, "cpu", threads=1)
    for index in range(3):
        feed = {"ir": ir[index : index + 1], "rgb": rgb[index : index + 1], "alpha": np.asarray(np.float32(0.5))}
        for found, expected in zip(together, whole.run(feed, whole.info.transform_names).values(), strict=True):
            np.testing.assert_allclose(np.asarray(found)[index], expected[0], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(("precision", "mode"), [("fp32", "FP32"), ("fp16", "FP16")])
def test_tensorrt_is_told_sizes_and_precision(tmp_path: Path, precision: str, mode: str) -> None:
    path = edit_metadata(Path(shutil.copy(embedded_path("small"), tmp_path / "m.onnx")), {"vr.precision": precision})
    (optimization,) = config_of(write_repository(path, tmp_path / "repository", tensorrt=True))["optimization"]
    (accelerator,) = optimization["execution_accelerators"][0]["gpu_execution_accelerator"]
    told = {one["key"][0]: one["value"][0] for one in accelerator["parameters"]}
    assert accelerator["name"] == ["tensorrt"]
    assert told["precision_mode"] == mode
    assert told["trt_profile_min_shapes"] == "moving:1x1x160x208,fixed:1x1x160x208"
    assert told["trt_profile_max_shapes"] == "moving:16x1x160x208,fixed:16x1x160x208"


def test_without_tensorrt_it_is_not_mentioned(tmp_path: Path) -> None:
    assert "optimization" not in config_of(write_repository(embedded_path("small"), tmp_path))


def test_tensorrt_with_frames_of_any_size_is_refused(tmp_path: Path, overlay_file: Path) -> None:
    with pytest.raises(ModelError, match=r"any size.*leave --tensorrt out"):
        write_repository(overlay_file, tmp_path / "repository", tensorrt=True)
    assert not (tmp_path / "repository").exists()


def write_fixed(path: Path) -> None:
    write_affine(path)


def write_damaged(path: Path) -> None:
    shutil.copy(embedded_path("small"), path)
    path.write_bytes(path.read_bytes()[:-5000])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (write_fixed, "fixed batch.*export the checkpoint again"),
        (write_damaged, "ends within"),
        (write_foreign, r"no vr\.\* metadata"),
        (write_segmenter, "is a person segmenter"),
        (Path.touch, "0 bytes"),
    ],
)
def test_model_that_cannot_be_served_leaves_nothing(tmp_path: Path, make: Any, message: str) -> None:
    make(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match=message):
        write_repository(tmp_path / "m.onnx", tmp_path / "repository")
    assert not (tmp_path / "repository").exists()


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    write_repository(embedded_path("small"), tmp_path)
    before = snapshot(tmp_path)
    with pytest.raises(OutputError, match="exists; remove it, or choose another folder"):
        write_repository(embedded_path("small"), tmp_path)
    assert snapshot(tmp_path) == before
    write_repository(embedded_path("default"), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["default", "small"]


def test_disk_that_is_full_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="No space left on device"):
        write_repository(embedded_path("small"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_a_file_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "repository").touch()
    with pytest.raises(OutputError, match="cannot write"):
        write_repository(embedded_path("small"), tmp_path / "repository")


def test_name_that_triton_does_not_take_is_refused(tmp_path: Path) -> None:
    path = Path(shutil.copy(embedded_path("small"), tmp_path / "my model.onnx"))
    with pytest.raises(OutputError, match=r"rename my model\.onnx"):
        write_repository(path, tmp_path / "repository")


@pytest.mark.parametrize("text", ['name "x"', "a: { b: 1", "a: [ 1 2 ]", "A: 1", "a: 1 }"])
def test_the_reader_of_this_test_refuses_what_is_wrong(text: str) -> None:
    with pytest.raises((ValueError, IndexError)):
        parse(text)
