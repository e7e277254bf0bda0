"""What is to be exported, and whether the network can do it."""

from dataclasses import dataclass

import torch

from vr.models.base import RegistrationNet
from vr.runtime import contours
from vr.runtime.contract import GraphName, ModelInfo, Precision
from vr.runtime.errors import ModelError
from vr.runtime.geometry import SizeHw
from vr.runtime.version import package_version


@dataclass(frozen=True)
class Plan:
    """One export.

    size_hw: the network's input size. dynamic: the estimate graph takes other sizes too (the overlay graph
    always takes frames of any size, and resizes them to `size_hw` inside). mode, training_run: from the
    checkpoint.
    """

    graph: GraphName
    precision: Precision
    size_hw: SizeHw
    dynamic: bool
    mode: str
    training_run: str

    def info(self, net: RegistrationNet) -> ModelInfo:
        """What the file will say about itself."""
        return ModelInfo(
            graph=self.graph,
            kind=net.kind,
            network=net.network,
            mode=self.mode,
            size_hw=self.size_hw,
            dynamic=self.dynamic,
            size_multiple=net.size_multiple if net.dynamic else 1,
            precision=self.precision,
            has_confidence=net.has_confidence,
            has_information=net.has_information,
            training_run=self.training_run,
            package_version=package_version(),
        )

    def outputs(self, net: RegistrationNet) -> tuple[str, ...]:
        """Names of the graph's outputs, in order."""
        return self.info(net).output_names


def check_plan(plan: Plan, net: RegistrationNet) -> None:
    """Raises ModelError, with the sizes that work, if `net` cannot be exported as planned."""
    if plan.graph == "overlay":
        _check_overlay(plan)
    name, (height, width) = net.network, plan.size_hw
    if not net.dynamic:
        only = f"{net.size_hw[0]}x{net.size_hw[1]}"
        if plan.dynamic:
            raise ModelError(f"the {name} network cannot be --dynamic: its layers are tied to inputs of {only}")
        if plan.size_hw != net.size_hw:
            raise ModelError(
                f"size {height}x{width} is not supported: this {name} checkpoint takes {only} only; "
                "leave --size out, or train at the size you need"
            )
    elif height % net.size_multiple or width % net.size_multiple:
        raise ModelError(
            f"size {height}x{width} is not supported by the {name} network; "
            f"expected height and width in multiples of {net.size_multiple}, for example "
            f"{_next_multiple(height, net.size_multiple)}x{_next_multiple(width, net.size_multiple)}"
        )
    _try_size(net, plan.size_hw)


def _check_overlay(plan: Plan) -> None:
    if plan.dynamic:
        raise ModelError("--dynamic is for the estimate graph; the overlay graph takes frames of any size anyway")
    if plan.mode in contours.FILTERS.keys() - set(contours.SMOOTH):
        raise ModelError(
            f"no overlay graph of mode {plan.mode}: its edges are decided at a threshold, where a graph rounds "
            "otherwise than the live preprocessing; use --graph estimate, or train with mode "
            f"{' or '.join(contours.SMOOTH)}"
        )


def _next_multiple(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _try_size(net: RegistrationNet, size_hw: SizeHw) -> None:
    """One run in torch: cheaper to fail here than after minutes of exporting."""
    blank = torch.zeros(1, 1, *size_hw)
    try:
        with torch.inference_mode():
            net(blank, blank)
    except (RuntimeError, ValueError, IndexError, AssertionError) as error:
        raise ModelError(
            f"size {size_hw[0]}x{size_hw[1]} is not supported by the {net.network} network ({error}); "
            f"it was built for {net.size_hw[0]}x{net.size_hw[1]}"
        ) from error
