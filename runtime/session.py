"""One model file in one onnxruntime session.

onnxruntime is imported when a session is created, not before: `import vr.runtime` works without it. All of
its untyped interface stays in this file, in `vr.runtime.providers` and in `vr.runtime.device_overlay`.
"""

import contextlib
import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from vr.runtime.contract import ESTIMATE_INPUTS, OVERLAY_INPUTS, ModelInfo
from vr.runtime.cores import check_threads
from vr.runtime.errors import InputError, ModelError, VrError
from vr.runtime.onnx_check import check_model
from vr.runtime.onnx_pruning import keep_outputs, read_metadata
from vr.runtime.placement import Placement, placement_of
from vr.runtime.providers import (
    ORT_PROVIDERS,
    PROVIDER_CHOICES,
    Opening,
    first_line,
    has_engines,
    open_session,
    short_name,
)


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
        check_options(provider, threads)
        onnxruntime = import_onnxruntime()
        opening = _opening(self.path, read_model(self.path), provider, threads, transform_only)
        self._session = open_session(onnxruntime, opening, provider)
        self.provider = short_name(self._session.get_providers()[0])
        try:
            self.metadata = cast(dict[str, str], self._session.get_modelmeta().custom_metadata_map)
            self._input_shapes = {tensor.name: tensor.shape for tensor in self._session.get_inputs()}
            self._outputs = {tensor.name for tensor in self._session.get_outputs()}
        except UnicodeDecodeError as error:
            raise ModelError(f"{self.path} holds names that are no text ({error}); export it again") from error

    @property
    def placement(self) -> Placement:
        """Which nodes run where."""
        return placement_of(self._session, self.provider)

    def run(
        self, feed: Mapping[str, NDArray[Any]], outputs: Sequence[str]
    ) -> dict[str, NDArray[np.float32] | NDArray[np.uint8]]:
        """Runs the graph; returns `outputs` by name. Raises ModelError where it cannot be computed."""
        try:
            values = self._session.run(list(outputs), dict(feed))
        except Exception as error:  # the exceptions of onnxruntime have no common base class
            raise ModelError(f"{self.path} cannot be computed ({first_line(error)}); export it again") from error
        return dict(zip(outputs, values, strict=True))

    def check_tensors(self, inputs: Sequence[str], outputs: Sequence[str], chw: tuple[int, ...] | None) -> None:
        """Raises ModelError if the graph's inputs and outputs are not what its metadata promise.

        chw: shape of every input without the batch; None for any.
        """
        found = self._input_shapes
        if set(found) != set(inputs):
            raise ModelError(f"{self.path} has inputs {sorted(found)}; expected {sorted(inputs)}; export it again")
        missing = set(outputs) - self._outputs
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
            fewer outputs at a run saves nothing. With OpenVINO such a session takes one pair at a time,
            which it is faster at, with TensorRT up to MOST_IN_A_BATCH.

        Raises InputError for a wrong option, ModelError for a file or provider that cannot be used, VrError
        if onnxruntime is not installed.
        """
        super().__init__(path, provider, threads, transform_only)
        self.info = ModelInfo.from_metadata(self.metadata, str(self.path))
        self.output_names = self.info.transform_names if transform_only else self.info.output_names
        is_fixed = self.info.graph == "estimate" and not self.info.dynamic
        inputs = ESTIMATE_INPUTS if self.info.graph == "estimate" else OVERLAY_INPUTS
        self.check_tensors(inputs, self.output_names, (1, *self.info.size_hw) if is_fixed else None)


def _content(path: Path, model: bytes, transform_only: bool) -> str | bytes:
    """The file for onnxruntime: its name, or its pruned bytes. A damaged file is left for onnxruntime to judge."""
    if transform_only:
        with contextlib.suppress(ValueError):
            return keep_outputs(model, transform_outputs)
    return os.fspath(path)


def _opening(path: Path, model: bytes, provider: str, threads: int | None, transform_only: bool) -> Opening:
    fixed_dims = {"N": 1} if transform_only and provider == "openvino" else {}
    batches: dict[str, tuple[int, ...]] = {}
    precision = "fp32"
    with contextlib.suppress(ValueError, ModelError):  # of other files nothing is known here
        metadata = read_metadata(model)
        precision = metadata.get("vr.precision", precision)
        info = ModelInfo.from_metadata(metadata, str(path))
        if info.graph == "estimate":
            batches = {name: (1, *info.size_hw) for name in ESTIMATE_INPUTS}
    return Opening(path, _content(path, model, transform_only), threads, fixed_dims, batches, precision)


def transform_outputs(outputs: set[str]) -> set[str]:
    """Of a graph's outputs those that `ModelInfo.transform_names` would give."""
    return outputs - {"moved", "overlay", *(["flow"] if "theta" in outputs else [])}


def builds_engines(path: Path, provider: str) -> bool:
    """Whether a live session of this file will first build TensorRT engines, which takes minutes."""
    if provider != "tensorrt" or ORT_PROVIDERS[provider] not in import_onnxruntime().get_available_providers():
        return False
    return not has_engines(_content(path, path.read_bytes(), transform_only=True), {})


def check_options(provider: str, threads: int | None) -> None:
    """Raises InputError for an unknown provider and for less than one thread."""
    if provider not in PROVIDER_CHOICES:
        raise InputError(f"unknown provider {provider!r}; expected one of {', '.join(PROVIDER_CHOICES)}")
    check_threads(threads)


def read_model(path: Path) -> bytes:
    """The content of a model file. Raises ModelError unless it is one that keeps to itself, see `onnx_check`."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise ModelError(f"model file {path} {what}; expected an ONNX file written by vr-export")
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ModelError(f"cannot read the model file {path} ({error.strerror})") from error
    if not model:
        raise ModelError(f"model file {path} is empty (0 bytes); export or download it again")
    check_model(model, str(path))
    return model


def import_onnxruntime() -> Any:
    """The onnxruntime module. Raises VrError with the install command if it is missing."""
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise VrError(
            'onnxruntime is not installed; run: pip install "vr-registration[cpu]" '
            '(for an NVIDIA GPU "vr-registration[gpu]")'
        ) from error
