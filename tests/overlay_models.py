"""Small overlay graphs with a known answer, exported as users do, for tests of what runs them."""

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import torch

from tests.fixed_nets import FixedAffine, FixedHomography
from vr.export.onnx_file import export_onnx
from vr.export.plan import Plan
from vr.models.base import Registration, RegistrationNet
from vr.runtime.contract import GraphName, Precision

SIZE_HW = (48, 64)


class SureAffine(FixedAffine):
    """`FixedAffine`, shifted by the moving image's mean; sure where the fixed image is bright, with information."""

    network = "sure-affine"
    has_information = True

    def __init__(self) -> None:
        super().__init__(SIZE_HW, gain=0.1)

    def forward(self, moving: torch.Tensor, fixed: torch.Tensor) -> Registration:
        found = super().forward(moving, fixed)
        bright = (4.0 * (fixed.mean(dim=(1, 2, 3)) - 0.25)).clamp(0.0, 1.0)
        information = 1e6 * moving.mean(dim=(2, 3)).unsqueeze(2) * (torch.eye(6) + 0.2)
        return found._replace(confidence=bright, information=information)


class SureHomography(FixedHomography):
    """The same with a homography, without information."""

    network = "sure-homography"

    def __init__(self) -> None:
        super().__init__(SIZE_HW, gain=0.1)

    def forward(self, moving: torch.Tensor, fixed: torch.Tensor) -> Registration:
        bright = (4.0 * (fixed.mean(dim=(1, 2, 3)) - 0.25)).clamp(0.0, 1.0)
        return super().forward(moving, fixed)._replace(confidence=bright)


def export(net: RegistrationNet, graph: GraphName, path: Path, precision: Precision = "fp32") -> Path:
    """`net` as vr-export writes it."""
    export_onnx(net.eval(), Plan(graph, precision, net.size_hw, False, "gray", "test-20260101-0"), path)
    return path


@cache
def exported(net: type[SureAffine] | type[SureHomography], graph: GraphName) -> Path:
    """The file of a `net()`, exported once for all tests of this process, which takes seconds; not to be changed."""
    return export(net(), graph, _folder() / f"{net.__name__.lower()}-{graph}.onnx")


@cache
def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="vr-overlay-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
