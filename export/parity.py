"""The parity gate: no file is written whose onnxruntime output differs from PyTorch's."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

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
        for name, wanted in zip(session.output_names, expected, strict=True):
            one = _compare(name, found[name], wanted, sample, precision)
            if name not in worst or not one.error <= worst[name].error:
                worst[name] = one
    return list(worst.values())


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
