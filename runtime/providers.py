"""Execution providers of onnxruntime: what each is called, needs and is told, and how a session with it is opened.

The one table of provider options. float32 stays float32: TF32, which NVIDIA's libraries use for it unless told not
to, keeps 10 bits of a coordinate, a pixel at 1080p.
"""

import contextlib
import hashlib
import importlib
import importlib.util
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, cast

from vr.runtime.errors import ModelError

ORT_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
}
PROVIDER_CHOICES = ("auto", *ORT_PROVIDERS)
DEVICES = {"cuda": "cuda", "tensorrt": "cuda"}
"""Where tensors lie that are bound for a provider on a GPU; those of all others lie on the CPU."""
MOST_IN_A_BATCH = 8
"""So many pairs are asked about at once at most."""
BUILDING_ENGINES = "building TensorRT engines: takes minutes, but only once for a model and size on this box"
ENGINE_WORKSPACE_BYTES = 1 << 30
"""What TensorRT may use of the GPU's memory while it tries kernels."""

_FIRST = "pip uninstall onnxruntime, then "
_REPAIR = {
    "cpu": 'pip install "vr-registration[cpu]"',
    "cuda": f'{_FIRST}pip install "vr-registration[gpu]" (needs an NVIDIA driver for CUDA 13)',
    "tensorrt": f'{_FIRST}pip install "vr-registration[gpu]" "tensorrt-cu13>=10.13,<11"',
    "openvino": 'pip install "vr-registration[openvino]" (for Intel processors; for others '
    f"{_FIRST}pip install onnxruntime-openvino)",
}
OPENVINO_PLUGIN = "onnxruntime_ep_openvino"
_RECORD_PLACEMENT = "session.record_ep_graph_assignment_info"
_LOG_FATAL_ONLY = 4


class Tensor(Protocol):
    """An input or output of a session."""

    name: str
    shape: list[int | str | None]


class OrtSession(Protocol):
    """The part of `onnxruntime.InferenceSession` that the runtime uses."""

    def run(self, names: list[str], feed: dict[str, Any]) -> list[Any]: ...  # noqa: D102
    def run_with_iobinding(self, binding: Any) -> None: ...  # noqa: D102
    def io_binding(self) -> Any: ...  # noqa: D102
    def get_providers(self) -> list[str]: ...  # noqa: D102
    def get_inputs(self) -> list[Tensor]: ...  # noqa: D102
    def get_outputs(self) -> list[Tensor]: ...  # noqa: D102
    def get_modelmeta(self) -> Any: ...  # noqa: D102
    def get_provider_graph_assignment_info(self) -> list[Any]: ...  # noqa: D102


@dataclass(frozen=True)
class Opening:
    """A model that is to be opened.

    path: for messages. content: the file's name, or the bytes of a serialised model. threads: CPU threads of one
    operator; None leaves the choice to onnxruntime. fixed_dims: sizes for free dimensions of the graph, by name; with
    all of them known TensorRT builds its engine when the session is created, and not at its first run. batches: shapes
    of inputs that come up to MOST_IN_A_BATCH at once, without the batch; for TensorRT, which else builds another engine
    for each batch that comes. precision: of the file. capture: the launches of a run are recorded as a CUDA graph, for
    which all dimensions have to be fixed, all tensors bound to places that stay, and all nodes on the GPU.
    """

    path: Path
    content: str | bytes
    threads: int | None = None
    fixed_dims: Mapping[str, int] = field(default_factory=dict[str, int])
    batches: Mapping[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])
    precision: str = "fp32"
    capture: bool = False


def open_session(ort: Any, opening: Opening, provider: str) -> OrtSession:
    """A session whose first provider really is `provider`; `auto` is CUDA if a session with it can be created, else
    the CPU. Raises ModelError.
    """
    available = cast(list[str], ort.get_available_providers())
    if provider != "auto":
        return _open_with(ort, opening, provider, available)
    if ORT_PROVIDERS["cuda"] in available:
        with contextlib.suppress(ModelError):
            return _open_with(ort, opening, "cuda", available)
    return _open_with(ort, opening, "cpu", available)


def short_name(ort_name: str) -> str:
    """Of a provider of onnxruntime, one of ORT_PROVIDERS if it is there."""
    return next((short for short, name in ORT_PROVIDERS.items() if name == ort_name), ort_name)


def provider_options(provider: str, opening: Opening) -> dict[str, str]:
    """What onnxruntime is told about a provider."""
    options = {"cuda": _cuda, "tensorrt": _tensorrt, "openvino": _openvino}.get(provider)
    return {} if options is None else options(opening)


def engine_folder(content: str | bytes, fixed_dims: Mapping[str, int]) -> Path:
    """Where the TensorRT engines of a model for these sizes lie: `vr-registration/engines/HASH` in the user's cache
    folder, which is $XDG_CACHE_HOME or `~/.cache`. TensorRT names the files in it after itself, the GPU and the graph.
    """
    data = Path(content).read_bytes() if isinstance(content, str) else content
    sizes = " ".join(f"{name}={size}" for name, size in sorted(fixed_dims.items()))
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "vr-registration" / "engines" / hashlib.sha256(data + sizes.encode()).hexdigest()[:16]


def has_engines(content: str | bytes, fixed_dims: Mapping[str, int]) -> bool:
    """Whether TensorRT has built an engine of a model on this box before; for this GPU or another."""
    return any(engine_folder(content, fixed_dims).glob("*.engine"))


def _cuda(opening: Opening) -> dict[str, str]:
    return {
        "device_id": "0",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "EXHAUSTIVE",
        "use_tf32": "0",
        "enable_cuda_graph": str(int(opening.capture)),
    }


