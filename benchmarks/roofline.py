"""How near to the processor's limits: `python -m benchmarks.roofline [MODEL.onnx ...] [--threads 1] [--calls 300]`.

- peak: float32 operations per second of the best large matrix product, in numpy, torch or onnxruntime; bandwidth: of a
  large copy.
- by model (without one: built-in ones): operations of its convolutions and matrix products, counted from the graph, and
  what share of the peak the whole network reaches with them in its time, and its convolutions in theirs. Element-wise
  operations, sampling and pooling count as time, not as operations (Williams et al., "Roofline", CACM 2009). Zeros in
  filters count: some 80 of the default's 720 million operations.
- by type of operation: how many nodes, and how much of the profiled time. A profiled node takes longer than an
  unobserved one, by a microsecond or so, so the shares of the many small ones are upper bounds.

Writes JSON.
"""

import argparse
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, shape_inference

from benchmarks.measure import machine_facts, measure, pin_threads
from vr.runtime.contract import ESTIMATE_INPUTS, OPSET
from vr.runtime.embedded import embedded_path
from vr.runtime.onnx_pruning import keep_outputs
from vr.runtime.session import transform_outputs

RESULTS = Path(__file__).parent / "results" / "roofline.json"
MODELS = ("default", "small", "dense")
PEAK_SIDES = (512, 1024, 1536, 2048)
COPY_BYTES = 256 * 2**20
LAYERS_SHOWN = 24
_MATRIX_OPS = {"Conv", "MatMul", "Gemm"}
Shapes = dict[str, list[int]]


@dataclass(frozen=True)
class OpTime:
    """All nodes of one type in onnxruntime's own graph: their number, and the median of a run's total."""

    op: str
    nodes: int
    ms: float
    share: float


@dataclass(frozen=True)
class Layer:
    """One node of onnxruntime's own graph.

    mflops: None of what is no matrix product; padded channels of convolutions in blocked layouts count.
    """

    op: str
    output: tuple[int, ...]
    ms: float
    mflops: float | None

    def to_json(self, peak: float) -> dict[str, Any]:
        """With the share of `peak` that it reaches."""
        share = None if self.mflops is None else round(self.mflops * 1e6 / (self.ms / 1000.0) / peak, 3)
        return {**asdict(self), "share_of_peak": share}


def peak_flops(threads: int = 1, sides: tuple[int, ...] = PEAK_SIDES) -> float:
    """float32 operations per second of the fastest product of two square matrices, two per multiplication and sum.

    numpy keeps to the threads that it was started with, see `pin_threads`.
    """
    import torch

    torch.set_num_threads(threads)
    best = 0.0
    for side in sides:
        a, b = (np.random.default_rng(seed).random((side, side), np.float32) for seed in (0, 1))
        x, y = torch.from_numpy(a), torch.from_numpy(b)
        session = _matrix_product(side, threads)
        products: list[Callable[[], object]] = [
            lambda x=x, y=y: x @ y,
            lambda a=a, b=b: a @ b,
            lambda a=a, b=b, session=session: session.run(None, {"a": a, "b": b}),
        ]
        best = max(best, *(2.0 * side**3 / _fastest_s(product) for product in products))
    return best


def _matrix_product(side: int, threads: int) -> Any:
    import onnxruntime

    tensors = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [side, side]) for name in "abc"]
    graph = helper.make_graph([helper.make_node("MatMul", ["a", "b"], ["c"])], "product", tensors[:2], tensors[2:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), _options(threads), providers=["CPUExecutionProvider"]
    )


def copy_bandwidth_gb_s(nbytes: int = COPY_BYTES) -> float:
    """GB per second, read and written ones together, of a copy that no cache holds."""
    source, target = np.ones(nbytes, np.uint8), np.zeros(nbytes, np.uint8)
    return 2.0 * nbytes / _fastest_s(lambda: np.copyto(target, source)) / 1e9


