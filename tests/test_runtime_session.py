"""What can be wrong with a model file or a provider, and what the user is told."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.onnx_models import SIZE_HW, affine_info, edit_metadata, write_affine, write_dense, write_foreign
from vr.runtime.errors import InputError, ModelError
from vr.runtime.session import Session, default_model_path, import_onnxruntime


def test_metadata_come_back_and_the_provider_is_the_real_one(tmp_path: Path) -> None:
    session = Session(write_affine(tmp_path / "m.onnx"), provider="cpu", threads=1)
    assert session.info == affine_info()
    assert session.provider == "cpu"


def test_auto_is_the_cpu_where_nothing_else_is_installed(tmp_path: Path) -> None:
    if "CUDAExecutionProvider" in import_onnxruntime().get_available_providers():
        pytest.skip("onnxruntime-gpu is installed")
    assert Session(write_affine(tmp_path / "m.onnx")).provider == "cpu"


def test_run_returns_only_what_was_asked_for(tmp_path: Path) -> None:
    session = Session(write_affine(tmp_path / "m.onnx", [[1, 0, 0.25], [0, 1, 0]]), "cpu", threads=1)
    blank = np.zeros((1, 1, *SIZE_HW), np.float32)
    outputs = session.run({"moving": blank, "fixed": blank}, ["theta"])
    assert list(outputs) == ["theta"]
    np.testing.assert_array_equal(outputs["theta"], [[[1, 0, 0.25], [0, 1, 0]]])


def test_transform_only_computes_the_same_transform_and_no_pictures(tmp_path: Path) -> None:
    path = write_affine(tmp_path / "m.onnx", [[1, 0, 0.25], [0, 1, 0]], affine_info(has_information=True))
    whole, narrow = (Session(path, "cpu", threads=1, transform_only=only) for only in (False, True))
    assert whole.output_names == ("moved", "flow", "theta", "confidence", "information")
    assert narrow.output_names == ("theta", "confidence", "information")
    assert narrow.info == whole.info
    rng = np.random.default_rng(0)
    feed = {name: rng.random((1, 1, *SIZE_HW), dtype=np.float32) for name in ("moving", "fixed")}
    expected = whole.run(feed, narrow.output_names)
    for name, found in narrow.run(feed, narrow.output_names).items():
        np.testing.assert_array_equal(found, expected[name])


def test_dense_transform_keeps_its_flow(tmp_path: Path) -> None:
    session = Session(write_dense(tmp_path / "m.onnx", (1.0, 2.0)), "cpu", threads=1, transform_only=True)
    assert session.output_names == ("flow",)


def make_missing(path: Path) -> None:
    pass


def make_empty(path: Path) -> None:
    path.touch()


def make_folder(path: Path) -> None:
    path.mkdir()


def make_text(path: Path) -> None:
    path.write_text("This is not an ONNX file.\n")


def make_truncated(path: Path) -> None:
    write_affine(path)
    path.write_bytes(path.read_bytes()[:-400])


def make_foreign(path: Path) -> None:
    write_foreign(path)


def make_foreign_with_our_metadata(path: Path) -> None:
    write_foreign(path, affine_info().to_metadata())


def make_damaged(path: Path) -> None:
    edit_metadata(write_affine(path), {"vr.kind": "projective"})


def make_lying_about_its_size(path: Path) -> None:
    edit_metadata(write_affine(path), {"vr.size_hw": "96x128"})


def make_lying_about_confidence(path: Path) -> None:
    write_affine(path, info=affine_info(has_confidence=False))
    edit_metadata(path, {"vr.has_confidence": "1"})


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (make_missing, "does not exist"),
        (make_empty, "0 bytes"),
        (make_folder, "is a folder"),
        (make_text, "cannot be loaded as an ONNX model"),
        (make_truncated, "cannot be loaded as an ONNX model"),
        (make_foreign, "no vr.* metadata"),
        (make_foreign_with_our_metadata, "has inputs ['x']; expected ['fixed', 'moving']"),
        (make_damaged, "damaged vr.* metadata"),
        (make_lying_about_its_size, "its metadata say (N, 1, 96, 128)"),
        (make_lying_about_confidence, "lacks the outputs ['confidence']"),
    ],
)
@pytest.mark.parametrize("transform_only", [False, True])
def test_unusable_file_is_a_model_error_of_one_line_that_names_it(
    tmp_path: Path, make: Any, message: str, transform_only: bool
) -> None:
    path = tmp_path / "model.onnx"
    make(path)
    with pytest.raises(ModelError) as caught:
        Session(path, provider="cpu", transform_only=transform_only)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_provider_names_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="auto, cpu, cuda, tensorrt, openvino"):
        Session(write_affine(tmp_path / "m.onnx"), provider="npu")


@pytest.mark.parametrize("threads", [0, -2])
def test_threads_start_at_one(tmp_path: Path, threads: int) -> None:
    with pytest.raises(InputError, match="1 or more"):
        Session(write_affine(tmp_path / "m.onnx"), threads=threads)


@pytest.mark.parametrize(
    ("provider", "remedy"),
    [("cuda", "vr-registration[gpu]"), ("tensorrt", "tensorrt-cu13"), ("openvino", "onnxruntime-openvino")],
)
def test_provider_that_is_not_installed_says_what_is_and_the_remedy(
    tmp_path: Path, provider: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_onnxruntime(), "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ModelError) as caught:
        Session(write_affine(tmp_path / "m.onnx"), provider=provider)
    assert "available: cpu;" in str(caught.value)
    assert remedy in str(caught.value)


class FallsBack:
    """An onnxruntime that has the CUDA provider, but whose sessions come up on the CPU, as without a driver."""

    def __init__(self) -> None:
        self.real = import_onnxruntime()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def get_available_providers(self) -> list[str]:
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload_dlls(self) -> None:
        pass

    def InferenceSession(self, path: str, options: Any, providers: list[str]) -> Any:
        return self.real.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def test_silent_fallback_of_an_explicit_provider_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vr.runtime.session.import_onnxruntime", FallsBack)
    with pytest.raises(ModelError, match="cuda could not be started"):
        Session(write_affine(tmp_path / "m.onnx"), provider="cuda")


def test_auto_goes_on_with_the_cpu_and_says_so_when_cuda_does_not_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("vr.runtime.session.import_onnxruntime", FallsBack)
    assert Session(write_affine(tmp_path / "m.onnx"), provider="auto").provider == "cpu"


def test_default_model_lies_inside_the_package() -> None:
    assert default_model_path().parts[-3:] == ("runtime", "defaults", "default.onnx")
