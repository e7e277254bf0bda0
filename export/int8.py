"""Eight-bit integers for the widest part of a matching network: the encoder's convolutions at an eighth of its input.

They are a quarter of the network's time, and only there are integers faster than float32 on a CPU, quantising and
changes of layout included: with fewer channels they are slower. Heads, fixed filters, fits and grids stay in float32.
Post-training, static, weights per channel (Jacob et al., CVPR 2018, section 3), calibrated on generated scenes.
"""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnx
from numpy.typing import NDArray

from vr.export.parity import OutputParity
from vr.export.plan import Plan
from vr.models.base import RegistrationNet
from vr.runtime.errors import ModelError
from vr.runtime.preprocess import network_input
from vr.runtime.session import Session
from vr.runtime.sim import Simulator

NETWORKS = ("match", "match-rig", "match-dense")
QUANTISED = "encoder.down8."
"""What the names of the weights contain whose convolutions are quantised."""
LIMIT_PX = 0.1
"""How far the transform of half of the generated pairs may move on average over the frame, px of 320 in width."""
_TAIL_LIMIT_PX = 1.0
_FOLLOWING = ("Add", "Relu")
_CALIBRATION_SEEDS = range(9000, 9016)
_HELD_OUT_SEEDS = range(9500, 9532)
_FRAME_HW = (480, 640)
_STANDARD_WIDTH_PX = 320.0
Feed = dict[str, NDArray[np.float32]]


def check_int8(plan: Plan, net: RegistrationNet) -> None:
    """Raises ModelError unless int8 is offered for what is planned."""
    if net.network not in NETWORKS:
        raise ModelError(f"--precision int8 is for {', '.join(NETWORKS)}; this is {net.network}: use fp32 or fp16")
    if plan.graph != "estimate" or plan.mode == "mask":
        raise ModelError("--precision int8 is for estimate graphs of grey or contour input; use fp32 or fp16")


def quantise(model: onnx.ModelProto, feeds: list[Feed]) -> onnx.ModelProto:
    """`model` with the convolutions in integers that QUANTISED names; feeds: typical inputs, for ranges of values."""
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with tempfile.TemporaryDirectory() as folder, _without_advice():
        path, source = Path(folder) / "int8.onnx", onnx.ModelProto()
        # It is left without its weights.
        source.CopyFrom(model)
        quantize_static(
            source,
            path,
            cast(Any, _Feeds(feeds)),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", *_FOLLOWING],
            nodes_to_quantize=quantised_nodes(model),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        quantised = onnx.load(path)
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(model.metadata_props)
    onnx.checker.check_model(quantised, full_check=True)
    return quantised


@contextmanager
def _without_advice() -> Iterator[None]:
    """Keeps onnxruntime's advice to optimise the graph first, which the exporter has done, from the user's terminal."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def quantised_nodes(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions, and of the sums and rectifiers behind them: integers go from one to the next."""
    names: list[str] = []
    values: set[str] = set()
    for node in model.graph.node:
        is_convolution = node.op_type == "Conv" and QUANTISED in node.input[1]
        if is_convolution or (node.op_type in _FOLLOWING and values.intersection(node.input)):
            names.append(node.name)
            # A rectifier ends a block.
            values.update(node.output if node.op_type != "Relu" else ())
    return names


class _Feeds:
    """What onnxruntime calls a CalibrationDataReader."""

    def __init__(self, feeds: list[Feed]) -> None:
        self._rest: Iterator[Feed] = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._rest, None)


def calibration_feeds(plan: Plan) -> list[Feed]:
    """Generated pairs, other ones than the gate's."""
    return _pairs(plan, _CALIBRATION_SEEDS)


def measure_deviation(fp32: Path, int8: Path, plan: Plan) -> list[OutputParity]:
    """How far apart the flows of both files are on generated pairs: mean over the frame, median and p95 of pairs."""
    feeds = _pairs(plan, _HELD_OUT_SEEDS)
    flows: list[list[NDArray[Any]]] = []
    for path in (fp32, int8):
        session = Session(path, provider="cpu", threads=1)
        flows.append([session.run(feed, ["flow"])["flow"] for feed in feeds])
    per_px = _STANDARD_WIDTH_PX / plan.size_hw[1]
    moved = [float(np.linalg.norm(a - b, axis=1).mean()) * per_px for a, b in zip(*flows, strict=True)]
    sample = f"{len(feeds)} generated pairs"
    return [
        OutputParity(f"{name} of the distance from fp32", float(np.percentile(moved, share)), limit, "px", sample, ())
        for name, share, limit in (("median", 50, LIMIT_PX), ("p95", 95, _TAIL_LIMIT_PX))
    ]


def _pairs(plan: Plan, seeds: range) -> list[Feed]:
    feeds: list[Feed] = []
    for seed in seeds:
        ir, rgb = Simulator(seed=seed, rgb_hw=_FRAME_HW, ir_hw=_FRAME_HW).frames(seed % 100)
        moving, fixed = (network_input(frame, plan.size_hw, plan.mode) for frame in (ir, rgb))
        feeds.append({"moving": moving, "fixed": fixed})
    return feeds
