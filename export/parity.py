"""The parity gate: no file is written whose onnxruntime output differs from PyTorch's."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from vr.export.graphs import BORDER_SLACK_PX
from vr.export.samples import Sample
from vr.runtime.contract import Precision
from vr.runtime.errors import ModelError
from vr.runtime.segmenter import SegmenterSession
from vr.runtime.session import Session


@dataclass(frozen=True)
class Limit:
    """How far an output may be off, and in what it is measured: error * scale, in `unit`; if `relative`, as a share of
    the output's largest entry.
    """

    limit: float
    scale: float
    unit: str
    relative: bool = False


LIMITS: dict[Precision, dict[str, Limit]] = {
    "fp32": {
        "flow": Limit(0.01, 1.0, "px"),
        "moved": Limit(1.0, 255.0, "grey levels"),
        "overlay": Limit(1.0, 1.0, "grey levels"),
        "theta": Limit(1e-4, 1.0, "of half a frame side"),
        "confidence": Limit(0.01, 1.0, ""),
        "information": Limit(0.01, 1.0, "of its largest entry", relative=True),
        "content": Limit(1e-3, 1.0, ""),
        "probability": Limit(1e-3, 1.0, ""),
    },
    "fp16": {
        "flow": Limit(0.1, 1.0, "px"),
        "moved": Limit(26.0, 255.0, "grey levels"),
        "overlay": Limit(26.0, 1.0, "grey levels"),
        "theta": Limit(1e-3, 1.0, "of half a frame side"),
        "confidence": Limit(0.05, 1.0, ""),
        "information": Limit(0.1, 1.0, "of its largest entry", relative=True),
        "content": Limit(1e-3, 1.0, ""),
        "probability": Limit(0.05, 1.0, ""),
    },
}
"""What may separate onnxruntime on the CPU from the float32 network in PyTorch, worst element of all samples.

26 grey levels in fp16 are what 0.1 px makes of an edge from black to white.
"""


@dataclass(frozen=True)
class OutputParity:
    """The worst difference of one output: how much, where, and on which sample."""

    output: str
    error: float
    limit: float
    unit: str
    sample: str
    position: tuple[int, ...]

    @property
    def passed(self) -> bool:
        """Whether the error is a number within the limit."""
        return self.error <= self.limit

    def describe(self) -> str:
        """For example "flow 0.0003 px (limit 0.01)"."""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.output} {self.error:.2g}{unit} (limit {self.limit:g})"


def measure_parity(
    session: Session | SegmenterSession, reference: nn.Module, samples: list[Sample], precision: Precision
) -> list[OutputParity]:
    """Runs `session` in onnxruntime and `reference` in PyTorch on the same samples; the worst per output."""
    worst: dict[str, OutputParity] = {}
    for sample in samples:
        expected = _run_torch(reference, sample)
        found = session.run(sample.feed, session.output_names)
        if "overlay" in found:
            _leave_out_border(found, dict(zip(session.output_names, expected, strict=True)), sample, precision)
        for name, wanted in zip(session.output_names, expected, strict=True):
            one = _compare(name, found[name], wanted, sample, precision)
            if name not in worst or not one.error <= worst[name].error:
                worst[name] = one
    return list(worst.values())


def _leave_out_border(found: dict[str, Any], wanted: dict[str, Any], sample: Sample, precision: Precision) -> None:
    """Takes the overlay's pixels as they are wanted where a flow within its limit decides whether the IR frame has data
    (`ir_has_data`): the last bit of a transform switches them between the blend and RGB alone.
    """
    on_border = border_pixels(wanted["flow"], sample.feed["ir"].shape[1:3], LIMITS[precision]["flow"].limit)
    found["overlay"] = np.where(on_border[..., None], wanted["overlay"], found["overlay"])


def border_pixels(flow: NDArray[np.float32], ir_hw: tuple[int, ...], slack_px: float) -> NDArray[np.bool_]:
    """(N, H, W): whether the source point of a native `flow` (N, 2, H, W), px of its grid, lies within `slack_px`
    of the border of what counts as inside the IR frame.
    """
    on_border = np.zeros((len(flow), *flow.shape[2:]), np.bool_)
    for axis, ir_size in ((0, ir_hw[1]), (1, ir_hw[0])):
        size = flow.shape[3 - axis]
        pixels = np.arange(size, dtype=np.float64)
        position = (pixels if axis == 0 else pixels[:, None]) + flow[:, axis]
        from_middle = np.abs(position - (size - 1) / 2) * (ir_size / size)
        border = (ir_size - 1) / 2 + BORDER_SLACK_PX
        on_border |= np.abs(from_middle - border) <= slack_px * ir_size / size
    return on_border


def require_parity(figures: list[OutputParity]) -> None:
    """Raises ModelError naming each output that is off, by how much, and where."""
    failed = [one for one in figures if not one.passed]
    if failed:
        details = "; ".join(f"{one.describe()} at {one.position} on input {one.sample!r}" for one in failed)
        raise ModelError(f"the exported graph differs from PyTorch, nothing was written: {details}")


def _run_torch(reference: nn.Module, sample: Sample) -> list[NDArray[np.generic]]:
    with torch.inference_mode():
        outputs = reference(*[torch.from_numpy(value) for value in sample.feed.values()])
    return [output.numpy() for output in outputs]


def _compare(
    name: str, found: NDArray[np.generic], wanted: NDArray[np.generic], sample: Sample, precision: Precision
) -> OutputParity:
    limit = LIMITS[precision][name]
    if found.shape != wanted.shape:
        raise ModelError(
            f"output {name} has shape {found.shape} on input {sample.name!r}; PyTorch gives {wanted.shape}"
        )
    scale = 1.0 if found.dtype == np.uint8 else limit.scale
    if limit.relative:
        scale /= max(float(np.abs(wanted.astype(np.float64)).max(initial=0.0)), 1e-12)
    difference = np.abs(found.astype(np.float64) - wanted.astype(np.float64)) * scale
    difference[~np.isfinite(difference)] = np.inf
    position = tuple(int(i) for i in np.unravel_index(int(difference.argmax()), difference.shape))
    return OutputParity(name, float(difference[position]), limit.limit, limit.unit, sample.name, position)
