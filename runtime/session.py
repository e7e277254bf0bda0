"""One model file in one onnxruntime session.

onnxruntime is imported when a session is created, not before: `import vr.runtime` works without it. All of
its untyped interface stays in this file.
"""

import contextlib
import importlib
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from vr.runtime.contract import ESTIMATE_INPUTS, OVERLAY_INPUTS, ModelInfo
from vr.runtime.errors import InputError, ModelError, VrError
from vr.runtime.onnx_pruning import keep_outputs

ORT_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
PROVIDER_CHOICES = ("auto", *ORT_PROVIDERS)
_FIRST = "pip uninstall onnxruntime, then "
_REPAIR = {
    "cpu": 'pip install "vr-registration[cpu]"',
    "cuda": f'{_FIRST}pip install "vr-registration[gpu]" (needs an NVIDIA driver for CUDA 13)',
    "tensorrt": f'{_FIRST}pip install "vr-registration[gpu]" "tensorrt-cu13>=10.13,<11"',
    "openvino": f"{_FIRST}pip install onnxruntime-openvino",
}
_LOG_FATAL_ONLY = 4


class Runner(Protocol):
    """A model that answers: what the aligner needs of a `Session`."""

    @property
    def path(self) -> Path:
        """The model's file, or its name, for messages."""
        ...

    @property
    def info(self) -> ModelInfo:
        """What the model says of itself."""
        ...

    @property
    def provider(self) -> str:
        """What it runs on."""
        ...

    def run(
        self, feed: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> Mapping[str, NDArray[np.float32] | NDArray[np.uint8]]:
        """Its answer: `outputs` by name."""
        ...


class _Tensor(Protocol):
    name: str
    shape: list[int | str | None]


class _OrtSession(Protocol):
    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]: ...
    def get_providers(self) -> list[str]: ...
    def get_inputs(self) -> list[_Tensor]: ...
    def get_outputs(self) -> list[_Tensor]: ...
    def get_modelmeta(self) -> Any: ...


def default_model_path() -> Path:
    """The model that the package carries: `vr/runtime/defaults/default.onnx`."""
    return Path(__file__).parent / "defaults" / "default.onnx"


class OnnxFile:
    """An ONNX file in one onnxruntime session, whatever its graph.

    `metadata` is what the file says of itself, `provider` what it really runs on.
    """

    def __init__(
        self,
        path: Path | str,
        provider: str = "auto",
        threads: int | None = None,
        transform_only: bool = False,
    ) -> None:
        """See `Session`."""
        self.path = Path(path)
        if provider not in PROVIDER_CHOICES:
            raise InputError(f"unknown provider {provider!r}; expected one of {', '.join(PROVIDER_CHOICES)}")
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}; expected 1 or more")
        check_model_file(self.path)
        ort = import_onnxruntime()
        self._session = _open_session(ort, _Model(self.path, transform_only), provider, threads)
        self.provider = _short_name(self._session.get_providers()[0])
        self.metadata = cast(dict[str, str], self._session.get_modelmeta().custom_metadata_map)

    def run(
        self, feed: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[np.float32] | NDArray[np.uint8]]:
        """Runs the graph; returns `outputs` by name."""
        values = self._session.run(list(outputs), dict(feed))
        return dict(zip(outputs, values, strict=True))

    def check_tensors(self, inputs: Sequence[str], outputs: Sequence[str], chw: tuple[int, ...] | None) -> None:
        """Raises ModelError if the graph's inputs and outputs are not what its metadata promise.

        chw: shape of every input without the batch; None for any.
        """
        found = {tensor.name: tensor.shape for tensor in self._session.get_inputs()}
        if set(found) != set(inputs):
            raise ModelError(f"{self.path} has inputs {sorted(found)}; expected {sorted(inputs)}; export it again")
        missing = set(outputs) - {tensor.name for tensor in self._session.get_outputs()}
        if missing:
            raise ModelError(f"{self.path} lacks the outputs {sorted(missing)}; export it again")
        for name, shape in found.items():
            if chw is not None and tuple(shape[-3:]) != chw:
                raise ModelError(
                    f"{self.path}: input {name} has shape {shape}, its metadata say "
                    f"(N, {', '.join(map(str, chw))}); export it again"
                )


