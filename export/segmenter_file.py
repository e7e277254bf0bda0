"""Writes a person segmenter as an ONNX file: the steps and the gate of `vr.export.onnx_file` for a *segment* graph."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vr.export.onnx_file import Tensors, trace, write_checked
from vr.export.parity import OutputParity, measure_parity
from vr.export.precision import halve_convolutions
from vr.export.samples import Sample, scene_of
from vr.models.segmenter import LEAST_SIDE_PX, PersonSegmenter, SegmenterNet
from vr.runtime.contract import SEGMENT_INPUT, SEGMENT_OUTPUT, Precision, SegmenterInfo
from vr.runtime.errors import ModelError
from vr.runtime.geometry import SizeHw
from vr.runtime.segmenter import SegmenterSession
from vr.runtime.version import package_version


@dataclass(frozen=True)
class SegmentPlan:
    """One export. size_hw: the input's size, also another one than the network was trained at."""

    precision: Precision
    size_hw: SizeHw
    training_run: str


class SegmentGraph(nn.Module):
    """image (N, 3, H, W) float32 RGB in [0, 1] -> probability (N, 1, H, W) of a person."""

    def __init__(self, net: PersonSegmenter) -> None:
        super().__init__()
        self.net = net

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """See the class docstring."""
        return (self.net(image),)


def export_segmenter(net: SegmenterNet, plan: SegmentPlan, path: Path) -> list[OutputParity]:
    """Exports `net` as planned to `path`, replacing it; returns the parity figures.

    Raises ModelError if the size is too small, the network does not export, or the parity gate fails; OutputError if
    the file cannot be written. `path` is then as it was before.
    """
    if min(plan.size_hw) < LEAST_SIDE_PX:
        height, width = plan.size_hw
        raise ModelError(f"size {height}x{width} is too small; expected sides of at least {LEAST_SIDE_PX} px")
    net = net.eval()
    reference = SegmentGraph(net).eval()
    graph = SegmentGraph(halve_convolutions(net)).eval() if plan.precision == "fp16" else reference
    tensors = Tensors(_sample(plan, batch=2, seed=0).feed, (SEGMENT_OUTPUT,), {SEGMENT_INPUT: {0: "N"}})
    info = SegmenterInfo(plan.size_hw, net.config["backbone"], plan.precision, plan.training_run, package_version())
    with torch.no_grad():
        model = trace(graph, net.network, tensors, info.to_metadata())
    samples = [_sample(plan, 1, 1), _sample(plan, 3, 2), _sample(plan, 2, 3, covered=True)]

    def measure(part: Path) -> list[OutputParity]:
        return measure_parity(SegmenterSession(part, "cpu", threads=1), reference, samples, plan.precision)

    return write_checked(model, path, measure)


def _sample(plan: SegmentPlan, batch: int, seed: int, covered: bool = False) -> Sample:
    """Soft colour scenes; covered: a third of each is black."""
    rng = np.random.default_rng(seed)
    planes = np.stack([[scene_of(rng, plan.size_hw) for _ in range(3)] for _ in range(batch)])
    if covered:
        planes[:, :, : plan.size_hw[0] // 3] = 0
    what = "covered scenes" if covered else "scenes"
    name = f"{what} {plan.size_hw[0]}x{plan.size_hw[1]}, batch {batch}"
    return Sample(name, {SEGMENT_INPUT: planes.astype(np.float32) / np.float32(255.0)})