def _tensorrt(opening: Opening) -> dict[str, str]:
    folder = engine_folder(opening.content, opening.fixed_dims)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"cannot keep TensorRT engines in {folder} ({error.strerror}); set XDG_CACHE_HOME to a folder of yours"
        ) from error
    return {
        "device_id": "0",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder.parent),
        "trt_max_workspace_size": str(ENGINE_WORKSPACE_BYTES),
        "trt_fp16_enable": str(int(opening.precision == "fp16")),
        "trt_int8_enable": str(int(opening.precision == "int8")),
        "trt_cuda_graph_enable": str(int(opening.capture)),
        **batch_profiles(opening.batches, 1, MOST_IN_A_BATCH),
    }


def batch_profiles(batches: Mapping[str, tuple[int, ...]], usual: int, most: int) -> dict[str, str]:
    """TensorRT's batches of inputs of these shapes (without the batch): 1 to `most` may come, `usual` is to be fast."""

    def shapes(count: int) -> str:
        return ",".join(f"{name}:{'x'.join(map(str, (count, *shape)))}" for name, shape in batches.items())

    counts = {"min": 1, "opt": usual, "max": most} if batches else {}
    return {f"trt_profile_{which}_shapes": shapes(count) for which, count in counts.items()}


def _openvino(opening: Opening) -> dict[str, str]:
    threads = {} if opening.threads is None else {"num_of_threads": str(opening.threads)}
    return {"device_type": "CPU", "precision": "FP32", **threads}


def _open_with(ort: Any, opening: Opening, provider: str, available: list[str]) -> OrtSession:
    """A session whose first provider really is `provider`; ModelError otherwise."""
    wanted = ORT_PROVIDERS[provider]
    options = _session_options(ort, opening)
    if provider == "openvino" and wanted not in available and importlib.util.find_spec(OPENVINO_PLUGIN) is not None:
        options.add_provider_for_devices([_plugin_device(ort, available)], _plugin_options(opening))
        return _create(ort, opening, options, None)
    if wanted not in available:
        raise ModelError(_provider_message(provider, "is not in the installed onnxruntime", available))
    if provider in ("cuda", "tensorrt"):
        _prepare_cuda(ort, provider)
    session = _create(ort, opening, options, _with_fallbacks(provider, opening))
    if session.get_providers()[0] != wanted:
        raise ModelError(_provider_message(provider, "could not be started (driver or libraries missing)", available))
    return session


def _session_options(ort: Any, opening: Opening) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = opening.threads or 0
    options.inter_op_num_threads = 1
    options.log_severity_level = _LOG_FATAL_ONLY
    options.add_session_config_entry(_RECORD_PLACEMENT, "1")
    for name, size in opening.fixed_dims.items():
        options.add_free_dimension_override_by_name(name, size)
    return options


def _create(ort: Any, opening: Opening, options: Any, providers: list[tuple[str, dict[str, str]]] | None) -> OrtSession:
    """providers: None where the options name them already."""
    chosen = {} if providers is None else {"providers": providers}
    try:
        return cast(OrtSession, ort.InferenceSession(opening.content, options, **chosen))
    except Exception as error:  # the exceptions of onnxruntime have no common base class
        raise ModelError(
            f"{opening.path} cannot be loaded as an ONNX model; expected a file of vr-export ({first_line(error)})"
        ) from error


def first_line(error: Exception) -> str:
    """Of its message; its type if it has none."""
    return next(iter(str(error).splitlines()), "") or type(error).__name__


def _with_fallbacks(provider: str, opening: Opening) -> list[tuple[str, dict[str, str]]]:
    """The provider, then what onnxruntime may use for single operators that it lacks, each with its options."""
    chain = {"tensorrt": ["tensorrt", "cuda", "cpu"], "cpu": ["cpu"]}.get(provider, [provider, "cpu"])
    return [(ORT_PROVIDERS[name], provider_options(name, opening)) for name in chain]


def _plugin_device(ort: Any, available: list[str]) -> Any:
    """The CPU, as OpenVINO's plugin offers it. Raises ModelError where it does not: not on other makes than Intel."""
    name = ORT_PROVIDERS["openvino"]
    if not any(device.ep_name == name for device in ort.get_ep_devices()):
        plugin = importlib.import_module(OPENVINO_PLUGIN)
        ort.register_execution_provider_library(name, plugin.get_library_path())
    for device in ort.get_ep_devices():
        if device.ep_name == name and device.ep_metadata.get("ov_device") == "CPU":
            return device
    what = f"finds no Intel processor here (the package {OPENVINO_PLUGIN} offers OpenVINO on no other)"
    raise ModelError(_provider_message("openvino", what, available))


def _plugin_options(opening: Opening) -> dict[str, str]:
    """What `_openvino` says, in the plugin's only way; without a hint it may compute in bfloat16."""
    threads = {} if opening.threads is None else {"INFERENCE_NUM_THREADS": str(opening.threads)}
    return {"load_config": json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": "f32", **threads}})}


def _prepare_cuda(ort: Any, provider: str) -> None:
    """Finds the CUDA libraries that pip installed; onnxruntime prints what it misses, the session's check reports it.

    TensorRT has no option against TF32 in onnxruntime; this variable of NVIDIA's libraries is read when they load.
    """
    if provider == "tensorrt":
        os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    with contextlib.redirect_stdout(io.StringIO()):
        ort.preload_dlls()


def _provider_message(provider: str, what: str, available: list[str]) -> str:
    usable = [short for short, name in ORT_PROVIDERS.items() if name in available]
    return f"provider {provider} {what}; available: {', '.join(usable)}; to repair: {_REPAIR[provider]}"