def _fastest_s(call: Callable[[], object], calls: int = 5) -> float:
    """The limit is what no other job disturbs."""
    times_s: list[float] = []
    for _ in range(calls + 1):
        start = time.perf_counter()
        call()
        times_s.append(time.perf_counter() - start)
    return min(times_s[1:])


def model_flops(model: bytes | Path) -> dict[str, int]:
    """Operations for one pair by type of node, Conv, MatMul and Gemm: two per multiplication and sum, biases left out.

    Raises ValueError if a shape cannot be inferred.
    """
    content = model.read_bytes() if isinstance(model, Path) else model
    graph = _with_batch_of_one(onnx.load_model_from_string(content)).graph
    shapes = _shapes(graph)
    totals: dict[str, int] = defaultdict(int)
    for node in graph.node:
        if node.op_type in _MATRIX_OPS:
            totals[node.op_type] += _node_flops(node, shapes)
    return dict(totals)


def _with_batch_of_one(model: onnx.ModelProto) -> onnx.ModelProto:
    for value in model.graph.input:
        batch = value.type.tensor_type.shape.dim[0]
        if batch.dim_param:
            batch.dim_value = 1
    del model.graph.value_info[:]
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    return shape_inference.infer_shapes(model, data_prop=True)


def _shapes(graph: onnx.GraphProto) -> Shapes:
    shapes = {one.name: list(one.dims) for one in graph.initializer}
    for value in [*graph.input, *graph.value_info, *graph.output]:
        shapes[value.name] = [dim.dim_value for dim in value.type.tensor_type.shape.dim]
    return shapes


def _node_flops(node: onnx.NodeProto, shapes: Shapes) -> int:
    """Every value of the output is a sum over what the second input (weights, right matrix) has for it."""
    output, first, second = (shapes.get(name, [0]) for name in (node.output[0], node.input[0], node.input[1]))
    if node.op_type == "Conv":
        terms = int(np.prod(second[1:]))
    elif node.op_type == "Gemm":
        is_transposed = any(one.name == "transA" and one.i for one in node.attribute)
        terms = first[0] if is_transposed else first[-1]
    else:
        terms = first[-1]
    count = 2 * int(np.prod(output)) * terms
    if count == 0:
        raise ValueError(f"the shapes of {node.op_type} {node.name} cannot be inferred: {first}, {second}, {output}")
    return count


def layers(model: bytes, feed: dict[str, np.ndarray], threads: int = 1, calls: int = 100) -> list[Layer]:
    """Where the time goes, longest first, by onnxruntime's profile of `calls` runs."""
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        options = _options(threads)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        for _ in range(calls):
            session.run(None, feed)
        events = json.loads(Path(session.end_profiling()).read_text())
    by_node: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("kernel_time"):
            by_node[event["name"]].append(event)
    return sorted(map(_layer, by_node.values()), key=lambda layer: -layer.ms)


def _layer(events: list[dict[str, Any]]) -> Layer:
    """Of the same node in all runs."""
    ms, told = float(np.median([event["dur"] for event in events])) / 1000.0, events[0]["args"]
    inputs, outputs = (
        [next(iter(one.values())) for one in told.get(key, [])] for key in ("input_type_shape", "output_type_shape")
    )
    output: list[int] = outputs[0] if outputs else []
    terms: int | None = None
    if told["op_name"] == "Conv" and len(inputs) > 1:
        terms = int(np.prod(inputs[1][1:]))
    elif told["op_name"] in ("MatMul", "FusedMatMul") and len(inputs) > 1:
        first = [1, *inputs[0]]
        is_transposed = len(output) > 1 and first[-2] != output[-2]
        terms = first[-2] if is_transposed else first[-1]
    mflops = None if terms is None else round(2.0 * float(np.prod(output)) * terms / 1e6, 2)
    return Layer(told["op_name"], tuple(output), max(ms, 5e-4), mflops)


