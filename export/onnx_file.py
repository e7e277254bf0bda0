"""Writes a network as an ONNX file: trace, metadata, checker, parity gate, and only then the name that was
asked for.
"""

import re
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import onnx
import torch
from torch import nn

from vr.export.graphs import EstimateGraph, OverlayGraph
from vr.export.int8 import calibration_feeds, check_int8, measure_deviation, quantise
from vr.export.parity import OutputParity, measure_parity, require_parity
from vr.export.plan import Plan, check_plan
from vr.export.precision import halve_convolutions
from vr.export.samples import Feed, parity_samples, traced_sample
from vr.models.base import RegistrationNet
from vr.runtime.contract import OPSET
from vr.runtime.errors import ModelError, OutputError
from vr.runtime.session import Session

# Which axes of which input are free, and what they are called in the file.
_BATCH_AXES = {"moving": {0: "N"}, "fixed": {0: "N"}}
_DYNAMIC_AXES = {name: {0: "N", 2: "H", 3: "W"} for name in ("moving", "fixed")}
_OVERLAY_AXES = {"ir": {0: "N", 1: "h", 2: "w", 3: "C"}, "rgb": {0: "N", 1: "H", 2: "W"}, "alpha": {}}

# What the exporter writes of a length H that a U-Net halves and doubles: 16*((H//16)). Sizes are multiples of 16.
_WHOLE_MULTIPLE = re.compile(r"(\d+)\*\(+(\w+)//\1\)+")

Axes = dict[str, dict[int, str]]