class Session(OnnxFile):
    """A loaded registration model: `info` is what the file says of itself, `provider` what it really runs on,
    `output_names` what it computes.
    """

    def __init__(
        self,
        path: Path | str,
        provider: str = "auto",
        threads: int | None = None,
        transform_only: bool = False,
    ) -> None:
        """Loads `path`.

        provider: one of PROVIDER_CHOICES. `auto` takes CUDA if a session with it can be created, else the
            CPU. Any other is a demand: not installed, or replaced by onnxruntime on its own, is an error.
            threads: CPU threads of one operator, at least 1; None leaves the choice to onnxruntime.
            transform_only: leaves out of the graph what only `moved`, and beside `theta` only `flow`, need; asking for
            fewer outputs at a run saves nothing.

        Raises InputError for a wrong option, ModelError for a file or provider that cannot be used, VrError
        if onnxruntime is not installed.
        """
        super().__init__(path, provider, threads, transform_only)
        self.info = ModelInfo.from_metadata(self.metadata, str(self.path))
        self.output_names = self.info.transform_names if transform_only else self.info.output_names
        is_fixed = self.info.graph == "estimate" and not self.info.dynamic
        inputs = ESTIMATE_INPUTS if self.info.graph == "estimate" else OVERLAY_INPUTS
        self.check_tensors(inputs, self.output_names, (1, *self.info.size_hw) if is_fixed else None)


@dataclass(frozen=True)
class _Model:
    """What is to be opened."""

    path: Path
    transform_only: bool

    def content(self) -> str | bytes:
        """The file for onnxruntime: its name, or its pruned bytes. A damaged file is left for onnxruntime to judge."""
        if self.transform_only:
            with contextlib.suppress(ValueError):
                return keep_outputs(self.path.read_bytes(), _transforms)
        return os.fspath(self.path)


def _transforms(outputs: set[str]) -> set[str]:
    """Of a graph's outputs those that `ModelInfo.transform_names` would give."""
    return outputs - {"moved", "overlay", *(["flow"] if "theta" in outputs else [])}


def check_model_file(path: Path) -> None:
    """Raises ModelError unless `path` is a file with content."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"model file {path} {what}; expected an ONNX file written by vr-export")
    if path.stat().st_size == 0:
        raise ModelError(f"model file {path} is empty (0 bytes); export or download it again")


def import_onnxruntime() -> Any:
    """The onnxruntime module. Raises VrError with the install command if it is missing."""
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise VrError(
            'onnxruntime is not installed; run: pip install "vr-registration[cpu]" '
            '(for an NVIDIA GPU "vr-registration[gpu]")'
        ) from error


def _open_session(ort: Any, model: _Model, provider: str, threads: int | None) -> _OrtSession:
    available = cast(list[str], ort.get_available_providers())
    if provider != "auto":
        return _open_with(ort, model, provider, available, threads)
    if ORT_PROVIDERS["cuda"] in available:
        with contextlib.suppress(ModelError):
            return _open_with(ort, model, "cuda", available, threads)
    return _open_with(ort, model, "cpu", available, threads)


def _open_with(ort: Any, model: _Model, provider: str, available: list[str], threads: int | None) -> _OrtSession:
    """A session whose first provider really is `provider`; ModelError otherwise."""
    wanted = ORT_PROVIDERS[provider]
    if wanted not in available:
        raise ModelError(_provider_message(provider, "is not in the installed onnxruntime", available))
    if provider in ("cuda", "tensorrt"):
        _preload_cuda_libraries(ort)
    session = _create(ort, model, _with_fallbacks(provider), threads)
    if session.get_providers()[0] != wanted:
        raise ModelError(_provider_message(provider, "could not be started (driver or libraries missing)", available))
    return session


def _create(ort: Any, model: _Model, providers: list[str], threads: int | None) -> _OrtSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_FATAL_ONLY
    try:
        return cast(_OrtSession, ort.InferenceSession(model.content(), options, providers=providers))
    except Exception as error:  # the exceptions of onnxruntime have no common base class
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(
            f"{model.path} cannot be loaded as an ONNX model; expected a file of vr-export ({reason})"
        ) from error


def _with_fallbacks(provider: str) -> list[str]:
    """The provider, then what onnxruntime may use for single operators that it lacks."""
    chain = {"tensorrt": ["tensorrt", "cuda", "cpu"], "cpu": ["cpu"]}.get(provider, [provider, "cpu"])
    return [ORT_PROVIDERS[name] for name in chain]


def _preload_cuda_libraries(ort: Any) -> None:
    """Finds the CUDA libraries that pip installed; onnxruntime prints what it misses, the session's check
    reports it.
    """
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()


def _provider_message(provider: str, what: str, available: list[str]) -> str:
    usable = [short for short, name in ORT_PROVIDERS.items() if name in available]
    return f"provider {provider} {what}; available: {', '.join(usable)}; to repair: {_REPAIR[provider]}"


def _short_name(ort_name: str) -> str:
    return next((short for short, name in ORT_PROVIDERS.items() if name == ort_name), ort_name)