def by_type(of: list[Layer]) -> list[OpTime]:
    """The same by type of node, longest first."""
    total = sum(layer.ms for layer in of)
    by_op: dict[str, list[float]] = defaultdict(list)
    for layer in of:
        by_op[layer.op].append(layer.ms)
    rows = [OpTime(op, len(ms), round(sum(ms), 3), round(sum(ms) / total, 3)) for op, ms in by_op.items()]
    return sorted(rows, key=lambda row: -row.ms)


def achieved(path: Path, peak: float, threads: int = 1, calls: int = 300) -> dict[str, Any]:
    """Operations, time and share of the `peak` of a model, as far as its transform needs it, on one generated pair."""
    import onnxruntime

    model = keep_outputs(path.read_bytes(), transform_outputs)
    flops = model_flops(model)
    session = onnxruntime.InferenceSession(model, _options(threads), providers=["CPUExecutionProvider"])
    shape = session.get_inputs()[0].shape
    feed = _generated_pair((int(shape[2]), int(shape[3])))
    timing = measure(lambda: session.run(None, feed), calls)
    nodes = layers(model, feed, threads, calls)
    times = by_type(nodes)
    convolutions_ms = sum(row.ms for row in times if row.op == "Conv")
    rates = {
        "network": sum(flops.values()) / (timing.median_ms / 1000.0),
        "convolutions": flops.get("Conv", 0) / (max(convolutions_ms, 1e-6) / 1000.0),
    }
    return {
        "name": path.stem,
        "mflops": {op: round(count / 1e6, 2) for op, count in flops.items()},
        "median_ms": round(timing.median_ms, 3),
        "gflops_per_s": {part: round(rate / 1e9, 1) for part, rate in rates.items()},
        "share_of_peak": {part: round(rate / peak, 3) for part, rate in rates.items()},
        "nodes": sum(row.nodes for row in times),
        "ops": [asdict(row) for row in times],
        "layers": [layer.to_json(peak) for layer in nodes[:LAYERS_SHOWN]],
    }


def _options(threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    return options


def _generated_pair(size_hw: tuple[int, int]) -> dict[str, np.ndarray]:
    from vr.runtime.preprocess import network_input
    from vr.runtime.sim import Simulator

    frames = Simulator(seed=0).frames(0)
    return {name: network_input(frame, size_hw, "gray") for name, frame in zip(ESTIMATE_INPUTS, frames, strict=True)}


def main() -> None:
    """Parses, measures, writes, prints."""
    parser = argparse.ArgumentParser(description="Compares models with the limits of the processor.")
    parser.add_argument("models", nargs="*", type=Path, help=f"ONNX estimate graphs; default: {', '.join(MODELS)}")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads of everything (default 1)")
    parser.add_argument("--calls", type=int, default=300, help="runs of each model (default 300)")
    parser.add_argument("--out", type=Path, default=RESULTS, help=f"JSON file to write (default {RESULTS.name})")
    args = parser.parse_args()
    pin_threads(args.threads)
    peak, bandwidth = peak_flops(args.threads), copy_bandwidth_gb_s()
    rows = [achieved(path, peak, args.threads, args.calls) for path in args.models or map(embedded_path, MODELS)]
    facts = {"machine": machine_facts(), "threads": args.threads}
    limits = {"peak_gflops_per_s": round(peak / 1e9, 1), "copy_gb_per_s": round(bandwidth, 1)}
    args.out.write_text(json.dumps({**facts, **limits, "models": rows}, indent=2) + "\n")
    print(f"peak {limits['peak_gflops_per_s']} GFLOP/s, copy {limits['copy_gb_per_s']} GB/s")
    for row in rows:
        whole, convolutions = row["share_of_peak"]["network"], row["share_of_peak"]["convolutions"]
        print(f"{row['name']:10} {sum(row['mflops'].values()):7.1f} MFLOP {row['median_ms']:6.2f} ms", end=" ")
        print(f"{whole:4.0%} of the peak, its convolutions {convolutions:4.0%}; {row['nodes']} nodes:", end=" ")
        print(", ".join(f"{one['op']} {one['share']:.0%}" for one in row["ops"][:8]))


if __name__ == "__main__":
    main()