def check_output(path: Path, overwrite: bool) -> None:
    """Raises OutputError unless `path` can be written; before the minutes of work, not after."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; expected the name of a file, for example {path / 'model.onnx'}")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists; add --overwrite to replace it, or choose another name")
    part = _part_path(path)
    try:
        part.touch()
        part.unlink()
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror}); is its folder there and writable?") from error


def export_onnx(net: RegistrationNet, plan: Plan, path: Path) -> list[OutputParity]:
    """Exports `net` as planned to `path`, replacing it; returns the parity figures.

    Raises ModelError if the plan does not suit the network, the graph does not come out as planned, or the
    parity gate fails; OutputError if the file cannot be written. `path` is then as it was before.
    """
    check_plan(plan, net)
    net = net.eval()
    if plan.precision == "int8":
        return _export_int8(net, plan, path)

    def measure(part: Path) -> list[OutputParity]:
        session = Session(part, provider="cpu", threads=1)
        return measure_parity(session, build_reference(net, plan), parity_samples(plan, net), plan.precision)

    return write_checked(_trace(build_graph(net, plan), plan, net), path, measure)


def _export_int8(net: RegistrationNet, plan: Plan, path: Path) -> list[OutputParity]:
    """The float32 file behind its own gate first; then the quantised one, held against that."""
    check_int8(plan, net)
    with tempfile.TemporaryDirectory() as folder:
        full = Path(folder) / "fp32.onnx"
        export_onnx(net, replace(plan, precision="fp32"), full)
        model = onnx.load(full)
        _set_metadata(model, plan.info(net).to_metadata())
        quantised = quantise(model, calibration_feeds(plan))
        return write_checked(quantised, path, lambda part: measure_deviation(full, part, plan))


def write_checked(
    model: onnx.ModelProto, path: Path, measure: Callable[[Path], list[OutputParity]]
) -> list[OutputParity]:
    """Writes `model` beside `path`, and renames it if `measure` of that file passes the gate; returns its figures.

    Raises ModelError if it does not pass, OutputError if the file cannot be written. `path` is then as it was before.
    """
    part = _part_path(path)
    try:
        part.write_bytes(model.SerializeToString())
        figures = measure(part)
        require_parity(figures)
        part.replace(path)
    except OSError as error:
        raise OutputError(f"cannot write {path} ({error.strerror}); nothing was written") from error
    finally:
        part.unlink(missing_ok=True)
    return figures


def build_reference(net: RegistrationNet, plan: Plan) -> nn.Module:
    """The planned graph as a float32 module: what the exported file is held against."""
    return EstimateGraph(net) if plan.graph == "estimate" else OverlayGraph(net, plan.mode, plan.size_hw)


def build_graph(net: RegistrationNet, plan: Plan) -> nn.Module:
    """The planned graph in the planned precision, in eval mode."""
    return build_reference(halve_convolutions(net) if plan.precision == "fp16" else net, plan).eval()


def _trace(graph: nn.Module, plan: Plan, net: RegistrationNet) -> onnx.ModelProto:
    axes: Axes = _OVERLAY_AXES
    if plan.graph == "estimate":
        axes = _DYNAMIC_AXES if plan.dynamic else _BATCH_AXES
    tensors = Tensors(traced_sample(plan).feed, plan.outputs(net), axes)
    return trace(graph, net.network, tensors, plan.info(net).to_metadata())


@dataclass(frozen=True)
class Tensors:
    """What goes into a graph and comes out. feed: inputs to trace with, by name; axes: which of them are free, and what
    they are called.
    """

    feed: Feed
    outputs: tuple[str, ...]
    axes: Axes


def trace(graph: nn.Module, network: str, tensors: Tensors, metadata: dict[str, str]) -> onnx.ModelProto:
    """The graph as a checked ONNX model with named free dimensions and `vr.*` metadata. Raises ModelError, which names
    the `network`, if it does not export or comes out with other axes.
    """
    model = _run_exporter(graph, network, tensors)
    _name_free_dimensions(model, tensors.axes)
    _drop_traces(model)
    _set_metadata(model, metadata)
    onnx.checker.check_model(model, full_check=True)
    return model


def _run_exporter(graph: nn.Module, network: str, tensors: Tensors) -> onnx.ModelProto:
    feed, axes = tensors.feed, tensors.axes
    free: dict[str, Any] = {name: dict.fromkeys(axes[name], torch.export.Dim.DYNAMIC) or None for name in feed}
    with warnings.catch_warnings(), torch.inference_mode():
        warnings.simplefilter("ignore")
        try:
            program = torch.onnx.export(
                graph,
                tuple(torch.from_numpy(value) for value in feed.values()),
                input_names=list(feed),
                output_names=list(tensors.outputs),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                dynamic_shapes=free,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise ModelError(f"the {network} network does not export ({reason})") from error
    assert program is not None
    return program.model_proto


def _set_metadata(model: onnx.ModelProto, metadata: dict[str, str]) -> None:
    """Replaces what the model says of itself."""
    del model.metadata_props[:]
    for key, value in metadata.items():
        model.metadata_props.add(key=key, value=value)


def _drop_traces(model: onnx.ModelProto) -> None:
    """Removes the stack trace that the exporter leaves at each node: paths of this machine, and half of the file."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del part.metadata_props[:]
        part.ClearField("doc_string")


def _name_free_dimensions(model: onnx.ModelProto, axes: Axes) -> None:
    """Renames the exporter's symbols (s17, s53) to those of `axes`. Raises ModelError if an axis came out
    fixed.
    """
    names: dict[str, str] = {}
    for value in model.graph.input:
        for axis, dim in enumerate(value.type.tensor_type.shape.dim):
            wanted = axes[value.name].get(axis)
            if (wanted is not None) != bool(dim.dim_param):
                raise ModelError(f"axis {axis} of input {value.name} came out {'fixed' if wanted else 'free'}")
            if wanted is not None:
                names[dim.dim_param] = wanted
    for value in [*model.graph.input, *model.graph.output, *model.graph.value_info]:
        for dim in value.type.tensor_type.shape.dim:
            if dim.dim_param:
                renamed = re.sub(r"\w+", lambda match: names.get(match[0], match[0]), dim.dim_param)
                dim.dim_param = _WHOLE_MULTIPLE.sub(r"\2", renamed)


def _part_path(path: Path) -> Path:
    return path.with_name(f".{path.name}.part")
