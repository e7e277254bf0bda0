"""An exported model as a model repository of NVIDIA's Triton Inference Server.

    DIR/NAME/config.pbtxt       DIR/NAME/1/model.onnx

What is served is the transform, and not the pictures: the temporal filter is on the box that has the cameras, and it
draws what the filter says. Triton's model configuration: https://docs.nvidia.com/deeplearning/triton-inference-server,
"Model Configuration"; accelerators: README of triton-inference-server/onnxruntime_backend.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import onnx

from vr.runtime.contract import ModelInfo
from vr.runtime.errors import ModelError, OutputError
from vr.runtime.onnx_pruning import cut_between, read_metadata
from vr.runtime.providers import ENGINE_WORKSPACE_BYTES, batch_profiles
from vr.runtime.session import read_model

MAX_BATCH = 16
PREFERRED_BATCHES = (4, 8, 16)
QUEUE_DELAY_US = 2000
"""How long a pair waits for others: a sixteenth of a frame at 30 fps."""

_TYPES: dict[int, str] = {onnx.TensorProto.FLOAT: "TYPE_FP32", onnx.TensorProto.UINT8: "TYPE_UINT8"}
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Tensor:
    """An input or output without its batch axis; a free side of it is -1."""

    name: str
    data_type: str
    dims: tuple[int, ...]


def write_repository(model: Path, folder: Path, tensorrt: bool = False) -> Path:
    """Writes `folder`/NAME, with the model file's stem for a name; returns it.

    tensorrt: whether Triton is told to compute with TensorRT; of models whose inputs have one size.

    Raises ModelError for a file that is no registration model, whose batch is fixed, or that TensorRT cannot be told
    the sizes of; OutputError if NAME is there already, cannot be a name for Triton, or cannot be written. Nothing is
    left then.
    """
    read_model(model)
    name, target = model.stem, folder / model.stem
    if _NAME.fullmatch(name) is None:
        raise OutputError(f"{name!r} cannot be a model's name; expected letters, digits and ._- : rename {model.name}")
    if target.exists():
        raise OutputError(f"{target} exists; remove it, or choose another folder")
    served, info = _served(model)
    config = _config(name, served, info, tensorrt)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{name}.", dir=folder))
    except OSError as error:
        raise OutputError(f"cannot write {target} ({error.strerror})") from error
    try:
        _write(part, config, served.SerializeToString())
        part.rename(target)
    except OSError as error:
        raise OutputError(f"cannot write {target} ({error.strerror}); nothing was written") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return target


def _write(part: Path, config: str, model: bytes) -> None:
    part.chmod(0o755)  # temporary folders are for their owner alone, the server is somebody else
    (part / "1").mkdir()
    (part / "1" / "model.onnx").write_bytes(model)
    (part / "config.pbtxt").write_text(config)


def _served(path: Path) -> tuple[onnx.ModelProto, ModelInfo]:
    """The model without pictures, and without inputs that only they need. Raises ModelError."""
    data = path.read_bytes()
    try:
        info = ModelInfo.from_metadata(read_metadata(data), str(path))
        return onnx.load_from_string(cut_between(data, set(), set(info.transform_names))), info
    except ValueError as error:
        raise ModelError(f"{path} is no model file of this version ({error}); export it again") from error


def tensors(values: Iterable[onnx.ValueInfoProto]) -> list[Tensor]:
    """As Triton sees them. Raises ModelError where the first axis is not a free batch, or for another type."""
    found: list[Tensor] = []
    for value in values:
        own = value.type.tensor_type
        sides = [-1 if dim.dim_param else dim.dim_value for dim in own.shape.dim]
        if sides[:1] != [-1]:
            raise ModelError(
                f"{value.name} has a fixed batch, which Triton cannot fill from several boxes; "
                "export the checkpoint again: vr-export leaves the batch free"
            )
        if own.elem_type not in _TYPES:
            raise ModelError(f"{value.name} is of type {own.elem_type}; expected float32 or uint8")
        found.append(Tensor(value.name, _TYPES[own.elem_type], tuple(sides[1:])))
    return found


def _config(name: str, model: onnx.ModelProto, info: ModelInfo, tensorrt: bool) -> str:
    inputs, outputs = tensors(model.graph.input), tensors(model.graph.output)
    is_static = all(side > 0 for tensor in inputs for side in tensor.dims)
    if tensorrt and not is_static:
        raise ModelError(
            f"{name} takes inputs of any size, for which TensorRT would build one engine after the other; "
            "leave --tensorrt out, or serve an estimate graph that was exported without --dynamic"
        )
    parts = [
        f'name: "{name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: {MAX_BATCH}\n',
        _listed("input", inputs),
        _listed("output", outputs),
        "instance_group [ { count: 1 kind: KIND_AUTO } ]\n",
        f"dynamic_batching {{\n  preferred_batch_size: [ {', '.join(map(str, PREFERRED_BATCHES))} ]\n"
        f"  max_queue_delay_microseconds: {QUEUE_DELAY_US}\n}}\n",
    ]
    parts += [_warm_up(inputs)] if is_static else []
    parts += [_tensorrt(name, inputs, info)] if tensorrt else []
    return "".join(parts)


def _listed(what: str, values: list[Tensor]) -> str:
    return f"{what} [\n" + ",\n".join(f"  {{ {_described(value)} }}" for value in values) + "\n]\n"


def _described(value: Tensor) -> str:
    """A tensor of the batch alone, (N,), is one of (N, 1) outside: Triton has no empty dims."""
    own = f'name: "{value.name}" data_type: {value.data_type} dims: [ {", ".join(map(str, value.dims or (1,)))} ]'
    return own if value.dims else own + " reshape { shape: [ ] }"


def _warm_up(inputs: list[Tensor]) -> str:
    """A run when the model is loaded, so that no box waits for kernels to be chosen or engines to be built."""
    blanks = "".join(
        f'  inputs {{ key: "{value.name}" value: {{ data_type: {value.data_type} '
        f"dims: [ {', '.join(map(str, value.dims))} ] zero_data: true }} }}\n"
        for value in inputs
    )
    return f'model_warmup [ {{\n  name: "blank"\n  batch_size: 1\n{blanks}}} ]\n'


def _tensorrt(name: str, inputs: list[Tensor], info: ModelInfo) -> str:
    """Triton's names for the options of `vr.runtime.providers`."""
    options = {
        "precision_mode": "FP16" if info.precision == "fp16" else "FP32",
        "max_workspace_size_bytes": str(ENGINE_WORKSPACE_BYTES),
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": f"/tmp/triton-engines/{name}",
        **batch_profiles({value.name: value.dims for value in inputs}, PREFERRED_BATCHES[0], MAX_BATCH),
    }
    lines = "".join(f'    parameters {{ key: "{key}" value: "{value}" }}\n' for key, value in options.items())
    accelerator = f'  gpu_execution_accelerator: [ {{\n    name: "tensorrt"\n{lines}  }} ]\n'
    return f"optimization {{ execution_accelerators {{\n{accelerator}}} }}\n"
